"""The electrodes of a catheter that is followed, as lasting slots in their order from the tip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, squared_distances
from cath_perception.compiled import compiled
from cath_perception.sightings import Sightings
from cath_perception.types import Centerline

_APART = 0.6
"""Electrodes are farther apart than this part of the reach."""
_LONGER, _WITHIN = 1.2, 0.5
"""Around an electrode so many times as long as the usual one, a tip's, there is no other within this part of its length."""
_WIDTH_PX = 8.0

_UNKNOWN = np.array((np.nan, np.nan))
_COLUMNS = (
    "keys",
    "places",
    "boxes",
    "scores",
    "sigmas",
    "frames",
    "share",
    "confirmed",
    "seen",
    "elsewhere",
    "host",
    "aside",
    "shadow",
    "shape",
)


class Slots:
    """Electrodes in order from the tip; positions are image px.

    Attributes:
        keys: ``(N,)`` names of the slots, which last as long as the track.
        places: ``(N, 2)`` where the electrodes are thought to be.
        boxes: ``(N, 2)`` their boxes' sides, smoothed.
        frames, share: ``(N,)`` how long each is known, and in which part of the last frames it was seen.
        confirmed, seen: ``(N,)`` whether it is believed in, and was seen in the newest frame.
        elsewhere, host: ``(N,)`` part of the last frames in which it lay on another track's shaft, and the id of that one.
        aside: ``(N,)`` part of the last frames in which it lay on a shaft of the track's own that is not its main one.
        shadow: ``(N,)`` part of the last frames in which it was not seen, but another right beside it was.
        shape: ``(N, 2)`` where the electrodes were in the past, turned and shifted anyhow; NaN where that is not known.
        earlier: ``(N, N)`` evidence that the slot of the row comes before that of the column.
        line: the newest centreline, from the tip.
        born_with: how many slots there were from the beginning, with the lowest keys.
    """

    def __init__(self, rows: NDArray[np.intp], seen: Sightings, line: Centerline | None) -> None:
        """Of sightings, ``rows`` in order from the tip, and the centreline that they lie on."""
        count, self.line = len(rows), line
        self.keys = np.arange(count)
        self.next_key = self.born_with = count
        self.places, self.boxes = seen.positions[rows], seen.boxes[rows]
        self.scores, self.sigmas = seen.scores[rows], seen.sigmas[rows]
        self.frames, self.share = np.ones(count), np.ones(count)
        self.confirmed, self.seen = np.zeros(count, bool), np.ones(count, bool)
        self.elsewhere, self.shadow = np.zeros(count), np.zeros(count)
        self.host, self.aside = np.full(count, -1), np.zeros(count)
        self.shape = np.full((count, 2), np.nan)
        self.earlier = np.triu(np.ones((count, count)), 1) - np.tril(np.ones((count, count)), -1)

    @property
    def width(self) -> float:
        """The shaft's width in px."""
        return max(self.line.width, 1.0) if self.line is not None else _WIDTH_PX

    @property
    def thickness(self) -> float:
        """The shaft's width near its electrodes, px."""
        return max(self.line.thickness, 1.0) if self.line is not None else _WIDTH_PX

    @property
    def reach(self) -> float:
        """How far from its expected place an electrode may be found, px."""
        return max(0.6 * self.width, 4.0)

    def select(self, kept: NDArray[np.intp]) -> None:
        """Keep these slots, in this order."""
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[kept])
        self.earlier = self.earlier[np.ix_(kept, kept)]

    def add(self, seen: Sightings, row: int) -> int:
        """A new slot for a sighting, where it lengthens the way through the slots least. Returns its key.

        There is none (-1) for one that lies where another slot is.
        """
        if self._holds(seen.positions[row : row + 1]):
            return -1
        measured = seen.positions[row], seen.boxes[row], seen.scores[row], seen.sigmas[row]
        return self._insert((*measured, 1.0, 1.0, False, True, 0.0, -1, 0.0, 0.0, _UNKNOWN))

    def take(self, other: Slots, slot: int) -> int:
        """A slot of another catheter with all that is known of it. Returns its key here; -1 where another slot is."""
        if self._holds(other.places[slot : slot + 1]):
            return -1
        values = {name: getattr(other, name)[slot] for name in _COLUMNS[1:]}
        return self._insert(
            (*(values | {"elsewhere": 0.0, "host": -1, "aside": 0.0, "shape": _UNKNOWN}).values(),)
        )

    def note_order(self, slots: NDArray[np.intp], ranks: Floats, weight: float) -> None:
        """Count evidence (``weight`` 0..1) that ``slots`` lie along the shaft as their ``ranks`` say, and go by all."""
        order = _ordered(self.earlier, slots, ranks, weight)
        if len(order):
            self.select(order)

    def _holds(self, place: Floats) -> bool:
        """Whether a slot is so near to a ``(1, 2)`` place that both are one electrode."""
        return bool((squared_distances(place, self.places) < np.square(self.extents(_APART))).any())

    def extents(self, part: float) -> Floats:
        """``(N,)`` how near to a slot all is the same electrode, px: this part of the reach, or half of a long tip."""
        return _extents(self.boxes, part * self.reach)

    def _insert(self, values: tuple[Any, ...]) -> int:
        """A slot with the values of all columns but its key, which is returned."""
        at = self._gap_for(np.asarray(values[0]))
        key, self.next_key = self.next_key, self.next_key + 1
        for name, value in zip(_COLUMNS, (key, *values), strict=True):
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column[:at], (value,), column[at:])))
        earlier = np.zeros((len(self.keys), len(self.keys)))
        others = np.flatnonzero(self.keys != key)
        earlier[np.ix_(others, others)] = self.earlier
        earlier[:at, at], earlier[at, :at] = 1.0, -1.0
        earlier[at + 1 :, at], earlier[at, at + 1 :] = -1.0, 1.0
        self.earlier = earlier
        return key

    def _gap_for(self, place: Floats) -> int:
        if len(self.places) < 2:
            return self._end_for(place)
        away = np.hypot(*(self.places - place).T)
        gaps = np.hypot(*(self.places[1:] - self.places[:-1]).T)
        longer = np.concatenate((away[:1], (away[:-1] + away[1:] - gaps), away[-1:]))
        return int(longer.argmin())

    def _end_for(self, place: Floats) -> int:
        if self.line is None or not len(self.places):
            return len(self.places)
        ends = (
            np.square(self.line.points[:, None, :] - np.stack((self.places[0], place)))
            .sum(axis=2)
            .argmin(axis=0)
        )
        return int(ends[1] > ends[0])


@compiled("(f8[:, ::1], f8)")
def _extents(boxes: Floats, least: float) -> Floats:
    """See ``Slots.extents``; ``least``: the part of the reach, px."""
    extents, sides = np.full(len(boxes), least), np.empty(len(boxes))
    for n in range(len(boxes)):
        sides[n] = max(boxes[n, 0], boxes[n, 1])
    usual = np.sort(sides)[len(sides) // 2] if len(sides) else 0.0
    for n in range(len(boxes)):
        if sides[n] > _LONGER * usual:
            extents[n] = max(least, _WITHIN * sides[n])
    return extents


@compiled("(f8[:, ::1], i8[::1], f8[::1], f8)")
def _ordered(earlier: Floats, slots: NDArray[np.intp], ranks: Floats, weight: float) -> NDArray[np.int64]:
    """Count evidence in ``earlier``, in place, as ``Slots.note_order`` does; the order of all slots by it, if that is
    another, else nothing."""
    mutual = np.zeros(len(slots), np.int64)
    for i in range(len(slots)):
        for j in range(len(slots)):
            before = np.sign(ranks[j] - ranks[i])
            earlier[slots[i], slots[j]] += weight * (before - earlier[slots[i], slots[j]])
            mutual[i] += earlier[slots[i], slots[j]] < 0.0
    later, one_of = np.zeros(len(earlier), np.int64), np.zeros(len(earlier), np.bool_)
    one_of[slots] = True
    for i in range(len(earlier)):
        later[i] = (earlier[i] < 0.0).sum()
    order, inner = np.argsort(later, kind="mergesort"), np.argsort(mutual, kind="mergesort")
    taken, risen = 0, True
    for n in range(len(order)):
        if one_of[order[n]]:  # whatever is between them
            order[n] = slots[inner[taken]]
            taken += 1
        risen &= n == 0 or order[n] > order[n - 1]
    return order[:0] if risen else order
