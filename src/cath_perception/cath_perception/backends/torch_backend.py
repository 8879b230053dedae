"""PyTorch: eager in float32 on the CPU, the reference the other backends are tested against; float16 on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.base import Answer, Backend, Options, check_input
from cath_perception.backends.faults import device_errors
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

if TYPE_CHECKING:
    from cath_perception.backends.cuda_runner import CudaRunner
    from cath_perception.network.deployed import DeployedNetwork


class TorchBackend(Backend):
    """The deployed network as it is on the CPU; on CUDA in float16 with channels last, run as one CUDA graph."""

    name = "torch"

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        super().__init__(bundle, options)
        if options.device.startswith("cuda"):
            options.cuda_device  # noqa: B018 - the commonest refusal before the slow import
        try:
            import torch
        except ImportError as error:
            raise BackendError(f"needs PyTorch: {error}") from error
        self._torch = torch
        self._network: DeployedNetwork | None = None
        self._runner: CudaRunner | None = None
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda"):
            self._open_cuda(options.cuda_device)
        elif device == "cpu":
            self._open_cpu()
        else:
            raise BackendError(f"device: expected auto, cpu or cuda, got {device!r}")

    def infer(self, image: NDArray[Any]) -> Answer:
        """See Backend."""
        if self._runner is not None:
            return self._runner(image)
        if self._network is None:
            raise BackendError("inference failed: the backend is closed")
        check_input(image, self.size)
        with self._torch.inference_mode():
            try:
                candidates, mask = self._network(
                    self._torch.from_numpy(np.ascontiguousarray(image))[None, None]
                )
            except RuntimeError as error:
                raise BackendError(f"inference failed: {error}") from error
        return candidates[0].numpy(), mask[0].numpy()

    def close(self) -> None:
        """See Backend."""
        if self._runner is not None:
            self._runner.close()
        self._network = None

    def _open_cpu(self) -> None:
        if self.options.batch > 1:
            raise BackendError("batch: more than one image at a time needs a GPU")
        if self.options.threads:
            self._torch.set_num_threads(self.options.threads)
        self._network = self.bundle.build()
        self.description = f"PyTorch {self._torch.__version__}, CPU, f32"

    def _open_cuda(self, device: str) -> None:
        import torch

        from cath_perception.backends.cuda_runner import CudaRunner, check_cuda
        from cath_perception.network.precision import in_precision

        check_cuda(device)
        with device_errors(f"PyTorch on {device}"):
            network: torch.nn.Module = in_precision(self.bundle.build()).to(device)
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._runner = CudaRunner(network, self.size, device, self.options.batch)
            self._runner.warm_up()
            name = torch.cuda.get_device_name(device)
        self.resizes = True
        self.description = f"PyTorch {torch.__version__}, {name}, f16, {self._runner.how}"
