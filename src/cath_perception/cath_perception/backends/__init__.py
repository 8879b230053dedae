"""Inference backends: where and how the deployed network runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from cath_perception.backends.base import Backend, Options, gpu_is_present
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

__all__ = ["BACKENDS", "FALLBACKS", "Backend", "Options", "Registered", "create_backend"]


class Registered(NamedTuple):
    """A backend's class, and whether it runs on a GPU; ``gpu`` None: where ``device`` says so."""

    module: str
    cls: str
    gpu: bool | None

    def on_gpu(self, device: str) -> bool:
        """Whether it would run on a GPU with this ``device``."""
        return _gpu_wanted(device) if self.gpu is None else self.gpu and device != "cpu"

    def open(self, bundle: ModelBundle, options: Options) -> Backend:
        """Make one in this process."""
        backend: Backend = getattr(import_module(self.module), self.cls)(bundle, options)
        return backend


BACKENDS: dict[str, Registered] = {
    "tensorrt": Registered("cath_perception.backends.tensorrt_backend", "TensorRTBackend", True),
    "openvino": Registered("cath_perception.backends.openvino_backend", "OpenVINOBackend", False),
    "torch": Registered("cath_perception.backends.torch_backend", "TorchBackend", None),
}
"""Backends by name, in the order in which ``auto`` tries them."""

FALLBACKS = ("openvino", "torch", "none")
"""What answers, on the CPU, while a GPU backend cannot."""


def create_backend(
    name: str,
    bundle: ModelBundle,
    *,
    threads: int = 0,
    cache_dir: str | Path | None = None,
    device: str = "auto",
    batch: int = 1,
    openvino_precision: str = "auto",
    fallback: str | None = None,
) -> Backend:
    """Make a backend ready to infer with ``bundle``.

    Args:
        name: ``tensorrt``, ``openvino``, ``torch``, or ``auto`` for the first of them that works here; why the ones
            before it do not is in the backend's ``passed_over``.
        threads, cache_dir, device, batch, openvino_precision: see ``Options``.
        fallback: one of ``FALLBACKS``: run what needs a GPU in a process of its own that is watched and replaced, with
            this to answer meanwhile; None: in this process, without either.

    Raises BackendError with the reason, BundleError if the bundle's weights do not fit.
    """
    if name not in ("auto", *BACKENDS):
        raise BackendError(f"backend: expected auto, {', '.join(BACKENDS)}, got {name!r}")
    options = Options(threads, cache_dir, device, batch, openvino_precision)
    wanted = BACKENDS[name].on_gpu(device) if name != "auto" else _gpu_wanted(device)
    if fallback is not None and wanted:
        return _supervised(name, bundle, options, fallback)
    if name == "auto":
        return _first_that_works(bundle, options)
    return BACKENDS[name].open(bundle, options)


def _supervised(name: str, bundle: ModelBundle, options: Options, fallback: str) -> Backend:
    from cath_perception.backends.supervised import SupervisedBackend

    if fallback not in FALLBACKS:
        raise BackendError(f"fallback: expected one of {', '.join(FALLBACKS)}, got {fallback!r}")
    names = ("tensorrt", "torch") if name in ("auto", "tensorrt") else (name,)
    return SupervisedBackend(bundle, options, names, fallback)


def _first_that_works(bundle: ModelBundle, options: Options) -> Backend:
    reasons: list[str] = []
    # With an NVIDIA GPU to use, torch on it comes before OpenVINO on the CPU.
    order = ["tensorrt", "torch", "openvino"] if _gpu_wanted(options.device) else list(BACKENDS)
    for name in order:
        try:
            backend = BACKENDS[name].open(bundle, options)
        except BackendError as error:
            reasons.append(f"{name}: {error}")
            continue
        backend.passed_over = tuple(reasons)
        return backend
    raise BackendError(f"no backend works here: {'; '.join(reasons)}")


def _gpu_wanted(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and gpu_is_present())
