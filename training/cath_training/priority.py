"""Multi-level dynamic resource prioritization (Xi et al. 2025, section 2.2): hard samples and hard tasks count more.

Every sample of the data set has a KPI kappa for each task, a moving average over the times it was drawn. A sample
strategy turns them into weights within a task, a task rule into weights of the tasks. No gradient runs through either.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cath_training import processes
from cath_training.config import PriorityConfig
from cath_training.data.batches import Batch
from cath_training.taskweights import TASK_RULES, TaskView

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SampleView:
    """What a strategy may look at, for each sample of a batch and each task, all ``(B, 2)``.

    ``kappa`` is the KPI so far (0 if the sample is new), ``chosen`` whether the sample is among the hardest of the
    data set, ``loss`` the loss now in units of the task's mean; ``threshold`` and ``pace`` are single numbers.
    """

    kappa: Floats
    chosen: NDArray[np.bool_]
    loss: Floats
    threshold: float
    pace: float


def _soft(view: SampleView) -> Floats:
    return np.maximum(1 - view.kappa, 0)  # a literal 1/MAE may exceed 1


def _hard(view: SampleView) -> Floats:
    return (1 - view.kappa > view.threshold).astype(np.float32)


STRATEGIES: dict[str, Callable[[SampleView], Floats]] = {
    "all": lambda view: np.ones_like(view.kappa),
    "soft": _soft,
    "hard": _hard,
    "topk": lambda view: view.chosen.astype(np.float32),
    "topk-soft": lambda view: view.chosen * _soft(view),
    "topk-hard": lambda view: view.chosen * _hard(view),
    "self-paced": lambda view: (view.loss < view.pace).astype(np.float32),
}
"""Name in the configuration -> weights ``(B, 2)``."""


def hardest(kappa: Floats, share: float) -> NDArray[np.bool_]:
    """Which samples are among the hardest ``share`` in each task, ``(N, 2)``.

    Those without a KPI (NaN: not drawn yet, or without labels for the task) always are, and take nobody's place.
    """
    chosen = np.isnan(kappa)
    for task, column in enumerate(kappa.T):
        known = np.flatnonzero(~np.isnan(column))
        order = known[column[known].argsort(kind="stable")]
        chosen[order[: math.ceil(share * len(known))], task] = True
    return chosen


class Memory:
    """Moving averages of the KPIs of ``samples`` samples, ``kappa`` ``(N, 2)``, NaN as long as not seen."""

    def __init__(self, samples: int, alpha: float) -> None:
        self.kappa = np.full((samples, 2), np.nan, np.float32)
        self.alpha = np.float32(alpha)

    def update(self, identity: NDArray[np.int64], kappa: Floats) -> None:
        """Take the KPIs ``(B, 2)`` of the samples ``identity`` ``(B,)`` in, in this order; NaN changes nothing."""
        for i, new in zip(identity, kappa, strict=True):
            self.kappa[i] = self.blend(self.kappa[i], new)

    def blend(self, old: Floats, new: Floats) -> Floats:
        """``alpha new + (1 - alpha) old``, or the one of them that is known."""
        mixed = self.alpha * new + (1 - self.alpha) * old
        return np.where(np.isnan(new), old, np.where(np.isnan(old), new, mixed))


class Prioritizer:
    """Weighs a batch's losses, and learns from its KPIs.

    Args:
        config: the strategies.
        samples: how many the data set has.
        steps: of the whole training, over which the share of top K and the pace move.
        batch: samples a step, of all processes; the hardest are ranked anew every ``samples / batch`` steps.
    """

    def __init__(self, config: PriorityConfig, samples: int, steps: int, batch: int) -> None:
        self.config, self.steps = config, steps
        self.epoch = max(1, samples // batch)
        self.memory = Memory(samples, config.alpha)
        self.chosen = np.ones((samples, 2), bool)
        self.task_kappa = np.full(2, np.nan, np.float32)
        self.task_loss = np.full(2, np.nan, np.float32)
        self.rule = TASK_RULES[config.tasks](config)

    def sample_weights(self, losses: Tensor, batch: Batch, step: int) -> Floats:
        """Weights ``(B, 2)`` of each sample in each task; 0 where it has no labels."""
        config, progress = self.config, min(1.0, step / self.steps)
        loss = losses.detach().cpu().numpy().astype(np.float32)
        mean = np.where(np.isnan(self.task_loss), processes.gathered(loss).mean(0), self.task_loss)
        view = SampleView(
            kappa=np.nan_to_num(self.memory.kappa[batch.identity], nan=0.0),
            chosen=self.chosen[batch.identity],
            loss=(loss / np.maximum(mean, 1e-6)).astype(np.float32),
            threshold=config.threshold,
            pace=config.pace[0] + (config.pace[1] - config.pace[0]) * progress,
        )
        return STRATEGIES[config.samples](view) * batch.labelled

    def loss(self, losses: Tensor, batch: Batch, network: nn.Module, step: int) -> Tensor:
        """The loss to descend: each task's weighted mean over samples (divided by 1 at least), times the task's weight.

        ``losses`` are those of ``losses.by_task``, ``(B, 2)``.
        """
        weight = torch.from_numpy(self.sample_weights(losses, batch, step)).to(losses)
        tasks = processes.mean((weight * losses).sum(0), weight.sum(0))
        kappa = torch.from_numpy(np.nan_to_num(self.task_kappa, nan=1.0))
        return (self.rule.weights(TaskView(kappa, tasks, network)).to(losses) * tasks).sum()

    def update(self, kappa: Floats, losses: Tensor, batch: Batch, step: int) -> None:
        """Learn the KPIs ``(B, 2)`` of a batch, agreed with all other processes; rank anew at the end of an epoch."""
        loss = np.where(batch.labelled, losses.detach().cpu().numpy(), np.nan).astype(np.float32)
        identity, kappa, loss = (
            processes.gathered(batch.identity),
            processes.gathered(kappa),
            processes.gathered(loss),
        )
        self.memory.update(identity, kappa)
        self.task_kappa = self.memory.blend(self.task_kappa, _mean(kappa))
        self.task_loss = self.memory.blend(self.task_loss, _mean(loss))
        if (step + 1) % self.epoch == 0:
            config, progress = self.config, min(1.0, step / self.steps)
            share = config.keep_start + (config.keep - config.keep_start) * progress
            self.chosen = hardest(self.memory.kappa, share)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        arrays = {
            "memory": self.memory.kappa,
            "chosen": self.chosen,
            "task_kappa": self.task_kappa,
            "task_loss": self.task_loss,
        }
        own = {f"rule.{name}": value for name, value in self.rule.state().items()}
        return {name: torch.from_numpy(array) for name, array in arrays.items()} | own

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state`` gave. Raises ValueError if it belongs to another data set."""
        if state["memory"].shape != self.memory.kappa.shape:
            raise ValueError(
                f"the checkpoint's memory is of {len(state['memory'])} samples, the data set has"
                f" {len(self.memory.kappa)}: train in another folder, or with the data of the checkpoint"
            )
        self.memory.kappa = state["memory"].numpy().copy()
        self.chosen = state["chosen"].numpy().copy()
        self.task_kappa = state["task_kappa"].numpy().copy()
        self.task_loss = state["task_loss"].numpy().copy()
        self.rule.load({name[5:]: value for name, value in state.items() if name.startswith("rule.")})


def _mean(values: Floats) -> Floats:
    """Mean of each column over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan).astype(np.float32)
