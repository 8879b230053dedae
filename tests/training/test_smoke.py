"""The whole path as a user walks it: train from scratch, export, and find electrodes in frames that training never met."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from cath_perception import cli
from cath_perception.perceptor import Perceptor
from cath_perception.scoring import match
from cath_training.commands.train import find
from cath_training.config import TrainConfig, load
from cath_training.data import source

from .settings import written

CONFIG = load(find(Path("configs/smoke.yaml")))
NEAR_PX = 2.0
OTHER_SCENES = 77  # a seed that no training has


def fresh_figures(bundle: Path, config: TrainConfig, cache: Path, frames: int) -> tuple[float, float]:
    """Recall and precision of the bundle, through the node's own path, on other scenes of the kind it trained on.

    The frames have the size of the network's input, so the scale is that of training.
    """
    data = replace(config.data, catheters=24, clutter=6, procedural=6, crop=config.input_size)
    samples = source.make(data, 2, OTHER_SCENES, cache)
    found = answers = truths = 0
    with Perceptor.open(bundle, "torch", want_mask=False, want_centerlines=False) as perceptor:
        for k in range(frames):
            batch = samples.draw(1, (OTHER_SCENES, k), torch.device("cpu"))
            pixels = (255 * batch.image[0, 0].clamp(0, 1)).round().byte().numpy()
            result = perceptor(pixels)
            points = np.array([(e.x, e.y) for e in result.electrodes]).reshape(-1, 2)
            found += len(match(points, batch.positions[0], NEAR_PX)[0])
            answers, truths = answers + len(points), truths + len(batch.positions[0])
    return found / truths, found / max(1, answers)


def walk(config: TrainConfig, folder: Path, frames: int) -> tuple[float, float]:
    """Train, export and measure by the commands; gives recall and precision on fresh frames."""
    path = written(config, folder / "smoke.yaml")
    run, bundle, cache = (folder / name for name in ("run", "bundle", "cache"))
    assert cli.main(["train", str(path), "--out", str(run), "--cache", str(cache)]) == 0
    assert cli.main(["export", str(path), str(run), str(bundle), "--frames", str(frames)]) == 0
    figures = folder / "figures.json"
    command = ["eval", "--model", str(bundle), "--backend", "torch", "--frames", str(frames)]
    assert cli.main([*command, "--angiograms", "nowhere", "--json", str(figures)]) == 0
    assert 0 <= json.loads(figures.read_text())["synthetic"]["recall"] <= 1
    recall, precision = fresh_figures(bundle, config, cache, frames)
    Console().print(f"fresh frames: recall {recall:.3f}, precision {precision:.3f}; {figures.read_text()}")
    return recall, precision


@pytest.mark.timeout(900)
def test_path_from_scratch_to_answers_cut_short(tmp_path: Path) -> None:
    """A quarter of the smoke configuration's steps, on fewer scenes: more than a broken path can learn."""
    data = replace(CONFIG.data, catheters=60, clutter=8, procedural=8)
    config = replace(CONFIG, steps=120, warmup=30, save_every=60, data=data)
    recall, precision = walk(config, tmp_path, frames=12)
    assert recall > 0.3
    assert precision > 0.3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_smoke_configuration_learns_to_find_half_of_the_electrodes(tmp_path: Path) -> None:
    recall, precision = walk(CONFIG, tmp_path, frames=60)
    assert recall > 0.5
    assert precision > 0.7
