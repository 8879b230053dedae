"""Losses against values worked out by hand."""

import math

import pytest
import torch

from cath_training import losses


def test_centre_focal_of_one_positive_and_one_negative() -> None:
    logits = torch.tensor([0.0, 0.0]).view(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.5]).view(1, 1, 1, 2)
    # p = 0.5: -(0.5^2 ln 0.5) - (0.5^4 0.5^2 ln 0.5)
    expected = -(0.25 + 0.0625 * 0.25) * math.log(0.5)
    assert float(losses.centre_focal(logits, target)) == pytest.approx(expected, rel=1e-5)


def test_centre_focal_without_positives_is_divided_by_one() -> None:
    loss = losses.centre_focal(torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1, 3))
    assert float(loss) == pytest.approx(-3 * 0.25 * math.log(0.5), rel=1e-5)


def test_weighted_l1_counts_only_weighted_cells() -> None:
    value, target = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 9.0]], [[3.0, 9.0]]]])
    weight = torch.tensor([[[[1.0, 0.0]]]])
    assert float(losses.weighted_l1(value, target, weight)) == pytest.approx(2.0)
    assert float(losses.weighted_l1(value, target, 0 * weight)) == 0.0


def test_mask_iou_of_a_half_right_answer() -> None:
    logits = torch.tensor([20.0, -20.0, -20.0, -20.0]).view(1, 1, 2, 2)
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    _, iou = losses.mask_bce_iou(logits, target)
    assert float(iou) == pytest.approx(0.5, abs=1e-4)
