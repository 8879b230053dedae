"""Curves beside the figures: precision over recall, recall over what makes it hard, and calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Binned:
    """Means of something in bins: ``edges`` ``(B + 1,)``, ``value`` and ``count`` ``(B,)``; NaN where a bin is empty."""

    edges: Floats
    value: Floats
    count: NDArray[np.int64]

    def rows(self) -> list[dict[str, float]]:
        """One mapping a bin that is not empty."""
        table = zip(self.edges, self.edges[1:], self.value, self.count, strict=False)
        return [
            {"from": float(a), "to": float(b), "value": float(v), "count": int(n)}
            for a, b, v, n in table
            if n
        ]


def binned(at: Floats, value: Floats, edges: Sequence[float]) -> Binned:
    """The mean ``value`` ``(N,)`` of what lies ``at`` ``(N,)`` in each bin; beyond the last edges counts there."""
    ends = np.asarray(edges, float)
    which = np.clip(np.searchsorted(ends, at, side="right") - 1, 0, len(ends) - 2)
    count = np.bincount(which, minlength=len(ends) - 1)
    total = np.bincount(which, value, minlength=len(ends) - 1)
    return Binned(ends, np.where(count, total / np.maximum(count, 1), np.nan), count)


def hits(answers: Floats, truth: Floats, limit: float) -> NDArray[np.bool_]:
    """Which answers ``(N, 3)`` x, y, score are right: by falling score, each takes the nearest free truth ``(M, 2)``."""
    right = np.zeros(len(answers), bool)
    if not len(answers) or not len(truth):
        return right
    distance = cdist(answers[:, :2], truth[:, :2])
    for i in np.argsort(-answers[:, 2], kind="stable"):
        nearest = int(distance[i].argmin())
        if distance[i, nearest] <= limit:
            right[i] = True
            distance[:, nearest] = np.inf
    return right


def precision_recall(scores: Floats, right: NDArray[np.bool_], truths: int) -> tuple[Floats, Floats, Floats]:
    """Recall, precision and threshold ``(K,)`` as the threshold falls through all scores."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order])
    last = np.append(np.diff(scores[order]) != 0, True)[: len(order)]
    answers = np.arange(1, len(order) + 1)
    return found[last] / max(1, truths), found[last] / answers[last], scores[order][last]


def spacing(electrodes: Floats) -> Floats:
    """Distance of each electrode ``(M, 2)`` to the nearest other, infinite where it is alone."""
    if len(electrodes) < 2:
        return np.full(len(electrodes), np.inf)
    distance = cdist(electrodes, electrodes)
    np.fill_diagonal(distance, np.inf)
    return np.asarray(distance.min(axis=1))


def noise(pixels: NDArray[Any]) -> float:
    """Noise of a frame as seen, relative to its range of grey (percentiles 1 to 99); from a second difference."""
    grey = np.asarray(pixels, np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    sigma = float(np.median(np.abs(cv2.filter2D(grey, -1, kernel)[1:-1, 1:-1]))) / 0.6745 / 6.0
    low, high = np.percentile(grey, [1, 99])
    return max(sigma, 0.29 * float(pixels.dtype.kind != "f")) / max(float(high - low), 1e-6)


def contrast(pixels: NDArray[Any], boxes: Floats) -> Floats:
    """How much darker each electrode ``(M, 4)`` is than its surroundings, relative to the frame's range of grey.

    Negative where catheters are shown white.
    """
    grey = np.asarray(pixels, np.float32)
    low, high = np.percentile(grey, [1, 99])
    values = np.zeros(len(boxes))
    for i, (x, y, width, height) in enumerate(boxes):
        inner = _window(grey, x, y, width / 4, height / 4)
        outer = _window(grey, x, y, width / 2 + 6, height / 2 + 6)
        values[i] = float(np.median(outer)) - float(inner.mean())
    return values / max(float(high - low), 1e-6)


def _window(grey: NDArray[np.float32], x: float, y: float, across: float, down: float) -> NDArray[np.float32]:
    height, width = grey.shape
    left, right = (min(max(round(x + s * max(across, 0.5)), 0), width - 1) for s in (-1, 1))
    top, bottom = (min(max(round(y + s * max(down, 0.5)), 0), height - 1) for s in (-1, 1))
    return grey[top : bottom + 1, left : right + 1]
