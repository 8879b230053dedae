"""Evaluation of one who knows the truth, and of one who is a little off."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from cath_perception.types import Catheter, Centerline, Electrode, PerceptionResult
from cath_training.evaluate import on_synthetic
from cath_training.synthetic.still import draw_still

SEED, FRAMES, SIZE = 9_500_000, 2, 128


@dataclass
class Oracle:
    """Answers as a perceptor does, from the truth, ``shift`` px to the right; invents one electrode of score 0.1.

    Asked for low scores, it loses its centrelines, as grouping does among false electrodes.
    """

    shift: float = 0.0
    electrode_threshold: float = 0.5

    def __call__(self, pixels: NDArray[np.uint8]) -> PerceptionResult:
        stills = [draw_still(seed, SIZE) for seed in range(SEED, SEED + FRAMES)]
        still = next(still for still in stills if np.array_equal(pixels, still.pixels))
        rows = [(x + self.shift, y, w, h, 0.9) for x, y, w, h in still.electrodes.tolist()]
        rows += [(1.0, 1.0, 3.0, 3.0, 0.1)]
        electrodes = tuple(Electrode(*row) for row in rows if row[4] >= self.electrode_threshold)
        catheters = tuple(
            Catheter(i, (), Centerline(curve + np.float32([self.shift, 0]), 3.0), 1.0)
            for i, curve in enumerate(still.centerlines if self.electrode_threshold >= 0.5 else ())
        )
        mask = np.where(still.mask, 255, 0).astype(np.uint8)
        return PerceptionResult(SIZE, SIZE, electrodes, catheters, mask)


def test_the_truth_has_the_best_figures() -> None:
    oracle = Oracle()
    figures = on_synthetic(oracle, SEED, FRAMES, [], SIZE)  # type: ignore[arg-type]
    assert figures["electrodes"] > 3
    best = {"recall": 1.0, "precision": 1.0, "ap": 1.0, "ap50": 1.0, "j": 1.0, "median_error_px256": 0.0}
    assert {name: figures[name] for name in best} == pytest.approx(best)
    assert figures["centerline_covered"] == 1.0
    assert oracle.electrode_threshold == 0.5  # as it was


def test_answers_beside_the_truth_are_measured_so() -> None:
    figures = on_synthetic(Oracle(shift=0.5), SEED, FRAMES, [], SIZE)  # type: ignore[arg-type]
    assert figures["median_error_px256"] == pytest.approx(1.0, abs=1e-3)
    assert figures["ap"] < 1.0
    assert figures["recall"] == 1.0
