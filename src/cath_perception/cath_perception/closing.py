"""Between which electrodes a loop closes, by the gaps between them alone. Angles are rad."""

from __future__ import annotations

import math

import numpy as np

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


def closing(angles: Floats, off: Floats) -> Floats:
    """What speaks for a loop's closing before each of its electrodes, natural logarithm of odds, 0 for the likeliest.

    Electrodes are evenly spaced, or in pairs, along the loop from the tip, and the gap where it closes is what is left: it
    differs from what the others let one expect, be it wider or narrower.

    Args:
        angles: ``(N,)`` of the electrodes as seen from the loop's axis, increasing; six or more.
        off: ``(N,)`` their standard deviation.
    """
    gaps = np.diff(angles, append=angles[0] + math.tau)
    logs = np.log(np.maximum(gaps, 1e-2))
    spread = np.hypot(_UNEVEN, np.hypot(off, np.roll(off, -1)) / np.maximum(gaps, 1e-2))
    expected, narrow = _expected(logs, angles + gaps / 2.0, spread)
    odd = logs - expected
    ordinary = np.minimum(_against(odd / spread), _MISSING + _against((odd - math.log(2.0)) / spread))
    both = np.log(gaps + np.roll(gaps, -1)) - expected
    halved = np.minimum(_against(both / spread), _against(np.roll(both, 1) / spread))
    ordinary = np.minimum(ordinary, _FALSE + halved)
    told = np.roll(ordinary - _IN_PAIR * narrow, 1)
    likeliest: Floats = told - told.max()
    return likeliest


def _expected(logs: Floats, middles: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Of each gap's logarithm what all of them let one expect, and how much it is one within a pair, 0..1: by a fit in which
    those that are odd count little."""
    known = [np.ones(len(logs)), np.cos(2.0 * middles), np.sin(2.0 * middles)]
    level, rigid = [float(np.median(logs)), 0.0, 0.0], [0.0, _SLANT**-2, _SLANT**-2]
    if len(logs) >= _FEWEST_PAIRED and len(logs) % 2 == 0:
        even, other = float(np.median(logs[::2])), float(np.median(logs[1::2]))
        known.append(np.where(np.arange(len(logs)) % 2, -1.0, 1.0))
        level, rigid = [(even + other) / 2.0, 0.0, 0.0, (even - other) / 2.0], [*rigid, _PAIRS**-2]
    columns, prior, fit = np.column_stack(known), np.diag(rigid), np.array(level)
    for _ in range(_ROUNDS):
        odd = (logs - columns @ fit) / spread
        weighted = columns.T * (spread**-2 / (1.0 + odd**2 / _CERTAIN))
        fit = np.linalg.solve(weighted @ columns + prior, weighted @ logs)
    paired = fit[3] * columns[:, 3] if len(fit) > 3 else np.zeros(len(logs))
    return columns @ fit, np.clip(-paired / _PAIRED, 0.0, 1.0)


def _against(deviations: Floats) -> Floats:
    """What speaks against a gap that is odd by so many standard deviations."""
    cost: Floats = 0.5 * _CERTAIN * np.log1p(deviations**2 / _CERTAIN)
    return cost
