"""OpenVINO on the CPU: the converted network is kept in a cache, so that a warm start needs no PyTorch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.agreement import Agreement, compare, made_frames
from cath_perception.backends.base import Answer, Backend, Options, check_input
from cath_perception.backends.openvino_cache import converted_model
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

PROPERTIES = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "ENABLE_CPU_PINNING": False}
# Threads are not pinned to cores: with a pinned one waiting behind another process the whole frame waits.


class OpenVINOBackend(Backend):
    """The deployed network compiled for this CPU, in the precision of ``Options.openvino_precision``."""

    name = "openvino"

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        super().__init__(bundle, options)
        if options.device.startswith("cuda"):
            raise BackendError(f"runs on the CPU, and the device asked for is {options.device}")
        try:
            openvino: Any = import_module("openvino")
        except ImportError as error:
            raise BackendError(f"needs openvino, which cannot be imported: {error}") from error
        core = openvino.Core()
        properties = PROPERTIES | ({"INFERENCE_NUM_THREADS": options.threads} if options.threads else {})
        try:
            self._request, precision = _opened(openvino, core, bundle, options, properties)
        except RuntimeError as error:
            raise BackendError(f"compilation failed: {error}") from error
        self._input = self._request.get_input_tensor().data
        self._outputs = tuple(self._request.get_output_tensor(port).data for port in (0, 1))
        self.description = f"OpenVINO {openvino.__version__.split('-')[0]}, CPU, {precision}"

    def infer(self, image: NDArray[Any]) -> Answer:
        """See Backend."""
        if self._request is None:
            raise BackendError("inference failed: the backend is closed")
        check_input(image, self.size)
        np.copyto(self._input[0, 0], image)
        try:
            self._request.start_async()  # infer() would copy the outputs
            self._request.wait()
        except RuntimeError as error:
            raise BackendError(f"inference failed: {error}") from error
        return self._outputs[0][0], self._outputs[1][0]

    def close(self) -> None:
        """See Backend."""
        self._request = None


def multiplies_bf16(core: Any) -> bool:
    """Whether this CPU has BF16 arithmetic of its own (AMX or AVX-512 BF16), by OpenVINO's word and the kernel's."""
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _opened(
    openvino: Any, core: Any, bundle: ModelBundle, options: Options, properties: dict[str, Any]
) -> tuple[Any, str]:
    """An inference request and the name of its precision."""
    wanted, has_bf16 = options.openvino_precision, multiplies_bf16(core)
    if wanted == "int8" or (wanted == "auto" and bundle.int8):
        return _request(core, core.read_model(*bundle.int8_model()), properties, "f32"), "int8"
    if wanted == "bf16" and not has_bf16:
        raise BackendError(
            "openvino_precision: bf16: this CPU does not multiply in BF16; expected auto, f32 or int8"
        )
    model = converted_model(openvino, core, bundle, options.cache / "openvino")
    f32 = _request(core, model, properties, "f32")
    if wanted == "f32" or not has_bf16:
        return f32, "f32"
    bf16 = _request(core, model, properties, "bf16")
    refusal = agreement(f32, bf16, bundle.input_size).refusal()
    return (bf16, "bf16") if refusal is None or wanted == "bf16" else (f32, f"f32 (bf16 {refusal})")


def _request(core: Any, model: Any, properties: dict[str, Any], precision: str) -> Any:
    compiled = core.compile_model(model, "CPU", properties | {"INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()
    request.infer()
    return request


def agreement(reference: Any, other: Any, size: int) -> Agreement:
    """How two requests' answers differ on a made frame."""

    def answer(request: Any, frame: NDArray[np.float32]) -> Answer:
        request.get_input_tensor().data[:] = frame
        request.infer()
        return request.get_output_tensor(0).data[0], request.get_output_tensor(1).data[0]

    return compare(lambda f: answer(reference, f), lambda f: answer(other, f), made_frames(size))
