"""Figures beside recall and precision: COCO average precision, region similarity J, distance between centrelines."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.spatial.distance import cdist

from cath_perception.scoring import REFERENCE_PX

MOST_ANSWERS = 100  # a frame, as in COCO


def average_precision(
    answers: Sequence[NDArray[np.floating]], truths: Sequence[NDArray[np.floating]]
) -> dict[str, float]:
    """COCO AP of boxes: ``ap`` over IoU 0.50:0.05:0.95, and ``ap50``; 101 recall points, 100 answers a frame.

    Args:
        answers: for each frame ``(N, 5)`` x, y (centre), width, height in px and score. Include those of low score.
        truths: for each frame ``(M, 4)`` likewise.

    Both are NaN where there is no truth at all.
    """
    boxes = [(frame, box) for frame, rows in enumerate(truths) for box in _corners(rows)]
    found = [(frame, box) for frame, rows in enumerate(answers) for box in _corners(rows)]
    scores = [float(score) for rows in answers for score in rows[:, 4]]
    if not boxes or not found:
        value = 0.0 if boxes else float("nan")
        return {"ap": value, "ap50": value}
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": frame} for frame in range(len(truths))],
            "categories": [{"id": 1, "name": "electrode"}],
            "annotations": [_annotation(i, *box) | {"iscrowd": 0} for i, box in enumerate(boxes, 1)],
        }
        coco.createIndex()
        results = [
            _annotation(i, *box) | {"score": score}
            for i, (box, score) in enumerate(zip(found, scores, strict=True), 1)
        ]
        run = COCOeval(coco, coco.loadRes(results), "bbox")
        run.params.maxDets = [1, 10, MOST_ANSWERS]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {"ap": float(run.stats[0]), "ap50": float(run.stats[1])}


def _corners(rows: NDArray[np.floating]) -> list[list[float]]:
    """Centre and size to top left and size."""
    table = np.asarray(rows, float)
    corners: list[list[float]] = np.column_stack([table[:, :2] - table[:, 2:4] / 2, table[:, 2:4]]).tolist()
    return corners


def _annotation(number: int, frame: int, box: list[float]) -> dict[str, Any]:
    return {"id": number, "image_id": frame, "category_id": 1, "bbox": box, "area": box[2] * box[3]}


def region_similarity(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """J of one frame: intersection over union of its masks, 1 where both are empty."""
    either = int((found | truth).sum())
    return int((found & truth).sum()) / either if either else 1.0


@dataclass(slots=True)
class CenterlineTally:
    """Distances between found and true centrelines over frames, in px of a frame scaled to 256.

    Attributes:
        reach: a true point counts as covered by a found centreline this near.
        off: distance of every found point to the nearest true one, frame by frame.
        covered: share of true points that are covered, frame by frame.
    """

    reach: float = 3.0
    off: list[NDArray[np.float64]] = field(default_factory=list)
    covered: list[float] = field(default_factory=list)

    def add(
        self, found: Sequence[NDArray[np.floating]], truth: Sequence[NDArray[np.floating]], side: int
    ) -> None:
        """Count one frame: curves ``(N, 2)`` of points about a px apart, in px of a frame whose side is ``side`` px.

        A frame without true centrelines does not count.
        """
        if not sum(map(len, truth)):
            return
        scale = REFERENCE_PX / side
        targets = np.concatenate([dense(curve) for curve in truth]) * scale
        if not sum(map(len, found)):
            self.covered.append(0.0)
            return
        points = np.concatenate([dense(curve) for curve in found]) * scale
        distance = cdist(points, targets)
        self.off.append(distance.min(axis=1))
        self.covered.append(float((distance.min(axis=0) <= self.reach).mean()))

    def figures(self) -> dict[str, float]:
        """Mean, median and 95th percentile distance of what was found, and the mean share of the truth that was covered."""
        off = np.concatenate(self.off) if self.off else np.array([np.nan])
        return {
            "centerline_px256": float(off.mean()),
            "centerline_median_px256": float(np.median(off)),
            "centerline_p95_px256": float(np.percentile(off, 95)),
            "centerline_covered": float(np.mean(self.covered)) if self.covered else float("nan"),
        }


def dense(curve: NDArray[np.floating], step: float = 1.0) -> NDArray[np.float64]:
    """The curve ``(N, 2)`` with points no farther apart than ``step`` px; as it is if it has fewer than two."""
    points = np.asarray(curve, float).reshape(-1, 2)
    if len(points) < 2:
        return points
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, along[-1], max(2, int(np.ceil(along[-1] / step)) + 1))
    return np.column_stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)])
