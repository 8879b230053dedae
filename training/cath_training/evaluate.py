"""Figures of a model through the node's own path (``Perceptor``) on frames training never saw."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from cath_perception.perceptor import Perceptor
from cath_perception.scoring import Tally
from cath_training.synthetic.still import draw_still


def on_synthetic(
    perceptor: Perceptor, first_seed: int, count: int, angiograms: list[Path], size: int = 512
) -> dict[str, float]:
    """Figures on ``count`` synthetic frames from ``first_seed`` on."""
    tally = Tally()
    for seed in track(range(first_seed, first_seed + count), "synthetic frames"):
        still = draw_still(seed, size, angiograms)
        result = perceptor(still.pixels)
        tally.add([(e.x, e.y) for e in result.electrodes], still.electrodes[:, :2], size, still.kinds)
        if result.mask is not None:
            tally.add_mask(result.mask > 0, still.mask)
    return tally.figures() | {f"recall_{kind}": recall for kind, recall in tally.recall_by_kind().items()}


def false_electrodes(perceptor: Perceptor, paths: Iterable[Path]) -> dict[str, Any]:
    """Electrodes reported on real angiograms, which have none: the mean a frame, and the share of clean frames."""
    counts = []
    for path in track(list(paths), "real angiograms"):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise ValueError(f"{path}: expected an image, OpenCV cannot read it")
        counts.append(len(perceptor(image).electrodes))
    return {
        "frames": len(counts),
        "electrodes_a_frame": float(np.mean(counts)),
        "clean": float(np.mean(np.equal(counts, 0))),
    }
