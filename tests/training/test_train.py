"""A run that was killed and resumed ends with the weights of one that was not; a run learns."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cath_training.config import DataConfig, TrainConfig
from cath_training.train import Trainer

SMALL = TrainConfig(
    name="test",
    steps=4,
    batch=2,
    warmup=1,
    save_every=100,
    architecture={"name": "light", "widths": [8, 8, 8, 16, 16], "decoder": [16, 8, 8], "hidden": 8},
    data=DataConfig(catheters=2, clutter=1, procedural=1, angiograms="nowhere", crop=64),
)


def trainer(folder: Path, config: TrainConfig = SMALL) -> Trainer:
    return Trainer(config, folder, folder.parent / "cache", torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    for _ in range(4):
        whole.train_step()
    whole.save()
    first = trainer(tmp_path / "killed")
    for _ in range(2):
        first.train_step()
    first.save()
    first.train_step()  # lost with the kill
    second = trainer(tmp_path / "killed")
    assert second.step == 2
    for _ in range(2):
        second.train_step()
    second.save()
    expected, got = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "killed"))
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key]), key


def test_loss_falls_on_few_samples(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", replace(SMALL, steps=120, learning_rate=5e-3))
    losses = [run.train_step()["loss"] for _ in range(120)]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
