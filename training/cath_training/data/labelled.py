"""Labelled images that a user holds: what every loader yields, and splits that keep a subject on one side."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cath_perception.errors import CathError


class DataError(CathError):
    """A data set that is missing, damaged, or not what its format says."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with the labels that it has.

    Attributes:
        image: ``(H, W)`` float32 0..1.
        boxes: ``(N, 4)`` float32 electrodes: x, y of the centre, width, height in px; None where nobody labelled them.
        mask: ``(H, W)`` bool, catheter or fluid; None where nobody drew it.
        identity: position in the whole data set, the same in every split of it.
        name: for messages and pictures; never a patient's.
        kinds: the catheter type of each electrode, where known.
    """

    image: NDArray[np.float32]
    boxes: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None
    identity: int
    name: str
    kinds: tuple[str, ...] = ()


class LabelledSource(ABC):
    """Labelled images by index, read when they are asked for; errors are ``DataError``.

    Attributes:
        groups: for each image the subject, or the file, that it is of; a split never parts a group.
    """

    groups: Sequence[str]

    def __len__(self) -> int:
        return len(self.groups)

    @abstractmethod
    def __getitem__(self, index: int) -> LabelledImage: ...


class Part(LabelledSource):
    """Some images of a source; they keep their identities."""

    def __init__(self, source: LabelledSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, list(indices)
        self.groups = [source.groups[i] for i in indices]

    def __getitem__(self, index: int) -> LabelledImage:
        return self._source[self._indices[index]]


class Joined(LabelledSource):
    """Several sources as one; identities go on from one to the next."""

    def __init__(self, sources: Sequence[LabelledSource]) -> None:
        self._sources = list(sources)
        self._first = np.cumsum([0, *(len(source) for source in sources)])
        self.groups = [f"{k}/{group}" for k, source in enumerate(sources) for group in source.groups]

    def __getitem__(self, index: int) -> LabelledImage:
        which = int(np.searchsorted(self._first, index, side="right")) - 1
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        sample = self._sources[which][index - int(self._first[which])]
        return replace(sample, identity=sample.identity + int(self._first[which]))


def split(source: LabelledSource, share: float, seed: int) -> tuple[LabelledSource, LabelledSource]:
    """Training and validation images: whole groups, drawn by ``seed``, about ``share`` (0..1) of them for validation.

    Raises DataError where there is one group only, since its images are too much alike to judge by.
    """
    if not 0.0 < share < 1.0:
        raise DataError(f"share for validation: expected more than 0 and less than 1, got {share}")
    names = sorted(set(source.groups))
    if len(names) < 2:
        raise DataError(
            f"a split keeps every subject on one side, and there is only {', '.join(names) or 'nothing'}: give "
            "a second subject or file"
        )
    count = min(max(1, round(share * len(names))), len(names) - 1)
    held = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count]}
    sides = [
        [i for i, group in enumerate(source.groups) if (group in held) is side] for side in (False, True)
    ]
    return Part(source, sides[0]), Part(source, sides[1])
