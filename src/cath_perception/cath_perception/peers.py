"""What the backends are measured against: PyTorch as a user would run it, and ONNX Runtime. Not for use in the node."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends import BACKENDS, Backend, Options
from cath_perception.backends.base import Answer, check_input
from cath_perception.backends.faults import device_errors
from cath_perception.backends.openvino_backend import OpenVINOBackend
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError


class EagerTorch(Backend):
    """The deployed network in eager float32 on the GPU where there is one, else the CPU: the peer a user would have."""

    name = "eager"

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        super().__init__(bundle, options)
        import torch

        self._torch = torch
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(auto if options.device == "auto" else options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self._network: Any = self._prepared(bundle.build().to(self._device))
        where = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "CPU"
        self.description = f"PyTorch {torch.__version__} {self.name}, {where}, f32"

    def infer(self, image: NDArray[Any]) -> Answer:
        """See Backend."""
        check_input(image, self.size)
        with device_errors("inference failed"), self._torch.inference_mode():
            batch = self._torch.from_numpy(np.ascontiguousarray(image))[None, None].to(self._device)
            candidates, mask = self._network(batch)
            return candidates[0].cpu().numpy(), mask[0].cpu().numpy()

    def close(self) -> None:
        """See Backend."""
        self._network = None

    def _prepared(self, network: Any) -> Any:
        return network


class CompiledTorch(EagerTorch):
    """The same through ``torch.compile``; making it takes minutes on a CPU and needs a C++ compiler."""

    name = "compiled"

    def _prepared(self, network: Any) -> Any:
        return self._torch.compile(network, dynamic=False)


class OpenVINOFloat32(OpenVINOBackend):
    """OpenVINO in float32, for what 8-bit integers or BF16 gain."""

    name = "openvino_f32"

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        super().__init__(bundle, replace(options, openvino_precision="f32"))


class OnnxRuntime(Backend):
    """The deployed network in ONNX Runtime on the CPU, exported when it is made."""

    name = "onnxruntime"

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        super().__init__(bundle, options)
        try:
            onnxruntime: Any = import_module("onnxruntime")
        except ImportError as error:
            raise BackendError("onnxruntime is not installed") from error
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        providers = ["CPUExecutionProvider"]
        self._session: Any = onnxruntime.InferenceSession(_onnx(bundle), settings, providers=providers)
        self._input = self._session.get_inputs()[0].name
        self.description = f"ONNX Runtime {onnxruntime.__version__}, CPU, f32"

    def infer(self, image: NDArray[Any]) -> Answer:
        """See Backend."""
        check_input(image, self.size)
        candidates, mask = self._session.run(None, {self._input: image[None, None]})
        return candidates[0], mask[0]

    def close(self) -> None:
        """See Backend."""
        self._session = None


PEERS: dict[str, type[Backend]] = {
    kind.name: kind for kind in (EagerTorch, CompiledTorch, OpenVINOFloat32, OnnxRuntime)
}
"""By name, beside ``BACKENDS``."""


def open_contender(name: str, bundle: ModelBundle, options: Options) -> Backend:
    """A backend or peer by name; BackendError with the reason where it cannot be had."""
    try:
        return PEERS[name](bundle, options) if name in PEERS else BACKENDS[name].open(bundle, options)
    except KeyError as error:
        raise BackendError(
            f"contender: expected one of {', '.join([*BACKENDS, *PEERS])}, got {name!r}"
        ) from error


def _onnx(bundle: ModelBundle) -> bytes:
    import torch

    shape = (1, 1, bundle.input_size, bundle.input_size)
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of sizes becoming constants, as they should
            export: Any = torch.onnx.export  # takes a stream where it does without torch.export
            export(bundle.build(), (torch.rand(shape),), stream, dynamo=False)
    except (ImportError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BackendError(f"the model cannot be exported to ONNX here: {reason}") from error
    return stream.getvalue()
