"""The order of a catheter's electrodes along its shaft, also where the shaft crosses itself. All lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cath_perception.arrangement import Arrangement, Floats
from cath_perception.compiled import compiled
from cath_perception.curves import length
from cath_perception.ellipses import on_ring
from cath_perception.loops import round_ring

_REACH = 1.5
"""Electrodes lie so near to their line, in widths of the shaft."""
_NEARER, _APART = 4.0, 10.0
"""A branch so much farther off than the nearest one is not the electrode's; along the line it is so far away at least."""
_MOST_CROSSED = 3
_SHORTER = 2.0
"""Electrodes change places if their way is so many px shorter then."""
_OTHER_BRANCH, _OFF_LINE_PX = 1.0, 1.5
"""What it costs to put an electrode on a branch that is not the nearest, and an electrode's usual distance from its line."""
ON_LOOP = 3.0
"""What speaks against electrodes on a loop being those of a catheter that is none."""
_HEADING_PX = 6.0
"""A line's direction is taken over so many px on either side."""

_NOBODY = np.empty((0, 2))


def arrangements(
    positions: Floats,
    line: Floats | None,
    width: float,
    lines: Sequence[NDArray[np.floating]] = (),
    strangers: Floats = _NOBODY,
    looped: bool = True,
) -> list[Arrangement]:
    """The orders that ``(N, 2)`` electrodes may have along a ``(M, 2)`` centreline, the likeliest first.

    There are several where the shaft crosses itself at an electrode. Those on a loop are first ordered round it (unless they
    are not ``looped``), which also holds where it is seen edge-on and its two sides lie over each other; all the frame's
    centrelines (``lines``, that one alone if they are not given) and other catheters' electrodes (``strangers``, ``(K, 2)``)
    then tell direction and beginning. Without a line, or where an electrode is farther off it than the shaft's ``width``
    allows, the order given is the only one, neighbours changed where that is shorter.
    """
    if line is None or len(line) < 3:
        return [_untangled(positions)]
    angles = on_ring(positions) if looped else None
    if angles is None:
        return _along(positions, line, width) or [_untangled(positions)]
    ring = round_ring(positions, angles, lines or (line,), width, strangers)
    return [ring, *_along(positions, line, width, ON_LOOP)]


def _along(positions: Floats, line: Floats, width: float, cost: float = 0.0) -> list[Arrangement]:
    """The orders along a line, which have this ``cost`` or more; none where an electrode is too far off it."""
    places, off, other, farther = _places(positions, line)
    if off.max() > _REACH * width:
        return []
    crossed = np.where(np.isnan(other), np.inf, farther).argsort(kind="stable")
    crossed = crossed[: min(_MOST_CROSSED, int((~np.isnan(other)).sum()))].tolist()
    choices = []
    for taken in range(1 << len(crossed)):
        chosen, against = places.copy(), cost
        for bit, electrode in enumerate(crossed):
            if taken >> bit & 1:
                chosen[electrode] = other[electrode]
                against += _OTHER_BRANCH + float(farther[electrode]) / (2.0 * _OFF_LINE_PX**2)
        order = chosen.argsort(kind="stable")
        along = np.maximum.accumulate(chosen[order] + np.arange(len(order)) * 1e-3)
        beyond = float(along[0]), length(line) - float(along[-1])
        choices.append(Arrangement(order, along, against, headings=_headings(line, along), beyond=beyond))
    return choices


@compiled("(f8[:, :], f8[::1])")
def _headings(line: Floats, along: Floats) -> Floats:
    """``(N, 2)`` vectors along a line at places on it."""
    arcs, headings = np.zeros(len(line)), np.empty((len(along), 2))
    for i in range(1, len(line)):
        arcs[i] = arcs[i - 1] + math.hypot(line[i, 0] - line[i - 1, 0], line[i, 1] - line[i - 1, 1])
    for n in range(len(along)):
        ahead_x, ahead_y = _point(line, arcs, along[n] + _HEADING_PX)
        behind_x, behind_y = _point(line, arcs, along[n] - _HEADING_PX)
        headings[n, 0], headings[n, 1] = ahead_x - behind_x, ahead_y - behind_y
    return headings


@compiled()
def _point(line: Floats, arcs: Floats, along: float) -> tuple[float, float]:
    """A place on a line, or its end nearest to that."""
    after = min(max(int(np.searchsorted(arcs, along)), 1), len(line) - 1)
    before = after - 1
    part = min(max((along - arcs[before]) / max(arcs[after] - arcs[before], 1e-12), 0.0), 1.0)
    x = line[before, 0] + part * (line[after, 0] - line[before, 0])
    return x, line[before, 1] + part * (line[after, 1] - line[before, 1])


def _untangled(positions: Floats) -> Arrangement:
    """The order given, but for neighbours that make the way through all electrodes shorter if they change places."""
    order = list(range(len(positions)))
    apart = np.sqrt(np.square(positions[:, None] - positions[None]).sum(axis=2)).tolist()
    for _ in positions:
        gains = [_gain(order, n, apart) for n in range(len(order) - 1)]
        best = max(range(len(gains)), key=gains.__getitem__, default=0)
        if not gains or gains[best] <= _SHORTER:
            break
        order[best : best + 2] = order[best + 1], order[best]
    steps = [apart[a][b] for a, b in pairwise(order)]
    return Arrangement(np.array(order, np.intp), np.concatenate(([0.0], np.cumsum(steps))))


def _gain(order: list[int], n: int, apart: list[list[float]]) -> float:
    """By how much the way is shorter if the ``n``-th in order and the next change places."""
    first, second = order[n], order[n + 1]
    gain = apart[order[n - 1]][first] - apart[order[n - 1]][second] if n else 0.0
    if n + 2 < len(order):
        gain += apart[second][order[n + 2]] - apart[first][order[n + 2]]
    return gain


@compiled("(f8[:, :], f8[:, :])")
def _places(positions: Floats, line: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Nearest place of each position along a line and distance from it; the place on another branch that is nearly as
    near, or NaN, and how much farther that is (px^2)."""
    arcs, count = np.zeros(len(line)), len(positions)
    for i in range(1, len(line)):
        arcs[i] = arcs[i - 1] + math.hypot(line[i, 0] - line[i - 1, 0], line[i, 1] - line[i - 1, 1])
    places, off, other, farther = np.empty(count), np.empty(count), np.full(count, np.nan), np.empty(count)
    for n in range(count):
        x, y = positions[n]
        nearest, least = _nearest(x, y, line, arcs, -1.0, -1.0)
        places[n], off[n] = arcs[nearest] + _ahead(x, y, line, nearest), math.sqrt(least)
        second, away = _nearest(x, y, line, arcs, places[n], _APART + off[n])
        if away <= (off[n] + _NEARER) ** 2:
            other[n] = arcs[second] + _ahead(x, y, line, second)
        farther[n] = away - off[n] * off[n]
    return places, off, other, farther


@compiled()
def _nearest(x: float, y: float, line: Floats, arcs: Floats, place: float, apart: float) -> tuple[int, float]:
    """The vertex nearest to a point of those farther than ``apart`` from a place along the line; its distance squared."""
    nearest, least = 0, np.inf
    for i in range(len(line)):
        square = (x - line[i, 0]) ** 2 + (y - line[i, 1]) ** 2
        if square < least and abs(arcs[i] - place) > apart:
            nearest, least = i, square
    return nearest, least


@compiled()
def _ahead(x: float, y: float, line: Floats, vertex: int) -> float:
    """How far a point lies beyond its vertex of the line, along it."""
    after, before = min(vertex + 1, len(line) - 1), max(vertex - 1, 0)
    along, down = line[after, 0] - line[before, 0], line[after, 1] - line[before, 1]
    spacing = max(math.hypot(along, down), 1e-9)
    ahead = ((x - line[vertex, 0]) * along + (y - line[vertex, 1]) * down) / spacing
    return min(max(ahead, -spacing), spacing)
