"""Eager PyTorch on the CPU or a CUDA device: the reference the other backends are tested against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.base import Backend, check_input
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError


class TorchBackend(Backend):
    """The deployed network as it is, in float32."""

    name = "torch"

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        threads: int = 0,
        cache_dir: str | Path | None = None,
        device: str = "auto",
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise BackendError(f"needs PyTorch: {error}") from error
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendError("device cuda asked for, but PyTorch sees no CUDA device")
        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._size = bundle.input_size
        try:
            self._network = bundle.build().to(device)
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"device {device!r}: {error}") from error
        self._device = device
        where = torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"
        self.description = f"PyTorch {torch.__version__}, {where}, f32"

    def infer(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See Backend."""
        check_input(image, self._size)
        with self._torch.inference_mode():
            batch = self._torch.from_numpy(np.ascontiguousarray(image))[None, None].to(self._device)
            try:
                candidates, mask = self._network(batch)
            except RuntimeError as error:
                raise BackendError(f"inference failed: {error}") from error
            return candidates[0].cpu().numpy(), mask[0].cpu().numpy()

    def close(self) -> None:
        """See Backend."""
        self._network = self._network.cpu()
