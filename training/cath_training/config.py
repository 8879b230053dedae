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
    """Where samples come from and how crops of them are drawn.

    ``source``: ``synthetic``, from a bank of ``catheters`` scenes, ``clutter``, and backgrounds that are ``procedural`` or
    out of a CT (``ct`` of them; left out with a notice where requirements/ct.txt is not installed); else the
    format of the labelled images at ``path``, see ``data.sources``, of whose subjects ``held`` (0..1) are for
    validation.
    ``angiograms``: folder of real backgrounds, relative to the repository (skipped with a notice if absent);
    ``angiograms_first`` of them, in order of name, are for training, the rest stay unseen. ``zoom``, ``empty``,
    ``cluttered``, ``treated``, ``taken``, ``blur``, ``targets``, ``sigma`` and ``spread``: see ``batches.BatchRule``.
    """

    source: str = "synthetic"
    path: str = ""
    held: float = 0.2
    catheters: int = 2400
    clutter: int = 900
    procedural: int = 260
    ct: int = 0
    angiograms: str = "../shared/data/angiograms"
    angiograms_first: int = 700
    crop: int = 256
    zoom: tuple[float, float] = (0.5, 1.2)
    empty: float = 0.15
    cluttered: float = 0.65
    treated: bool = True
    taken: tuple[float, float] = (1.0, 1.0)
    blur: float = 1.0
    sigma: float = 0.75
    spread: float = 0.0
    targets: str = "dense"

    def __post_init__(self) -> None:
        _one_of("targets", self.targets, ("dense", "centernet"))


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Pre-training for ``steps`` steps on labelled images of the format ``source`` at ``path``, if they are there."""

    name: str
    source: str
    path: str
    steps: int


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the loss: focal + ``offset`` x L1 + ``size`` x L1 + ``bce`` x BCE + ``iou`` x (1 - IoU)."""

    offset: float = 1.0
    size: float = 0.1
    bce: float = 2.0
    iou: float = 1.0


@dataclass(frozen=True, slots=True)
class PriorityConfig:
    """Multi-level dynamic resource prioritization (Xi et al. 2025, section 2.2) and its rivals.

    Attributes:
        samples: how much each sample counts, by its KPI kappa in 0..1 (its difficulty is 1/kappa): ``all``, ``soft``
            (1 - kappa), ``hard`` (1 where 1 - kappa > ``threshold``), ``topk`` (the hardest share ``keep``),
            ``topk-soft`` and ``topk-hard`` (both), or ``self-paced`` (loss below a growing share of the mean loss).
        keep_start, keep: share that top K keeps at the first and at the last step; equal for a fixed one.
        tasks: weight of each task's loss: ``inverse-kpi`` (1/kappa), ``kpi`` (kappa), ``constant`` (``constants``),
            ``dtp``, ``gradnorm``, ``single-detection`` or ``single-segmentation``.
        detection_kpi, segmentation_kpi: ``mae``, ``rmse`` or ``focal``; ``iou``, ``dice`` or ``ce``.
        alpha: share of the newest value in a KPI's moving average.
        gamma: focusing exponent of ``dtp``.
        gradnorm: learning rate and restoring exponent of ``gradnorm``.
        pace: first and last loss that ``self-paced`` admits, in units of the task's mean loss.
        scale: box error in cells at which a detection KPI is 0.5.
        cap: box error in cells that a missed or an invented electrode counts.
        literal: detection KPI 1/MAE as printed, which has no upper bound, instead of 1 / (1 + MAE / scale).
    """

    samples: str = "topk-hard"
    keep_start: float = 1.0
    keep: float = 0.7
    threshold: float = 0.5
    tasks: str = "inverse-kpi"
    constants: tuple[float, float] = (1.0, 1.0)
    detection_kpi: str = "mae"
    segmentation_kpi: str = "iou"
    alpha: float = 0.1
    gamma: float = 1.0
    gradnorm: tuple[float, float] = (0.025, 1.5)
    pace: tuple[float, float] = (1.0, 3.0)
    scale: float = 1.0
    cap: float = 4.0
    literal: bool = False

    def __post_init__(self) -> None:
        for name, allowed in PRIORITY_CHOICES.items():
            _one_of(name, getattr(self, name), allowed)
        for name in ("keep_start", "keep", "alpha"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: expected more than 0 and at most 1, got {getattr(self, name)}")
        for name in ("constants", "gradnorm", "pace"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"{name}: expected two numbers, got {getattr(self, name)}")
        if min(self.scale, self.cap) <= 0:
            raise ValueError(f"scale and cap: expected more than 0 cells, got {self.scale} and {self.cap}")


PRIORITY_CHOICES = {
    "samples": ("all", "soft", "hard", "topk", "topk-soft", "topk-hard", "self-paced"),
    "tasks": (
        "inverse-kpi",
        "kpi",
        "constant",
        "dtp",
        "gradnorm",
        "single-detection",
        "single-segmentation",
    ),
    "detection_kpi": ("mae", "rmse", "focal"),
    "segmentation_kpi": ("iou", "dice", "ce"),
}
"""Setting of ``PriorityConfig`` -> what it may be."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        batch: samples a step, of all processes together.
        learning_rate: what it rises to over ``warmup`` steps, before it falls as a cosine to 1 % at ``steps``.
        threads: of the CPU, for each process; 0 lets PyTorch choose.
        devices: GPUs, or processes where there is no GPU; 0 takes all GPUs, or one process.
        precision: ``32-true``, or ``bf16-mixed`` for networks and losses in bfloat16 where that is safe.
        compile: compile the network before the first step (minutes), for faster steps.
        save_every, log_every: steps between checkpoints (with validation) and between rows of the log.
        mean_decay: of the running mean of the weights, which is what is exported.
        start_from: safetensors file of the weights to begin with.
        stages: pre-training before the training itself.
        priority: weighs samples and tasks by how hard they are; without it all count alike.
    """

    name: str
    steps: int
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    seed: int = 1
    threads: int = 0
    devices: int = 0
    precision: str = "32-true"
    compile: bool = False
    save_every: int = 100
    log_every: int = 20
    mean_decay: float = 0.998
    start_from: str = ""
    input_size: int = 320
    architecture: dict[str, Any] = field(default_factory=lambda: {"name": "light"})
    intensity_low: float = 1.0
    intensity_high: float = 99.0
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    stages: tuple[StageConfig, ...] = ()
    priority: PriorityConfig | None = None

    def __post_init__(self) -> None:
        _one_of("precision", self.precision, PRECISIONS)
        for name in ("steps", "batch", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.devices < 0:
            raise ValueError(f"devices: expected 0 or more, got {self.devices}")
        if self.priority and self.priority.tasks == "gradnorm" and self.precision != "32-true":
            raise ValueError(f"precision: tasks: gradnorm needs 32-true, got {self.precision}")


PRECISIONS = ("32-true", "bf16-mixed")
SECTIONS: dict[str, type] = {"data": DataConfig, "loss": LossConfig, "priority": PriorityConfig}


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")


def _fill(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping of settings, got {type(values).__name__}")
    known = {f.name for f in fields(cls)}
    unknown = sorted(map(str, set(values) - known))
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _stages(values: Any, path: Path) -> tuple[StageConfig, ...]:
    if not isinstance(values, list):
        raise ConfigError(f"{path}: stages: expected a list of stages, got {type(values).__name__}")
    return tuple(_fill(StageConfig, stage, f"{path}: stage {i}") for i, stage in enumerate(values, 1))


def load(path: Path) -> TrainConfig:
    """Read ``path``. Raises ConfigError naming the key that is wrong."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if isinstance(values, dict):
        sections = {name: cls for name, cls in SECTIONS.items() if name in values}
        values |= {name: _fill(cls, values[name], f"{path}: {name}") for name, cls in sections.items()}
        values |= {"stages": _stages(values["stages"], path)} if "stages" in values else {}
    config: TrainConfig = _fill(TrainConfig, values, str(path))
    return config
