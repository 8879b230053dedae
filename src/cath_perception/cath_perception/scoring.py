"""Answers against truth, frame by frame: which electrodes were found, missed or invented, and how far off."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

REFERENCE_PX = 256  # limits and errors are given in px of a frame scaled to this side


def match(
    found: NDArray[np.floating], truth: NDArray[np.floating], limit: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pair found and true positions one to one, nearest overall, none farther apart than ``limit`` px.

    Args:
        found, truth: ``(N, 2)`` and ``(M, 2)``.

    Returns:
        ``(P, 2)`` index pairs (found, truth) and their ``(P,)`` distances in px.
    """
    if len(found) == 0 or len(truth) == 0:
        return np.empty((0, 2), np.intp), np.empty(0)
    distance = cdist(found, truth)
    rows, columns = linear_sum_assignment(np.minimum(distance, 10 * limit))
    near = distance[rows, columns] <= limit
    return np.column_stack([rows, columns])[near], distance[rows, columns][near]


@dataclass(slots=True)
class Tally:
    """Running counts over frames; ``limit`` and errors in px of a frame scaled to 256."""

    limit: float = 2.0
    frames: int = 0
    truths: int = 0
    answers: int = 0
    found: int = 0
    errors: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    kinds: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, found: ArrayLike, truth: ArrayLike, side: int, kinds: Sequence[str] = ()) -> None:
        """Count one frame: found and true centres in px of a frame whose longer side is ``side`` px.

        ``kinds`` names what each true electrode belongs to, for ``recall_by_kind``.
        """
        scale = REFERENCE_PX / side
        points, targets = (np.asarray(p, float).reshape(-1, 2) * scale for p in (found, truth))
        pairs, distance = match(points, targets, self.limit)
        self.frames += 1
        self.truths += len(targets)
        self.answers += len(points)
        self.found += len(pairs)
        self.errors += distance.tolist()
        hit = set(pairs[:, 1].tolist())
        for index, kind in enumerate(kinds):
            self.kinds.setdefault(kind, []).append(index in hit)

    def add_mask(self, found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
        """Count one frame's masks ``(H, W)``; a frame where both are empty does not count."""
        either = int((found | truth).sum())
        if either:
            self.ious.append(int((found & truth).sum()) / either)

    def recall_by_kind(self) -> dict[str, float]:
        """Recall of each kind of electrode."""
        return {kind: float(np.mean(hits)) for kind, hits in sorted(self.kinds.items())}

    def figures(self) -> dict[str, float]:
        """Recall and precision (0..1), median and 95th percentile error in px of 256, mean mask IoU (J)."""
        errors = self.errors or [float("nan")]
        return {
            "frames": self.frames,
            "electrodes": self.truths,
            "recall": self.found / max(1, self.truths),
            "precision": self.found / max(1, self.answers),
            "median_error_px256": float(np.median(errors)),
            "p95_error_px256": float(np.percentile(errors, 95)),
            "mask_iou": float(np.mean(self.ious)) if self.ious else float("nan"),
        }
