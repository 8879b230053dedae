"""A run that was killed and resumed ends with the weights of one that was not; a run learns."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cath_training import processes
from cath_training.config import ConfigError, DataConfig, LossConfig, PriorityConfig, TrainConfig
from cath_training.data import source
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


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer(config: TrainConfig, folder: Path, cache: Path) -> Trainer:
    stride = 2 if config.architecture["name"] == "light" else 4
    samples = source.make(config.data, stride, config.seed, cache)
    return Trainer(config, folder, samples, processes.start(config))


PRIORITIES = {
    "none": None,
    "paper": PriorityConfig(keep_start=0.5, keep=0.3),
    "gradnorm": PriorityConfig(
        samples="soft", tasks="gradnorm", detection_kpi="rmse", segmentation_kpi="dice"
    ),
    "self-paced": PriorityConfig(
        samples="self-paced", tasks="dtp", detection_kpi="focal", segmentation_kpi="ce"
    ),
}


@pytest.mark.parametrize("name", PRIORITIES)
def test_resumed_run_ends_with_the_same_weights(tmp_path: Path, cache: Path, name: str) -> None:
    config = replace(SMALL, priority=PRIORITIES[name])
    whole = trainer(config, tmp_path / "whole", cache)
    for _ in range(4):
        whole.train_step()
    whole.save()
    first = trainer(config, tmp_path / "killed", cache)
    for _ in range(2):
        first.train_step()
    first.save()
    first.train_step()  # lost with the kill
    second = trainer(config, tmp_path / "killed", cache)
    assert second.step == 2
    for _ in range(2):
        second.train_step()
    second.save()
    expected, got = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "killed"))
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key]), key

    assert any(key.startswith("priority.") for key in expected) == (name != "none")


@pytest.mark.parametrize("architecture", ["paper", "paper-literal"])
def test_paper_networks_train_and_validate(tmp_path: Path, cache: Path, architecture: str) -> None:
    config = replace(
        SMALL,
        architecture={"name": architecture, "backbone": "resnet18"},
        data=replace(SMALL.data, targets="centernet"),
        loss=LossConfig(size=1.0, bce=1.0),
        priority=PriorityConfig(),
        learning_rate=1e-4,
    )
    run = trainer(config, tmp_path / "run", cache)
    before = run.network.centre[0].weight.detach().clone()  # type: ignore[index, union-attr]
    row = run.train_step()
    assert all(math.isfinite(value) for value in row.values())
    assert not torch.equal(before, run.network.centre[0].weight)  # type: ignore[index, union-attr]
    assert 0 <= run.validate(rounds=1)["recall"] <= 1


def test_single_task_learning_leaves_the_other_head_alone(tmp_path: Path, cache: Path) -> None:
    priority = PriorityConfig(samples="all", tasks="single-segmentation")
    config = replace(SMALL, priority=priority, weight_decay=0.0)
    run = trainer(config, tmp_path / "run", cache)
    detect, segment = (getattr(run.network, name).project.weight for name in ("detect", "segment"))
    before = detect.detach().clone(), segment.detach().clone()
    run.train_step()
    assert torch.equal(before[0], detect)
    assert not torch.equal(before[1], segment)


def test_checkpoint_without_priority_is_not_resumed_with_it(tmp_path: Path, cache: Path) -> None:
    trainer(SMALL, tmp_path, cache).save()
    with pytest.raises(ConfigError, match="another folder"):
        trainer(replace(SMALL, priority=PriorityConfig()), tmp_path, cache)


def test_loss_falls_on_few_samples(tmp_path: Path, cache: Path) -> None:
    run = trainer(replace(SMALL, steps=120, learning_rate=5e-3), tmp_path / "run", cache)
    losses = [run.train_step()["loss"] for _ in range(120)]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
