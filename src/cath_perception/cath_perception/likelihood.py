"""How likely an electrode pattern is by each of many others. Observed lengths are image px, expected ones mm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHAFT_MM = 2.0
_STRETCHED, _STRETCH_SPREAD, _MOST_STRETCHED = 0.2, 0.15, 12.0
_SHORTENED, _SHORT_SPREAD = -0.9, 0.3
"""The logarithm of px per mm along the shaft beside that across it, the width: nowhere much above 0, and on the average not
far below."""
_FREE_SCALE = 1.5
_SCALE_SPREAD, _SCALE_REACH_MM = 0.5, 12.0
"""Foreshortening: the logarithm of px per mm is free as a whole, and wanders by so much over so many mm."""
_DESIGN_SPREAD, _RING_SPREAD, _POSITION_PX = 0.10, 0.16, 0.8
"""What a gap's logarithm may be off for its maker's tolerances (round a loop: for its shape), and a position for the
detector's."""
_TIP_PX, _TIP_SPREAD_MM, _TIP_SPREAD, _MOST_SLANT = 1.5, 0.4, 0.3, 0.25
"""How much longer a tip electrode is than the rings: what that may be off in px, in mm, and as a part of it."""
_TIP_SHOWN = 0.8
"""The part of it that is seen: all of it at best, 0.6 at the median of a network's boxes (``light``, validation frames)."""
_ANY_TIP_PX, _LEAST_TIP = 12.0, -8.0
_ANY_SPREAD = 0.6
"""Spread of the logarithms of gaps in a pattern that no template describes."""
_ON_RING, _LEAST_ANGLE = 3.0, 0.02
_WIDTH_SPREAD, _ANY_WIDTH_SPREAD, _LEAST_WIDTH = 0.15, 0.4, -4.0
"""The logarithm of a shaft's width beside others', of its own type and of any."""
_WORST = -99.0


@compiled("(f8[::1], f8[::1], f8[::1], f8, f8, f8[:, ::1], f8[::1], f8[::1], b1[::1])")
def log_odds(
    along: Floats,
    lengths: Floats,
    angles: Floats,
    width: float,
    scale: float,
    log_gaps: Floats,
    tip_excess: Floats,
    log_diameter: Floats,
    circle: NDArray[np.bool_],
) -> Floats:
    """``(K,)`` natural logarithms of the odds of each expected pattern against any pattern.

    Args:
        along, lengths: ``(N,)`` places and lengths of the electrodes, px.
        angles: ``(N,)`` on a loop, rad; none where they are not on one.
        width: the shaft's, px.
        scale: px per mm by other shafts' widths; 0 where it is not known.
        log_gaps: ``(K, N - 1)`` logarithms of the expected gaps in mm, or on a loop in anything.
        tip_excess, log_diameter: ``(K,)`` mm by which the first is longer than the others, and logarithms of the shaft's mm.
        circle: ``(K,)`` those that only fit a loop.
    """
    count, ring = len(along) - 1, len(angles) > 0 and circle.any()
    gaps, off, middle, room = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    for i in range(count):
        gap = max(along[i + 1] - along[i], 0.5)
        gaps[i], off[i] = math.log(gap), (_POSITION_PX / gap) ** 2
        middle[i] = (along[i] + along[i + 1]) / 2.0 * (_SHAFT_MM / width)
    wide, excess = math.log(width), lengths[0] - _lower_median(lengths[1:])
    slant = lengths[0] * min(_POSITION_PX / max(along[1] - along[0], 0.5), _MOST_SLANT)
    root, anything = _root(middle, off, _DESIGN_SPREAD), _any_density(gaps, off)
    scores = np.full(len(log_gaps), -np.inf)
    for k in range(len(log_gaps)):
        if not circle[k]:
            along_shaft = math.exp((gaps[0] - log_gaps[k, 0] + gaps[1] - log_gaps[k, 1]) / 2.0)
            scores[k] = _density(gaps, log_gaps[k], root, room) - anything
            scores[k] -= _too_long(gaps, log_gaps[k], wide - log_diameter[k], off)
            scores[k] += _tip_density(excess, tip_excess[k], along_shaft, slant) - _ON_RING * ring
    if ring:
        for i in range(count):
            gaps[i] = math.log(max(angles[i + 1] - angles[i], _LEAST_ANGLE))
        root, anything = _root(middle, off, _RING_SPREAD), _any_density(gaps, off)
        for k in range(len(log_gaps)):
            if circle[k]:
                scores[k] = _density(gaps, log_gaps[k], root, room) - anything + _ON_RING
    if scale > 0.0:
        for k in range(len(log_gaps)):
            scores[k] += _width_density(wide - log_diameter[k] - math.log(scale))
    return scores


@compiled("(f8[::1], i8[::1], i8[::1], i8)")
def best_of_kinds(scores: Floats, kind: Ints, template: Ints, kinds: int) -> tuple[Ints, Floats]:
    """``(kinds,)`` which of ``(K,)`` scores is each kind's best, -1 for none, and how far above others of its template."""
    best, margins = np.full(kinds, -1), np.zeros(kinds)
    for k in range(len(scores)):
        if best[kind[k]] < 0 or scores[k] > scores[best[kind[k]]]:
            best[kind[k]] = k
    for n in range(kinds):
        if best[n] >= 0:
            other = _WORST
            for k in range(len(scores)):
                if template[k] == template[best[n]] and k != best[n]:
                    other = max(other, scores[k])
            margins[n] = scores[best[n]] - other
    return best, margins


@compiled()
def _lower_median(values: Floats) -> float:
    """The middle one in order of size, of two the former."""
    ordered = values.copy()
    for i in range(1, len(ordered)):
        value, at = ordered[i], i
        while at and ordered[at - 1] > value:
            ordered[at] = ordered[at - 1]
            at -= 1
        ordered[at] = value
    return ordered[(len(ordered) - 1) // 2]


@compiled()
def _root(middle: Floats, noise: Floats, spread: float) -> Floats:
    """Cholesky root of the covariance of log scales at places (mm) along the shaft (Matern, 3/2), see ``_density``."""
    root = np.zeros((len(middle) + 1, len(middle)))
    for i in range(len(middle)):
        for j in range(i + 1):
            far = abs(middle[i] - middle[j]) * (math.sqrt(3.0) / _SCALE_REACH_MM)
            value = _FREE_SCALE**2 + _SCALE_SPREAD**2 * ((1.0 + far) * math.exp(-far))
            for n in range(j):
                value -= root[i, n] * root[j, n]
            if i == j:
                root[i, i] = 1.0 / math.sqrt(value + noise[i] + spread * spread)
                root[len(middle), 0] -= math.log(root[i, i])
            else:
                root[i, j] = value * root[j, j]
    return root


@compiled()
def _density(gaps: Floats, expected: Floats, root: Floats, room: Floats) -> float:
    """Log density but for a constant of a pattern's log scales, smooth along the shaft; ``room`` for as many values.

    ``root``: of their covariance; of its diagonal the inverses and, in the last row, the sum of the logarithms.
    """
    mean = 0.0
    for i in range(len(gaps)):
        mean += (gaps[i] - expected[i]) / len(gaps)
    square = 0.0
    for i in range(len(gaps)):
        value = gaps[i] - expected[i] - mean
        for n in range(i):
            value -= root[i, n] * room[n]
        room[i] = value * root[i, i]
        square += room[i] * room[i]
    return -0.5 * square - root[len(gaps), 0]


@compiled()
def _any_density(values: Floats, noise: Floats) -> float:
    """The same of log gaps of any pattern."""
    mean = 0.0
    for i in range(len(values)):
        mean += values[i] / len(values)
    total = common = square = logs = 0.0
    for i in range(len(values)):
        variance = noise[i] + _DESIGN_SPREAD**2 + _ANY_SPREAD**2
        total += 1.0 / variance
        common += (values[i] - mean) / variance
        square += (values[i] - mean) ** 2 / variance
        logs += math.log(variance)
    free = 1.0 + _FREE_SCALE**2 * total
    return -0.5 * (square - _FREE_SCALE**2 * common * common / free + math.log(free) + logs)


@compiled()
def _too_long(gaps: Floats, expected: Floats, across: float, noise: Floats) -> float:
    """What speaks against gaps that look longer than no foreshortening allows, or far shorter on the average."""
    longer = mean = 0.0
    for i in range(len(gaps)):
        stretch = gaps[i] - expected[i] - across
        mean += stretch / len(gaps)
        if stretch > _STRETCHED:
            longer += (stretch - _STRETCHED) ** 2 / (2.0 * (_STRETCH_SPREAD**2 + noise[i]))
    shorter = min(mean - _SHORTENED, 0.0) / _SHORT_SPREAD
    return min(longer, _MOST_STRETCHED) + 0.5 * shorter * shorter


@compiled()
def _width_density(wider: float) -> float:
    """Log odds of a shaft whose width's logarithm is off by so much, against any."""
    known = -0.5 * (wider / _WIDTH_SPREAD) ** 2 - math.log(_WIDTH_SPREAD)
    anything = -0.5 * (wider / _ANY_WIDTH_SPREAD) ** 2 - math.log(_ANY_WIDTH_SPREAD)
    return max(known - anything, _LEAST_WIDTH)


@compiled()
def _tip_density(seen: float, expected_mm: float, scale: float, slant: float) -> float:
    """Log odds of the tip electrode being so much longer (px) than the rings, at so many px per mm, against any length.

    ``slant``: what not knowing the shaft's direction may make of it, px.
    """
    expected = _TIP_SHOWN * expected_mm * scale
    spread = math.sqrt(_TIP_PX**2 + slant**2 + (_TIP_SPREAD_MM * scale) ** 2 + (_TIP_SPREAD * expected) ** 2)
    off, any_off = (seen - expected) / spread, seen / _ANY_TIP_PX
    return max(0.5 * (any_off * any_off - off * off) - math.log(spread / _ANY_TIP_PX), _LEAST_TIP)
