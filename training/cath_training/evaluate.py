"""Figures of a model through the node's own path (``Perceptor``) on frames training never saw."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from cath_perception.perceptor import Perceptor
from cath_training.metrics import match
from cath_training.synthetic.still import Still, draw_still

REFERENCE_PX = 256  # distances are given in px of a frame scaled to this side


@dataclass(slots=True)
class Tally:
    """Running counts over frames; distances in px of 256."""

    limit: float = 2.0
    frames: int = 0
    truths: int = 0
    answers: int = 0
    found: int = 0
    errors: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)

    def add(self, perceptor: Perceptor, still: Still) -> None:
        """Run one frame and count what was found, missed and invented."""
        result = perceptor(still.pixels)
        scale = REFERENCE_PX / still.pixels.shape[0]
        points = np.array([[e.x, e.y] for e in result.electrodes]).reshape(-1, 2)
        pairs, distance = match(points * scale, still.electrodes[:, :2] * scale, self.limit)
        self.frames += 1
        self.truths += len(still.electrodes)
        self.answers += len(points)
        self.found += len(pairs)
        self.errors += distance.tolist()
        if result.mask is not None and (still.mask.any() or result.mask.any()):
            mask = result.mask > 0
            self.ious.append(float((mask & still.mask).sum() / (mask | still.mask).sum()))

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


def on_synthetic(
    perceptor: Perceptor, first_seed: int, count: int, angiograms: list[Path], size: int = 512
) -> dict[str, float]:
    """Figures on ``count`` synthetic frames from ``first_seed`` on."""
    tally = Tally()
    for seed in track(range(first_seed, first_seed + count), "synthetic frames"):
        tally.add(perceptor, draw_still(seed, size, angiograms))
    return tally.figures()


def false_electrodes(perceptor: Perceptor, paths: Iterable[Path]) -> dict[str, Any]:
    """Electrodes reported on real angiograms, which have none: the mean a frame, and the share of clean frames."""
    counts = []
    for path in track(list(paths), "real angiograms"):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise ValueError(f"{path}: expected an image, OpenCV cannot read it")
        counts.append(len(perceptor(image).electrodes))
    return {"frames": len(counts), "electrodes_a_frame": float(np.mean(counts)), "clean": float(np.mean(np.equal(counts, 0)))}
