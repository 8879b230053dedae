import numpy as np
import pytest

from cath_perception.motion import Motion
from cath_training.catheters import Damage, MotionTally, correlation, damaged, on_sequences, traced
from cath_training.synthetic.sequence import SyntheticSequence


def test_damage_drops_and_adds_in_proportion() -> None:
    truth, _, _ = SyntheticSequence(1.0, 15.0, 512, 5, catheters=3).truth(0)
    count = sum(len(catheter.electrodes) for catheter in truth)
    rng = np.random.default_rng(1)
    same, traces = damaged(truth, 512, Damage(0.0, 0.0, 0.0), rng)
    assert sorted((e.x, e.y) for e in same) == sorted((e.x, e.y) for c in truth for e in c.electrodes)
    assert len(traces) == len(truth)
    assert len(damaged(truth, 512, Damage(1.0, 0.0), rng)[0]) == 0
    added = [len(damaged(truth, 512, Damage(1.0, 0.5), rng)[0]) for _ in range(50)]
    assert np.mean(added) == pytest.approx(0.5 * count, rel=0.2)


def answer(x: float, y: float, angle: float = 0.0, reference_s: float = 0.0) -> Motion:
    shift, nothing = np.array((x, y)), np.zeros(2)
    return Motion(True, reference_s, shift, angle, np.array((10.0, 0.0)), shift, nothing, 0.0, 1.0)


def test_no_motion_has_no_figures() -> None:
    assert correlation(np.eye(2), 3.0 * np.eye(2) + 1.0) == pytest.approx(1.0)
    assert correlation(np.eye(2), -np.eye(2)) == pytest.approx(-1.0)
    tally = MotionTally()
    tally.add([], np.empty((0, 4, 2)), np.empty((0, 2)), np.empty((0, 2)), 15.0)
    assert np.isnan(tally.figures()["motion rms px"])


def test_motion_is_judged_at_its_own_centre_against_all_electrodes() -> None:
    """A quarter turn about the origin takes (10, 0) to (0, 10), whatever the electrodes' mean does."""
    before = np.array([[0.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    now = before[:, ::-1]
    tally = MotionTally()
    tally.add(
        [answer(0.0, 0.0), answer(-10.0, 13.0, np.pi / 2)],
        np.stack((before, now)),
        np.zeros((2, 2)),
        np.zeros((2, 2)),
        1.0,
    )
    assert tally.figures()["motion worst px"] == pytest.approx(3.0)
    assert tally.figures()["rotation rms degrees"] == pytest.approx(0.0, abs=1e-6)


def test_motion_is_judged_from_the_reference_frame_of_each_answer() -> None:
    electrodes = np.array([[[x, 0.0], [x + 9.0, 0.0]] for x in (0.0, 5.0, 7.0)])
    tally = MotionTally()
    motions = [answer(0.0, 0.0), answer(5.0, 0.0), answer(2.0, 0.0, reference_s=1.0)]
    tally.add(motions, electrodes, np.zeros((3, 2)), np.zeros((3, 2)), 1.0)
    assert tally.figures()["motion worst px"] == pytest.approx(0.0, abs=1e-9)


def test_tracking_holds_on_a_short_sequence() -> None:
    figures, _ = on_sequences(700, 1, Damage(0.1, 0.05), seconds=4.0)
    assert figures["catheters found"] > 0.95
    assert figures["identity switches"] == 0
    assert figures["type right"] > 0.6
    assert figures["motion rms px"] < 1.0


def test_centrelines_traced_in_the_true_mask_lie_on_the_truth() -> None:
    sequence = SyntheticSequence(1.0, 15.0, 512, 12, catheters=1)
    truth, _, _ = sequence.truth(0)
    line = truth[0].centerline
    assert line is not None
    whole = traced(sequence.mask(0), truth, 0.0, np.random.default_rng(1))
    off = np.hypot(*(whole[0].points[:, None] - line.points[None]).transpose(2, 0, 1)).min(axis=1)
    assert np.median(off) < 1.0
    assert whole[0].width == pytest.approx(line.width, rel=0.25)
    torn = traced(sequence.mask(0), truth, 20.0, np.random.default_rng(1))
    assert sum(len(trace.points) for trace in torn) < 0.9 * sum(len(trace.points) for trace in whole)


def test_traced_centrelines_are_measured() -> None:
    figures, _ = on_sequences(701, 1, Damage(0.0, 0.0, traced=True), seconds=2.0)
    assert figures["catheters found"] > 0.9
    assert 0.0 < figures["centerline_px256"] < 1.0
    assert figures["centerline_covered"] > 0.5
