import numpy as np

from cath_perception.recognition import Recognizer
from cath_perception.tracking import CatheterTracker

from .patterns import catheter, seen, straight


def test_of_two_catheters_end_to_end_on_one_curve_each_has_its_tip_at_its_own_end():
    """The mask joins their shafts, so that both ends of the curve are tips."""
    front = straight([2, 5, 2], 4.0, at=(60, 150))
    x, y = front.electrodes[-1].x, front.electrodes[-1].y
    behind = straight([2, 5] * 4 + [2], at=(x + 60 * np.cos(0.3), y + 60 * np.sin(0.3)))
    last = behind.electrodes[-1]
    line = np.linspace(front.centerline.points[0], (last.x, last.y), 120)
    tracker = CatheterTracker(Recognizer.load())
    for i in range(90):
        result = tracker.update(seen(catheter([*front.electrodes, *behind.electrodes], line)), i / 15)
    tips = {c.type: c.electrodes[0] for c in result.catheters}
    assert (tips["ablation"].x, tips["coronary_sinus"].x) == (front.electrodes[0].x, last.x)
