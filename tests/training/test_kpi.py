"""KPIs of answers whose errors are known."""

from typing import Any

import numpy as np
import pytest
import torch

from cath_training import kpi
from cath_training.config import PriorityConfig
from cath_training.data.batches import Batch


def batch_of_one(boxes: list[list[float]], mask: torch.Tensor) -> Batch:
    empty = torch.zeros(1, 1, 8, 8)
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return Batch(empty, empty, empty, empty, empty, mask, [rows], np.array([0]), np.ones((1, 2), bool))


def maps_with_answer(
    x: int, y: int, width: float, height: float, mask: torch.Tensor
) -> dict[str, torch.Tensor]:
    """One confident answer in cell (x, y) of 8 x 8 with a size in cells."""
    centre, size = torch.full((1, 1, 8, 8), -9.0), torch.zeros(1, 2, 8, 8)
    centre[0, 0, y, x] = 9.0
    size[0, :, y, x] = torch.tensor([width, height])
    return {"centre": centre, "size": size, "mask": (mask - 0.5) * 20}


def measure(maps: dict[str, torch.Tensor], batch: Batch, **settings: Any) -> list[float]:
    parts = {"focal": torch.tensor([0.7]), "bce": torch.tensor([0.2])}
    kappa: list[float] = kpi.measure(maps, parts, batch, 2, PriorityConfig(**settings))[0].tolist()
    return kappa


# Cell (3, 2) of stride 2 has its centre at (6.5, 4.5) px. The truth is 1 cell to the right and 1 cell wider.
NO_MASK = torch.zeros(1, 1, 8, 8)
TRUTH = [8.5, 4.5, 6.0, 4.0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1 / 1.5),  # MAE of (1, 0, 1, 0) is 0.5 cells
        ({"scale": 0.5}, 1 / 2),
        ({"literal": True}, 2.0),
        ({"detection_kpi": "rmse"}, 1 / (1 + 0.5**0.5)),
        ({"detection_kpi": "focal"}, np.exp(-0.7)),
    ],
)
def test_detection(settings: dict[str, Any], expected: float) -> None:
    maps = maps_with_answer(3, 2, 2.0, 2.0, NO_MASK)
    assert measure(maps, batch_of_one([TRUTH], NO_MASK), **settings)[0] == pytest.approx(expected, rel=1e-5)


def test_missed_and_invented_electrodes_count_the_cap() -> None:
    maps = maps_with_answer(3, 2, 3.0, 2.0, NO_MASK)
    truth = [6.5, 4.5, 6.0, 4.0]
    assert measure(maps, batch_of_one([truth], NO_MASK))[0] == pytest.approx(1.0)
    missed = batch_of_one([truth, [14.0, 14.0, 4.0, 4.0]], NO_MASK)
    assert measure(maps, missed, cap=3.0)[0] == pytest.approx(1 / (1 + 1.5))  # errors 0 and 3
    assert measure(maps, batch_of_one([], NO_MASK), cap=3.0)[0] == pytest.approx(1 / (1 + 3))
    silent = {**maps, "centre": torch.full((1, 1, 8, 8), -9.0)}
    assert measure(silent, batch_of_one([], NO_MASK))[0] == 1.0


@pytest.mark.parametrize(("name", "expected"), [("iou", 1 / 3), ("dice", 1 / 2), ("ce", np.exp(-0.2))])
def test_segmentation(name: str, expected: float) -> None:
    answer, truth = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    answer[..., 0, :4] = 1
    truth[..., 0, 2:6] = 1  # 2 px in common, 6 in all
    kappa = measure(maps_with_answer(1, 1, 1, 1, answer), batch_of_one([], truth), segmentation_kpi=name)
    assert kappa[1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["iou", "dice"])
def test_empty_mask_rightly_left_empty_is_perfect(name: str) -> None:
    maps = maps_with_answer(1, 1, 1, 1, NO_MASK)
    assert measure(maps, batch_of_one([], NO_MASK), segmentation_kpi=name)[1] == 1.0


def test_unlabelled_samples_have_no_kpi() -> None:
    batch = batch_of_one([TRUTH], NO_MASK)
    batch.labelled[0, 0] = False
    kappa = measure(maps_with_answer(3, 2, 2.0, 2.0, NO_MASK), batch)
    assert np.isnan(kappa[0])
    assert kappa[1] == 1.0
