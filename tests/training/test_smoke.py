"""The whole path as a user walks it: train from scratch, export, and find electrodes in frames that training never met."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cath_perception import cli
from cath_perception.perceptor import Perceptor
from cath_perception.scoring import match
from cath_training.commands.train import find
from cath_training.config import TrainConfig, load
from cath_training.data import source

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


@pytest.mark.timeout(1200)
def test_smoke_configuration_learns_to_find_half_of_the_electrodes(tmp_path: Path) -> None:
    path = str(find(Path("configs/smoke.yaml")))
    run, bundle, cache = (tmp_path / name for name in ("run", "bundle", "cache"))
    assert cli.main(["train", path, "--out", str(run), "--cache", str(cache)]) == 0
    assert cli.main(["export", path, str(run), str(bundle), "--frames", "12", "--calibration", "8"]) == 0
    figures = tmp_path / "figures.json"
    command = ["eval", "--model", str(bundle), "--backend", "torch", "--frames", "12"]
    assert cli.main([*command, "--angiograms", "nowhere", "--json", str(figures)]) == 0
    # on the frames that every model is judged by, most of them harder than what it trained on
    assert json.loads(figures.read_text())["synthetic"]["recall"] > 0.2
    recall, precision = fresh_figures(bundle, load(Path(path)), cache, 24)
    print(f"fresh frames: recall {recall:.3f}, precision {precision:.3f}")
    assert recall > 0.5
    assert precision > 0.4
