"""UCL/WEISS catheter segmentation: fluoroscopy and masks in HDF5 files, no electrodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_training.data import hdf5
from cath_training.data.labelled import DataError, LabelledImage, LabelledSource

MASK_CHANNEL = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Where the images and masks of one recording lie: files relative to the folder, and their keys."""

    images: str
    image_key: str
    labels: str
    label_key: str


KNOWN = (
    Pair("T1T2.hdf5", "train_img", "T1T2_label.hdf5", "label"),
    Pair("T3-T6.hdf5", "test", "T3-T6_label.hdf5", "label"),
    Pair("Phantom.hdf5", "test", "Phantom_label.hdf5", "label"),
)
"""The published files. Only the second label file's name is certain; give ``Pair`` for others."""


class UclSource(LabelledSource):
    """Images ``N x H x W[ x C]`` (the first three channels' mean) with masks ``N x H x W[ x C]`` (channel 0).

    Values 0 to 1 and 0 to 255 are told apart, for images and masks each. A group is a file. Opened at once, read image
    by image. ``pairs``: the known files that are in ``folder`` unless given.
    """

    def __init__(self, folder: Path, pairs: Sequence[Pair] | None = None) -> None:
        chosen = list(pairs) if pairs else [p for p in KNOWN if (folder / p.images).exists()]
        if not chosen:
            names = ", ".join(p.images for p in KNOWN)
            raise DataError(
                f"{folder}: none of {names} is here: give the folder that holds them, or the files' names"
            )
        self._files: dict[Path, Any] = {}
        self._sets: list[tuple[Any, float, Any, float]] = []
        self._place: list[tuple[int, int]] = []
        self.groups: list[str] = []
        for number, pair in enumerate(chosen):
            images = hdf5.dataset(self._file(folder / pair.images), pair.image_key, (3, 4))
            labels = hdf5.dataset(self._file(folder / pair.labels), pair.label_key, (3, 4))
            if images.shape[:3] != labels.shape[:3]:
                raise DataError(
                    f"{folder / pair.labels}: masks {labels.shape} do not fit the images {images.shape} of {pair.images}"
                )
            self._sets.append((images, hdf5.highest(images), labels, hdf5.highest(labels, MASK_CHANNEL)))
            self._place += [(number, i) for i in range(len(images))]
            self.groups += [Path(pair.images).stem] * len(images)

    def _file(self, path: Path) -> Any:
        if path not in self._files:
            self._files[path] = hdf5.open_file(path)
        return self._files[path]

    def __getitem__(self, index: int) -> LabelledImage:
        number, i = self._place[index]
        images, top, labels, mask_top = self._sets[number]
        image, mask = _plane(images[i]) / np.float32(top), labels[i]
        mask = mask[..., MASK_CHANNEL] if mask.ndim == 3 else mask
        name = f"{self.groups[index]} {i}"
        return LabelledImage(image, None, np.asarray(mask, np.float32) > mask_top / 2, index, name)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def _plane(image: NDArray[Any]) -> NDArray[np.float32]:
    values = np.asarray(image, np.float32)
    return values if values.ndim == 2 else np.asarray(values[..., :3].mean(axis=-1), np.float32)
