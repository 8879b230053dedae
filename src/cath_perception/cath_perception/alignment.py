"""Point patterns laid over each other: what tracking and motion share. All positions are ``(N, 2)`` image px."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pairs = NDArray[np.intp]

_FAR = 2.0
"""So many more points a shift at the gate must explain than the expected one: even spacing also fits shifted."""


def aligned(before: Floats, now: Floats, expected: Floats, gate: float, reach: float) -> tuple[Pairs, Floats]:
    """Which of ``now`` are which of ``before``, after the shift that explains most of them.

    Args:
        expected: ``(2,)`` likely shift; one farther off than ``gate`` px is not considered.
        reach: how far from its shifted place a point may be found, px.

    Returns ``(P, 2)`` index pairs (before, now), one to one, and the ``(2,)`` shift.
    """
    if not len(before) or not len(now):
        return np.empty((0, 2), np.intp), expected
    apart = now[None, :, :] - before[:, None, :]
    shifts = apart.reshape(-1, 2)
    off = np.square(shifts - expected).sum(axis=1)
    shifts = shifts[off <= gate * gate]
    if not len(shifts):
        return np.empty((0, 2), np.intp), expected
    missed = np.square(apart[None] - shifts[:, None, None, :]).sum(axis=3).min(axis=2)
    closeness = np.maximum(1.0 - missed / reach**2, 0.0).sum(axis=1)
    far = np.sqrt(np.square(shifts - expected).sum(axis=1)) / gate
    best = shifts[int((closeness - _FAR * far).argmax())]
    pairs = _mutual(apart - best, reach)
    if len(pairs):
        best = np.median(apart[pairs[:, 0], pairs[:, 1]], axis=0)
        pairs = _mutual(apart - bent(before, pairs, apart[pairs[:, 0], pairs[:, 1]], best)[:, None, :], reach)
    return pairs, best


def _mutual(apart: Floats, reach: float) -> Pairs:
    """Pairs that are each other's nearest, no farther apart than ``reach``."""
    distance = np.square(apart).sum(axis=2)
    nearest = distance.argmin(axis=1)
    rows = np.arange(len(distance))
    good = (distance.argmin(axis=0)[nearest] == rows) & (distance[rows, nearest] <= reach * reach)
    return np.column_stack((rows[good], nearest[good]))


def nearest_pairs(first: Floats, second: Floats, reach: float) -> Pairs:
    """``(P, 2)`` index pairs of points that are each other's nearest, no farther apart than ``reach`` px."""
    return _mutual(second[None, :, :] - first[:, None, :], reach)


def bent(points: Floats, pairs: Pairs, shifts: Floats, fallback: Floats) -> Floats:
    """The shift of every point: that of its neighbours among ``pairs``, weighted by nearness, ``(N, 2)``."""
    if not len(pairs):
        return np.broadcast_to(fallback, points.shape)
    known = points[pairs[:, 0]]
    near = 1.0 / (np.square(points[:, None, :] - known[None, :, :]).sum(axis=2) + 100.0)
    return np.asarray((near / near.sum(axis=1, keepdims=True)) @ shifts)


def rigid(before: Floats, now: Floats) -> tuple[float, Floats]:
    """Rotation (rad, from x towards y) and translation that lay paired points over each other (Kabsch).

    ``now ~ R before + t``, least squares; needs two pairs at different places for a rotation.
    """
    centre, moved = before.mean(axis=0), now.mean(axis=0)
    a, b = before - centre, now - moved
    angle = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    return angle, moved - rotation(angle) @ centre


def rotation(angle: float) -> Floats:
    """``(2, 2)`` matrix of a rotation by ``angle`` rad from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])
