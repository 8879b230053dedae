"""Curves of cases whose answer is known."""

import numpy as np
import pytest

from cath_training import curves


def test_precision_and_recall_as_the_threshold_falls() -> None:
    recall, precision, threshold = curves.precision_recall(
        np.array([0.3, 0.9, 0.5, 0.5]), np.array([True, True, False, True]), truths=4
    )
    assert threshold.tolist() == [0.9, 0.5, 0.3]  # equal scores fall together
    assert recall.tolist() == [0.25, 0.5, 0.75]
    assert precision.tolist() == [1.0, pytest.approx(2 / 3), 0.75]
    assert len(curves.precision_recall(np.empty(0), np.empty(0, bool), 3)[0]) == 0


def test_each_truth_is_hit_once_and_by_the_best() -> None:
    answers = np.array([[0.0, 0.0, 0.4], [0.5, 0.0, 0.9], [9.0, 0.0, 0.8]])
    assert curves.hits(answers, np.array([[0.1, 0.0]]), 2.0).tolist() == [False, True, False]
    assert not curves.hits(answers, np.empty((0, 2)), 2.0).any()


def test_bins() -> None:
    bins = curves.binned(np.array([-1.0, 0.5, 1.5, 99.0, np.inf]), np.array([1, 0, 1, 1, 0]), [0, 1, 2, 3])
    assert bins.count.tolist() == [2, 1, 2]
    assert bins.value.tolist() == [0.5, 1.0, 0.5]
    assert len(curves.binned(np.array([0.5]), np.ones(1), [0, 1, 2]).rows()) == 1


def test_spacing() -> None:
    assert curves.spacing(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])).tolist() == [5.0, 1.0, 1.0]
    assert curves.spacing(np.zeros((1, 2))).tolist() == [np.inf]


def test_noise_and_contrast_are_measured_in_the_picture() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:200, :200]
    clean = 60 + 0.5 * x + 20 * np.sin(y / 30)
    clean[np.hypot(x - 50, y - 80) < 5] -= 30
    ranged = float(np.diff(np.percentile(clean, [1, 99]))[0])
    for sigma in (2.0, 8.0):
        seen = (clean + rng.normal(0, sigma, clean.shape)).round().astype(np.uint8)
        at = float(np.diff(np.percentile(seen, [1, 99]))[0])
        assert curves.noise(seen) == pytest.approx(sigma / at, rel=0.06)
    boxes = np.array([[50.0, 80.0, 10.0, 10.0], [150.0, 80.0, 10.0, 10.0], [0.0, 199.0, 4.0, 4.0]])
    found = curves.contrast(clean.astype(np.float32), boxes)
    assert found[0] == pytest.approx(30 / ranged, rel=0.15)
    assert abs(found[1]) < 0.03
    assert curves.contrast((200 - clean).astype(np.float32), boxes)[0] == pytest.approx(-found[0], rel=0.01)
    assert np.isfinite(found[2])
