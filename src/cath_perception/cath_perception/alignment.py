"""Point patterns laid over each other: what tracking and motion share. All positions are ``(N, 2)`` image px."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]
Pairs = NDArray[np.intp]

_FAR = 3.0
"""So many more points a shift at the gate must explain than the expected one: even spacing also fits shifted."""
_SOFT = 100.0
"""Neighbours nearer than the root of this (px) bend alike."""


def squared_distances(first: Floats, second: Floats) -> Floats:
    """``(N, M)`` squared distances in px^2."""
    x, y = first[:, :1] - second[:, 0], first[:, 1:] - second[:, 1]
    return x * x + y * y


def best_shift(before: Floats, now: Floats, gate: float, reach: float) -> tuple[Floats, float]:
    """The shift that lays most of ``before`` over ``now``, and how many it explains.

    Args:
        gate: the longest shift considered, px.
        reach: how far from its shifted place a point may be found, px; the nearer, the more it counts.
    """
    x, y, explained = _best_shift(np.ascontiguousarray(before), np.ascontiguousarray(now), gate, reach)
    return np.array((x, y)), explained


@compiled("(f8[:, ::1], f8[:, ::1], f8, f8)")
def _best_shift(before: Floats, now: Floats, gate: float, reach: float) -> tuple[float, float, float]:
    """See ``best_shift``; tries all shifts that lay one point over another."""
    best, best_x, best_y, most = -np.inf, 0.0, 0.0, 0.0
    for i in range(len(before)):
        for j in range(len(now)):
            x, y = now[j, 0] - before[i, 0], now[j, 1] - before[i, 1]
            length = math.hypot(x, y)
            if length <= gate:
                far = _FAR / gate * length
                explained = _explained(before, now, x, y, reach, best + far)
                if explained - far > best:
                    best, best_x, best_y, most = explained - far, x, y, explained
    return best_x, best_y, most


@compiled()
def _explained(before: Floats, now: Floats, x: float, y: float, reach: float, least: float) -> float:
    """How many points a shift lays over others, each less the farther off; anything lower where it is below ``least``."""
    explained = 0.0
    for i in range(len(before)):
        if explained + (len(before) - i) < least:
            break
        missed = np.inf
        for j in range(len(now)):
            away_x, away_y = now[j, 0] - before[i, 0] - x, now[j, 1] - before[i, 1] - y
            missed = min(missed, away_x * away_x + away_y * away_y)
        explained += max(1.0 - missed / reach**2, 0.0)
    return explained


def mutual_pairs(squares: Floats, reach: Floats | float) -> Pairs:
    """``(P, 2)`` pairs of rows and columns that are each other's nearest, none beyond ``reach`` px (of each row).

    Args:
        squares: ``(N, M)`` squared distances.
    """
    if not squares.size:
        return np.empty((0, 2), np.intp)
    nearest = squares.argmin(axis=1)
    rows = np.arange(len(squares))
    good = (squares.argmin(axis=0)[nearest] == rows) & (squares[rows, nearest] <= np.square(reach))
    return np.column_stack((rows[good], nearest[good]))


def best_pairs(squares: Floats, reach: Floats) -> Pairs:
    """``(P, 2)`` pairs of rows and columns with the least sum of squares, none beyond ``reach`` px (of each row).

    Mutually nearest ones are that sum wherever none of the others left over is near anything.
    """
    pairs, limit = mutual_pairs(squares, reach), np.square(reach)[:, None]
    near = squares <= limit
    rows, columns = near.any(axis=1), near.any(axis=0)
    if rows.sum() <= len(pairs) or columns.sum() <= len(pairs):
        return pairs
    left, top = np.flatnonzero(rows), np.flatnonzero(columns)
    inner = squares[np.ix_(left, top)]
    first, second = linear_sum_assignment(np.minimum(inner, limit[left]))
    good = near[left[first], top[second]]
    return np.column_stack((left[first[good]], top[second[good]]))


def bent(points: Floats, known: Pairs, shifts: Floats, related: NDArray[np.bool_] | None = None) -> Floats:
    """The shift of every point: that of its neighbours among the ``known`` ones, weighted by nearness, ``(N, 2)``.

    Args:
        known: ``(P,)`` indices of points whose ``(P, 2)`` ``shifts`` are known.
        related: ``(N, P)`` which points are moved by which; None: by all. A point moved by none has shift 0.
    """
    near = 1.0 / (squared_distances(points, points[known]) + _SOFT)
    if related is not None:
        near = near * related
    return np.asarray((near @ shifts) / np.maximum(near.sum(axis=1, keepdims=True), 1e-12))


def rigid(before: Floats, now: Floats) -> tuple[float, Floats]:
    """Rotation (rad, from x towards y) and translation that lay paired points over each other (Kabsch).

    ``now ~ R before + t``, least squares; needs two pairs at different places for a rotation.
    """
    count = len(before)
    centre, moved = before.sum(axis=0) / count, now.sum(axis=0) / count
    (xx, xy), (yx, yy) = ((before - centre).T @ (now - moved)).tolist()
    angle = math.atan2(xy - yx, xx + yy)
    return angle, moved - rotation(angle) @ centre


def consensus(before: Floats, now: Floats, off: float) -> NDArray[np.bool_]:
    """``(N,)`` which of the paired points move together rigidly, none farther off than ``off`` px.

    All, where one rigid motion fits them. Else the largest set that fits the motion of any two of them (RANSAC without
    chance, as points are few), fitted again.
    """
    kept = _off(before, now, np.ones(len(before), bool)) <= off
    if kept.all() or len(before) < 3:
        return kept
    first, second = before @ (1.0, 1.0j), now @ (1.0, 1.0j)
    one, other = np.triu_indices(len(first), 1)
    turn = (second[other] - second[one]) * np.conj(first[other] - first[one])
    turn /= np.maximum(np.abs(turn), 1e-9)
    middle = turn * (first[one] + first[other]) - (second[one] + second[other])
    away = np.abs(turn[:, None] * first - second - middle[:, None] / 2.0)
    fitting = np.minimum(away / off, 1.0).sum(axis=1)
    kept = away[int(fitting.argmin())] <= off
    return _off(before, now, kept) <= off


def _off(before: Floats, now: Floats, kept: NDArray[np.bool_]) -> Floats:
    """``(N,)`` how far points are from where the rigid motion of those ``kept`` takes them, px."""
    angle, shift = rigid(before[kept], now[kept])
    return np.asarray(np.hypot(*(now - before @ rotation(angle).T - shift).T))


def rotation(angle: float) -> Floats:
    """``(2, 2)`` matrix of a rotation by ``angle`` rad from x towards y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])
