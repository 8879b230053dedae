"""Inference backends: where and how the deployed network runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from cath_perception.backends.base import Backend
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

__all__ = ["BACKENDS", "Backend", "create_backend"]

BACKENDS: dict[str, tuple[str, str]] = {
    "tensorrt": ("cath_perception.backends.tensorrt_backend", "TensorRTBackend"),
    "openvino": ("cath_perception.backends.openvino_backend", "OpenVINOBackend"),
    "torch": ("cath_perception.backends.torch_backend", "TorchBackend"),
}
"""Backend name -> (module, class), in the order in which ``auto`` tries them."""


def create_backend(
    name: str,
    bundle: ModelBundle,
    *,
    threads: int = 0,
    cache_dir: str | Path | None = None,
    device: str = "auto",
) -> Backend:
    """Make a backend ready to infer with ``bundle``.

    Args:
        name: ``tensorrt``, ``openvino``, ``torch``, or ``auto`` for the first of them that works here; why the ones
            before it do not is in the backend's ``passed_over``.
        threads: CPU threads for inference, 0 for the backend's own choice.
        cache_dir: where converted models are kept; default ``$XDG_CACHE_HOME/cath_perception``.
        device: ``auto``, ``cpu`` or ``cuda`` (for ``torch``).

    Raises BackendError with the reason, BundleError if the bundle's weights do not fit.
    """
    if name == "auto":
        return _first_that_works(bundle, threads, cache_dir, device)
    if name not in BACKENDS:
        raise BackendError(f"backend: expected auto, {', '.join(BACKENDS)}, got {name!r}")
    if threads < 0:
        raise BackendError(f"threads: expected 0 or more, got {threads}")
    module, cls = BACKENDS[name]
    backend: Backend = getattr(import_module(module), cls)(
        bundle, threads=threads, cache_dir=cache_dir, device=device
    )
    return backend


def _first_that_works(
    bundle: ModelBundle, threads: int, cache_dir: str | Path | None, device: str
) -> Backend:
    reasons: list[str] = []
    for name in _order(device):
        try:
            backend = create_backend(name, bundle, threads=threads, cache_dir=cache_dir, device=device)
        except BackendError as error:
            reasons.append(f"{name}: {error}")
            continue
        backend.passed_over = tuple(reasons)
        return backend
    raise BackendError(f"no backend works here: {'; '.join(reasons)}")


def _order(device: str) -> list[str]:
    """With an NVIDIA GPU to use, torch on it comes before OpenVINO on the CPU."""
    gpu = device.startswith("cuda") or (device == "auto" and Path("/dev/nvidiactl").exists())
    return ["tensorrt", "torch", "openvino"] if gpu else list(BACKENDS)
