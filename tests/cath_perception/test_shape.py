"""Electrodes that two catheters took for each other's while they crossed go back to where their shapes have them."""

import numpy as np
import pytest

from cath_perception.recognition import Recognizer
from cath_perception.tracking import CatheterTracker

from .patterns import catheter, moved, seen, straight

CS = straight([2, 5] * 4 + [2], at=(100, 250), angle=0.3)
ABLATION = straight([2, 5, 2], tip=4.0, at=(300, 200), angle=1.2)
RNG = np.random.default_rng(4)


@pytest.fixture
def tracker():
    """Both are known well, and have been beside each other: the tip near the coronary sinus catheter's sixth ring."""
    tracker = CatheterTracker(Recognizer.load())
    for i in range(90):
        result = tracker.update(frame(i, 3.0), i / 15)
    assert [c.type for c in result.catheters] == ["coronary_sinus", "ablation"]
    return tracker


def frame(i, apart):
    """The coronary sinus catheter still, the ablation catheter's tip ``apart`` px beside its sixth ring; 0.3 px of noise."""
    ring, tip = CS.electrodes[5], ABLATION.electrodes[0]
    beside = moved(ABLATION, ring.x + apart - tip.x, ring.y - tip.y)
    return seen(shaken(CS), shaken(beside))


def shaken(still):
    x, y = RNG.normal(0.0, 0.3, (2, len(still.electrodes)))
    electrodes = [moved(still, dx, dy).electrodes[n] for n, (dx, dy) in enumerate(zip(x, y, strict=True))]
    return catheter(electrodes, still.centerline.points)


def exchanged(tracker):
    """Take the tip and the ring for each other's, as happens where they cannot be told apart."""
    cs, ablation = tracker._tracks
    cs.places[5], ablation.places[0] = ablation.places[0].copy(), cs.places[5].copy()


def test_electrodes_taken_for_each_others_are_brought_back_once_their_places_tell(tracker):
    exchanged(tracker)
    for i in range(90, 120):
        result = tracker.update(frame(i, min(3.0 + 0.5 * (i - 90), 14.0)), i / 15)
    cs, ablation = result.catheters
    ring = CS.electrodes[5]
    assert (cs.electrodes[5].x, cs.electrodes[5].y) == pytest.approx((ring.x, ring.y), abs=1.5)
    assert (ablation.electrodes[0].x, ablation.electrodes[0].y) == pytest.approx(
        (ring.x + 14.0, ring.y), abs=1.5
    )
    assert [len(c.electrodes) for c in (cs, ablation)] == [10, 4]


def test_a_catheter_that_bends_keeps_its_electrodes(tracker):
    """Its far half swings by 20 px within a second, past the other's tip."""
    for i in range(90, 105):
        swing = 20.0 * np.sin((i - 90) / 14 * np.pi / 2)
        still = frame(i, 40.0)
        electrodes = [
            *still.electrodes[:10][:5],
            *(moved(CS, 0.0, -swing * (n - 4) / 5).electrodes[n] for n in range(5, 10)),
        ]
        bent = catheter(electrodes, CS.centerline.points)
        result = tracker.update(seen(bent, still.catheters[1]), i / 15)
    cs = result.catheters[0]
    assert [e.visible for e in cs.electrodes] == [True] * 10
    np.testing.assert_allclose(
        [(e.x, e.y) for e in cs.electrodes], [(e.x, e.y) for e in electrodes], atol=0.01
    )
