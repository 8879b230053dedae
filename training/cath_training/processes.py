"""What the processes of a training run agree on: sums, means and rows over all; with one process, the value itself."""

import os
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from cath_training.config import ConfigError, TrainConfig

Scalar = TypeVar("Scalar", bound=np.generic)


def start(config: TrainConfig) -> Fabric:
    """The devices and processes of ``config``; under torchrun, the processes that it started.

    Without GPU there is one process unless ``devices`` or torchrun say otherwise.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices, machines = config.devices or max(1, gpus), 1
    if "LOCAL_WORLD_SIZE" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // devices
    if gpus and devices > gpus:
        raise ConfigError(f"devices: expected at most {gpus}, the GPUs of this machine, got {devices}")
    fabric = Fabric(
        accelerator="cuda" if gpus else "cpu",
        devices=devices,
        num_nodes=machines,
        strategy="ddp" if devices * machines > 1 else "auto",
        precision=config.precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(batch: int) -> int:
    """How many samples of a batch are this process's. Raises ConfigError if they cannot be dealt out evenly."""
    if batch % count():
        raise ConfigError(f"batch: expected a multiple of the {count()} processes, got {batch}")
    return batch // count()


@torch.no_grad()
def summed(value: Tensor) -> Tensor:
    """The sum over processes, without gradient."""
    if count() == 1:
        return value.detach()
    total = value.detach().to(_device(), copy=True)
    dist.all_reduce(total)
    return total.to(value.device)


def averaged(value: Tensor) -> Tensor:
    """The mean over processes, without gradient."""
    return summed(value) / count()


def mean(total: Tensor, number: Tensor) -> Tensor:
    """``total / number`` (1 at least) as this process must descend it so that all together descend the whole batch's.

    Gradients are averaged over processes: with the number of all processes below the fraction, each process's part
    counts as often as there are processes.
    """
    return total * count() / summed(number).clamp_min(1.0)


def gathered(rows: NDArray[Scalar]) -> NDArray[Scalar]:
    """The rows of all processes, in order of rank; all must have equally many."""
    if count() == 1:
        return rows
    mine = torch.from_numpy(np.ascontiguousarray(rows)).to(_device())
    parts = [torch.empty_like(mine) for _ in range(count())]
    dist.all_gather(parts, mine)
    every: NDArray[Scalar] = torch.cat(parts).cpu().numpy()
    return every


def _device() -> torch.device:
    """Where tensors must be to be exchanged."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
