"""One catheter through time: its electrodes as lasting slots in their order from the tip, its motion and its type."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, Pairs, carried, squared_distances
from cath_perception.compiled import compiled
from cath_perception.counting import LATE, MATURE, counted
from cath_perception.sightings import Sightings
from cath_perception.types import CatheterStatus, Centerline

_APART = 0.6
"""Electrodes are farther apart than this part of the reach."""
_BESIDE = 0.8
"""A slot within this part of the reach of another that was seen is in its shadow."""
_LONGER, _WITHIN = 1.2, 0.5
"""Around an electrode so many times as long as the usual one, a tip's, there is no other within this part of its length."""
_DAMPING_S, _LEAST_S = 0.15, 0.02
"""How long a velocity lasts that is not seen anew, and the shortest time over which one is told, as stamps may bunch."""
_SMOOTHING = 0.2
_WIDTH_PX = 8.0
_FLIP, _SETTLED = -6.0, 30.0
"""The balance of frames that showed the tip at this end at which it is changed to the other, and its greatest value."""

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


class Track:
    """A catheter that is followed. Times are in s, positions in image px; slots are in order from the tip.

    Attributes:
        id: never used again.
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
        turns: how often it was turned round.
        born_with: how many electrodes it had when it began, with the lowest keys.
        early: whether it began with its scene, and is reported before it is ``mature``.
        seen_at, hits: when it was last seen, and in how many frames.
    """

    def __init__(
        self,
        identity: int,
        rows: NDArray[np.intp],
        seen: Sightings,
        line: Centerline | None,
        score: float,
        time_s: float,
        early: bool = False,
    ) -> None:
        count = len(rows)
        self.early = early
        self.id, self.line, self.score, self.seen_at, self.hits = identity, line, score, time_s, 1
        self.status = CatheterStatus.DETECTED
        self.velocity = np.zeros(2)
        self.facing, self.turns = 1.0, 0
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

    @property
    def mature(self) -> bool:
        """Whether it was seen often enough to be predicted when it is not."""
        return self.hits >= MATURE

    @property
    def believed(self) -> NDArray[np.bool_]:
        """``(N,)`` the slots believed in; until that is decided, those of a young track that are seen most of the time.

        An electrode that was missed in the first frame of a scene is decided upon later than the others (``LATE``).
        """
        if self.hits >= (MATURE + LATE if self.early else MATURE):
            return self.confirmed
        young = (self.hits - self.frames < MATURE) & (self.frames < LATE)
        return self.confirmed | (young & (self.share >= 0.5))

    @property
    def guiding(self) -> NDArray[np.bool_]:
        """``(N,)`` the slots by which the track is found again: those believed in, or all where there are none."""
        believed = self.believed
        return believed if believed.any() else np.ones(len(self.keys), bool)

    @property
    def believed_keys(self) -> tuple[int, ...]:
        """The keys of the slots believed in, from the tip."""
        return tuple(self.keys[self.believed].tolist())

    def follow(self, before: Track) -> None:
        """Take the place of a track whose electrodes are not known again; their keys are not used again."""
        self.keys = self.keys + before.next_key
        self.next_key += before.next_key
        self.hits, self.turns, self.velocity = before.hits + 1, before.turns, before.velocity

    def drift(self, time_s: float) -> Floats:
        """``(2,)`` shift expected since it was last seen: its velocity, soon spent."""
        since = max(time_s - self.seen_at, 0.0)
        return self.velocity * (_DAMPING_S * (1.0 - math.exp(-since / _DAMPING_S)))

    def see(self, pairs: Pairs, expected: Floats, seen: Sightings, time_s: float) -> Floats:
        """Take in a frame in which the track was seen; returns its ``(2,)`` shift since it was last seen.

        Args:
            pairs: of slots and sightings.
            expected: ``(N, 2)`` where the slots should be; those not seen move from there with their neighbours.
        """
        self.seen = np.zeros(len(self.keys), bool)
        own = self.boxes, self.scores, self.sigmas, self.seen
        newest = seen.positions, seen.boxes, seen.scores, seen.sigmas
        alike = np.zeros(len(expected), np.intp)
        before, self.places = self.places, carried(expected, alike, pairs, seen.positions)
        found, every = _taken_in(pairs, *newest, before, self.places, *own)
        since = time_s - self.seen_at
        if not len(pairs):  # only its shaft is seen, which does not tell a velocity
            self.velocity = self.velocity * math.exp(-max(since, 0.0) / _DAMPING_S)
        elif since > 0:
            self.velocity = 0.4 * self.velocity + 0.6 / max(since, _LEAST_S) * found
        self.seen_at, self.status = time_s, CatheterStatus.DETECTED
        self.hits += 1
        return every

    def miss(self, time_s: float, predict_s: float) -> None:
        """The track was not seen in this frame."""
        self.seen = np.zeros(len(self.keys), bool)
        recent = time_s - self.seen_at <= predict_s
        self.status = CatheterStatus.PREDICTED if recent else CatheterStatus.LOST

    def count(self, host: NDArray[np.intp], aside: NDArray[np.bool_]) -> list[int]:
        """End a frame in which the track was seen: count what was, and forget slots without hope; the keys of these.

        ``host``: ``(N,)`` id of the other track on whose shaft a slot, if seen, lay; -1 for none. ``aside``: ``(N,)``
        whether it lay on a shaft of the track's own other than its main one.
        """
        beside = np.square(self._extents(_BESIDE))
        shares = self.share, self.elsewhere, self.host, self.aside, self.shadow
        own = self.keys, self.born_with, self.places, beside, self.frames
        kept = counted(self.seen, host, aside, *own, *shares, self.confirmed)
        if kept.all():
            return []
        forgotten: list[int] = self.keys[~kept].tolist()
        self.select(np.flatnonzero(kept))
        return forgotten

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

    def take(self, other: Track, slot: int) -> int:
        """A slot of another track with all that is known of it. Returns its key here; -1 where another slot is."""
        if self._holds(other.places[slot : slot + 1]):
            return -1
        values = {name: getattr(other, name)[slot] for name in _COLUMNS[1:]}
        return self._insert(
            (*(values | {"elsewhere": 0.0, "host": -1, "aside": 0.0, "shape": _UNKNOWN}).values(),)
        )

    def _holds(self, place: Floats) -> bool:
        """Whether a slot is so near to a ``(1, 2)`` place that both are one electrode."""
        return bool((squared_distances(place, self.places) < np.square(self._extents(_APART))).any())

    def _extents(self, part: float) -> Floats:
        """``(N,)`` how near to a slot all is the same electrode, px: this part of the reach, or half of a long tip."""
        sides = self.boxes.max(axis=1, initial=0.0)
        usual = np.sort(sides)[len(sides) // 2] if len(sides) else 0.0
        return np.maximum(part * self.reach, np.where(sides > _LONGER * usual, _WITHIN * sides, 0.0))

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

    def note_order(self, slots: NDArray[np.intp], ranks: Floats, weight: float) -> None:
        """Count evidence (``weight`` 0..1) that ``slots`` lie along the shaft as their ``ranks`` say, and go by all."""
        before = np.sign(ranks[None, :] - ranks[:, None])
        at = np.ix_(slots, slots)
        self.earlier[at] += weight * (before - self.earlier[at])
        order = (self.earlier < 0).sum(axis=1).argsort(kind="stable")
        mutual = (self.earlier[at] < 0).sum(axis=1).argsort(kind="stable")
        order[np.isin(order, slots)] = slots[mutual]  # whatever is between them
        if (np.diff(order) < 0).any():
            self.select(order)

    def note_facing(self, weight: float) -> None:
        """Count evidence for (above 0) or against (below) the tip being at this end; turn round once it is too much."""
        self.facing = min(self.facing + weight, _SETTLED)
        if self.facing < _FLIP:
            self.facing, self.turns = -self.facing, self.turns + 1
            self.select(np.arange(len(self.keys))[::-1])
            self.earlier = -self.earlier
            if self.line is not None:
                self.line = turned(self.line)


@compiled(
    "(i8[:, :], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], b1[::1])"
)
def _taken_in(
    pairs: Pairs,
    positions: Floats,
    boxes: Floats,
    scores: Floats,
    sigmas: Floats,
    before: Floats,
    places: Floats,
    own_boxes: Floats,
    own_scores: Floats,
    own_sigmas: Floats,
    own_seen: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Put what was seen into a track's columns, in place.

    Returns the mean ``(2,)`` shift from the places ``before``: of the slots seen, and of all.
    """
    found, every = np.zeros(2), np.zeros(2)
    for k in range(len(pairs)):
        slot, row = pairs[k]
        own_seen[slot] = True
        own_scores[slot], own_sigmas[slot] = scores[row], sigmas[row]
        for axis in range(2):
            own_boxes[slot, axis] += _SMOOTHING * (boxes[row, axis] - own_boxes[slot, axis])
            places[slot, axis] = positions[row, axis]
            found[axis] += (positions[row, axis] - before[slot, axis]) / len(pairs)
    for n in range(len(places)):
        for axis in range(2):
            every[axis] += (places[n, axis] - before[n, axis]) / len(places)
    return found, every


def turned(line: Centerline) -> Centerline:
    """The line from its other end."""
    return replace(line, points=np.ascontiguousarray(line.points[::-1]))
