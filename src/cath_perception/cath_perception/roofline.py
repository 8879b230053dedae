"""How fast a network could be on a machine at best: its arithmetic and its traffic, against what the machine does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from cath_perception.bundle import ModelBundle
from cath_perception.network.precision import in_precision


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one frame through the convolutions, which are nearly all of it.

    Attributes:
        flops: two for each multiply-add.
        weight_values, activation_values: numbers read, and read or written, once by each convolution.
    """

    flops: int
    weight_values: int
    activation_values: int

    def bytes(self, value_bytes: int) -> int:
        """Traffic with values of so many bytes, where nothing stays in a cache."""
        return (self.weight_values + self.activation_values) * value_bytes


@dataclass(frozen=True, slots=True)
class Peak:
    """What a device was measured to do: a large matrix product, and a large copy.

    Attributes:
        flops: a second.
        bytes: read and written a second.
    """

    device: str
    precision: str
    flops: float
    bytes: float


def cost(bundle: ModelBundle) -> Cost:
    """Count what a bundle's network does to one frame."""
    total = [0, 0, 0]

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        total[0] += 2 * output.numel() * module.weight[0].numel()
        total[1] += sum(parameter.numel() for parameter in module.parameters())
        total[2] += inputs[0].numel() + output.numel()

    network = in_precision(
        bundle.build(), torch.bfloat16
    ).float()  # batch norms folded, as every backend has them
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    network.network.dtype = torch.float32  # type: ignore[union-attr,assignment]
    with torch.no_grad():
        network(torch.rand(1, 1, bundle.input_size, bundle.input_size))
    for hook in hooks:
        hook.remove()
    return Cost(*total)


def measured_peak(device: str, dtype: torch.dtype, threads: int = 0) -> Peak:
    """Measure a device; takes about a second. On one thread CPU time counts, which other processes do not lengthen."""
    if threads:
        torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 and device == "cpu" else time.perf_counter
    side = 8192 if device.startswith("cuda") else 1024
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    seconds = _fastest(lambda: torch.mm(a, b), device, clock)
    source = torch.empty(
        (1 << 28 if device.startswith("cuda") else 1 << 25), dtype=torch.float32, device=device
    )
    target = torch.empty_like(source)
    copying = _fastest(lambda: target.copy_(source), device, clock)
    precision = str(dtype).removeprefix("torch.")
    return Peak(device, precision, 2 * side**3 / seconds, 2 * source.numel() * 4 / copying)


def bounds(work: Cost, peak: Peak, value_bytes: int) -> dict[str, Any]:
    """The shortest possible time in ms by arithmetic and by traffic, and which of them counts."""
    arithmetic, traffic = work.flops / peak.flops * 1e3, work.bytes(value_bytes) / peak.bytes * 1e3
    return asdict(peak) | {
        "arithmetic_ms": round(arithmetic, 3),
        "traffic_ms": round(traffic, 3),
        "bound": "arithmetic" if arithmetic >= traffic else "traffic",
    }


def _fastest(work: Callable[[], Any], device: str, clock: Callable[[], float], times: int = 7) -> float:
    """The shortest of several runs in s."""
    best = float("inf")
    for _ in range(times):
        began = clock()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        best = min(best, clock() - began)
    return best
