import numpy as np
import pytest

from cath_perception.sightings import Sightings
from cath_perception.track import Track
from cath_perception.types import Electrode

from .patterns import ABLATION, CS, DT, by_id, catheter, seen, settle, straight


def test_two_detections_on_one_long_tip_are_one_electrode(tracker):
    """The network sees the tip nearer to this end of it, nearer to that, or, for a while, at both."""
    odd = straight([12, 1, 7], 8.0, at=(150, 200), angle=0.0)
    tip, *rest = odd.electrodes
    ends = [Electrode(tip.x + shift, tip.y, 20.0, 8.0, 0.9) for shift in (-2.0, 2.0)]
    for i in range(60):
        tips = ends if 20 < i < 40 else ends[i % 2 : i % 2 + 1]
        result = tracker.update(seen(catheter([*tips, *rest], odd.centerline.points)), i * DT)
        (found,) = result.catheters
        assert found.type is None
        assert len(found.electrodes) == 4


def test_reversed_detections_are_turned_back(tracker):
    ids, i = settle(tracker)
    backwards = catheter(CS.electrodes[::-1], CS.centerline.points[::-1])
    result = tracker.update(seen(backwards, ABLATION), i * DT)
    cs = by_id(result)[ids[0]]
    assert [e.x for e in cs.electrodes] == pytest.approx([e.x for e in CS.electrodes])
    assert cs.centerline.points[0] == pytest.approx(CS.centerline.points[0])


def test_the_tip_stays_the_tip_though_frames_disagree(tracker):
    ids, i = settle(tracker)
    backwards = catheter(CS.electrodes[::-1], CS.centerline.points[::-1])
    rng = np.random.default_rng(4)
    for step in range(60):
        result = tracker.update(seen(backwards if rng.random() < 0.4 else CS, ABLATION), (i + step) * DT)
        tip = by_id(result)[ids[0]].electrodes[0]
        assert (tip.x, tip.y) == pytest.approx((CS.electrodes[0].x, CS.electrodes[0].y))


def test_index_and_centreline_turn_round_in_the_same_frame(tracker):
    """As they do for catheters that wait for their turn to be examined, too."""
    several = [straight([2, 5] * 4 + [2], at=(60, 60 + 90 * k), angle=0.2) for k in range(4)]
    flipped = [catheter(c.electrodes[::-1], c.centerline.points[::-1]) for c in several]
    for i in range(160):
        result = tracker.update(seen(*(flipped if i >= 60 else several)), i * DT)
        for found in result.catheters:
            line, electrodes = found.centerline.points, found.electrodes
            along = np.array((electrodes[-1].x - electrodes[0].x, electrodes[-1].y - electrodes[0].y))
            assert along @ (line[-1] - line[0]) > 0
    assert result.catheters[0].electrodes[0].x == pytest.approx(several[0].electrodes[-1].x)


def test_an_order_told_for_some_slots_holds_whatever_lies_between_them():
    """Another catheter's electrodes lie between them, whose places nothing tells."""
    frame = Sightings.of(seen(straight([4] * 9, at=(100, 150))))
    track = Track(0, np.arange(10), frame, None, 0.9, 0.0)
    some = np.array([1, 3, 4, 7, 8])
    for _ in range(12):
        slots = np.flatnonzero(np.isin(track.keys, some))
        backwards = np.array([-list(some).index(key) for key in track.keys[slots]], float)
        track.note_order(slots, backwards, 0.2)
    assert track.keys[np.isin(track.keys, some)].tolist() == some[::-1].tolist()
