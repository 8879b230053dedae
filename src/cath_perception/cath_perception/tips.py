"""Which end of a shaft the distal tip is at, in one frame. Positions and lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from cath_perception.centerline import Trace
from cath_perception.compiled import compiled
from cath_perception.curves import Floats
from cath_perception.types import Electrode

# What counts for an end's being the tip is told as the natural logarithm of odds, fitted to synthetic catheters.
_PART = 4.0
"""The part of the shaft that lies beyond the electrodes counts so much against an end; half of that where the curve goes on
at both ends."""
_BORDER, _ENTERING = 1.5, 2.5
"""An end this near to the image's border, in widths of the shaft, is where the shaft enters; what counts against it."""
_COVERED = 1.5
"""What counts against an end that a shutter covers."""
_LEANS, _LEANING = 1.5, 1.5
"""An end this near to another shaft, in widths, comes out of that one, and what that counts against it."""
_CHORD, _BEYOND, _INSIDE = 2.0, 2.5, 0.5
"""A curve's turn is that between chords so many widths long; it is looked for so far beyond the outermost electrode and so
far inwards of it."""
_RUNS_ON = 2.0
"""A curve goes on at both ends where it does so for so many widths at least beyond the electrodes."""
_TURNING = 1.8
"""What a turn of 1 rad counts for the end where it is."""
_CLEAR_OF, _FAR, _MEASURED = 1.5, 25.0, 5
"""The width of what a curve goes on over is measured so far beyond the outermost electrode, in widths, up to so far, at so
many places at least."""
_OTHER_WIDTH, _MOST_OTHER, _THINNEST_PX = 6.0, 0.7, 0.5
"""What the logarithm of its ratio to the width at the electrodes counts for an end, the most of it that does, and the least
that a width is taken for."""
_LONG_TIP, _LONG = 1.36, 2.0
"""A tip electrode is this many times as long as the others, and what such a one counts for its end."""

Others = tuple[Floats, int, int]
"""The points of all shafts, and from which one up to which they are a shaft's own."""


class Around(NamedTuple):
    """What surrounds a shaft: all shafts, the image's width and height, and whether a shutter hides the shaft's beginning
    and its end."""

    others: Others
    size: tuple[int, int]
    hidden: tuple[bool, bool]


def tip_odds(shaft: Trace, along: Floats, length: float, largest: int, around: Around) -> float:
    """What speaks for the tip being at a curve's first point and not at its last, natural logarithm of odds.

    Electrodes (at places ``along`` the ``length``) sit near the tip, one longer than the rest at it (``largest``: as
    ``longer_end`` says it). The shaft enters at the border of the image or where its beginning or end is hidden, or comes
    out of another. A curve that goes on at both ends goes on over another instrument at the tip, which is seldom as wide,
    and seldom straight on.
    """
    inset = _inset(shaft.points, around.size)
    if not len(along):
        return 1.0 if inset[0] >= inset[1] else -1.0
    first, last = min(places := along.tolist()), max(places)
    goes_on = min(first, length - last) >= _RUNS_ON * shaft.width
    leaning = _leaning(shaft.points, *around.others, shaft.width)
    against = [
        (0.5 if goes_on else 1.0) * _PART * part
        + _ENTERING * (edge <= _BORDER * shaft.width)
        + _COVERED * covered
        + _LEANING * leans
        for part, edge, covered, leans in zip(
            (first / length, 1.0 - last / length), inset, around.hidden, leaning, strict=True
        )
    ]
    odds = against[1] - against[0] + _LONG * largest
    if goes_on:
        turns = _turns(shaft.points, length, first, last, shaft.width)
        other = _other_width(shaft.measured, shaft.points, first, last, shaft.width)
        odds += _TURNING * (turns[0] - turns[1]) + _OTHER_WIDTH * other
    return odds or math.copysign(1e-3, inset[0] - inset[1])


def _inset(points: Floats, size: tuple[int, int]) -> list[float]:
    """How far both ends of a curve are from the image's border."""
    ends = points[0].tolist(), points[-1].tolist()
    return [min(x, y, size[0] - 1 - x, size[1] - 1 - y) for x, y in ends]


@compiled()
def _places(measured: Floats, points: Floats) -> Floats:
    """How far along a curve the points of it nearest to ``(M, 3)`` places on it are."""
    arcs, places, longest = np.zeros(len(points)), np.empty(len(measured)), 1e-9
    for i in range(1, len(points)):
        step = math.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
        arcs[i], longest = arcs[i - 1] + step, max(longest, step)
    nearest = 0
    for n in range(len(measured)):
        start, least = max(nearest - 2, 0), np.inf  # they follow each other, this way or that
        for k in range(len(points)):
            i = (start + k) % len(points)
            square = (points[i, 0] - measured[n, 0]) ** 2 + (points[i, 1] - measured[n, 1]) ** 2
            if square < least:
                nearest, least = i, square
            elif least <= longest * longest:
                break
        places[n] = arcs[nearest]
    return places


@compiled()
def _width_within(measured: Floats, places: Floats, low: float, high: float) -> float:
    """The median of the widths measured between two places; NaN where they are too few."""
    widths, count = np.empty(len(places)), 0
    for n in range(len(places)):
        if low <= places[n] <= high:
            widths[count] = measured[n, 2]
            count += 1
    return max(np.median(widths[:count]), _THINNEST_PX) if count >= _MEASURED else np.nan


@compiled("(f8[:, :], f8[:, :], f8, f8, f8)")
def _other_width(measured: Floats, points: Floats, first: float, last: float, width: float) -> float:
    """By how much a curve's width before its electrodes differs more from that at them than its width behind them does,
    natural logarithm of ratios; 0 where too little was measured."""
    places = _places(measured, points)
    near = _width_within(measured, places, first, last)
    before = _width_within(measured, places, first - _FAR * width, first - _CLEAR_OF * width)
    behind = _width_within(measured, places, last + _CLEAR_OF * width, last + _FAR * width)
    if math.isnan(near + before + behind):
        return 0.0
    odd = min(abs(math.log(before / near)), _MOST_OTHER), min(abs(math.log(behind / near)), _MOST_OTHER)
    return odd[0] - odd[1]


@compiled("(f8[:, :], f8, f8, f8, f8)")
def _turns(points: Floats, length: float, first: float, last: float, width: float) -> tuple[float, float]:
    """The sharpest turns (rad) of an evenly spaced curve just before its first electrode and just behind its last one."""
    spacing, turns = length / (len(points) - 1), [0.0, 0.0]
    chord, beyond, inside = (
        int(_CHORD * width / spacing),
        _BEYOND * width / spacing,
        _INSIDE * width / spacing,
    )
    begin, end = first / spacing, last / spacing
    for side, low, high in ((0, begin - beyond, begin + inside), (1, end - inside, end + beyond)):
        for i in range(max(int(low), chord), min(int(high) + 1, len(points) - chord)):
            x, y = points[i, 0] - points[i - chord, 0], points[i, 1] - points[i - chord, 1]
            u, v = points[i + chord, 0] - points[i, 0], points[i + chord, 1] - points[i, 1]
            turns[side] = max(turns[side], abs(math.atan2(x * v - y * u, x * u + y * v)))
    return turns[0], turns[1]


@compiled("(f8[:, :], f8[:, ::1], i8, i8, f8)")
def _leaning(shaft: Floats, points: Floats, first: int, last: int, width: float) -> tuple[bool, bool]:
    """Whether each of a shaft's two ends lies at another shaft: at a point that is none from ``first`` up to ``last``."""
    end, at_start, at_end, limit = len(shaft) - 1, False, False, (_LEANS * width) ** 2
    for i in range(len(points)):
        if i < first or i >= last:
            x, y = points[i]
            at_start |= (shaft[0, 0] - x) ** 2 + (shaft[0, 1] - y) ** 2 <= limit
            at_end |= (shaft[end, 0] - x) ** 2 + (shaft[end, 1] - y) ** 2 <= limit
    return at_start, at_end


def longer_end(electrodes: Sequence[Electrode], places: Floats) -> int:
    """1 if the first of the electrodes along the shaft is a long tip electrode, -1 if the last is, 0 if neither."""
    if len(electrodes) < 3:
        return 0
    sizes = [
        math.hypot(e.width, e.height)
        for _, e in sorted(zip(places.tolist(), electrodes, strict=True), key=itemgetter(0))
    ]
    limit = _LONG_TIP * sorted(sizes[1:-1])[(len(sizes) - 2) // 2]
    return (sizes[0] > limit) - (sizes[-1] > limit)
