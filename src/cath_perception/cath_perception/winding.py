"""Curves that are loops: how far round they go, which way, and where they begin. Positions and lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cath_perception.centerline import Trace
from cath_perception.compiled import compiled
from cath_perception.curves import Floats, arc_lengths
from cath_perception.ends import length_of

# Lengths are in widths of the shaft.
_ENTERS = 4.0
"""A shaft that ends this near to a ring, in widths, leads into it."""
_MEETS, _ALONG = 0.5, 0.5
"""It meets the ring where it is so near to it, and runs into it where the cosine of the angle between them is larger."""
_RING_ELECTRODES = 5
"""A loop with fewer electrodes is not taken for a circular catheter's."""
_WIDER = 1.5
"""The widest gap in a ring is this many times as wide as the one where it closes and as the two on either side of it (a loop
seen at a slant has wide and narrow ones), or else the tip is where it closes."""
_TANGENT = 8
"""A direction is taken over so many points."""


def wound(shaft: Trace, places: Floats) -> tuple[Trace, Floats]:
    """A loop that closes on itself may go round further than one sees: then the widest gap between its electrodes
    lies beyond where it closes, and the curve is run on to there."""
    if shaft.closed or len(places) < _RING_ELECTRODES:
        return shaft, places
    at_end, at_start, end = _touches(shaft.points, shaft.width)
    for start, points, inner in (
        (at_end, shaft.points, places),
        (at_start, shaft.points[::-1], end - places),
    ):
        if start < 0.0:
            continue
        ring = np.sort(inner[inner >= start])
        if len(ring) < _RING_ELECTRODES:
            continue
        at = arc_lengths(points)
        length = end - start
        gaps = np.diff(ring, append=ring[0] + length)
        widest = int(gaps[:-1].argmax())
        usual = gaps[[(widest + step) % len(gaps) for step in (-2, -1, 1, 2)] + [-1]].max()
        if gaps[widest] > _WIDER * usual:
            stop = float(ring[widest]) + 0.5 * min(float(gaps[widest]), 4.0 * shaft.width)
            again = points[(at > start) & (at <= stop)]
            inner = np.where((inner >= start) & (inner <= stop), inner + length, inner)
            return replace(shaft, points=np.concatenate((points, again))), inner
    return shaft, places


@compiled("(f8[:, :], f8)")
def _touches(points: Floats, width: float) -> tuple[float, float, float]:
    """Where along itself a curve comes back to with its end, and with its start, counted from its end; -1 if nowhere. And
    its length."""
    last, arcs = len(points) - 1, np.zeros(len(points))
    for i in range(1, len(points)):
        x, y = points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1]
        arcs[i] = arcs[i - 1] + math.sqrt(x * x + y * y)
    limit = (1.5 * width) ** 2
    places, squares = [-1.0, -1.0], [limit, limit]
    for i in range(len(points)):
        if arcs[i] < arcs[last] - 6.0 * width:
            square = (points[i, 0] - points[last, 0]) ** 2 + (points[i, 1] - points[last, 1]) ** 2
            if square < squares[0]:
                places[0], squares[0] = arcs[i], square
        if arcs[i] > 6.0 * width:
            square = (points[i, 0] - points[0, 0]) ** 2 + (points[i, 1] - points[0, 1]) ** 2
            if square <= squares[1]:  # of two equally near the later, which is the former from the end
                places[1], squares[1] = arcs[last] - arcs[i], square
    return places[0], places[1], arcs[last]


def entered(ring: Trace, places: Floats, shafts: Sequence[Trace]) -> tuple[Trace, Floats]:
    """A ring runs, from the tip, against the direction in which another shaft's end runs into it."""
    if not ring.closed:
        return ring, places
    walks = [
        shaft.points if side else shaft.points[::-1]
        for shaft in shafts
        if not shaft.closed
        for side in (0, 1)
    ]
    along = max((_run_in(ring.points, ring.width, walk) for walk in walks), key=abs, default=0.0)
    if along <= 0.0:
        return ring, places
    return replace(ring, points=ring.points[::-1]), length_of(ring) - places


@compiled()
def _nearest(points: Floats, x: float, y: float) -> tuple[int, float]:
    """Which point is nearest to a place, and the square of its distance."""
    nearest, least = 0, np.inf
    for i in range(len(points)):
        square = (points[i, 0] - x) ** 2 + (points[i, 1] - y) ** 2
        if square < least:
            nearest, least = i, square
    return nearest, least


@compiled("(f8[:, :], f8, f8[:, :])")
def _run_in(ring: Floats, width: float, walk: Floats) -> float:
    """How much a shaft that ends at a ring runs along with it where it comes to it, -1 (against it) to 1; 0 where it does
    not end there, or meets it at too steep an angle. A shaft may go some way along the ring before it ends."""
    met, limit = len(walk) - 1, (_MEETS * width) ** 2
    after, square = _nearest(ring, walk[met, 0], walk[met, 1])
    if square > (_ENTERS * width) ** 2:
        return 0.0
    for i in range(len(walk)):
        at, near = _nearest(ring, walk[i, 0], walk[i, 1])
        if near <= limit:
            if i > 0:  # one that begins at the ring meets it where it ends
                met, after, square = i, at, near
            break
    before, last = max(met - _TANGENT, 0), len(ring)
    x, y = walk[met, 0] - walk[before, 0], walk[met, 1] - walk[before, 1]
    if square > limit and (ring[after, 0] - walk[met, 0]) * x + (ring[after, 1] - walk[met, 1]) * y < 0.0:
        return 0.0
    ahead, back = (after + _TANGENT) % last, (after - _TANGENT) % last
    u, v = ring[ahead, 0] - ring[back, 0], ring[ahead, 1] - ring[back, 1]
    cosine = (u * x + v * y) / max(math.hypot(u, v) * math.hypot(x, y), 1e-9)
    return cosine if abs(cosine) >= _ALONG else 0.0


@compiled("(f8[:, :], f8[::1], f8)")
def from_gap(points: Floats, along: Floats, length: float) -> tuple[Floats, Floats]:
    """A ring has no tip: begin after the widest gap between its electrodes.

    Args:
        points: ``(N, 2)`` of the ring.
        along: ``(M,)`` places of its electrodes on it.
        length: its own, px.

    Returns points and places from there on.
    """
    if not len(along):
        return points.copy(), along
    places = np.sort(along)
    start, widest = places[0], places[0] + length - places[-1]
    for n in range(len(places) - 1):
        if places[n + 1] - places[n] > widest:
            start, widest = places[n + 1], places[n + 1] - places[n]
    first, arc = 0, 0.0
    while first < len(points) - 1 and arc < start:
        first += 1
        x, y = points[first, 0] - points[first - 1, 0], points[first, 1] - points[first - 1, 1]
        arc += math.sqrt(x * x + y * y)
    first = first if arc >= start else 0
    return np.concatenate((points[first:], points[:first])), (along - start) % length
