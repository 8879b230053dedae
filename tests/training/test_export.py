"""What a model is shipped with: sigma of its positions, from their errors on validation frames."""

import numpy as np
import pytest

from cath_training.export import choose_threshold, fit_sigma


def frame(errors: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth = np.column_stack([20.0 * np.arange(len(errors)), np.zeros(len(errors))])
    return np.column_stack([truth[:, 0] + errors, truth[:, 1], scores]), truth


def test_sigma_grows_with_doubt() -> None:
    scores = np.linspace(0.2, 1.0, 400)
    floor, slope = fit_sigma([frame(1.177 * (0.2 + 0.5 * (1 - scores)), scores)], 4.0)
    assert floor == pytest.approx(0.2, abs=0.01)
    assert slope == pytest.approx(0.5, abs=0.02)


def test_sigma_of_few_true_positives_is_one_number_and_of_none_the_limit() -> None:
    assert fit_sigma([frame(np.full(5, 1.177), np.full(5, 0.5))], 4.0) == (1.0, 0.0)
    assert fit_sigma([(np.empty((0, 3)), np.zeros((2, 2)))], 4.0) == (4.0, 0.0)


def test_threshold_parts_right_from_wrong_answers() -> None:
    right = frame(np.zeros(10), np.full(10, 0.6))
    wrong = np.column_stack([np.full(10, 900.0), np.arange(10) * 20.0, np.full(10, 0.3)])
    assert 0.3 < choose_threshold([(np.concatenate([right[0], wrong]), right[1])], 4.0) <= 0.6
