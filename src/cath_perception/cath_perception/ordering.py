"""The order of a catheter's electrodes along its shaft, also where the shaft crosses itself. All lengths are image px."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]

_FEWEST_ON_RING = 6
_FLATTEST = 0.05
_THINNEST_PX = 1.2
_ROUNDNESS = 0.22
_OPEN = np.radians(150.0)
_NEARER, _APART = 4.0, 10.0
"""A branch so much farther off than the nearest one is not the electrode's; along the line it is so far away at least."""
_MOST_CROSSED = 3
_SHORTER = 2.0
"""Electrodes change places if their way is so many px shorter then."""
_OTHER_BRANCH, _OFF_LINE_PX = 1.0, 1.5
"""What it costs to put an electrode on a branch that is not the nearest, and an electrode's usual distance from its line."""
_HEADING_PX = 6.0
"""A line's direction is taken over so many px on either side."""
_OPENING_COUNTS, _TIP_COUNTS = 6.0, 10.0
"""How much it speaks for beginning with an electrode that the gap before it is wide, and that the line begins there."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The ways round a loop: ``(2 N, N)`` orders, from each electrode in each direction, and ``(2 N,)`` scores."""

    orders: NDArray[np.intp]
    scores: Floats


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Electrodes in their order from the line's beginning.

    Attributes:
        order: ``(N,)`` indices into the positions given.
        along: ``(N,)`` places along the shaft in px, increasing, in that order.
        cost: what speaks against it in itself, natural logarithm of odds: electrodes put on a branch farther off.
        rounds: for those on a loop all ways round it.
        angles: for electrodes on a loop their ``(N,)`` angles in rad on it, seen from its axis; None elsewhere.
        headings: ``(N, 2)`` vectors along the line at each electrode, in that order; None where no line tells them.
    """

    order: NDArray[np.intp]
    along: Floats
    cost: float = 0.0
    angles: Floats | None = None
    rounds: Rounds | None = None
    headings: Floats | None = None


def arrangements(positions: Floats, line: Floats | None, reach: float) -> list[Arrangement]:
    """The orders that ``(N, 2)`` electrodes may have along a ``(M, 2)`` centreline, the likeliest first.

    There are several where the shaft crosses itself at an electrode. Those on a loop are ordered round it, which also
    holds where it is seen edge-on and its two sides lie over each other; the centreline then tells only direction and
    beginning. Without a line, or where an electrode is farther off it than ``reach``, the order given is the only one,
    neighbours changed where that is shorter.
    """
    if line is None or len(line) < 3:
        return [_untangled(positions)]
    places, off, other, farther = _places(positions, line)
    angles = on_ring(positions)
    if angles is not None:
        return [_round_ring(positions, angles, places, np.isnan(other), line[0])]
    if off.max() > reach:
        return [_untangled(positions)]
    crossed = np.where(np.isnan(other), np.inf, farther).argsort(kind="stable")
    crossed = crossed[: min(_MOST_CROSSED, int((~np.isnan(other)).sum()))].tolist()
    choices = []
    for taken in range(1 << len(crossed)):
        chosen, cost = places.copy(), 0.0
        for bit, electrode in enumerate(crossed):
            if taken >> bit & 1:
                chosen[electrode] = other[electrode]
                cost += _OTHER_BRANCH + float(farther[electrode]) / (2.0 * _OFF_LINE_PX**2)
        order = chosen.argsort(kind="stable")
        along = np.maximum.accumulate(chosen[order] + np.arange(len(order)) * 1e-3)
        choices.append(Arrangement(order, along, cost, headings=_headings(line, along)))
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


def on_ring(positions: Floats) -> Floats | None:
    """Angles in rad of ``(N, 2)`` points round the ellipse they lie on, as seen from its axis; None where they do not.

    A circle seen at an angle is an ellipse, which the square root of the points' inverse covariance makes a circle again.
    """
    if len(positions) < _FEWEST_ON_RING:
        return None
    angles = _angles_on_ring(positions)
    return angles if len(angles) and _openings(np.sort(angles)).max() < _OPEN else None


@compiled("(f8[:, ::1],)")
def _angles_on_ring(positions: Floats) -> Floats:
    """See ``on_ring``; none where they do not lie on an ellipse."""
    count, nothing = len(positions), np.empty(0)
    x, y = positions[:, 0] - positions[:, 0].mean(), positions[:, 1] - positions[:, 1].mean()
    a, b, c = (x * x).sum() / count, (x * y).sum() / count, (y * y).sum() / count
    half, spread = (a + c) / 2.0, math.hypot((a - c) / 2.0, b)
    thin, wide = math.sqrt(max(half - spread, 0.0)), math.sqrt(half + spread)
    if thin < max(_FLATTEST * wide, _THINNEST_PX):
        return nothing
    turn = 0.5 * math.atan2(2.0 * b, a - c)
    cos, sin = math.cos(turn), math.sin(turn)
    major, minor = (x * cos + y * sin) / wide, (y * cos - x * sin) / thin
    radius = np.sqrt(major * major + minor * minor)
    if radius.std() > _ROUNDNESS * radius.mean():
        return nothing
    return np.arctan2(minor, major)


def _openings(angles: Floats) -> Floats:
    """The angle from each of the sorted ones to the next, round to the first."""
    return np.diff(angles, append=angles[0] + 2.0 * np.pi)


def _round_ring(
    positions: Floats, angles: Floats, places: Floats, certain: NDArray[np.bool_], tip: Floats
) -> Arrangement:
    """The way round that agrees best with the places along the line, beginning at its end or after a wide gap."""
    count = len(angles)
    cyclic = angles.argsort()
    rank = np.empty(count, np.intp)
    rank[cyclic] = np.arange(count)
    starts = np.arange(count)
    forward = (rank[None, :] - starts[:, None]) % count  # (starts, electrodes)
    ranks = np.concatenate((forward, count - 1 - forward))
    known = np.flatnonzero(certain) if certain.sum() >= 3 else np.arange(count)
    later = np.sign(places[known][None, :] - places[known][:, None])
    seen = ranks[:, known]
    agreed = (np.sign(seen[:, None, :] - seen[:, :, None]) * later).sum(axis=(1, 2)) / 2.0
    opening = np.roll(_openings(angles[cyclic]), 1)  # before each start
    wide = np.log(np.maximum(opening / np.median(opening), 1.0))
    pitch = np.median(_lengths(np.diff(positions[cyclic], axis=0)))
    at_tip = np.maximum(1.0 - _lengths(positions[cyclic] - tip) / max(pitch, 1.0), 0.0)
    # going backwards from a start, the tip is the electrode before it
    ends = np.concatenate((at_tip, np.roll(at_tip, 1)))
    scores = agreed + _OPENING_COUNTS * np.tile(wide, 2) + _TIP_COUNTS * ends
    rounds = Rounds(ranks.argsort(axis=1), scores)
    return going_round(positions, angles, rounds, int(scores.argmax()))


def going_round(positions: Floats, angles: Floats, rounds: Rounds, chosen: int) -> Arrangement:
    """One of the ways round a loop."""
    order = rounds.orders[chosen]
    turned = np.unwrap(angles[order])
    along = np.concatenate(([0.0], np.cumsum(_lengths(np.diff(positions[order], axis=0)))))
    return Arrangement(order, along, 0.0, np.abs(turned - turned[0]), rounds)


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


def _lengths(vectors: Floats) -> Floats:
    return np.hypot(vectors[:, 0], vectors[:, 1])
