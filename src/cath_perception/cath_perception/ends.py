"""Shafts carried on at their ends, over electrodes that lie there. Positions and lengths are image px."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cath_perception.assignment import assign
from cath_perception.centerline import Trace
from cath_perception.curves import Curves, Floats, length
from cath_perception.paths import greedy_pairs
from cath_perception.skeleton import Vector, turning

# Lengths are in widths of the shaft.
_TIP_REACH = 3.0
"""An electrode beyond an end of a centreline, and in its direction, is this far away at most."""
_HOP = 4.0
"""Neighbouring electrodes of a run that joins two centrelines are this far apart at most."""
_TIP_TURN = math.radians(45.0)
_RUN_TURN = math.radians(100.0)
_TANGENT = 8
"""A direction is taken over so many points."""


@dataclass(frozen=True, slots=True)
class _End:
    """An end of a shaft: where it is, the unit direction in which it points, and the shaft's width, px."""

    point: Floats
    outward: Vector
    width: float

    @classmethod
    def of(cls, shaft: Trace, side: int) -> _End:
        """The start (0) or the end (1) of a shaft."""
        x, y = direction(shaft.points, side).tolist()
        return cls(shaft.points[-side], (x, y), shaft.width)


def joined(shafts: list[Trace], positions: Floats, loose: Floats) -> tuple[list[Trace], Floats]:
    """Join shafts between which a run of loose electrodes lies, one pair of ends after another; what stays loose."""
    while len(shafts) > 1:
        ends = [(i, side) for i, shaft in enumerate(shafts) if not shaft.closed for side in (0, 1)]
        leads = [_End.of(shafts[i], side) for i, side in ends]
        runs: dict[tuple[int, int], Floats] = {}
        for a in range(len(ends) if len(loose) else 0):
            for b in range(a + 1, len(ends)):
                if ends[a][0] != ends[b][0]:
                    run = _run(leads[a], leads[b], loose)
                    if run is not None:
                        runs[a, b] = run
        pairs = greedy_pairs({pair: float(len(run)) for pair, run in runs.items()})
        if not pairs:
            break
        a, b = pairs[0]
        (i, side), (j, other) = ends[a], ends[b]
        first = shafts[i].points if side else shafts[i].points[::-1]
        second = shafts[j].points[::-1] if other else shafts[j].points
        whole = _merged(shafts[i], shafts[j], np.concatenate((first, runs[a, b], second)))
        shafts = [shaft for n, shaft in enumerate(shafts) if n not in (i, j)] + [whole]
        loose = positions[assign(positions, shafts)[0] < 0]
    return shafts, loose


def _run(first: _End, second: _End, loose: Floats) -> Floats | None:
    """The loose positions, in order, that lead from one end to another in short hops; None if they do not."""
    start, stop = first.point, second.point
    chord = stop - start
    x, y = chord.tolist()
    length, width = math.hypot(x, y), (first.width + second.width) / 2.0
    if length < 1.0 or turning(first.outward, second.outward, (x, y)) > _RUN_TURN:
        return None
    along = (loose - start) @ chord / length
    aside = np.abs((loose - start) @ np.array((-chord[1], chord[0]))) / length
    between = (along > 0) & (along < length) & (aside <= max(width, 0.2 * length))
    run = loose[between][np.argsort(along[between])]
    if not len(run):
        return None
    hops = np.diff(np.concatenate((start[None], run, stop[None])), axis=0)
    return run if np.hypot(hops[:, 0], hops[:, 1]).max() <= _HOP * width else None


def _merged(first: Trace, second: Trace, points: Floats) -> Trace:
    """One evenly spaced trace; width and score are weighted by length."""
    lengths = length_of(first), length_of(second)
    part = lengths[0] / max(sum(lengths), 1e-9)
    return Trace(
        _even(points, _spacing(first)),
        part * first.width + (1.0 - part) * second.width,
        part * first.score + (1.0 - part) * second.score,
        measured=np.concatenate((first.measured, second.measured)),
    )


def reaching_tips(shaft: Trace, loose: Floats) -> Trace:
    """Carry open ends on to electrodes that lie just beyond them."""
    if shaft.closed or not len(loose):
        return shaft
    points = shaft.points
    for side in (0, 1):
        while len(loose):
            outward = direction(points, side)
            away = loose - points[-side]
            distance = np.hypot(away[:, 0], away[:, 1])
            ahead = away @ outward >= math.cos(_TIP_TURN) * distance
            usable = ahead & (distance <= _TIP_REACH * shaft.width) & (distance > 1.0)
            if not usable.any():
                break
            nearest = int(np.where(usable, distance, np.inf).argmin())
            tip, loose = loose[[nearest]], np.delete(loose, nearest, axis=0)
            points = np.concatenate((points, tip) if side else (tip, points))
    return shaft if points is shaft.points else replace(shaft, points=_even(points, _spacing(shaft)))


def _even(points: Floats, spacing: float) -> Floats:
    even, _ = Curves.of([points], [False]).even(spacing, np.ones(len(points), bool))
    return even.smooth().points


def _spacing(shaft: Trace) -> float:
    return length_of(shaft) / (len(shaft.points) - 1)


def length_of(shaft: Trace) -> float:
    """Along the shaft, px."""
    return length(shaft.points)


def direction(points: Floats, side: int) -> Floats:
    """Unit direction in which a curve leaves at its start (0) or end (1)."""
    ordered = points if side else points[::-1]
    away = ordered[-1] - ordered[max(0, len(ordered) - 1 - _TANGENT)]
    return away / max(float(np.hypot(*away)), 1e-9)
