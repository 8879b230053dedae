"""How much each task's loss counts: the paper's 1/kappa and its rivals, behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cath_training import processes
from cath_training.config import PriorityConfig

LEAST_KAPPA = 0.05  # a task that fails altogether counts 20-fold, not endlessly
LEAST_WEIGHT = 0.01  # below which GradNorm may not push a task


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a rule may look at: ``kappa`` ``(2,)`` KPIs of detection and segmentation (1 as long as unknown), ``losses``
    ``(2,)`` with their graph, and the ``network``."""

    kappa: Tensor
    losses: Tensor
    network: nn.Module


class TaskRule(ABC):
    """Gives the weights ``(2,)`` of the two tasks' losses, without gradient; may carry state from step to step."""

    @abstractmethod
    def weights(self, view: TaskView) -> Tensor:
        """Weights of detection and segmentation at this step."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:  # noqa: B027 - most rules keep nothing
        """Take back what ``state`` gave."""


@dataclass(slots=True)
class Constant(TaskRule):
    """The same weights at every step; a 0 makes it single-task learning."""

    values: tuple[float, float]

    def weights(self, view: TaskView) -> Tensor:
        """The constants."""
        return torch.tensor(self.values)


@dataclass(slots=True)
class OfKappa(TaskRule):
    """Weights that are a function of each task's KPI."""

    function: Callable[[Tensor], Tensor]

    def weights(self, view: TaskView) -> Tensor:
        """The function of the KPIs, which are held above ``LEAST_KAPPA``."""
        return self.function(view.kappa.clamp_min(LEAST_KAPPA))


class GradNorm(TaskRule):
    """Weights learnt so that tasks pull alike on the last shared layer, the slower one a little more (Chen et al. 2018).

    The weights descend sum |w g - mean(w g) r^exponent| with g each task's gradient norm there and r its inverse
    training rate relative to the other's; the step is taken in units of the mean norm and the weights sum to 2.

    Args:
        rate: learning rate of the weights.
        exponent: how strongly a task that lags is favoured.
    """

    def __init__(self, rate: float, exponent: float) -> None:
        self.rate, self.exponent = rate, exponent
        self.values = torch.ones(2)
        self.first = torch.full((2,), float("nan"))
        self._shared: nn.Parameter | None = None

    def weights(self, view: TaskView) -> Tensor:
        """Move the weights by one step, from the same measurements in all processes, and give them."""
        if self._shared is None:
            self._shared = last_shared(view.network, view.losses)
        loss, norm = processes.averaged(view.losses).cpu(), torch.zeros(2)
        if self._shared is not None:
            for i, one in enumerate(view.losses.unbind()):
                gradient = torch.autograd.grad(one, self._shared, retain_graph=True)[0]
                norm[i] = processes.averaged(gradient).norm().cpu()
        if not (norm > 0).all():
            return self.values  # a batch without labels for one of the tasks says nothing about their balance
        self.first = torch.where(self.first.isnan(), loss, self.first)
        speed = loss / self.first.clamp_min(1e-6)
        pull = self.values * norm
        goal = pull.mean() * (speed / speed.mean().clamp_min(1e-6)) ** self.exponent
        step = self.rate * torch.sign(pull - goal) * norm / pull.mean().clamp_min(1e-12)
        values = (self.values - step).clamp_min(LEAST_WEIGHT)
        self.values = 2 * values / values.sum()
        return self.values

    def state(self) -> dict[str, Tensor]:
        """Weights and first losses."""
        return {"values": self.values, "first": self.first}

    def load(self, state: dict[str, Tensor]) -> None:
        """Weights and first losses."""
        self.values, self.first = state["values"], state["first"]


def last_shared(network: nn.Module, losses: Tensor) -> nn.Parameter | None:
    """The last convolution's weight, in the order of the network's parameters, that moves all ``losses``; None if none."""
    weights = [p for p in network.parameters() if p.dim() == 4 and p.requires_grad]
    gradients = [
        torch.autograd.grad(x, weights, retain_graph=True, allow_unused=True) for x in losses.unbind()
    ]
    moved = torch.tensor([[x is not None and bool(x.any()) for x in g] for g in gradients]).float()
    both = (processes.summed(moved) > 0).all(0).tolist()  # a process may lack labels that another has
    return next((w for w, yes in zip(reversed(weights), reversed(both), strict=True) if yes), None)


def dtp(kappa: Tensor, gamma: float) -> Tensor:
    """Dynamic task prioritization (Guo et al. 2018): ``-(1 - kappa)^gamma log kappa``."""
    kappa = kappa.clamp_max(1.0)
    return -((1 - kappa) ** gamma) * kappa.log()


TASK_RULES: dict[str, Callable[[PriorityConfig], TaskRule]] = {
    "inverse-kpi": lambda config: OfKappa(torch.reciprocal),
    "kpi": lambda config: OfKappa(torch.clone),
    "constant": lambda config: Constant(config.constants),
    "dtp": lambda config: OfKappa(lambda kappa: dtp(kappa, config.gamma)),
    "gradnorm": lambda config: GradNorm(*config.gradnorm),
    "single-detection": lambda config: Constant((1.0, 0.0)),
    "single-segmentation": lambda config: Constant((0.0, 1.0)),
}
"""Name in the configuration -> what makes the rule."""
