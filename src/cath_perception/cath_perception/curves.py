"""Many polylines handled as one array: spacing, smoothing, slicing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]

_REACH = 4
_SMOOTH = np.array([-21, 14, 39, 54, 59, 54, 39, 14, -21]) / 231.0
"""Savitzky-Golay, 9 points, order 2: takes the steps out of a skeleton without cutting curves short."""
_SLOPE = np.arange(-_REACH, _REACH + 1) / 60.0
"""The least-squares slope over 9 points."""
_SAME = 1e-6
"""Places along a curve that differ by less are one."""


@dataclass
class Curves:
    """Polylines one behind the other.

    Attributes:
        points: ``(N, 2)`` x, y of all.
        first: ``(K,)`` where each begins.
        count: ``(K,)`` how many points each has.
        closed: ``(K,)``, rings, whose last point is their first once more.
    """

    points: Floats
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    closed: NDArray[np.bool_]

    @classmethod
    def of(cls, polylines: Sequence[Floats], closed: Sequence[bool]) -> Curves:
        """The polylines ``(n, 2)`` as one."""
        count = np.array([len(points) for points in polylines])
        return cls(np.concatenate(polylines), np.cumsum(count) - count, count, np.array(closed, dtype=bool))

    @property
    def parts(self) -> list[slice]:
        """Which points are each one's."""
        first = self.first.tolist()
        return [slice(i, i + n) for i, n in zip(first, self.count.tolist(), strict=True)]

    def with_points(self, points: Floats) -> Curves:
        """The same curves elsewhere."""
        return Curves(points, self.first, self.count, self.closed)

    def even(self, spacing: float, values: NDArray[np.bool_]) -> tuple[Curves, NDArray[np.bool_]]:
        """Points about ``spacing`` apart, three a curve at least, and each one's nearest of ``(N,)`` values."""
        points, count, nearest = _even(self.points, self.first, self.count, spacing)
        return Curves(points, np.cumsum(count) - count, count, self.closed), values[nearest]

    def smooth(self) -> Curves:
        """Evenly spaced points through the smoothing filter; the ends of open curves stay where they are."""
        return self.with_points(_filtered(self.points, self.first, self.count, self.closed, _SMOOTH))

    def slopes(self) -> Floats:
        """Change from point to point in x and y ``(N, 2)``, a least-squares fit over 9 points."""
        return _filtered(self.points, self.first, self.count, self.closed, _SLOPE)


@compiled("(f8[:, ::1], i8[::1], i8[::1], f8)")
def _even(
    points: Floats, first: NDArray[np.int64], count: NDArray[np.int64], spacing: float
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """See ``Curves.even``: points, how many of each curve, and the point behind or at which each of them lies."""
    curves = len(first)
    along, counts, room = np.empty(len(points)), np.empty(curves, np.int64), 0
    for c in range(curves):
        along[first[c]] = 0.0
        for i in range(first[c] + 1, first[c] + count[c]):
            step = math.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
            along[i] = along[i - 1] + step
        counts[c] = max(int(np.rint(along[first[c] + count[c] - 1] / spacing)) + 1, 3)
        room += counts[c]
    even, behind = np.empty((room, 2)), np.empty(room, np.int64)
    filled = 0
    for c in range(curves):
        i, last = first[c], first[c] + count[c] - 1
        for k in range(counts[c]):
            at = along[last] * k / (counts[c] - 1)
            while i < last and along[i] < at - _SAME:
                i += 1
            behind[filled] = i
            before = max(i - 1, first[c])
            step = along[i] - along[before]
            part = min((at - along[before]) / step, 1.0) if step > 0.0 else 0.0
            for axis in range(2):
                even[filled, axis] = points[before, axis] + part * (points[i, axis] - points[before, axis])
            filled += 1
    return even, counts, behind


@compiled("(f8[:, ::1], i8[::1], i8[::1], b1[::1], f8[::1])")
def _filtered(
    points: Floats,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    closed: NDArray[np.bool_],
    weights: Floats,
) -> Floats:
    """Weighted sums over 9 points; open curves go on beyond their ends as their mirror image, rings go round."""
    filtered = np.empty_like(points)
    for c in range(len(first)):
        last = count[c] - 1
        for i in range(count[c]):
            x = y = 0.0
            for k in range(-_REACH, _REACH + 1):
                at = i + k
                edge = at % last if closed[c] else min(max(at, 0), last)
                # Of curves shorter than the filter the far end stands for all beyond it.
                mirrored = edge if closed[c] else min(max(2 * edge - at, 0), last)
                there, back, weight = first[c] + edge, first[c] + mirrored, weights[k + _REACH]
                x += weight * (2.0 * points[there, 0] - points[back, 0])
                y += weight * (2.0 * points[there, 1] - points[back, 1])
            filtered[first[c] + i, 0], filtered[first[c] + i, 1] = x, y
    return filtered


def arc_lengths(points: Floats) -> Floats:
    """Length along the curve from its start to each of ``(N, 2)`` points."""
    steps = points[1:] - points[:-1]
    along = np.empty(len(points))
    along[0] = 0.0
    np.cumsum(np.hypot(steps[:, 0], steps[:, 1]), out=along[1:])
    return along
