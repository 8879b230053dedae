"""Duke OCT (Chiu 2015): retinal B-scans with fluid drawn by two graders, ``Subject_XX.mat``; for pre-training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from cath_training.data import hdf5
from cath_training.data.labelled import DataError, LabelledImage, LabelledSource

FLUID = ("manualFluid1", "manualFluid2")
MOST_VALUES = 200_000_000  # of one variable; a subject has 23 million
KEPT = 4  # subjects whose B-scans stay in memory, about 4 MB each


@dataclass(frozen=True, slots=True)
class Subject:
    """Labelled B-scans of one file: their numbers, and whether fluid is there, ``(B, H, W)`` bool."""

    path: Path
    scans: NDArray[np.intp]
    fluid: NDArray[np.bool_]


class OctSource(LabelledSource):
    """The labelled B-scans of all ``*.mat`` files in ``folder``; the mask is fluid that either grader saw.

    A B-scan is labelled where a grader's map is not NaN throughout. MATLAB files of version 5 to 7 (scipy) and 7.3
    (HDF5, h5py) are read. Labels are read at once, images when a subject is first asked for. A group is a subject.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.mat"))
        if not paths:
            raise DataError(f"{folder}: no .mat files here; expected Subject_01.mat and so on")
        self._subjects = [_labels(path) for path in paths]
        self._place = [(k, i) for k, subject in enumerate(self._subjects) for i in range(len(subject.scans))]
        self.groups = [self._subjects[k].path.stem for k, _ in self._place]
        self._images: Callable[[int], NDArray[np.float32]] = lru_cache(KEPT)(self._read)

    def _read(self, number: int) -> NDArray[np.float32]:
        """Labelled B-scans ``(B, H, W)`` of a subject, 0..1."""
        subject = self._subjects[number]
        volume = _variable(subject.path, "images")
        if volume.shape[:2] != subject.fluid.shape[1:] or volume.shape[2] <= int(subject.scans.max()):
            raise DataError(
                f"{subject.path}: images {volume.shape} do not fit fluid maps of {subject.fluid.shape[1:]}"
            )
        chosen = np.moveaxis(volume[:, :, subject.scans], 2, 0).astype(np.float32)
        if not np.isfinite(chosen).all() or chosen.min() < 0 or chosen.max() > 255:
            raise DataError(f"{subject.path}: images: expected values 0 to 1 or 0 to 255")
        return chosen / np.float32(1.0 if chosen.max() <= 1.0 else 255.0)

    def __getitem__(self, index: int) -> LabelledImage:
        number, i = self._place[index]
        subject = self._subjects[number]
        name = f"{subject.path.stem} {subject.scans[i]}"
        return LabelledImage(self._images(number)[i], None, subject.fluid[i], index, name)


def _labels(path: Path) -> Subject:
    maps = [_variable(path, name) for name in FLUID]
    if maps[0].shape != maps[1].shape:
        raise DataError(f"{path}: fluid maps of two shapes, {maps[0].shape} and {maps[1].shape}")
    drawn = np.any([~np.isnan(fluid).all(axis=(0, 1)) for fluid in maps], axis=0)
    scans = np.flatnonzero(drawn)
    if not len(scans):
        raise DataError(f"{path}: no B-scan has a fluid map ({', '.join(FLUID)} are NaN throughout)")
    union = np.any([fluid[:, :, scans] > 0 for fluid in maps], axis=0)
    return Subject(path, scans, np.ascontiguousarray(np.moveaxis(union, 2, 0)))


def _variable(path: Path, name: str) -> NDArray[Any]:
    """A variable of three dimensions as MATLAB shows it: row, column, B-scan."""
    with path.open("rb") as file:
        newer = file.read(10) == b"MATLAB 7.3"
    values = _from_hdf5(path, name) if newer else _from_version_5(path, name)
    return values if values.dtype.kind in "ui" else values.astype(np.float32)


def _from_hdf5(path: Path, name: str) -> NDArray[Any]:
    with hdf5.open_file(path) as file:
        data = hdf5.dataset(file, name, (3,))
        _check(path, name, data.shape)
        return np.asarray(data[()].T)


def _from_version_5(path: Path, name: str) -> NDArray[Any]:
    try:
        held = {found: shape for found, shape, _ in whosmat(path)}
        if name in held:
            _check(path, name, held[name])
            values = np.asarray(loadmat(path, variable_names=[name])[name])
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise DataError(f"{path}: cannot be read as a MATLAB file: {error}") from error
    if name not in held:
        raise DataError(
            f"{path}: expected a variable '{name}', it holds {', '.join(sorted(held)) or 'nothing'}"
        )
    if values.dtype.kind not in "buif":
        raise DataError(f"{path}: '{name}' must hold numbers, got {values.dtype}")
    return values


def _check(path: Path, name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or np.prod(shape, dtype=float) > MOST_VALUES:
        raise DataError(
            f"{path}: '{name}' must be rows x columns x B-scans, up to {MOST_VALUES} values; got {shape}"
        )
