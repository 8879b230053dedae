"""NVIDIA GPUs through Torch-TensorRT: an engine from the cache, run by CUDA graph. Building is ``build-engine``'s."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cath_perception.backends.base import Answer, Backend, Options
from cath_perception.backends.faults import device_errors
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError


class TensorRTBackend(Backend):
    """Intensity rule, network and decoding as a TensorRT engine; EngineMissingError where none was built."""

    name = "tensorrt"
    resizes = True

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        super().__init__(bundle, options)
        options.cuda_device  # noqa: B018 - the commonest refusal before the slow imports
        try:
            from cath_perception.backends.cuda_runner import CudaRunner
            from cath_perception.backends.engine import EnginePlace
        except ImportError as error:
            raise BackendError(f"needs PyTorch: {error}") from error
        place = EnginePlace.of(bundle, options)
        with device_errors("starting the engine"):
            self._runner = CudaRunner(place.load(), self.size, place.device, options.batch)
            self._runner.warm_up()
        product, gpu = place.product, place.identity["gpu"]
        libraries = f"{product.name} {product.version}, TensorRT {product.tensorrt}"
        self.description = f"{libraries}, {gpu}, {place.identity['precision']}, {self._runner.how}"

    def infer(self, image: NDArray[Any]) -> Answer:
        """See Backend; with ``batch`` 2 the image is ``(2, H, W)``, and so are the answers."""
        return self._runner(image)

    def close(self) -> None:
        """See Backend."""
        self._runner.close()
