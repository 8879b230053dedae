"""One pattern's electrodes among others on the same shaft: another catheter's beside it, or false ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]

_SKIPPED = 5
"""So many electrodes in a row may be none of the pattern's ..."""
_MISSED = 2
"""... and so many of the pattern's in a row not be there."""
FALSE, _MISSING = 1.0, 3.0
"""What each of these costs, natural logarithm of odds."""
_WANDERS, _POSITION_PX = 0.3, 0.8
"""By how much the logarithm of px per mm changes from one gap to the next, and what a position may be off."""
_LONGEST, _SHORTEST = 0.4, -1.6
"""The logarithm of px per mm along the shaft beside that across it, the width."""
_NEVER = 1e9


def sifted(along: Floats, centres: Floats, across: float) -> NDArray[np.intp]:
    """Which of ``(N,)`` electrodes look most like a pattern's.

    Args:
        along: places along the shaft in px, increasing.
        centres: ``(M,)`` of the pattern's electrodes in mm, increasing.
        across: px per mm across the shaft.

    Returns their indices, rising; none where there is no such pattern. Gaps keep their proportion to the pattern's, but for
    what foreshortening does, which changes smoothly along the shaft.
    """
    return np.flatnonzero(
        _sifted(np.ascontiguousarray(along), np.ascontiguousarray(centres), math.log(across))
    )


@compiled("(f8[::1], f8[::1], f8)")
def _sifted(along: Floats, centres: Floats, across: float) -> NDArray[np.bool_]:
    """See ``sifted``; the cheapest chain of pairs (electrodes ``a`` before ``b``, the latter the pattern's ``j``-th)."""
    count, places = len(along), len(centres)
    steps, leaps = _SKIPPED + 1, _MISSED + 1
    cost = np.full((count, steps, places, leaps), _NEVER)
    before = np.full((count, steps, places, leaps), -1)
    scale = np.full((count, steps, places, leaps), np.nan)
    blur = np.zeros((count, steps))
    best, last = _NEVER, -1
    for b in range(1, count):
        for step in range(min(steps, b)):
            a = b - 1 - step
            gap = max(along[b] - along[a], 0.5)
            blur[b, step] = 2.0 * (_POSITION_PX / gap) ** 2
            for j in range(1, places):
                for leap in range(min(leaps, j)):
                    i = j - 1 - leap
                    size = math.log(gap / (centres[j] - centres[i]))
                    if not _SHORTEST < size - across < _LONGEST:
                        continue
                    scale[b, step, j, leap] = size
                    added = FALSE * step + _MISSING * leap
                    least, link = _MISSING * i, -1
                    for k in range(min(steps, a)):
                        for l in range(min(leaps, i)):
                            wander = size - scale[a, k, i, l]
                            spread = _WANDERS**2 + blur[b, step] + blur[a, k]
                            through = cost[a, k, i, l] + 0.5 * wander * wander / spread
                            if through < least:
                                least, link = through, (k * places + i) * leaps + l
                    cost[b, step, j, leap], before[b, step, j, leap] = least + added, link
                    whole = least + added + _MISSING * (places - 1 - j)
                    if whole < best:
                        best, last = whole, ((b * steps + step) * places + j) * leaps + leap
    chosen = np.zeros(count, np.bool_)
    if last < 0:
        return chosen
    leap, rest = last % leaps, last // leaps
    j, rest = rest % places, rest // places
    step, b = rest % steps, rest // steps
    chosen[b] = True
    while True:
        a, link = b - 1 - step, before[b, step, j, leap]
        chosen[a] = True
        if link < 0:
            return chosen
        b, leap, step = a, link % leaps, link // leaps // places
        j = link // leaps % places
