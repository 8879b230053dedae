"""Electrodes and centrelines of one frame to catheters. Positions and lengths are image px."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import squared_distances
from cath_perception.assignment import assign
from cath_perception.centerline import Trace
from cath_perception.compiled import compiled
from cath_perception.curves import Floats, arc_lengths
from cath_perception.ends import joined, length_of, reaching_tips
from cath_perception.rings import find_ring
from cath_perception.shutters import ends_covered
from cath_perception.tips import Around, Others, longer_end, tip_odds
from cath_perception.types import Catheter, Centerline, Electrode
from cath_perception.winding import entered, from_gap, wound

# Lengths are in widths of the shaft.
_NEAR, _MEASURED = 3.0, 5
"""A shaft's width at its electrodes is that so near to them, if it was measured at so many places there: beyond them the
centreline may go on along another's shaft."""
_MISSED, _STRANGE, _BESIDE = 0.25, 3, 1.0
"""A centreline that misses so much of a loop's electrodes, or has so many so far beside it, does not follow the loop."""


def group(
    electrodes: Sequence[Electrode],
    traces: Sequence[Trace],
    width: int,
    height: int,
    pixels: NDArray[Any] | None = None,
) -> tuple[tuple[Electrode, ...], tuple[Catheter, ...]]:
    """One catheter for every centreline, with its electrodes ordered from the distal tip.

    Args:
        electrodes: as decoded, in any order.
        traces: centrelines of unknown direction.
        width, height: of the image.
        pixels: the ``(H, W)`` frame, which tells shutters; without it none are looked for.

    Returns the electrodes in the order given, with catheter and index filled in where a shaft was found, and the catheters,
    the longest and surest first, with ids 0 and upwards. Where a run of electrodes leads from one
    centreline to another, the two become one. Electrodes on a loop that no centreline follows are one more. Types are not
    told.
    """
    positions = np.array([(e.x, e.y) for e in electrodes], dtype=np.float64).reshape(-1, 2)
    shafts, owner, along = _assigned(positions, traces)
    owned = [np.flatnonzero(owner == number) for number in range(len(shafts))]
    laid = [wound(*entered(shaft, along[mine], shafts)) for shaft, mine in zip(shafts, owned, strict=True)]
    covered = iter(ends_covered(pixels, [shaft for shaft, places in laid if len(places)]))
    named, catheters, every = list(electrodes), [], _Points.of(shafts)
    for number, ((shaft, places), mine) in enumerate(zip(laid, owned, strict=True)):
        largest = longer_end([electrodes[i] for i in mine.tolist()], places)
        hidden = next(covered) if len(places) else (False, False)
        around = Around(every.others(number), (width, height), hidden)
        points, places, odds = _from_tip(shaft, places, largest, around)
        ordered = mine[places.argsort(kind="stable")].tolist()
        for index, which in enumerate(ordered):
            named[which] = _named(electrodes[which], number, index)
        near = _width_near(positions[mine], shaft.measured, shaft.width)
        line = Centerline(np.ascontiguousarray(points, dtype=np.float32), shaft.width, near, odds)
        rings = tuple(named[which] for which in ordered)
        catheters.append(Catheter(number, rings, line, _score(shaft, rings)))
    return tuple(named), tuple(catheters)


def _assigned(positions: Floats, traces: Sequence[Trace]) -> tuple[list[Trace], NDArray[np.int64], Floats]:
    """Shafts, and each electrode's shaft and place along it: those that electrodes lead from one to the other are joined."""
    shafts = _sorted(traces)
    owner, along = assign(positions, shafts)
    loose = positions[owner < 0]
    if shafts and len(loose):
        reaching, loose = joined(shafts, positions, loose)
        reaching = [reaching_tips(shaft, loose) for shaft in reaching]
        if any(new is not old for new, old in zip(reaching, shafts, strict=False)):
            shafts = _sorted(reaching)
            owner, along = assign(positions, shafts)
    return _with_ring(shafts, positions, owner, along)


def _score(shaft: Trace, rings: Sequence[Electrode]) -> float:
    """A shaft's, or the mean of that and of its electrodes'."""
    if not rings:
        return shaft.score
    return (shaft.score + sum(ring.score for ring in rings) / len(rings)) / 2.0


@compiled("(f8[:, ::1], f8[:, ::1], f8)")
def _width_near(positions: Floats, measured: Floats, width: float) -> float:
    """A shaft's width near these electrodes, the median there; 0 where it was measured at too few places."""
    near, count = np.empty(len(measured)), 0
    square = (_NEAR * width) ** 2
    for i in range(len(measured)):
        for j in range(len(positions)):
            x, y = measured[i, 0] - positions[j, 0], measured[i, 1] - positions[j, 1]
            if x * x + y * y <= square:
                near[count] = measured[i, 2]
                count += 1
                break
    return float(np.median(near[:count])) if count >= _MEASURED else 0.0


@dataclass(frozen=True, slots=True)
class _Points:
    """The points ``(N, 2)`` of shaft after shaft, and where those of each begin."""

    points: Floats
    begins: list[int]

    @classmethod
    def of(cls, shafts: Sequence[Trace]) -> _Points:
        points = np.concatenate([shaft.points for shaft in shafts]) if shafts else np.empty((0, 2))
        return cls(np.ascontiguousarray(points), [0, *accumulate(len(shaft.points) for shaft in shafts)])

    def others(self, number: int) -> Others:
        """All points but those from one index up to another."""
        return self.points, self.begins[number], self.begins[number + 1]


def _with_ring(
    shafts: list[Trace], positions: Floats, owner: NDArray[np.int64], along: Floats
) -> tuple[list[Trace], NDArray[np.int64], Floats]:
    """Shafts, and each electrode's shaft and place along it, with a loop that its electrodes alone show."""
    if not shafts:
        return shafts, owner, along
    width = sorted(shaft.width for shaft in shafts)[len(shafts) // 2]
    ring = find_ring(positions, width)
    if ring is None:
        return shafts, owner, along
    mine, ellipse = ring
    most = int(np.bincount(owner[mine] + 1).argmax()) - 1
    missed = np.count_nonzero(owner[mine] != most)
    strange = _beside(positions, ellipse, owner == most, (_BESIDE * width) ** 2)
    if most >= 0 and missed < max(_MISSED * len(mine), _STRANGE) and strange < _STRANGE:
        return shafts, owner, along
    owner, along = owner.copy(), along.copy()
    nearest = squared_distances(positions[mine], ellipse).argmin(axis=1)
    owner[mine], along[mine] = len(shafts), arc_lengths(ellipse)[nearest]
    return [*shafts, Trace(ellipse, width, shafts[max(most, 0)].score, closed=True)], owner, along


@compiled("(f8[:, ::1], f8[:, ::1], b1[::1], f8)")
def _beside(positions: Floats, ellipse: Floats, which: NDArray[np.bool_], square: float) -> int:
    """How many of these positions are farther from all points of an ellipse than the root of ``square``."""
    count = 0
    for i in range(len(positions)):
        beside = which[i]
        for j in range(len(ellipse) if beside else 0):
            x, y = positions[i, 0] - ellipse[j, 0], positions[i, 1] - ellipse[j, 1]
            if x * x + y * y <= square:
                beside = False
                break
        count += beside
    return count


def _sorted(shafts: Sequence[Trace]) -> list[Trace]:
    return sorted(shafts, key=lambda shaft: -length_of(shaft) * shaft.score)


def _named(e: Electrode, catheter: int, index: int) -> Electrode:
    """The electrode with its catheter and index; three times as fast as ``dataclasses.replace``."""
    return Electrode(e.x, e.y, e.width, e.height, e.score, e.sigma, catheter, index, e.visible)


def _from_tip(shaft: Trace, along: Floats, largest: int, around: Around) -> tuple[Floats, Floats, float]:
    """The curve and the electrodes' places along it, turned so that the distal tip comes first; what speaks for that end."""
    length = length_of(shaft)
    if shaft.closed:
        return *from_gap(shaft.points, along, length), 0.0
    odds = tip_odds(shaft, along, length, largest, around)
    if odds >= 0.0:
        return shaft.points, along, odds
    return shaft.points[::-1], length - along, -odds
