"""Which centreline each electrode of a frame lies on, and where. Positions and lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cath_perception.centerline import Trace
from cath_perception.compiled import compiled
from cath_perception.curves import Floats

# All of these are in widths of the shaft.
_REACH = 1.0
"""An electrode belongs to a centreline that passes within this distance."""
_COMPANY = 12.0
"""An electrode with others of the same shaft this near is preferred ..."""
_LONELY = 1.5
"""... to one without by as much as this distance aside."""

Ints = NDArray[np.int64]


def assign(positions: Floats, shafts: Sequence[Trace]) -> tuple[Ints, Floats]:
    """For each of ``(N, 2)`` positions its shaft, -1 beyond the reach of all, and its place along it in px.

    Where shafts cross, or one passes twice, a position has several places to choose from: it goes to the one with other
    electrodes near along the same shaft, unless another lies much nearer.
    """
    if not len(positions) or not shafts:
        return np.full(len(positions), -1), np.zeros(len(positions))
    count = np.array([len(shaft.points) for shaft in shafts])
    width = np.array([shaft.width for shaft in shafts])
    closed = np.array([shaft.closed for shaft in shafts])
    points = np.ascontiguousarray(np.concatenate([shaft.points for shaft in shafts]))
    return _assigned(np.ascontiguousarray(positions), points, count, width, closed)


@compiled("(f8[:, ::1], f8[:, ::1], i8[::1], f8[::1], b1[::1])")
def _assigned(
    positions: Floats, points: Floats, count: Ints, width: Floats, closed: NDArray[np.bool_]
) -> tuple[Ints, Floats]:
    """See ``assign``; curve after curve has ``count`` of the points."""
    owner, along = np.full(len(positions), -1), np.zeros(len(positions))
    arcs = _arcs(points, count)
    begins, shaft, place, aside = _passes(positions, points, arcs, count, width)
    gaps = np.full(begins[-1], np.inf)  # how far along its shaft the next electrode is, for every place
    lengths = np.full(len(count), np.inf)
    first = 0
    for n in range(len(count)):
        first += count[n]
        if closed[n]:
            lengths[n] = arcs[first - 1]
    row, chosen = _certain(begins, 0)
    while row < len(positions):
        owner[row], along[row] = shaft[chosen], place[chosen]
        _accompany(gaps, shaft, place, chosen, lengths)
        row, chosen = _certain(begins, row + 1)
    row, chosen = _surest(begins, owner, shaft, aside, gaps, width)
    while row >= 0:  # the surest first, each of which then is company for the rest
        owner[row], along[row] = shaft[chosen], place[chosen]
        _accompany(gaps, shaft, place, chosen, lengths)
        row, chosen = _surest(begins, owner, shaft, aside, gaps, width)
    return owner, along


@compiled()
def _arcs(points: Floats, count: Ints) -> Floats:
    """How far along its own curve each point is."""
    arcs, first = np.zeros(len(points)), 0
    for n in range(len(count)):
        for i in range(first + 1, first + count[n]):
            x, y = points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1]
            arcs[i] = arcs[i - 1] + math.sqrt(x * x + y * y)
        first += count[n]
    return arcs


@compiled()
def _passes(
    positions: Floats, points: Floats, arcs: Floats, count: Ints, width: Floats
) -> tuple[Ints, Ints, Floats, Floats]:
    """Every place within reach at which a shaft passes each position: where each position's begin, and of every place
    the shaft, the length along it in px, and the distance aside in widths."""
    steps = _longest_steps(arcs, count)
    room = len(positions) * (len(points) // 2 + len(count))  # as many nearest points as there can be
    begins, shaft = np.zeros(len(positions) + 1, np.int64), np.empty(room, np.int64)
    place, aside, found = np.empty(room), np.empty(room), 0
    for row in range(len(positions)):
        x, y = positions[row]
        first = 0
        for n in range(len(count)):
            last = first + count[n] - 1
            reach, before, at = (_REACH + 0.5) * width[n], np.inf, first
            while at <= last:
                here = (points[at, 0] - x) ** 2 + (points[at, 1] - y) ** 2
                ahead = int((math.sqrt(here) - reach) / steps[n])
                if ahead > 0:  # so many more points are out of reach
                    before, at = np.inf, at + ahead
                    continue
                after = np.inf
                if at < last:
                    after = (points[at + 1, 0] - x) ** 2 + (points[at + 1, 1] - y) ** 2
                # The nearest of its neighbourhood; of two equally near the former.
                if here <= reach * reach and before > here and after >= here:
                    shaft[found] = n
                    place[found], aside[found] = _beside(points, arcs, first, last, at, x, y)
                    aside[found] /= width[n]
                    found += aside[found] <= _REACH
                before, at = here, at + 1
            first = last + 1
        begins[row + 1] = found
    return begins, shaft[:found].copy(), place[:found].copy(), aside[:found].copy()


@compiled()
def _longest_steps(arcs: Floats, count: Ints) -> Floats:
    """The longest way from one point of each curve to its next, px; above 0."""
    steps, first = np.full(len(count), 1e-9), 0
    for n in range(len(count)):
        for i in range(first + 1, first + count[n]):
            steps[n] = max(steps[n], arcs[i] - arcs[i - 1])
        first += count[n]
    return steps


@compiled()
def _beside(
    points: Floats, arcs: Floats, first: int, last: int, at: int, x: float, y: float
) -> tuple[float, float]:
    """The place along a curve that is nearest on the segments at one of its points, and its distance, px."""
    best, place = np.inf, 0.0
    for start in range(max(at - 1, first), min(at, last - 1) + 1):
        dx, dy = points[start + 1, 0] - points[start, 0], points[start + 1, 1] - points[start, 1]
        square = max(dx * dx + dy * dy, 1e-12)
        away_x, away_y = x - points[start, 0], y - points[start, 1]
        part = min(max((away_x * dx + away_y * dy) / square, 0.0), 1.0)
        distance = math.hypot(away_x - part * dx, away_y - part * dy)
        if distance < best:
            best, place = distance, arcs[start] + part * math.sqrt(square)
    return place, best


@compiled()
def _certain(begins: Ints, row: int) -> tuple[int, int]:
    """The first position from this one on that has one place only, and that place."""
    while row < len(begins) - 1 and begins[row + 1] - begins[row] != 1:
        row += 1
    return row, begins[row]


@compiled()
def _surest(
    begins: Ints, owner: Ints, shaft: Ints, aside: Floats, gaps: Floats, width: Floats
) -> tuple[int, int]:
    """The position without a shaft whose best place is better than its next by most, and that place; -1 if none is."""
    surest, chosen, most = -1, -1, -np.inf
    for row in range(len(owner)):
        if owner[row] >= 0 or begins[row + 1] - begins[row] < 2:
            continue
        best, second, which = np.inf, np.inf, -1
        for n in range(begins[row], begins[row + 1]):
            cost = aside[n] + _LONELY * min(gaps[n] / (_COMPANY * width[shaft[n]]), 1.0)
            if cost < best:
                best, second, which = cost, best, n
            elif cost < second:
                second = cost
        if second - best > most:
            surest, chosen, most = row, which, second - best
    return surest, chosen


@compiled()
def _accompany(gaps: Floats, shaft: Ints, place: Floats, chosen: int, lengths: Floats) -> None:
    """The place chosen is company for all others on its shaft."""
    for n in range(len(gaps)):
        if shaft[n] == shaft[chosen]:
            gap = abs(place[n] - place[chosen])
            gaps[n] = min(gaps[n], gap, lengths[shaft[n]] - gap)
