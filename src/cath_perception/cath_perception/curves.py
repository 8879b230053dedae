"""Many polylines handled as one array: spacing, smoothing, slicing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]

_REACH = 5
_SMOOTH = np.array([-36, 9, 44, 69, 84, 89, 84, 69, 44, 9, -36]) / 429.0
"""Savitzky-Golay, 11 points, order 2: takes the steps out of a skeleton without cutting curves short."""
_SLOPE = np.arange(-_REACH, _REACH + 1) / 110.0
"""The least-squares slope over 11 points."""
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
        rings = np.zeros(len(self.first), np.bool_)  # their last point is there
        curves, nearest = evenly(self.points, self.first, self.count, rings, spacing)
        return replace(curves, closed=self.closed), values[nearest]

    def smooth(self) -> Curves:
        """Evenly spaced points through the smoothing filter; the ends of open curves stay where they are."""
        return self.with_points(_filtered(self.points, self.first, self.count, self.closed, _SMOOTH))

    def slopes(self) -> Floats:
        """Change from point to point in x and y ``(N, 2)``, a least-squares fit over 9 points."""
        return _filtered(self.points, self.first, self.count, self.closed, _SLOPE)


def evenly(
    points: Floats,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    rings: NDArray[np.bool_],
    spacing: float,
) -> tuple[Curves, NDArray[np.int64]]:
    """Curves of points about ``spacing`` apart, three each at least, and for every point the nearest one given.

    Args:
        points: ``(N, 2)``, of which every curve has a part.
        first, count: ``(K,)`` where each curve's part begins and how long it is.
        rings: ``(K,)`` which go on to their first point once more.
    """
    even, counts, nearest = _evenly(points, first, count, rings, spacing)
    return Curves(even, np.cumsum(counts) - counts, counts, rings), nearest


@compiled("(f8[:, ::1], i8[::1], i8[::1], b1[::1], f8)")
def _evenly(
    points: Floats,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    rings: NDArray[np.bool_],
    spacing: float,
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """See ``evenly``: points, how many each curve has, and the nearest ones."""
    along, counts, room = np.zeros(count.sum() + len(first)), np.empty(len(first), np.int64), 0
    begin = 0
    for c in range(len(first)):
        last = count[c] if rings[c] else count[c] - 1
        for i in range(1, last + 1):
            here, before = first[c] + i % count[c], first[c] + i - 1
            step = math.hypot(points[here, 0] - points[before, 0], points[here, 1] - points[before, 1])
            along[begin + i] = along[begin + i - 1] + step
        counts[c] = max(int(np.rint(along[begin + last] / spacing)) + 1, 3)
        room += counts[c]
        begin += last + 1
    even, nearest = np.empty((room, 2)), np.empty(room, np.int64)
    begin = filled = 0
    for c in range(len(first)):
        last, i = count[c] if rings[c] else count[c] - 1, 0
        for k in range(counts[c]):
            at = along[begin + last] * k / (counts[c] - 1)
            while i < last and along[begin + i] < at - _SAME:
                i += 1
            here, before = first[c] + i % count[c], first[c] + max(i - 1, 0)
            past = along[begin + max(i - 1, 0)]
            step = along[begin + i] - past
            part = min((at - past) / step, 1.0) if step > 0.0 else 0.0
            nearest[filled] = here
            even[filled, 0] = points[before, 0] + part * (points[here, 0] - points[before, 0])
            even[filled, 1] = points[before, 1] + part * (points[here, 1] - points[before, 1])
            filled += 1
        begin += last + 1
    return even, counts, nearest


@compiled("(f8[:, ::1], i8[::1], i8[::1], b1[::1], f8[::1])")
def _filtered(
    points: Floats,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    closed: NDArray[np.bool_],
    weights: Floats,
) -> Floats:
    """Weighted sums over 9 points; open curves go on beyond their ends as their mirror image, rings go round."""
    filtered = np.zeros(points.shape)
    for c in range(len(first)):
        last = count[c] - 1
        for i in range(count[c]):
            here = first[c] + i
            if _REACH <= i <= last - _REACH:
                for k in range(2 * _REACH + 1):
                    filtered[here, 0] += weights[k] * points[here + k - _REACH, 0]
                    filtered[here, 1] += weights[k] * points[here + k - _REACH, 1]
                continue
            for k in range(2 * _REACH + 1):
                at = i + k - _REACH
                edge = at % last if closed[c] else min(max(at, 0), last)
                # Of curves shorter than the filter the far end stands for all beyond it.
                mirrored = edge if closed[c] else min(max(2 * edge - at, 0), last)
                there, back = first[c] + edge, first[c] + mirrored
                filtered[here, 0] += weights[k] * (2.0 * points[there, 0] - points[back, 0])
                filtered[here, 1] += weights[k] * (2.0 * points[there, 1] - points[back, 1])
    return filtered


@compiled("(f8[:, :],)")
def length(points: Floats) -> float:
    """Of the curve through ``(N, 2)`` points."""
    along = 0.0
    for i in range(1, len(points)):
        x, y = points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1]
        along += math.sqrt(x * x + y * y)
    return along


@compiled("(f8[:, :],)")
def arc_lengths(points: Floats) -> Floats:
    """Length along the curve from its start to each of ``(N, 2)`` points."""
    along = np.zeros(len(points))
    for i in range(1, len(points)):
        x, y = points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1]
        along[i] = along[i - 1] + math.sqrt(x * x + y * y)
    return along
