import numpy as np
import pytest

from cath_perception.types import Electrode

from .patterns import DT, catheter, seen, straight

CS = straight([2, 5] * 4 + [2], at=(190, 235))


def test_a_loop_whose_track_holds_anothers_electrodes_is_known_all_the_same(tracker):
    """The mask leads from the loop into the coronary sinus catheter that lies across it, and back."""
    gaps = np.tile([0.75 + 1.0, 3.05 + 1.0], 10)[:19]
    angles = np.concatenate(([0.0], np.cumsum(gaps))) / (gaps.sum() + 4.05) * 2 * np.pi
    turn = np.linspace(0.0, 6.1, 120)
    on, line = (np.column_stack((250 + 48 * np.cos(a), 250 + 42 * np.sin(a))) for a in (angles, turn))
    ring = [Electrode(x, y, 5.0, 5.0, 0.9) for x, y in on]
    inside = [e for e in CS.electrodes if np.hypot(e.x - 250, e.y - 250) < 36]
    assert len(inside) >= 4
    across = [(e.x, e.y) for e in inside]
    mixed = catheter([*ring[:8], *inside, *ring[8:]], np.concatenate((line[:46], across, line[46:])))
    for i in range(45):
        result = tracker.update(seen(mixed), i / 15)
    known = [c for c in result.catheters if c.type == "circular_mapping"]
    assert [len(c.electrodes) for c in known] == [20]
    assert known[0].type_confidence > 0.9


def test_two_types_as_likely_agree_on_how_many_electrodes_there_are(tracker):
    """The tip's length lies between an ablation and a quadripolar catheter's, and a fold of the shaft looks like a ring."""
    between = straight([2, 5, 2], 2.5, at=(200, 200))
    last, line = between.electrodes[-1], between.centerline.points
    along = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    fold = Electrode(*(np.array((last.x, last.y)) + 17.0 * along).tolist(), 8.0, 8.0, 0.6)
    with_fold = catheter([*between.electrodes, fold], line)
    for i in range(60):
        result = tracker.update(seen(with_fold if i > 30 else between), i / 15)
    (found,) = result.catheters
    assert found.type_confidence < 0.8
    assert len(found.electrodes) == 4


def test_two_catheters_along_each_other_on_one_curve_are_two(tracker):
    """Their shafts touch over their whole length, so that the mask has one curve for both."""
    other = straight([5, 5, 5], 1.8, at=(205, 251))
    both = sorted([*CS.electrodes, *other.electrodes], key=lambda e: e.x)
    for i in range(60):
        result = tracker.update(seen(catheter(both, CS.centerline.points)), i * DT)
    assert {c.type: len(c.electrodes) for c in result.catheters} == {"coronary_sinus": 10, "quadripolar": 4}


def test_a_catheter_in_two_pieces_gathers_its_electrodes(tracker):
    """The mask leads from its first piece, and from its second one, on to other shafts."""
    line = CS.centerline.points
    aside = line[len(line) // 2] + np.outer(np.arange(0.0, 90.0, 3.0), (0.5, -0.85))
    pieces = catheter(CS.electrodes[:4], line[: len(line) // 2]), catheter(CS.electrodes[4:], aside)
    for i in range(40):
        result = tracker.update(seen(*pieces), i * DT)
    known = [c for c in result.catheters if c.electrodes]
    assert [(c.type, len(c.electrodes)) for c in known] == [("coronary_sinus", 10)]


@pytest.mark.parametrize("missing", [(), (3, 7, 8, 12, 16)])
def test_part_of_a_loops_electrodes_are_no_catheter_of_their_own(tracker, missing):
    """Ten of twenty that are evenly spaced would do for a decapolar catheter, by whose motion others are compensated."""
    turn = np.linspace(0.0, 2 * np.pi, 21)[:-1]
    places = np.column_stack((250 + 52 * np.cos(turn), 250 + 47 * np.sin(turn)))
    ring = [Electrode(x, y, 5.0, 5.0, 0.9) for n, (x, y) in enumerate(places) if n not in missing]
    line = places[np.arange(40) // 2]
    for i in range(45):
        result = tracker.update(seen(catheter(ring, line)), i * DT)
        assert all(c.type in (None, "circular_mapping") for c in result.catheters)
