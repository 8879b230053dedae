import numpy as np
import pytest

from cath_training.catheters import Damage, MotionTally, correlation, damaged, on_sequences
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


def test_motion_is_measured_from_its_reference_frame() -> None:
    assert correlation(np.eye(2), 3.0 * np.eye(2) + 1.0) == pytest.approx(1.0)
    assert correlation(np.eye(2), -np.eye(2)) == pytest.approx(-1.0)
    tally = MotionTally()
    tally.add([], np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2)), 15.0)
    assert np.isnan(tally.figures()["motion rms px"])


def test_tracking_holds_on_a_short_sequence() -> None:
    figures = on_sequences(700, 1, Damage(0.1, 0.05), seconds=4.0)
    assert figures["catheters found"] > 0.95
    assert figures["identity switches"] == 0
    assert figures["type right"] > 0.6
    assert figures["motion rms px"] < 1.0
