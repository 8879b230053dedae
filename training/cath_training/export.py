"""From a training run to a model bundle: thresholds and sigma are chosen on validation frames, never on test frames."""

import itertools
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from safetensors.torch import load_file

from cath_perception.bundle import ModelBundle
from cath_perception.network import build
from cath_perception.perceptor import Perceptor
from cath_perception.scoring import match
from cath_training.config import TrainConfig
from cath_training.data.source import training_angiograms
from cath_training.quantize import add_int8
from cath_training.synthetic.still import VALIDATION_SEED, draw_still

LOWEST = 0.1


def _collect(
    perceptor: Perceptor, count: int, angiograms: Sequence[Path]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each validation frame: answers ``(N, 3)`` x, y, score and truths ``(M, 2)`` in network-input px."""
    rows = []
    scale = perceptor.bundle.input_size / 512
    for seed in track(range(VALIDATION_SEED, VALIDATION_SEED + count), "validation frames"):
        still = draw_still(seed, 512, angiograms)
        result = perceptor(still.pixels)
        answers = np.array([[e.x * scale, e.y * scale, e.score] for e in result.electrodes]).reshape(-1, 3)
        rows.append((answers, still.electrodes[:, :2].astype(float) * scale))
    return rows


def choose_threshold(rows: list[tuple[NDArray[np.float64], NDArray[np.float64]]], limit: float) -> float:
    """The score with the best F0.5 at ``limit`` network-input px: precision counts four times as much as recall, for what is
    faint is still found where a track expects it, and what is false misleads."""
    best, chosen = -1.0, 0.3
    for threshold in np.arange(LOWEST + 0.05, 0.75, 0.05):
        found = answers = truths = 0
        for answer, truth in rows:
            kept = answer[answer[:, 2] >= threshold]
            pairs, _ = match(kept[:, :2], truth, limit)
            found, answers, truths = found + len(pairs), answers + len(kept), truths + len(truth)
        score = 1.25 * found / max(1.0, answers + 0.25 * truths)
        if score > best:
            best, chosen = score, float(threshold)
    return round(chosen, 2)


def fit_sigma(
    rows: list[tuple[NDArray[np.float64], NDArray[np.float64]]], limit: float
) -> tuple[float, float]:
    """(floor, slope) of ``sigma = floor + slope (1 - score)`` from the median radial error of true positives.

    The median of a Rayleigh distribution is 1.177 sigma. With too few true positives for a slope (two groups of more than
    20) it is 0, and with none the floor is ``limit``.
    """
    doubts, errors = [], []
    for answer, truth in rows:
        pairs, distance = match(answer[:, :2], truth, limit)
        doubts += (1 - answer[pairs[:, 0], 2]).tolist()
        errors += (distance / 1.177).tolist()
    doubt, error = np.array(doubts), np.array(errors)
    if not len(error):
        return limit, 0.0
    edges = np.quantile(doubt, np.linspace(0, 1, 9))
    groups = [(doubt >= a) & (doubt <= b) for a, b in itertools.pairwise(edges)]
    x, y = np.array([(doubt[g].mean(), np.median(error[g])) for g in groups if g.sum() > 20]).reshape(-1, 2).T
    if len(x) < 2:
        return round(max(0.05, float(np.median(error))), 3), 0.0
    slope, floor = np.polyfit(x, y, 1)
    return round(max(0.05, float(floor)), 3), round(max(0.0, float(slope)), 3)


def _commit() -> str:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        return answer.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def export(
    config: TrainConfig,
    run: Path,
    out: Path,
    summary: dict[str, Any],
    frames: int = 200,
    calibration: int = 150,
) -> ModelBundle:
    """Write the run's mean weights as a bundle to ``out``, with thresholds and sigma from ``frames`` validation frames.

    Its 8-bit form is calibrated on as many frames as ``calibration`` says; 0 leaves it out.
    """
    network = build(config.architecture)
    network.load_state_dict(load_file(run / "mean.safetensors"))
    training = {
        "config": config.name,
        "steps": config.steps,
        "seed": config.seed,
        "commit": _commit(),
    } | summary
    draft = ModelBundle(
        name=config.name,
        architecture=dict(config.architecture),
        input_size=config.input_size,
        low=config.intensity_low,
        high=config.intensity_high,
        electrode_threshold=LOWEST,
        training=training,
    )
    angiograms = training_angiograms(config.data)
    limit = 2.0 * config.input_size / 256
    with tempfile.TemporaryDirectory() as folder:
        draft.save(folder, network)
        with Perceptor.open(folder, "torch", want_mask=False, want_centerlines=False) as perceptor:
            rows = _collect(perceptor, frames, angiograms)
    floor, slope = fit_sigma(rows, limit)
    threshold = choose_threshold(rows, limit)
    final = replace(draft, electrode_threshold=threshold, sigma_floor=floor, sigma_slope=slope)
    bundle = final.save(out, network, half=True)
    return add_int8(bundle, calibration, angiograms) if calibration else bundle


def add_figures(path: Path, figures: dict[str, Any]) -> ModelBundle:
    """Keep measured ``figures`` in the training summary of the bundle at ``path``; its weights stay as they are."""
    bundle = ModelBundle.load(path)
    return bundle.with_training(bundle.training | {"figures": figures})
