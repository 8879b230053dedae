"""A training run so small that a step takes a moment, for tests."""

import json
from dataclasses import asdict
from pathlib import Path

import yaml
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cath_training import processes
from cath_training.config import DataConfig, PriorityConfig, TrainConfig
from cath_training.data import source
from cath_training.train import Trainer, stride

SMALL = TrainConfig(
    name="test",
    steps=4,
    batch=2,
    warmup=1,
    save_every=100,
    threads=1,
    architecture={"name": "light", "widths": [8, 8, 8, 16, 16], "decoder": [16, 8, 8], "hidden": 8},
    data=DataConfig(catheters=2, clutter=1, procedural=1, angiograms_first=0, crop=64),
)

PRIORITIES: dict[str, PriorityConfig | None] = {
    "none": None,
    "paper": PriorityConfig(keep_start=0.5, keep=0.3),
    "gradnorm": PriorityConfig(
        samples="soft", tasks="gradnorm", detection_kpi="rmse", segmentation_kpi="dice"
    ),
    "self-paced": PriorityConfig(
        samples="self-paced", tasks="dtp", detection_kpi="focal", segmentation_kpi="ce"
    ),
}


def trainer(config: TrainConfig, folder: Path, cache: Path) -> Trainer:
    """The trainer as ``./cath train`` makes it."""
    samples = source.make(config.data, stride(config), config.seed, cache)
    return Trainer(config, folder, samples, processes.start(config))


def written(config: TrainConfig, path: Path) -> Path:
    """``config``, without stages, as a file."""
    values = {name: value for name, value in asdict(config).items() if value is not None and name != "stages"}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))
    return path


def _evaluating(module: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(module, False)


def hold_batch_norm() -> None:
    """From now on, in this process, batch normalization uses its running statistics in training too."""
    _BatchNorm.train = _evaluating  # type: ignore[method-assign, assignment]
