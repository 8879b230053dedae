"""Figures of a model through the node's own path (``Perceptor``) on frames training never saw."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from cath_perception.perceptor import Perceptor
from cath_perception.scoring import Tally
from cath_perception.types import PerceptionResult
from cath_training.metrics import CenterlineTally, average_precision, dense, region_similarity
from cath_training.synthetic.still import Still, draw_still

LOWEST_SCORE = 0.05


def on_synthetic(
    perceptor: Perceptor, first_seed: int, count: int, angiograms: list[Path], size: int = 512
) -> dict[str, float]:
    """Figures on ``count`` synthetic frames from ``first_seed`` on.

    Recall, precision and errors are those at the perceptor's threshold; AP looks at all scores from ``LOWEST_SCORE`` on.
    """
    tally, lines = Tally(), CenterlineTally()
    answers, truths, similarity = [], [], []
    for seed in track(range(first_seed, first_seed + count), "synthetic frames"):
        still = draw_still(seed, size, angiograms)
        result = perceptor(still.pixels)
        tally.add([(e.x, e.y) for e in result.electrodes], still.electrodes[:, :2], size, still.kinds)
        if result.mask is not None:
            tally.add_mask(result.mask > 0, still.mask)
            similarity.append(region_similarity(result.mask > 0, still.mask))
        lines.add(_curves(result), _seen(still), size)
        with _all_scores(perceptor):  # a second look: electrodes of low score would join centrelines
            every = perceptor(still.pixels).electrodes
        answers.append(np.array([(e.x, e.y, e.width, e.height, e.score) for e in every]).reshape(-1, 5))
        truths.append(still.electrodes)
    figures = tally.figures() | average_precision(answers, truths) | lines.figures()
    figures |= {"j": float(np.mean(similarity))} if similarity else {}
    return figures | {f"recall_{kind}": recall for kind, recall in tally.recall_by_kind().items()}


@contextlib.contextmanager
def _all_scores(perceptor: Perceptor) -> Iterator[None]:
    """Lower the electrode threshold for a while."""
    threshold = perceptor.electrode_threshold
    perceptor.electrode_threshold = min(threshold, LOWEST_SCORE)
    try:
        yield
    finally:
        perceptor.electrode_threshold = threshold


def _curves(result: PerceptionResult) -> list[NDArray[np.float32]]:
    return [c.centerline.points for c in result.catheters or () if c.centerline is not None]


def _seen(still: Still) -> list[NDArray[np.float64]]:
    """The pieces of the true centrelines that lie in the frame and that no shutter hides."""
    shown: list[NDArray[np.float64]] = []
    for curve in still.centerlines:
        points = dense(curve)
        x, y = np.round(points).astype(int).T
        kept = (x >= 0) & (x < still.mask.shape[1]) & (y >= 0) & (y < still.mask.shape[0])
        kept[kept] = still.mask[y[kept], x[kept]]
        index = np.flatnonzero(kept)
        shown += [points[run] for run in np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)]
    return shown


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
