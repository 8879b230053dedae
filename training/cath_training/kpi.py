"""How well each sample of a batch is answered: key performance indicators (KPIs) kappa of detection and segmentation.

A KPI is 1 for a perfect answer and falls to 0; its inverse is a sample's difficulty.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cath_perception.network.deployed import decode_maps
from cath_perception.scoring import match
from cath_training.config import PriorityConfig
from cath_training.data.batches import Batch

CONFIDENT = 0.4  # score from which a candidate counts as an answer
SMALLEST_ERROR = 0.01  # cells; the literal KPI 1/MAE is 100 at most


def box_errors(
    answers: NDArray[np.floating], truth: NDArray[np.floating], stride: int, cap: float
) -> NDArray[np.float64]:
    """Errors in cells ``(M, 4)`` of x, y, width and height, one row an electrode.

    Args:
        answers: ``(N, 4)`` x, y, width, height in px.
        truth: ``(T, 4)`` likewise.
        stride: px per cell.
        cap: cells; the largest error, and that of an electrode missed or invented.
    """
    pairs, _ = match(answers[:, :2], truth[:, :2], cap * stride)
    error = np.abs(answers[pairs[:, 0]] - truth[pairs[:, 1]]) / stride
    alone = len(answers) + len(truth) - 2 * len(pairs)
    return np.concatenate([np.minimum(error, cap), np.full((alone, 4), cap)])


def from_error(error: float, config: PriorityConfig) -> float:
    """KPI of a box error in cells."""
    return 1 / max(error, SMALLEST_ERROR) if config.literal else 1 / (1 + error / config.scale)


def _detection(maps: dict[str, Tensor], batch: Batch, stride: int, config: PriorityConfig) -> list[float]:
    power = 1 if config.detection_kpi == "mae" else 2
    kappas = []
    for rows, truth in zip(decode_maps(maps, stride).cpu().numpy(), batch.boxes, strict=True):
        errors = box_errors(rows[rows[:, 4] > CONFIDENT, :4], truth, stride, config.cap)
        mean = float((errors**power).mean()) ** (1 / power) if len(errors) else 0.0
        kappas.append(from_error(mean, config))
    return kappas


def _segmentation(maps: dict[str, Tensor], batch: Batch, config: PriorityConfig) -> list[float]:
    found, truth = maps["mask"] > 0, batch.mask > 0.5
    both = (found & truth).sum((1, 2, 3)).double()
    each = found.sum((1, 2, 3)) + truth.sum((1, 2, 3)).double()
    ratio = both / (each - both) if config.segmentation_kpi == "iou" else 2 * both / each
    kappas: list[float] = torch.where(each > 0, ratio, torch.ones_like(ratio)).tolist()
    return kappas


@torch.no_grad()
def measure(
    maps: dict[str, Tensor], parts: dict[str, Tensor], batch: Batch, stride: int, config: PriorityConfig
) -> NDArray[np.float32]:
    """KPIs ``(B, 2)`` of detection and segmentation, NaN where a sample has no labels for the task.

    Args:
        maps: the network's.
        parts: each sample's losses, ``losses.each``; the KPIs ``focal`` and ``ce`` are exp(-loss).
        batch: the truth.
        stride: the network's.
        config: which KPIs, and their scale.
    """
    maps = {name: value.detach().float() for name, value in maps.items()}
    if config.detection_kpi == "focal":
        detection = [math.exp(-x) for x in parts["focal"].tolist()]
    else:
        detection = _detection(maps, batch, stride, config)
    if config.segmentation_kpi == "ce":
        segmentation = [math.exp(-x) for x in parts["bce"].tolist()]
    else:
        segmentation = _segmentation(maps, batch, config)
    kappa = np.column_stack([detection, segmentation]).astype(np.float32)
    return np.where(batch.labelled, kappa, np.float32(np.nan))
