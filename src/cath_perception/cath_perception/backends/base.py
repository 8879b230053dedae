"""What every backend is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError, DeviceError, DeviceFault
from cath_perception.image import Letterbox

Answer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Candidates and mask of one frame, see ``Backend.infer``."""

PRECISIONS = ("auto", "f32", "bf16", "int8")
"""Arithmetic of the network in OpenVINO."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a backend is to run.

    Attributes:
        threads: CPU threads for inference, 0 for the backend's own choice.
        cache_dir: where converted models and engines are kept; default ``$XDG_CACHE_HOME/cath_perception``.
        device: ``auto``, ``cpu`` or ``cuda`` (with an index: ``cuda:1``).
        batch: images a call, 1, or 2 for the two planes of a bi-plane system (GPU only).
        openvino_precision: one of ``PRECISIONS``; ``auto``: int8 where the bundle has an 8-bit form, else bf16
            where the CPU multiplies in it and agrees with f32, else f32.
    """

    threads: int = 0
    cache_dir: str | Path | None = None
    device: str = "auto"
    batch: int = 1
    openvino_precision: str = "auto"

    def __post_init__(self) -> None:
        if self.openvino_precision not in PRECISIONS:
            raise BackendError(
                f"openvino_precision: expected {', '.join(PRECISIONS)}, got {self.openvino_precision!r}"
            )
        if self.threads < 0:
            raise BackendError(f"threads: expected 0 or more, got {self.threads}")
        if self.batch not in (1, 2):
            raise BackendError(f"batch: expected 1 or 2 images, got {self.batch}")

    @property
    def cache(self) -> Path:
        """The folder for converted models and engines."""
        return cache_folder(self.cache_dir)

    @property
    def cuda_device(self) -> str:
        """The CUDA device asked for, with its index.

        Raises BackendError where the CPU was asked for, DeviceError where this machine shows no NVIDIA GPU.
        """
        if self.device == "cpu":
            raise BackendError("needs an NVIDIA GPU, and the device asked for is the CPU")
        if not gpu_is_present():
            raise DeviceError(DeviceFault.NO_DEVICE, "needs an NVIDIA GPU, and there is none")
        return self.device if self.device.startswith("cuda:") else "cuda:0"


class Backend(ABC):
    """A deployed network ready to infer; a context manager that closes itself.

    Attributes:
        name: as given to ``create_backend``.
        description: device, precision and version, for people.
        passed_over: with ``auto``, one ``name: reason`` for every backend that was tried before this one.
        resizes: whether ``infer`` takes raw pixels of any size and letterboxes them itself.
        notice: what people should know though frames are answered; "" if all is as configured.
        fault: what ails the device, None if nothing does.
    """

    name: str
    description: str
    passed_over: tuple[str, ...] = ()
    resizes: bool = False
    notice: str = ""
    fault: DeviceFault | None = None
    _letterbox: Letterbox | None = None

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        self.bundle, self.options, self.size = bundle, options, bundle.input_size

    @abstractmethod
    def infer(self, image: NDArray[Any]) -> Answer:
        """One frame.

        Args:
            image: ``(S, S)`` float32 raw pixels of any range; with ``resizes`` ``(H, W)`` uint8, uint16 or float32
                pixels, which are letterboxed as ``image.Letterbox`` does.

        Returns candidates ``(K, 5)`` (x, y, width, height in network-input px, score; by falling score) and the mask's
        probability ``(S/2, S/2)``. Both may be overwritten by the next call. Raises BackendError where inference
        fails, DeviceError where that is the device's fault and the next frame will not fare better.
        """

    def perceive(self, pixels: NDArray[Any]) -> Answer:
        """``infer`` of ``(H, W)`` uint8, uint16 or float32 pixels, letterboxed here unless the backend ``resizes``."""
        if self.resizes:
            return self.infer(pixels)
        box, (height, width) = self._letterbox, pixels.shape
        if box is None or (box.width, box.height) != (width, height):
            box = self._letterbox = Letterbox.fit(width, height, self.size)
        return self.infer(box.apply(pixels))

    def tend(self) -> None:  # noqa: B027 - most backends have nothing to do
        """Housekeeping that is due though no frame comes; takes no time worth mentioning."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the device; may be called more than once."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_input(image: NDArray[Any], size: int) -> None:
    """Raise BackendError unless ``image`` is ``(size, size)`` float32."""
    if image.shape != (size, size) or image.dtype != np.float32:
        raise BackendError(
            f"network input: expected ({size}, {size}) float32, got {image.shape} {image.dtype}"
        )


def cache_folder(cache_dir: str | Path | None) -> Path:
    """The folder for converted models: as given, else below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "cath_perception"


def gpu_is_present() -> bool:
    """Whether the kernel shows an NVIDIA GPU (discrete, Jetson's, or WSL's); whether it works shows on first use."""
    nodes = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/nvgpu", "/dev/nvmap", "/dev/dxg")
    return any(Path(node).exists() for node in nodes)
