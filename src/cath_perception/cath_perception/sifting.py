"""One pattern's electrodes among others, without any centreline: another catheter's beside it, or false ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled
from cath_perception.templates import Floats, Template

_NEAREST = 6
"""An electrode's neighbours on its catheter are among so many next to it ..."""
_MISSED = 2
"""... and so many of the pattern's in a row may not be there."""
_LEFT_OUT = 3
"""So many at most are left out before and behind those that are there; no pattern is known with more missing."""
_MISSING = 3.0
"""What each of these costs, natural logarithm of odds."""
_WANDERS, _POSITION_PX = 0.3, 0.8
"""By how much the logarithm of px per mm changes from one gap to the next, and what a position may be off."""
_LONGEST, _SHORTEST = 0.4, -1.6
"""The logarithm of px per mm along the shaft beside that across it, the width."""
_TURNS, _SHARPEST = math.radians(25.0), math.cos(math.radians(100.0))
"""How much a shaft turns from one gap to the next, and the cosine of the most."""
_NEVER, _DEAREST = 1e9, 20.0
"""What is no chain costs more than any, and what no pattern's chain costs."""


class Patterns(NamedTuple):
    """Electrode patterns in mm: ``(T, M)`` ``centres`` along the shaft, increasing, of which each has the first ``(T,)``
    ``counts``, and ``(T,)`` ``diameters``."""

    centres: Floats
    counts: NDArray[np.int64]
    diameters: Floats

    @classmethod
    def of(cls, templates: Sequence[Template]) -> Patterns:
        """Those of some templates."""
        counts = [len(template.centres) for template in templates]
        centres = np.full((len(counts), max(counts, default=0)), np.nan)
        for row, template in zip(centres, templates, strict=True):
            row[: len(template.centres)] = template.centres
        diameters = np.array([template.diameter for template in templates], np.float64)
        return cls(centres, np.array(counts, np.int64), diameters)


def sifted(positions: Floats, patterns: Patterns, width: float) -> list[NDArray[np.intp]]:
    """Which of ``(N, 2)`` electrodes look most like each pattern's.

    Args:
        positions: px.
        width: of the shaft, px.

    Returns for each pattern their indices from its first on, few or none where there is no such pattern; nothing at all for
    fewer than three electrodes. Gaps keep their proportion to the pattern's, but for what foreshortening does, which changes
    smoothly along the shaft, and the shaft seldom turns sharply.
    """
    if len(positions) < 3:
        return []
    chains, lengths = _chains(np.ascontiguousarray(positions), *patterns, width)
    return [chain[:length] for chain, length in zip(chains, lengths.tolist(), strict=True)]


@compiled()
def _neighbours(positions: Floats) -> tuple[NDArray[np.int64], Floats]:
    """``(N, K)`` the nearest others of each position, and their distances."""
    count = len(positions)
    most = min(_NEAREST, count - 1)
    near, far = np.empty((count, most), np.int64), np.empty((count, most))
    for n in range(count):
        away = np.hypot(positions[:, 0] - positions[n, 0], positions[:, 1] - positions[n, 1])
        away[n] = np.inf
        for k in range(most):
            near[n, k] = away.argmin()
            far[n, k] = away[near[n, k]]
            away[near[n, k]] = np.inf
    return near, far


@compiled()
def _bends(positions: Floats, near: NDArray[np.int64], far: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each two gaps that follow each other, from electrode b to its k-th neighbour and on to the n-th of that one's, all
    ``(N, K, K)``: what their turn costs, the logarithm of their ratio, and half of the inverse of that one's variance."""
    count, most = near.shape
    shape = count, most, most
    cost, ratio, sure = np.full(shape, _NEVER), np.zeros(shape), np.zeros(shape)
    for b in range(count):
        for k in range(most):
            a, gap = near[b, k], max(far[b, k], 0.5)
            x, y = positions[b, 0] - positions[a, 0], positions[b, 1] - positions[a, 1]
            for n in range(most):
                c, short = near[a, n], max(far[a, n], 0.5)
                u, v = positions[a, 0] - positions[c, 0], positions[a, 1] - positions[c, 1]
                cosine = (x * u + y * v) / (gap * short)
                if cosine > _SHARPEST:
                    off = (_POSITION_PX / gap) ** 2 + (_POSITION_PX / short) ** 2
                    turn = math.acos(min(cosine, 1.0))
                    cost[b, k, n] = 0.5 * turn * turn / (_TURNS**2 + off)
                    ratio[b, k, n] = math.log(gap / short)
                    sure[b, k, n] = 0.5 / (_WANDERS**2 + 2.0 * off)
    return cost, ratio, sure


@compiled()
def _cheapest(
    near: NDArray[np.int64],
    logs: Floats,
    bends: Floats,
    ratios: Floats,
    sure: Floats,
    centres: Floats,
    across: float,
) -> NDArray[np.int64]:
    """See ``sifted``: the cheapest chain of electrodes, the last of each two of which is the pattern's ``j``-th; ``logs``
    of the distances, ``across``: of px per mm."""
    count, most = near.shape
    places, leaps = len(centres), _MISSED + 1
    cost = np.full(places * leaps * count * most, _NEVER).reshape(places, leaps, count, most)
    least_of = np.full(places * leaps * count, _NEVER).reshape(places, leaps, count)
    before = np.empty(cost.shape, np.int64)
    best, last, changes = _DEAREST, (0, 0, 0, 0), np.empty(leaps)
    for j in range(1, places):
        for leap in range(min(leaps, j)):
            i = j - 1 - leap
            expected = math.log(centres[j] - centres[i])
            for past in range(min(leaps, i)):
                changes[past] = expected - math.log(centres[i] - centres[i - 1 - past])
            for b in range(count):
                for k in range(most):
                    if not _SHORTEST < logs[b, k] - expected - across < _LONGEST:
                        continue
                    start, bound = _MISSING * i if i <= _LEFT_OUT else _NEVER, best - _MISSING * leap
                    a, link = near[b, k], -1
                    least = min(start, bound)  # what is not below the bound can only become more
                    for past in range(min(leaps, i)):
                        if least_of[i, past, a] >= least:
                            continue
                        for n in range(most):
                            off = ratios[b, k, n] - changes[past]
                            through = cost[i, past, a, n] + bends[b, k, n] + off * off * sure[b, k, n]
                            if through < least:
                                least, link = through, past * most + n
                    if link < 0 and start >= bound:
                        continue
                    least += _MISSING * leap
                    cost[j, leap, b, k], before[j, leap, b, k] = least, link
                    least_of[j, leap, b] = min(least_of[j, leap, b], least)
                    whole = least + _MISSING * (places - 1 - j)
                    if whole < best and places - 1 - j <= _LEFT_OUT:
                        best, last = whole, (j, leap, b, k)
    chain, length = np.empty(places, np.int64), 0
    j, leap, b, k = last
    while best < _DEAREST:
        chain[length], length = b, length + 1
        link, a = before[j, leap, b, k], near[b, k]
        if link < 0:
            chain[length], length = a, length + 1
            break
        j, leap, b, k = j - 1 - leap, link // most, a, link % most
    return chain[:length][::-1].copy()


@compiled()
def _repeats(chain: NDArray[np.int64]) -> bool:
    """Whether a chain comes back to an electrode."""
    for i in range(len(chain)):
        for j in range(i):
            if chain[i] == chain[j]:
                return True
    return False


@compiled("(f8[:, ::1], f8[:, ::1], i8[::1], f8[::1], f8)")
def _chains(
    positions: Floats, centres: Floats, counts: NDArray[np.int64], diameters: Floats, width: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """See ``sifted``: the chains, one a row, and how long each is."""
    near, far = _neighbours(positions)
    bends, ratios, sure = _bends(positions, near, far)
    logs = np.log(np.maximum(far, 0.5))
    chains, lengths = np.empty(centres.shape, np.int64), np.zeros(len(counts), np.int64)
    for n in range(len(counts)):
        own = centres[n, : counts[n]]
        chain = _cheapest(near, logs, bends, ratios, sure, own, math.log(width / diameters[n]))
        if not _repeats(chain):
            lengths[n] = len(chain)
            chains[n, : len(chain)] = chain
    return chains, lengths
