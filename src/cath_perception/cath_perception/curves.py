"""Many polylines handled as one array: spacing, smoothing, slicing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_REACH = 4
_SMOOTH = np.array([-21, 14, 39, 54, 59, 54, 39, 14, -21]) / 231.0
"""Savitzky-Golay, 9 points, order 2: takes the steps out of a skeleton without cutting curves short."""
_SLOPE = np.arange(_REACH, -_REACH - 1, -1) / 60.0
"""The least-squares slope over 9 points, turned round as ``np.convolve`` wants it."""


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
    first: NDArray[np.intp]
    count: NDArray[np.intp]
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

    def along(self) -> Floats:
        """``(N,)`` length from the first curve's start, through the steps from curve to curve as well."""
        x, y = self.points[:, 0], self.points[:, 1]
        along = np.empty(len(x))
        along[0] = 0.0
        np.cumsum(np.hypot(x[1:] - x[:-1], y[1:] - y[:-1]), out=along[1:])
        return along

    def even(self, spacing: float, values: NDArray[np.bool_]) -> tuple[Curves, NDArray[np.bool_]]:
        """Points about ``spacing`` apart, three a curve at least, and each one's nearest of ``(N,)`` values."""
        along = self.along()
        start = along[self.first]
        length = along[self.first + self.count - 1] - start
        count = np.maximum(np.rint(length / spacing).astype(int) + 1, 3)
        first = np.cumsum(count) - count
        which = np.repeat(np.arange(len(count)), count)
        place = np.arange(len(which)) - first[which]
        last = self.first + self.count - 1
        # Never beyond the curve's own last point, from which on it leads to the next curve.
        at = np.minimum(start[which] + place * (length / (count - 1))[which], along[last][which])
        points = np.empty((len(at), 2))
        points[:, 0] = np.interp(at, along, self.points[:, 0])
        points[:, 1] = np.interp(at, along, self.points[:, 1])
        nearest = np.minimum(np.searchsorted(along, at - 1e-6), last[which])
        return Curves(points, first, count, self.closed), values[nearest]

    def smooth(self) -> Curves:
        """Evenly spaced points through the smoothing filter; the ends of open curves stay where they are."""
        return self.with_points(self._filtered(_SMOOTH))

    def normals(self) -> Floats:
        """Unit normals ``(N, 2)``."""
        slope = self._filtered(_SLOPE)
        x, y = slope[:, 0], slope[:, 1]
        return np.stack((-y, x), axis=1) / np.maximum(np.hypot(x, y), 1e-9)[:, None]

    def _filtered(self, kernel: Floats) -> Floats:
        """Convolved with 9 values; open curves go on beyond their ends as their mirror image, rings go round."""
        which = np.repeat(np.arange(len(self.count)), self.count + 2 * _REACH)
        start = self.first + 2 * _REACH * np.arange(len(self.count))
        place = np.arange(len(which)) - start[which] - _REACH
        first, last = self.first[which], (self.count - 1)[which]
        edge = np.minimum(np.maximum(place, 0), last)
        # Of curves shorter than the filter the far end stands for all beyond it.
        mirrored = np.minimum(np.maximum(2 * edge - place, 0), last)
        if self.closed.any():
            edge = np.where(self.closed[which], place % last, edge)
            mirrored = np.where(self.closed[which], edge, mirrored)
        padded = 2.0 * self.points[first + edge] - self.points[first + mirrored]
        inside = (place >= 0) & (place <= last)
        filtered = np.stack([np.convolve(padded[:, axis], kernel, "same") for axis in (0, 1)], axis=1)
        return filtered[inside]


def arc_lengths(points: Floats) -> Floats:
    """Length along the curve from its start to each of ``(N, 2)`` points."""
    steps = points[1:] - points[:-1]
    along = np.empty(len(points))
    along[0] = 0.0
    np.cumsum(np.hypot(steps[:, 0], steps[:, 1]), out=along[1:])
    return along
