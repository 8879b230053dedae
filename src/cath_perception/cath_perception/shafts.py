"""Which shaft of a frame is which track's. All positions and lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, Pairs
from cath_perception.compiled import compiled
from cath_perception.sightings import Sightings
from cath_perception.track import Track, turned
from cath_perception.types import Catheter, Centerline

Points = NDArray[np.float32]

_SAMPLES = 24
_AT_END = 3.0
"""A catheter's first electrode is so near to its end, in widths of the shaft."""
_GAP = 1.3
"""Neighbouring electrodes are no farther apart than this part of the widest gap seen."""
_SURE = 3.0
"""From such odds on that it begins at the tip a shaft tells as much as it can."""
_SHARED = 0.5
"""What a frame tells of the tip where another catheter is on the same shaft, beside others."""


class Shafts:
    """The shafts of one frame.

    Attributes:
        catheters: as grouped in the frame.
        owner: of each, the place of the track that it belongs to; -1 for none.
        main: by the place of each track that was seen, the shaft on which most of its electrodes lie.
    """

    def __init__(self, catheters: Sequence[Catheter]) -> None:
        self.catheters = catheters
        self.owner = [-1] * len(catheters)
        self.main: dict[int, int] = {}

    @property
    def lines(self) -> list[Points]:
        """The centrelines of all of them."""
        return [c.centerline.points for c in self.catheters if c.centerline is not None]

    def give(self, pairs: dict[int, Pairs], tracks: Sequence[Track], seen: Sightings) -> None:
        """Give each shaft to the track that has most electrodes on it, if it has none on another more.

        Of a track's shafts with as many that is the main one whose electrodes lay on the main one before.
        """
        most = [0] * len(self.catheters)
        for track, found in pairs.items():
            main, count = _main(found, seen.shafts, tracks[track].aside, len(most))
            if not count:
                continue
            self.main[track] = main
            if count > most[main]:
                self.owner[main], most[main] = track, count

    def alike(self, unseen: Sequence[tuple[int, Track, Floats]]) -> Iterator[tuple[int, int, Floats]]:
        """Tracks (place, track, shift) whose electrodes are not seen, but whose shaft is: their place, the shaft's and the
        shift."""
        for place, track, shift in unseen:
            free = [n for n, owner in enumerate(self.owner) if owner < 0]
            apart = [_apart(track.line, self.catheters[n].centerline, shift) for n in free]
            if apart and min(apart) <= track.width:
                yield place, free[apart.index(min(apart))], shift

    def line_for(self, place: int, track: Track, pairs: Pairs, seen: Sightings, shift: Floats) -> float:
        """Bring a track's centreline up to date: its shaft's, turned to begin at the tip, or the old one moved along.

        Returns what the shaft tells for (above 0) or against (below) the tip being at the track's first electrode.
        """
        shaft = self.owner.index(place) if place in self.owner else -1
        line = self.catheters[shaft].centerline if shaft >= 0 else None
        if line is None:
            if track.line is not None:
                track.line = replace(track.line, points=track.line.points + shift.astype(np.float32))
            return 0.0
        track.score = self.catheters[shaft].score
        trend = _trend(pairs, seen.shafts, seen.ranks, shaft)
        backwards = trend < 0 or (trend == 0 and track.line is not None and _runs_back(track.line, line))
        track.line = turned(line) if backwards else line
        side = _tip_side(seen, shaft, track.id, line, track.line.width) if trend else 0.0
        return side if trend > 0 else -side


def slipped(seen: Sightings, track: int, keys: Sequence[int], ends: tuple[bool, bool]) -> bool:
    """Whether the electrodes of a track, whose slots' ``keys`` are in their order, may have been taken for their neighbours.

    Something then lies on the shaft beyond the electrode at one end, no farther off than electrodes are from each other,
    and that at the other end is not seen. ``ends``: whether the first key is the catheter's first electrode, and the last
    one its last.
    """
    mine = np.flatnonzero(seen.track == track)
    row = dict(zip(seen.key[mine].tolist(), mine.tolist(), strict=True))
    found = [row[key] for key in keys if key in row]
    there = ends[0] and keys[0] in row, ends[1] and keys[-1] in row
    if len(found) < 2 or all(there):
        return False
    on_shaft = mine[(seen.shafts[mine] == seen.shafts[found[-1]]) & (seen.shafts[mine] >= 0)]
    others = on_shaft[~np.isin(seen.key[on_shaft], keys)]
    step = _GAP * np.hypot(*np.diff(seen.positions[found], axis=0).T).max()
    forwards = 1 if seen.ranks[found[-1]] > seen.ranks[found[0]] else -1
    for end, opposite, outwards in ((found[0], there[1], -forwards), (found[-1], there[0], forwards)):
        near = np.hypot(*(seen.positions[others] - seen.positions[end]).T) < step
        if not opposite and (near & (outwards * (seen.ranks[others] - seen.ranks[end]) > 0)).any():
            return True
    return False


@compiled("(i8[:, :], i8[::1], f8[::1], i8)")
def _main(pairs: Pairs, shafts: NDArray[np.intp], aside: Floats, count: int) -> tuple[int, int]:
    """Which of ``count`` shafts most of a track's electrodes lie on, and how many; what lay aside before counts less."""
    on, faithful = np.zeros(count, np.int64), np.zeros(count)
    for k in range(len(pairs)):
        slot, row = pairs[k]
        if shafts[row] >= 0:
            on[shafts[row]] += 1
            faithful[shafts[row]] += 1.0 - aside[slot]
    main = -1
    for n in range(count):
        if on[n] > 0 and (main < 0 or faithful[n] > faithful[main]):
            main = n
    return main, on[main] if main >= 0 else 0


@compiled("(i8[:, :], i8[::1], i8[::1], i8)")
def _trend(pairs: Pairs, shafts: NDArray[np.intp], ranks: NDArray[np.intp], shaft: int) -> int:
    """How many more of a track's electrodes follow each other along a shaft than not; ``pairs`` rise with the slots."""
    trend, before = 0, -1
    for k in range(len(pairs)):
        row = pairs[k, 1]
        if shafts[row] == shaft:
            if before >= 0:
                trend += (ranks[row] > ranks[before]) - (ranks[row] < ranks[before])
            before = row
    return trend


def _tip_side(seen: Sightings, shaft: int, track: int, line: Centerline, width: float) -> float:
    """Above 0 where a track's tip is towards its shaft's beginning, below where it is towards the end, 0 where that is not
    told.

    A shaft was turned by all of its electrodes. With another catheter's before or after a track's on it, the end of the
    shaft where the track's electrodes are is where its tip is.
    """
    (x, y), (u, v) = line.points[[0, -1]].tolist()
    ends, alone = (x, y, u, v), min(line.tip_odds / _SURE, 1.0)
    return _side(seen.positions, seen.shafts, seen.ranks, seen.track, shaft, track, ends, width, alone)


@compiled("(f8[:, ::1], i8[::1], i8[::1], i8[::1], i8, i8, UniTuple(f8, 4), f8, f8)")
def _side(
    positions: Floats,
    shafts: NDArray[np.intp],
    ranks: NDArray[np.intp],
    tracks: NDArray[np.intp],
    shaft: int,
    track: int,
    ends: tuple[float, float, float, float],
    width: float,
    alone: float,
) -> float:
    """See ``_tip_side``; ``ends``: x, y of the shaft's beginning and end; ``alone``: what it is with no other's there."""
    first, last, others = -1, -1, False
    for n in range(len(shafts)):
        if shafts[n] == shaft:
            others |= tracks[n] >= 0 and tracks[n] != track
            if tracks[n] == track:
                first = n if first < 0 or ranks[n] < ranks[first] else first
                last = n if last < 0 or ranks[n] > ranks[last] else last
    if not others or first < 0:
        return alone
    at_start = math.hypot(positions[first, 0] - ends[0], positions[first, 1] - ends[1]) <= _AT_END * width
    at_end = math.hypot(positions[last, 0] - ends[2], positions[last, 1] - ends[3]) <= _AT_END * width
    for n in range(len(shafts)):
        if shafts[n] == shaft and tracks[n] >= 0 and tracks[n] != track:
            at_start &= ranks[n] >= ranks[first]
            at_end &= ranks[n] <= ranks[last]
    return _SHARED * (at_start - at_end)


def _runs_back(before: Centerline, now: Centerline) -> bool:
    first, last, start, end = (line.points[at].tolist() for line in (before, now) for at in (0, -1))
    ahead = math.dist(start, first) ** 2 + math.dist(end, last) ** 2
    return ahead > math.dist(end, first) ** 2 + math.dist(start, last) ** 2


def _apart(first: Centerline | None, second: Centerline | None, shift: Floats) -> float:
    """Mean distance in px of the shorter of two curves from the other, the first shifted; infinite without one."""
    if first is None or second is None:
        return math.inf
    one, other = (np.ascontiguousarray(line.points, np.float32) for line in (first, second))
    return _distance(one, other, float(shift[0]), float(shift[1]))


@compiled("(f4[:, ::1], f4[:, ::1], f8, f8)")
def _distance(first: Points, second: Points, x: float, y: float) -> float:
    """See ``_apart``; at some of the points, twice as many on the second."""
    step, fine = max(1, len(first) // _SAMPLES), max(1, len(second) // (2 * _SAMPLES))
    nearest, rows, there = np.full(len(second), np.inf), 0, 0.0
    for i in range(0, len(first), step):
        least = np.inf
        for j in range(0, len(second), fine):
            square = (first[i, 0] + x - second[j, 0]) ** 2 + (first[i, 1] + y - second[j, 1]) ** 2
            least, nearest[j] = min(least, square), min(nearest[j], square)
        rows, there = rows + 1, there + math.sqrt(least)
    columns, back = 0, 0.0
    for j in range(0, len(second), fine):
        columns, back = columns + 1, back + math.sqrt(nearest[j])
    return min(there / rows, back / columns)
