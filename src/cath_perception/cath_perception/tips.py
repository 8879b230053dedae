"""Which end of a shaft the distal tip is at, in one frame. Positions and lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter

from cath_perception.centerline import Trace
from cath_perception.compiled import compiled
from cath_perception.curves import Floats
from cath_perception.types import Electrode

_BORDER = 1.5
"""An end this near to the image's border, in widths of the shaft, is where the shaft enters ..."""
_ENTERING = 0.5
"""... and what that counts against its being the tip, in lengths of the shaft."""
_LEANS, _LEANING = 1.5, 0.3
"""An end this near to another shaft, in widths, comes out of that one, and what that counts against its being the tip."""
_CHORD, _BEYOND, _INSIDE = 2.0, 2.5, 0.5
"""A curve's turn is that between chords so many widths long; it is looked for so far beyond the outermost electrode and so
far inwards of it."""
_RUNS_ON = 2.0
"""Turns count where the curve runs on so many widths at least beyond the electrodes at both ends ..."""
_TURNING = 0.8
"""... and what a turn of 1 rad counts for its being at the tip, in lengths of the shaft."""
_LONG_TIP = 1.36
"""A tip electrode is this many times as long as the others."""
_TIP_SIZE = 0.4
"""What that counts for in finding the tip, in lengths of the shaft."""

Others = tuple[Floats, int, int]
"""The points of all shafts, and from which one up to which they are a shaft's own."""


def tip_is_start(
    shaft: Trace,
    along: Floats,
    length: float,
    largest: int,
    others: Others,
    width: int,
    height: int,
    hidden: tuple[bool, bool],
) -> bool:
    """Whether a curve's first point is the tip.

    Electrodes (at places ``along`` the ``length``) sit near the tip, one longer than the rest at it (``largest``: as
    ``longer_end`` says it). The shaft enters at the border of the image (``width`` by ``height``) or where its beginning or
    end is ``hidden`` by a shutter, or comes out of one of the ``others``, which counts less. A curve that goes on at both
    ends goes on over another instrument at the tip, and seldom straight on.
    """
    ends = shaft.points[[0, -1]]
    inset = [min(x, y, width - 1 - x, height - 1 - y) for x, y in ends.tolist()]
    if not len(along):
        return inset[0] >= inset[1]
    first, last = float(along.min()), float(along.max())
    leaning = _leaning(ends, *others, shaft.width)
    turns = _turns(shaft.points, length, first, last, shaft.width)
    start, end = (
        part + _ENTERING * (covered or edge <= _BORDER * shaft.width) + _LEANING * leans - _TURNING * turn
        for part, edge, covered, leans, turn in zip(
            (first / length, 1.0 - last / length), inset, hidden, leaning, turns, strict=True
        )
    )
    start -= _TIP_SIZE * largest
    return start < end if start != end else inset[0] >= inset[1]


@compiled("(f8[:, :], f8, f8, f8, f8)")
def _turns(points: Floats, length: float, first: float, last: float, width: float) -> tuple[float, float]:
    """The sharpest turns (rad) of an evenly spaced curve just before its first electrode and just behind its last one;
    0 where it ends soon at either end."""
    if min(first, length - last) < _RUNS_ON * width:
        return 0.0, 0.0
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


@compiled("(f8[:, ::1], f8[:, ::1], i8, i8, f8)")
def _leaning(ends: Floats, points: Floats, first: int, last: int, width: float) -> tuple[bool, bool]:
    """Whether each of a shaft's two ends lies at another shaft: at a point that is none from ``first`` up to ``last``."""
    at_start, at_end, limit = False, False, (_LEANS * width) ** 2
    for i in range(len(points)):
        if i < first or i >= last:
            x, y = points[i]
            at_start |= (ends[0, 0] - x) ** 2 + (ends[0, 1] - y) ** 2 <= limit
            at_end |= (ends[1, 0] - x) ** 2 + (ends[1, 1] - y) ** 2 <= limit
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
