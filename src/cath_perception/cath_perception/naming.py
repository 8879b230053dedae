"""What a track is thought to be: its type, and which electrode of its template each slot is, from all frames so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.ordering import Arrangement, arrangements
from cath_perception.pattern import Pattern, pattern
from cath_perception.recognition import SURE, Reading, Recognizer
from cath_perception.templates import Template
from cath_perception.track import Track

_MEMORY, _REMEMBERED = 20.0, 3.0
"""The looks that count, and those of them that still do after the track's electrodes have changed."""
_WORST, _BEST = -4.0, 8.0
"""Bounds on what one look at a track counts, in natural logarithms of odds."""
_STAYS = 1.5
"""A type is changed only for one that is so much likelier."""
_KNOWN = 1.0
"""What speaks for some template before looking: most catheters are catalogued ones, natural logarithm of odds."""
_RETRY, _FIRST = 4, 3
_FITS, _FADING, _ORDER = -0.5, 0.8, 0.2


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Filler:
    """An electrode that is missing: its index, and its offset in px from the slot (by key) that it moves with."""

    index: int
    key: int
    offset: tuple[float, float]


class Naming:
    """Evidence of a track's type, in natural logarithms of odds against some other pattern.

    Attributes:
        weight: how many looks at the electrodes that it has now the evidence is worth.
        type: the type and its confidence 0..1; None and 0 where it is not known.
        looks, looked_at: how often the track was looked at, and the newest frame in which it was.
        examined: the slots that were believed in then, by key.
        layout, fillers: None and empty as long as the slots are numbered one by one.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._scores = np.zeros(len(recognizer.types))
        self._kind: int | None = None
        self.type: tuple[str | None, float] = (None, 0.0)
        self._votes: dict[Layout, float] = {}
        self.looks = self.looked_at = 0
        self.weight = 0.0
        self.examined: tuple[int, ...] = ()
        self.layout: Layout | None = None
        self.fillers: tuple[Filler, ...] = ()

    def numbering(self, keys: tuple[int, ...]) -> tuple[Sequence[int], tuple[Filler, ...]]:
        """The index of each of these slots, and the electrodes that are missing between them."""
        if self.layout is None or self.layout.keys != keys:
            return range(len(keys)), ()
        return self.layout.indices, self.fillers

    def examine(self, track: Track, frame: int) -> None:
        """Look at the track as it is now: its order, its type, and which electrodes are missing."""
        self.looked_at, self.looks = frame, self.looks + 1
        shown = np.flatnonzero(track.believed)
        line = None if track.line is None else track.line.points.astype(np.float64)
        choices = arrangements(track.places[shown], line, 1.5 * track.width)
        patterns = [self._pattern(track, shown, arranged) for arranged in choices]
        readings = [self._recognizer.read(pattern) for pattern in patterns]
        best = max(range(len(choices)), key=lambda n: float(readings[n].scores.max(initial=_WORST)))
        ranks = np.empty(len(shown))
        ranks[choices[best].order] = np.arange(len(shown))
        seen = track.seen[shown]
        keys = track.keys[shown[choices[best].order]]
        track.note_order(shown[seen], ranks[seen], max(_ORDER, 1.0 / self.looks))
        if self.examined != track.believed_keys:
            self.examined = track.believed_keys
            self.weight = min(self.weight, _REMEMBERED)
        if tuple(keys.tolist()) != self.examined and self.looks > _FIRST:
            return  # this frame's order is not the track's
        reading = readings[best]
        if reading.scores.max(initial=_WORST) < SURE:
            reading = self._recognizer.read(patterns[best], allow_false=True)
        self._note(reading.scores)
        if self.looks % _RETRY == 1:
            self._note_facing(track, patterns[best], reading)
        elif self._kind is not None and reading.scores[self._kind] > _FITS:
            self._note_layout(track, reading, line)

    @staticmethod
    def _pattern(track: Track, shown: NDArray[np.intp], arranged: Arrangement) -> Pattern:
        slots = shown[arranged.order]
        return pattern(track.places[slots], track.boxes[slots].sum(axis=1), arranged, track.width)

    def _note_facing(self, track: Track, seen: Pattern, reading: Reading) -> None:
        """Compare with the pattern from the other end."""
        best = reading.scores.max(initial=_WORST)
        other = self._recognizer.read(seen.reversed()).scores.max(initial=_WORST)
        track.note_facing(float(np.clip(best - other, -3.0, 3.0)))

    def _note(self, scores: Floats) -> None:
        self.weight = min(self.weight + 1.0, _MEMORY)
        weight = 1.0 / self.weight
        self._scores += weight * (np.clip(scores + _KNOWN, _WORST, _BEST) - self._scores)
        best = int(self._scores.argmax())
        if self._kind is None or max(float(self._scores[best]), 0.0) > self._scores[self._kind] + _STAYS:
            self._kind = best if self._scores[best] > 0.0 else None
        self.type = (None, 0.0)
        if self._kind is not None:
            odds = np.exp(np.append(self._scores, 0.0) - max(float(self._scores.max()), 0.0))
            self.type = self._recognizer.types[self._kind], float(odds[self._kind] / odds.sum())

    def _note_layout(self, track: Track, reading: Reading, line: Floats | None) -> None:
        assert self._kind is not None
        number = int(reading.templates[self._kind])
        template = self._recognizer.templates[number]
        indices = tuple(reading.places[self._kind].tolist())
        layout = Layout(self.examined, indices, len(template.centres), number)
        self._votes = {old: votes * _FADING for old, votes in self._votes.items() if votes > 0.1}
        self._votes[layout] = self._votes.get(layout, 0.0) + 1.0
        best = max(self._votes, key=lambda key: self._votes[key])
        self.layout = None if best.indices == tuple(range(best.count)) else best
        if best == layout:
            self.fillers = _fillers(track, layout, template, line) if self.layout else ()


def _fillers(track: Track, layout: Layout, template: Template, line: Floats | None) -> tuple[Filler, ...]:
    """Where the electrodes that are missing should be, beside their neighbours."""
    known = [
        (index, slot)
        for index, slot in zip(layout.indices, _slots(track, layout.keys), strict=True)
        if index >= 0
    ]
    fillers = []
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
