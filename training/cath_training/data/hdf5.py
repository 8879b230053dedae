"""HDF5 files as the loaders read them: plain numeric data sets of bounded size, nothing else."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.image import MAX_SIDE
from cath_training.data.labelled import DataError

MOST_IMAGES = 1_000_000
_MOST_CHANNELS = 4


def open_file(path: Path) -> Any:
    """``path`` opened for reading with h5py. Raises DataError where that cannot be."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise DataError(f"{path}: HDF5 needs h5py: pip install -r requirements/core.txt") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5: {error}") from error


def dataset(file: Any, key: str, ndim: tuple[int, ...]) -> Any:
    """The numeric data set ``key``, checked for its number of dimensions and its size before anything is read."""
    import h5py

    held = ", ".join(sorted(file)) or "nothing"
    found = file.get(key)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{file.filename}: expected a data set '{key}', it holds {held}: name its key")
    if found.dtype.kind not in "buif" or found.external:
        raise DataError(f"{file.filename}: '{key}' must hold plain numbers in this file, got {found.dtype}")
    if found.ndim not in ndim or found.shape[0] > MOST_IMAGES or not _bounded(found.shape[1:]):
        raise DataError(
            f"{file.filename}: '{key}' must have {' or '.join(map(str, ndim))} dimensions, up to {MOST_IMAGES} images "
            f"of {MAX_SIDE} px; got {found.shape}"
        )
    return found


def _bounded(shape: tuple[int, ...]) -> bool:
    """Whether a picture ``(H, W[, C])``, or a volume's ``(H, W)``, is of a size that there is."""
    return max(shape[:2]) <= MAX_SIDE and math.prod(shape[2:]) <= _MOST_CHANNELS


def highest(data: Any, channel: int | None = None) -> float:
    """1 or 255, the range of ``(N, H, W[, C])`` images, from 16 of them; of all if those hold zeros only.

    Raises DataError for values that are neither.
    """
    count = len(data)
    spread = np.unique(np.linspace(0, count - 1, min(count, 16)).astype(int))
    top = max((_top(data[int(i)], channel) for i in spread), default=0.0)
    if top == 0.0:
        top = max((_top(data[i], channel) for i in range(count)), default=0.0)
    if not 0.0 <= top <= 255.0:
        raise DataError(
            f"{data.file.filename}: '{data.name}' holds {top:g}; expected values 0 to 1 or 0 to 255"
        )
    return 1.0 if top <= 1.0 else 255.0


def _top(image: NDArray[Any], channel: int | None) -> float:
    values = np.asarray(image if channel is None or image.ndim == 2 else image[..., channel], float)
    if not np.isfinite(values).all() or values.min() < 0:
        return float("nan")
    return float(values.max())
