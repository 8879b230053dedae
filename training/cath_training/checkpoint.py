"""A training run on disk: one safetensors file to resume from, one with the running mean of the weights."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cath_training.config import ConfigError
from cath_training.priority import Prioritizer

STATE, MEAN = "state.safetensors", "mean.safetensors"


def save(
    folder: Path,
    step: int,
    network: nn.Module,
    mean: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    priority: Prioritizer | None,
) -> None:
    """Write both files; a kill in the middle leaves the ones before.

    ``state.safetensors`` holds everything (``network.``, ``mean.``, AdamW's moments ``first.`` and ``second.``,
    ``priority.``, ``step``), and is written last: a run killed between the two goes on from the one before, and writes both.
    """
    state = {f"network.{k}": v for k, v in network.state_dict().items()}
    state |= {f"mean.{k}": v for k, v in mean.items()}
    for name, parameter in network.named_parameters():
        moments = optimizer.state.get(parameter)
        if moments:
            state[f"first.{name}"], state[f"second.{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
    if priority:
        state |= {f"priority.{k}": v for k, v in priority.state().items()}
    state["step"] = torch.tensor(step)
    for file, tensors in ((MEAN, mean), (STATE, state)):
        part = folder / f"{file}.part"
        save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, part)
        part.replace(folder / file)


def load(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, priority: Prioritizer | None
) -> tuple[int, dict[str, Tensor]]:
    """Take back what ``save`` wrote; gives the step and the mean weights. Raises ConfigError if it does not fit."""
    state = load_file(folder / STATE)
    step = int(state["step"])
    device = next(network.parameters()).device

    def part(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}

    try:
        network.load_state_dict(part("network."))
    except RuntimeError as error:
        raise ConfigError(
            f"{folder}: the run there is of another architecture: train in another folder"
        ) from error
    second = part("second.")
    parameters = dict(network.named_parameters())
    for name, first in part("first.").items():
        optimizer.state[parameters[name]] = {
            "step": torch.tensor(float(step)),
            "exp_avg": first.to(device),
            "exp_avg_sq": second[name].to(device),
        }
    if priority:
        _load_priority(folder, priority, part("priority."))
    return step, {k: v.to(device) for k, v in part("mean.").items()}


def _load_priority(folder: Path, priority: Prioritizer, state: dict[str, Tensor]) -> None:
    if not state:
        raise ConfigError(f"{folder}: this run was begun without a priority section: train in another folder")
    try:
        priority.load(state)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{folder}: the checkpoint does not fit the priority section: {error}") from error
