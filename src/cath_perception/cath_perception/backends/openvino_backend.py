"""OpenVINO on the CPU: the converted network is kept in a cache, so that a warm start needs no PyTorch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.base import Backend, cache_folder, check_input
from cath_perception.backends.openvino_cache import converted_model
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

PROPERTIES = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "ENABLE_CPU_PINNING": False}
# Threads are not pinned to cores: with a pinned one waiting behind another process the whole frame waits.


class OpenVINOBackend(Backend):
    """The deployed network compiled for this CPU: BF16 where the CPU multiplies in it and agrees with F32, else F32."""

    name = "openvino"

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        threads: int = 0,
        cache_dir: str | Path | None = None,
        device: str = "auto",
    ) -> None:
        if device.startswith("cuda"):
            raise BackendError(f"runs on the CPU, and the device asked for is {device}")
        try:
            openvino: Any = import_module("openvino")
        except ImportError as error:
            raise BackendError(f"needs openvino, which cannot be imported: {error}") from error
        self._size = bundle.input_size
        core = openvino.Core()
        options = PROPERTIES | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
        try:
            model = converted_model(openvino, core, bundle, cache_folder(cache_dir) / "openvino")
            self._request, precision = _fastest(core, model, options, bundle.input_size)
        except RuntimeError as error:
            raise BackendError(f"compilation failed: {error}") from error
        self._input = self._request.get_input_tensor().data
        self._outputs = tuple(self._request.get_output_tensor(port).data for port in (0, 1))
        self.description = f"OpenVINO {openvino.__version__.split('-')[0]}, CPU, {precision}"

    def infer(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See Backend."""
        if self._request is None:
            raise BackendError("inference failed: the backend is closed")
        check_input(image, self._size)
        np.copyto(self._input[0, 0], image)
        try:
            self._request.infer()
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


def _fastest(core: Any, model: Any, options: dict[str, Any], size: int) -> tuple[Any, str]:
    """An inference request in the lowest precision that may be trusted, and that precision's name."""
    f32 = _request(core, model, options, "f32")
    if not multiplies_bf16(core):
        return f32, "f32"
    bf16 = _request(core, model, options, "bf16")
    return (bf16, "bf16") if agree(f32, bf16, size) else (f32, "f32 (bf16 differed)")


def _request(core: Any, model: Any, options: dict[str, Any], precision: str) -> Any:
    compiled = core.compile_model(model, "CPU", options | {"INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()
    request.infer()
    return request


def agree(reference: Any, other: Any, size: int, position_px: float = 0.25, probability: float = 0.1) -> bool:
    """Whether two requests answer alike on a made 12-bit frame with dark bars: mask everywhere, and every
    reference candidate of score 0.2 or more within ``position_px`` network-input px."""
    frame = _frame(size)
    answers = []
    for request in (reference, other):
        request.get_input_tensor().data[:] = frame
        request.infer()
        answers.append(tuple(request.get_output_tensor(port).data[0].copy() for port in (0, 1)))
    (candidates, mask), (others, other_mask) = answers
    if not np.isfinite(others).all() or np.abs(mask - other_mask).max() > probability:
        return False
    strong = candidates[candidates[:, 4] >= 0.2]
    apart = np.abs(strong[:, None, :2] - others[None, :, :2]).max(axis=2)
    return bool((apart.min(axis=1) <= position_px).all()) if len(strong) else True


def _frame(size: int) -> NDArray[np.float32]:
    """A noisy 12-bit ramp crossed by a dark line with darker bars, as a shaft with electrodes looks."""
    frame = 2400.0 + np.linspace(-400.0, 400.0, size, dtype=np.float32)[None, :].repeat(size, axis=0)
    frame += np.random.default_rng(1).normal(0.0, 40.0, frame.shape).astype(np.float32)
    middle = size // 2
    frame[middle - 3 : middle + 3] *= 0.75
    for start in range(size // 4, size // 2, 10):
        frame[middle - 4 : middle + 4, start : start + 4] *= 0.5
    return frame
