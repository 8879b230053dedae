"""Imports Torch-TensorRT, either product, and says which it is."""

from __future__ import annotations

import ctypes
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cath_perception.backends.faults import fault_of
from cath_perception.errors import BackendError, DeviceError

_LIBRARIES = "tensorrt_rtx_libs"
"""The package that holds TensorRT-RTX's shared libraries, where the dynamic linker does not look by itself; the other
product's Python package loads its own."""


@dataclass(frozen=True, slots=True)
class Product:
    """Torch-TensorRT as installed.

    Attributes:
        module: ``torch_tensorrt``.
        name: of the distribution, ``torch-tensorrt`` or ``torch-tensorrt-rtx``.
        version, tensorrt: of Torch-TensorRT and of TensorRT.
    """

    module: Any
    name: str
    version: str
    tensorrt: str

    @property
    def is_rtx(self) -> bool:
        """Whether engines are TensorRT-RTX's, whose kernels are compiled when they are loaded."""
        return self.name.endswith("-rtx")


def import_torch_tensorrt(scratch: Path) -> Product:
    """Import it; BackendError with the reason where it is missing or does not fit the rest.

    Args:
        scratch: a folder of this user's own for the library's temporary files: its timing and kernel caches, which it
            reads again, would otherwise lie in the shared temporary folder under a name that anyone can take.
    """
    if find_spec("torch_tensorrt") is None:
        raise BackendError(
            "needs torch_tensorrt, which is not installed (torch-tensorrt or torch-tensorrt-rtx)"
        )
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    before, tempfile.tempdir = tempfile.tempdir, str(scratch)
    try:
        _load_libraries()
        module = import_module("torch_tensorrt")
    except Exception as error:  # plain Exception is what it raises for a TensorRT that it cannot load
        reason = f"torch_tensorrt cannot be imported: {' '.join(str(error).split())[:300]}"
        fault = fault_of(error)  # it asks for the GPU when it is imported
        raise (DeviceError(fault, reason) if fault else BackendError(reason)) from error
    finally:
        tempfile.tempdir = before
    names = packages_distributions().get("torch_tensorrt") or ["torch-tensorrt"]
    name = names[0].replace("_", "-").lower()
    tensorrt = str(getattr(sys.modules.get("tensorrt"), "__version__", "unknown"))
    return Product(module, name, version(name), tensorrt)


def _load_libraries() -> None:
    """Load TensorRT-RTX's libraries from where pip put them, so that no LD_LIBRARY_PATH is needed."""
    spec = find_spec(_LIBRARIES)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for library in sorted(Path(place).glob("lib*.so*")):
            with suppress(OSError):  # one that is not needed; what is needed and missing shows at the import
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
