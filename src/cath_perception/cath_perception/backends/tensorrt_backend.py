"""NVIDIA GPUs through Torch-TensorRT: not part of this version; asking for it says so."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.base import Backend
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError


class TensorRTBackend(Backend):
    """Has the interface of every backend; making one raises BackendError with what is missing."""

    name = "tensorrt"

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        threads: int = 0,
        cache_dir: str | Path | None = None,
        device: str = "auto",
    ) -> None:
        if device == "cpu":
            raise BackendError("needs an NVIDIA GPU, and the device asked for is the CPU")
        if not Path("/dev/nvidiactl").exists():
            raise BackendError("needs an NVIDIA GPU, and there is none")
        if find_spec("torch_tensorrt") is None:
            raise BackendError("needs torch_tensorrt, which is not installed")
        raise BackendError("engines cannot be built by this version; use the torch backend on the GPU")

    def infer(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Never reached: no instance exists."""
        raise BackendError("engines cannot be built by this version")

    def close(self) -> None:
        """Nothing to let go of."""
