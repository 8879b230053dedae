"""What a CUDA library's error means for the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cath_perception.errors import BackendError, DeviceError, DeviceFault

_TEXTS: tuple[tuple[DeviceFault, tuple[str, ...]], ...] = (
    (DeviceFault.OUT_OF_MEMORY, ("out of memory", "outofmemory", "cudaerrormemoryallocation")),
    (
        DeviceFault.NO_DEVICE,
        (
            "no cuda-capable device",
            "no cuda gpus are available",
            "invalid device ordinal",
            "no nvidia driver",
            "no nvidia gpu",
        ),
    ),
    (
        DeviceFault.DRIVER,
        (
            "driver version is insufficient",
            "driver on your system is too old",
            "driver/library version mismatch",
            "unsupported display driver",
            "driver shutting down",
            "system not yet initialized",
            "initialization error",
            "forward compatibility was attempted",
        ),
    ),
    (
        DeviceFault.LOST,
        (
            "device lost",
            "fallen off the bus",
            "busy or unavailable",
            "uncorrectable ecc",
            "illegal memory access",
            "illegal instruction",
            "misaligned address",
            "unspecified launch failure",
            "launch timed out",
            "hardware stack error",
            "device-side assert",
            "hardware error",
            "unknown error",
            "context is destroyed",
            "cudnn_status_execution_failed",
            "cublas_status_execution_failed",
        ),
    ),
)
"""Parts of the messages of CUDA's run-time errors, which PyTorch and TensorRT hand on; the first match counts.

Those under LOST leave the process' CUDA context unusable, whatever the device itself does."""


def fault_of(error: BaseException) -> DeviceFault | None:
    """What the device has by this error's word; None where the error is not the device's."""
    if isinstance(error, DeviceError):
        return error.fault
    text = f"{type(error).__name__}: {error}".lower()
    for fault, parts in _TEXTS:
        if any(part in text for part in parts):
            return fault
    return DeviceFault.LOST if "cuda error" in text or "cuda runtime error" in text else None


@contextmanager
def device_errors(doing: str) -> Iterator[None]:
    """Turn what CUDA libraries raise into DeviceError, or into BackendError where the device is not to blame."""
    try:
        yield
    except BackendError:
        raise
    except (RuntimeError, OSError, ValueError, AssertionError) as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        fault = fault_of(error)
        raise (
            DeviceError(fault, f"{doing}: {text}") if fault else BackendError(f"{doing}: {text}")
        ) from error
