"""Which part of a frame's curve is the catheter's own: nothing beyond its tip, and no other's electrodes behind its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.compiled import compiled
from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode

Points = NDArray[np.float32]

_FEWEST, _SHARE = 3, 0.6
"""A curve follows a catheter if it passes so many of its electrodes, and such a share of them, ..."""
_BESIDE = 0.6
"""... within this part of the shaft's width."""


def from_tip(line: Centerline, first: Electrode, last: Electrode) -> Centerline:
    """The centreline without what lies beyond the tip's electrode: another shaft, which the tip touches."""
    ends = np.array(((first.x, first.y), (last.x, last.y)))
    half = 0.5 * max(first.width, first.height)
    start = _beginning(line.points, ends, half, half + line.width)
    return replace(line, points=line.points[start:]) if start else line


def without_others(catheters: Sequence[Catheter]) -> tuple[Catheter, ...]:
    """The catheters, whose centrelines end where behind their own electrodes they follow those of another.

    Where shafts cross or touch, a frame's curve may change from one to the other, and a shaft leads to no second tip.
    Only catheters with a type count, for the others may be pieces of these.
    """
    named = [c for c in catheters if c.type is not None and c.status is not CatheterStatus.LOST]
    if len(named) < 2:
        return tuple(catheters)
    places = np.array([(e.x, e.y) for c in named for e in c.electrodes])
    bounds = np.cumsum([0, *(len(c.electrodes) for c in named)])
    trimmed = {c.id: _trimmed(c, n, places, bounds) for n, c in enumerate(named)}
    return tuple(trimmed.get(c.id, c) for c in catheters)


def _trimmed(catheter: Catheter, number: int, places: Floats, bounds: NDArray[np.int64]) -> Catheter:
    line = catheter.centerline
    if line is None:
        return catheter
    end = _end(line.points, places, bounds, number, _BESIDE * line.width)
    if end == len(line.points):
        return catheter
    return replace(catheter, centerline=replace(line, points=line.points[:end]))


@compiled("(f4[:, ::1], f8[:, ::1], f8, f8)")
def _beginning(points: Points, ends: Floats, half: float, enough: float) -> int:
    """The point to begin at: ``half`` px before the first electrode if there are more than ``enough`` before it, else 0."""
    first, last = _nearest(points, ends[0], 0)[0], _nearest(points, ends[1], 0)[0]
    if first >= last:
        return 0
    way, start = 0.0, first
    for i in range(first, 0, -1):
        way += np.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
        if way <= half:
            start = i - 1
    return start if way > enough else 0


@compiled("(f4[:, ::1], f8[:, ::1], i8[::1], i8, f8)")
def _end(points: Points, places: Floats, bounds: NDArray[np.int64], own: int, reach: float) -> int:
    """How many points to keep; ``bounds`` tells which of the ``places`` are which catheter's, ``own`` which one this is."""
    behind, end = _nearest(points, places[bounds[own + 1] - 1], 0)[0], len(points)
    if (
        _nearest(points, places[bounds[own]], 0)[0] >= behind
    ):  # it does not run from the tip, so nothing is behind
        return end
    for other in range(len(bounds) - 1):
        if other == own:
            continue
        passed, first, count = 0, end, bounds[other + 1] - bounds[other]
        for row in range(bounds[other], bounds[other + 1]):
            at, distance = _nearest(points, places[row], behind)
            if distance < reach:
                passed, first = passed + 1, min(first, at)
        if passed >= max(_FEWEST, _SHARE * count):
            end = first
    return max(end, min(behind + 2, len(points)))


@compiled()
def _nearest(points: Points, place: Floats, since: int) -> tuple[int, float]:
    """The point nearest to a place, from number ``since`` on, and its distance."""
    nearest, least = since, np.inf
    for i in range(since, len(points)):
        x, y = points[i, 0] - place[0], points[i, 1] - place[1]
        if x * x + y * y < least:
            nearest, least = i, x * x + y * y
    return nearest, np.sqrt(least)
