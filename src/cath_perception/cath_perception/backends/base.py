"""What every backend is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cath_perception.errors import BackendError


class Backend(ABC):
    """A deployed network ready to infer; a context manager that closes itself.

    Attributes:
        name: as given to ``create_backend``.
        description: device, precision and version, for people.
        passed_over: with ``auto``, one ``name: reason`` for every backend that was tried before this one.
    """

    name: str
    description: str
    passed_over: tuple[str, ...] = ()

    @abstractmethod
    def infer(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One frame.

        Args:
            image: ``(S, S)`` float32 raw pixels of any range.

        Returns candidates ``(K, 5)`` (x, y, width, height in network-input px, score; by falling score) and the mask's
        probability ``(S/2, S/2)``. Both may be overwritten by the next call. Raises BackendError where inference fails.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the device; may be called more than once."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_input(image: NDArray[np.float32], size: int) -> None:
    """Raise BackendError unless ``image`` is ``(size, size)`` float32."""
    if image.shape != (size, size) or image.dtype != np.float32:
        raise BackendError(
            f"network input: expected ({size}, {size}) float32, got {image.shape} {image.dtype}"
        )


def cache_folder(cache_dir: str | Path | None) -> Path:
    """The folder for converted models: as given, else below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "cath_perception"
