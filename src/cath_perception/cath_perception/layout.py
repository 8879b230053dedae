"""Which electrodes of a type's template a track's slots are, and where the missing ones should be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cath_perception.alignment import Floats
from cath_perception.templates import Template
from cath_perception.track import Track


@dataclass(frozen=True)
class Layout:
    """Which electrodes of its type's template a track's slots are.

    Attributes:
        keys: of the slots, from the tip.
        indices: their indices on the catheter; -1 for one that is no electrode.
        count: how many electrodes the template has.
        template: its index.
    """

    keys: tuple[int, ...]
    indices: tuple[int, ...]
    count: int
    template: int

    @cached_property
    def own(self) -> tuple[int, ...]:
        """The keys of the slots that are electrodes."""
        return tuple(key for key, index in zip(self.keys, self.indices, strict=True) if index >= 0)

    @cached_property
    def index(self) -> dict[int, int]:
        """The index of each slot by its key."""
        return dict(zip(self.keys, self.indices, strict=True))


@dataclass(frozen=True, slots=True)
class Filler:
    """An electrode that is missing: its index, and its offset in px from the slot (by key) that it moves with."""

    index: int
    key: int
    offset: tuple[float, float]


def fillers_of(track: Track, layout: Layout, template: Template, line: Floats | None) -> tuple[Filler, ...]:
    """Where the electrodes that are missing should be, beside their neighbours."""
    known = [
        (index, slot)
        for index, slot in zip(layout.indices, _slots(track, layout.keys), strict=True)
        if index >= 0
    ]
    fillers = []
    if len(known) < 2:
        return ()
    for index in sorted(set(range(layout.count)) - {i for i, _ in known}):
        place = _interpolated(track, known, template.centres, index, line)
        nearest = min(known, key=lambda pair: abs(template.centres[pair[0]] - template.centres[index]))[1]
        if place is not None:
            x, y = (place - track.places[nearest]).tolist()
            fillers.append(Filler(index, int(track.keys[nearest]), (x, y)))
    return tuple(fillers)


def _slots(track: Track, keys: tuple[int, ...]) -> list[int]:
    place = {key: slot for slot, key in enumerate(track.keys.tolist())}
    return [place[key] for key in keys]


def _interpolated(
    track: Track, known: list[tuple[int, int]], centres: Floats, index: int, line: Floats | None
) -> Floats | None:
    """The place of one electrode by its distance in mm from its two nearest neighbours on either side."""
    after = next((n for n, (i, _) in enumerate(known) if i > index), len(known))
    after = min(max(after, 1), len(known) - 1)
    (i, a), (j, b) = known[after - 1], known[after]
    part = float((centres[index] - centres[i]) / (centres[j] - centres[i]))
    first, second = track.places[a], track.places[b]
    place = first + part * (second - first)
    if line is None:
        return place if 0.0 < part < 1.0 else None
    off = line - place
    nearest = line[int((off * off).sum(axis=1).argmin())]
    return nearest if np.hypot(*(nearest - place)) <= 2.0 * track.width else place
