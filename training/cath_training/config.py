"""Training configuration: a YAML file checked against dataclasses; unknown keys are errors."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from cath_perception.errors import CathError


class ConfigError(CathError):
    """A configuration file that says something training does not understand."""


@dataclass(frozen=True, slots=True)
class DataConfig:
    """The bank of geometry and how crops are drawn from it.

    ``angiograms``: folder of real backgrounds, relative to the repository (skipped with a notice if absent);
    ``angiograms_first`` of them, in order of name, are for training, the rest stay unseen.
    """

    catheters: int = 2400
    clutter: int = 900
    procedural: int = 260
    angiograms: str = "../shared/data/angiograms"
    angiograms_first: int = 700
    crop: int = 256
    zoom: tuple[float, float] = (0.5, 1.2)
    sigma: float = 0.75


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run. ``learning_rate`` rises over ``warmup`` steps and falls as a cosine to 1 % at ``steps``."""

    name: str
    steps: int
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    seed: int = 1
    threads: int = 0
    save_every: int = 100
    mean_decay: float = 0.998
    start_from: str = ""
    input_size: int = 320
    architecture: dict[str, Any] = field(default_factory=lambda: {"name": "light"})
    intensity_low: float = 1.0
    intensity_high: float = 99.0
    data: DataConfig = field(default_factory=DataConfig)


def _fill(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping of settings, got {type(values).__name__}")
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def load(path: Path) -> TrainConfig:
    """Read ``path``. Raises ConfigError naming the key that is wrong."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if isinstance(values, dict) and "data" in values:
        values = {**values, "data": _fill(DataConfig, values["data"], f"{path}: data")}
    config: TrainConfig = _fill(TrainConfig, values, str(path))
    return config
