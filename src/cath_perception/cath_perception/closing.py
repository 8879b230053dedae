"""Between which electrodes a loop closes, by the gaps between them alone. Angles are rad."""

from __future__ import annotations

import math

import numpy as np

from cath_perception.compiled import compiled
from cath_perception.curves import Floats

_UNEVEN = 0.02
"""Standard deviation of the natural logarithm of gaps about what is expected of them, besides what electrodes are off ..."""
_SLANT, _PAIRS = 0.1, 0.5
"""... which may vary twice round the loop so much, for loops are ellipses before they are seen at a slant, and be wide and
narrow in turns by so much ..."""
_FEWEST_PAIRED = 12
"""... on loops of so many electrodes at least."""
_CERTAIN = 2.5
"""From there on a difference counts ever less, natural logarithm of odds."""
_MISSING, _FALSE = 3.0, 4.0
"""What speaks against an electrode's being missing in a gap, and against a false one between two gaps."""
_IN_PAIR, _PAIRED = 4.0, 0.3
"""What speaks against a loop's closing within a pair, whose gaps' logarithms are so much below the mean at least."""
_ROUNDS = 3


@compiled()
def _against(deviations: Floats) -> Floats:
    """What speaks against a gap that is odd by so many standard deviations."""
    return 0.5 * _CERTAIN * np.log1p(deviations**2 / _CERTAIN)


@compiled()
def _expected(logs: Floats, middles: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Of each gap's logarithm what all of them let one expect, and how much it is one within a pair, 0..1: by a fit in which
    those that are odd count little."""
    paired = len(logs) >= _FEWEST_PAIRED and len(logs) % 2 == 0
    terms = 4 if paired else 3
    known, prior, fit = np.ones((len(logs), terms)), np.zeros((terms, terms)), np.zeros(terms)
    known[:, 1], known[:, 2], fit[0] = np.cos(2.0 * middles), np.sin(2.0 * middles), np.median(logs)
    prior[1, 1] = prior[2, 2] = _SLANT**-2.0
    if paired:
        known[1::2, 3], prior[3, 3] = -1.0, _PAIRS**-2.0
        even, other = np.median(logs[::2].copy()), np.median(logs[1::2].copy())
        fit[0], fit[3] = (even + other) / 2.0, (even - other) / 2.0
    for _ in range(_ROUNDS):
        odd = (logs - known @ fit) / spread
        weighted = np.ascontiguousarray(known.T * (spread**-2.0 / (1.0 + odd**2 / _CERTAIN)))
        fit[:] = np.linalg.solve(weighted @ known + prior, weighted @ logs)
    narrow = np.zeros(len(logs))
    for n in range(len(logs) if paired else 0):
        narrow[n] = min(max(-fit[3] * known[n, 3] / _PAIRED, 0.0), 1.0)
    return known @ fit, narrow


@compiled("(f8[::1], f8[::1])")
def closing(angles: Floats, off: Floats) -> Floats:
    """What speaks for a loop's closing before each of its electrodes, natural logarithm of odds, 0 for the likeliest.

    Electrodes are evenly spaced, or in pairs, along the loop from the tip, and the gap where it closes is what is left: it
    differs from what the others let one expect, be it wider or narrower.

    Args:
        angles: ``(N,)`` of the electrodes as seen from the loop's axis, increasing; six or more.
        off: ``(N,)`` their standard deviation.
    """
    gaps = np.append(angles[1:], angles[0] + 2.0 * math.pi) - angles
    logs = np.log(np.maximum(gaps, 1e-2))
    spread = np.hypot(_UNEVEN, np.hypot(off, np.roll(off, -1)) / np.maximum(gaps, 1e-2))
    expected, narrow = _expected(logs, angles + gaps / 2.0, spread)
    odd = logs - expected
    ordinary = np.minimum(_against(odd / spread), _MISSING + _against((odd - math.log(2.0)) / spread))
    both = np.log(gaps + np.roll(gaps, -1)) - expected
    halved = np.minimum(_against(both / spread), _against(np.roll(both, 1) / spread))
    told = np.roll(np.minimum(ordinary, _FALSE + halved) - _IN_PAIR * narrow, 1)
    return told - told.max()
