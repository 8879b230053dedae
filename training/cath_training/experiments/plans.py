"""What is compared: the strategies of Xi et al.'s Tables 3 and 5 to 7, and its network against the light one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cath_training.config import DataConfig, LossConfig, PriorityConfig, TrainConfig

NARROW = {"name": "light", "widths": [8, 16, 28, 56, 96], "decoder": [48, 28, 24], "hidden": 16}
"""A light network of 0.6 M parameters."""

DATA = DataConfig(
    catheters=200,
    clutter=30,
    procedural=24,
    angiograms_first=0,
    crop=64,
    zoom=(0.8, 1.4),
    empty=0.05,
    cluttered=0.3,
    treated=False,
)
"""Crops of 64 px, some 16 mm of the patient, without real backgrounds."""


DETECTION = ("ap", "recall", "precision")


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of training.

    Attributes:
        name: what the table calls it.
        config: what is trained; its seed is replaced by each of the plan's.
        like: instead of ``config.steps``, train for as long as the variant of that name took with the same seed.
        untrained: figures of what it does not train, left out of its results.
    """

    name: str
    config: TrainConfig
    like: str = ""
    untrained: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Variants in the order they are run, each with every seed before the next.

    Attributes:
        variants: what is compared.
        tables: heading of a table -> names of its variants.
        start: trained first, and what all variants start from; None starts from scratch.
        seeds: of samples, and of weights where there is no start. Variants of one seed and batch size meet the same samples.
        published: variant -> AP and J in % in the paper, on its own data; empty if it has none to compare with.
    """

    variants: tuple[Variant, ...]
    tables: dict[str, tuple[str, ...]]
    start: TrainConfig | None = None
    seeds: tuple[int, ...] = (1, 2, 3)
    published: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


PUBLISHED: dict[str, tuple[float | None, float | None]] = {
    "ours": (84.15, 65.37),
    "single task: detection": (84.96, None),
    "single task: segmentation": (None, 66.13),
    "self-paced": (83.24, 63.94),
    "DTP": (83.88, 64.28),
    "constant 1, 1": (82.86, 63.45),
    "constant 2, 1": (82.94, 63.39),
    "constant 5, 1": (83.57, 63.22),
    "constant 10, 1": (83.78, 60.87),
    "constant 1, 2": (82.77, 62.06),
    "constant 1, 5": (82.74, 62.11),
    "constant 1, 10": (82.44, 62.39),
    "GradNorm": (78.46, 56.22),
    "MAE, Dice": (84.08, 65.22),
    "RMSE, IoU": (83.92, 65.26),
    "RMSE, Dice": (84.28, 64.88),
    "focal, CE": (77.65, 59.70),
    "soft": (81.68, 61.25),
    "hard": (83.47, 63.22),
    "30 % hardest": (82.92, 61.08),
    "50 % hardest": (83.11, 61.46),
    "70 % hardest": (83.19, 62.85),
    "top-K soft": (84.03, 64.23),
}
"""Xi et al.'s Tables 3 and 5 to 7."""


def _strategies() -> Plan:
    base = TrainConfig(
        name="start",
        steps=400,
        batch=16,
        learning_rate=4e-3,
        warmup=80,
        mean_decay=0.98,
        threads=1,
        architecture=NARROW,
        data=DATA,
        loss=LossConfig(size=1.0, bce=1.0),
    )
    after = replace(base, steps=100, learning_rate=2e-3, warmup=10)

    def variant(name: str, *, untrained: tuple[str, ...] = (), **changes: Any) -> Variant:
        return Variant(
            name, replace(after, name=name, priority=PriorityConfig(**changes)), untrained=untrained
        )

    every: dict[str, Any] = {"samples": "all"}
    fixed: dict[str, Any] = {"samples": "topk", "keep_start": 0.7, "keep": 0.7}
    variants = (
        variant("ours"),
        variant("constant 1, 1", **every, tasks="constant"),
        variant("single task: detection", untrained=("j",), **every, tasks="single-detection"),
        variant("single task: segmentation", untrained=DETECTION, **every, tasks="single-segmentation"),
        variant("DTP", **every, tasks="dtp"),
        variant("self-paced", samples="self-paced", tasks="constant"),
        variant("GradNorm", **every, tasks="gradnorm"),
        variant("soft", samples="soft"),
        variant("hard", samples="hard"),
        variant("70 % hardest", **fixed),
        variant("top-K soft", samples="topk-soft"),
        variant("RMSE, Dice", detection_kpi="rmse", segmentation_kpi="dice"),
        variant("focal, CE", detection_kpi="focal", segmentation_kpi="ce"),
        variant("constant 5, 1", **every, tasks="constant", constants=(5.0, 1.0)),
        variant("constant 1, 5", **every, tasks="constant", constants=(1.0, 5.0)),
        variant("30 % hardest", **fixed | {"keep_start": 0.3, "keep": 0.3}),
        variant("50 % hardest", **fixed | {"keep_start": 0.5, "keep": 0.5}),
        variant("MAE, Dice", segmentation_kpi="dice"),
        variant("RMSE, IoU", detection_kpi="rmse"),
        variant("constant 10, 1", **every, tasks="constant", constants=(10.0, 1.0)),
        variant("constant 1, 10", **every, tasks="constant", constants=(1.0, 10.0)),
        variant("constant 2, 1", **every, tasks="constant", constants=(2.0, 1.0)),
        variant("constant 1, 2", **every, tasks="constant", constants=(1.0, 2.0)),
    )
    constants = tuple(f"constant {a}" for a in ("1, 1", "2, 1", "5, 1", "10, 1", "1, 2", "1, 5", "1, 10"))
    single = ("single task: detection", "single task: segmentation")
    shares = ("30 % hardest", "50 % hardest", "70 % hardest")
    tables = {
        "Single task, and rivals (Table 3)": (*single, "self-paced", "DTP", "ours"),
        "Task weights (Table 5)": (*constants, "GradNorm", "ours"),
        "KPI pairs (Table 6; ours is MAE, IoU)": (
            "ours",
            "MAE, Dice",
            "RMSE, IoU",
            "RMSE, Dice",
            "focal, CE",
        ),
        "Samples (Table 7; ours is top-K hard)": ("soft", "hard", *shares, "top-K soft", "ours"),
    }
    return Plan(variants, tables, start=base, published=PUBLISHED)


def _networks() -> Plan:
    paper = TrainConfig(
        name="paper",
        steps=40,
        batch=4,
        learning_rate=1e-3,
        warmup=8,
        mean_decay=0.95,
        threads=1,
        architecture={"name": "paper", "backbone": "resnet34", "offset": True},
        data=replace(DATA, targets="centernet"),
        loss=LossConfig(size=1.0, bce=1.0),
        priority=PriorityConfig(),
    )
    light = replace(
        paper, name="light", learning_rate=4e-3, architecture={"name": "light"}, data=DATA, loss=LossConfig()
    )
    variants = (
        Variant("paper", paper),
        Variant("light, equal samples", light),
        Variant("light, equal time", light, like="paper"),
    )
    return Plan(variants, {"Networks": tuple(v.name for v in variants)})


PLANS: dict[str, Callable[[], Plan]] = {"strategies": _strategies, "networks": _networks}
"""Name -> what makes the plan."""
