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
"""So many more points a shift at the gate must explain than the expected one, as even spacing also fits shifted; a shorter
one fewer, with the square of its length."""
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
                far = _FAR * (length / gate) ** 2
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
    return _mutual_pairs(squares, _limits(squares, reach))


def _limits(squares: Floats, reach: Floats | float) -> Floats:
    limits = np.empty(len(squares))
    return (
        np.square(reach, out=limits) if isinstance(reach, np.ndarray) else np.full_like(limits, reach * reach)
    )


@compiled("(f8[:, ::1], f8[::1])")
def _mutual_pairs(squares: Floats, limits: Floats) -> Pairs:
    """See ``mutual_pairs``; ``limits`` are squared."""
    rows, columns = squares.shape
    highest = np.full(columns, -1)
    for j in range(columns):
        highest[j] = 0
        for i in range(1, rows):
            if squares[i, j] < squares[highest[j], j]:
                highest[j] = i
    pairs, count = np.empty((rows, 2), np.intp), 0
    for i in range(rows):
        nearest = 0
        for j in range(1, columns):
            if squares[i, j] < squares[i, nearest]:
                nearest = j
        if highest[nearest] == i and squares[i, nearest] <= limits[i]:
            pairs[count, 0], pairs[count, 1] = i, nearest
            count += 1
    return pairs[:count]


def best_pairs(squares: Floats, reach: Floats) -> Pairs:
    """``(P, 2)`` pairs of rows and columns with the least sum of squares, none beyond ``reach`` px (of each row).

    Mutually nearest ones are that sum wherever none of the others left over is near anything.
    """
    if not squares.size:
        return np.empty((0, 2), np.intp)
    limits = _limits(squares, reach)
    pairs, reachable = _mutual_pairs(squares, limits), _reachable(squares, limits)
    if reachable <= len(pairs):
        return pairs
    near = squares <= limits[:, None]
    left, top = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    inner = squares[np.ix_(left, top)]
    first, second = linear_sum_assignment(np.minimum(inner, limits[left][:, None]))
    good = near[left[first], top[second]]
    return np.column_stack((left[first[good]], top[second[good]]))


@compiled("(f8[:, ::1], f8[::1])")
def _reachable(squares: Floats, limits: Floats) -> int:
    """How many rows, or columns if these are fewer, have anything within their limit: no more pairs are possible."""
    rows, columns = squares.shape
    row, column = np.zeros(rows, np.bool_), np.zeros(columns, np.bool_)
    for i in range(rows):
        for j in range(columns):
            if squares[i, j] <= limits[i]:
                row[i] = column[j] = True
    return min(row.sum(), column.sum())


@compiled("(f8[:, ::1], i8[::1], i8[:, :], f8[:, ::1])")
def carried(points: Floats, owner: NDArray[np.intp], pairs: Pairs, found: Floats) -> Floats:
    """``(N, 2)`` where all points go as some are found elsewhere: as those of the same owner do, the nearer the more.

    Args:
        owner: ``(N,)`` of each point. One with none of its owner's found stays.
        pairs: ``(P, 2)`` points, and where in ``found`` ``(M, 2)`` they are.
    """
    moved = points.copy()
    for i in range(len(points)):
        total, x, y = 1e-12, 0.0, 0.0
        for k in range(len(pairs)):
            slot, row = pairs[k]
            if owner[slot] == owner[i]:
                away = (points[i, 0] - points[slot, 0]) ** 2 + (points[i, 1] - points[slot, 1]) ** 2
                near = 1.0 / (away + _SOFT)
                total += near
                x += near * (found[row, 0] - points[slot, 0])
                y += near * (found[row, 1] - points[slot, 1])
        moved[i, 0] += x / total
        moved[i, 1] += y / total
    return moved


def rigid(before: Floats, now: Floats) -> tuple[float, Floats]:
    """Rotation (rad, from x towards y) and translation that lay paired points over each other (Kabsch).

    ``now ~ R before + t``, least squares; needs two pairs at different places for a rotation.
    """
    angle, x, y = _rigid(before, now, np.ones(len(before), np.bool_))
    return angle, np.array((x, y))


@compiled("(f8[:, ::1], f8[:, ::1], b1[::1])")
def _rigid(before: Floats, now: Floats, kept: NDArray[np.bool_]) -> tuple[float, float, float]:
    """See ``rigid``; of the pairs ``kept``."""
    count = max(kept.sum(), 1)
    x = y = to_x = to_y = turn = along = 0.0
    for n in np.flatnonzero(kept):
        x, y, to_x, to_y = x + before[n, 0], y + before[n, 1], to_x + now[n, 0], to_y + now[n, 1]
    x, y, to_x, to_y = x / count, y / count, to_x / count, to_y / count
    for n in np.flatnonzero(kept):
        u, v, s, t = before[n, 0] - x, before[n, 1] - y, now[n, 0] - to_x, now[n, 1] - to_y
        turn, along = turn + u * t - v * s, along + u * s + v * t
    angle = math.atan2(turn, along)
    c, s = math.cos(angle), math.sin(angle)
    return angle, to_x - c * x + s * y, to_y - s * x - c * y


def consensus(before: Floats, now: Floats, off: float) -> NDArray[np.bool_]:
    """``(N,)`` which of the paired points move together rigidly, none farther off than ``off`` px.

    All, where one rigid motion fits them. Else the largest set that fits the motion of any two of them (RANSAC without
    chance, as points are few), fitted again.
    """
    kept = deviations(before, now) <= off
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


def deviations(before: Floats, now: Floats) -> Floats:
    """``(N,)`` how far paired points are from where the rigid motion of all takes them, px."""
    return _off(before, now, np.ones(len(before), bool))


@compiled("(f8[:, ::1], f8[:, ::1], b1[::1])")
def _off(before: Floats, now: Floats, kept: NDArray[np.bool_]) -> Floats:
    """``(N,)`` how far points are from where the rigid motion of those ``kept`` takes them, px."""
    angle, x, y = _rigid(before, now, kept)
    c, s = math.cos(angle), math.sin(angle)
    off = np.empty(len(before))
    for n in range(len(before)):
        u, v = before[n]
        off[n] = math.hypot(now[n, 0] - c * u + s * v - x, now[n, 1] - s * u - c * v - y)
    return off


def rotation(angle: float) -> Floats:
    """``(2, 2)`` matrix of a rotation by ``angle`` rad from x towards y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])
