"""Ordered curves, and curves made of runs of others' points. Mask px; points are x, y."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled
from cath_perception.curves import Floats
from cath_perception.skeleton import End


@dataclass(frozen=True)
class Path:
    """An ordered curve.

    Attributes:
        start, stop: which points of its ``Paths`` are its own.
        free: whether the start and the end are ends of the mask, not junctions.
        closed: a ring, the last point next to the first.
    """

    start: int
    stop: int
    free: tuple[bool, bool] = (True, True)
    closed: bool = False

    @property
    def count(self) -> int:
        """Number of points."""
        return self.stop - self.start

    def place(self, side: int, inward: int = 0) -> int:
        """The point so many from an end, the other end at most."""
        return max(self.stop - 1 - inward, self.start) if side else min(self.start + inward, self.stop - 1)


@dataclass(frozen=True)
class Paths:
    """Curves in one array.

    Attributes:
        points: ``(N, 2)``, those of a curve about 1 px apart.
        seen: ``(N,)``, False where a curve was carried through a crossing or a gap.
        each: the curves.
    """

    points: Floats
    seen: NDArray[np.bool_]
    each: list[Path]

    def joined(self, chains: list[tuple[list[End], bool]]) -> Paths:
        """Paths in rows, each entered by its start (0) or its end (1), with straight lines between, as one each."""
        steps, ends = [], []
        for row, (chain, closed) in enumerate(chains):
            for i, side in chain:
                path = self.each[i]
                steps.append((row, path.place(side), -1 if side else 1, path.count))
            (i, entered), (j, last) = chain[0], chain[-1]
            free = self.each[i].free[entered], self.each[j].free[1 - last]
            ends.append((free, closed or self.each[i].closed))
        return walked(self.points, self.seen, steps, ends)


def walked(
    points: Floats,
    seen: NDArray[np.bool_],
    steps: list[tuple[int, int, int, int]],
    ends: list[tuple[tuple[bool, bool], bool]],
) -> Paths:
    """Paths made of runs of points, straight lines in between.

    Args:
        points, seen: those that runs are taken from.
        steps: of each run the path, the first point, the direction (1 or -1) and how many points, by rising path.
        ends: of each path ``free`` and ``closed``.
    """
    rows = np.array(steps, np.int64).reshape(-1, 4)
    points, seen, begin = _walked(points, seen, rows, len(ends))
    bounds = begin.tolist()
    each = [Path(bounds[i], bounds[i + 1], free, closed) for i, (free, closed) in enumerate(ends)]
    return Paths(points, seen, each)


@compiled("(f8[:, ::1], b1[::1], i8[:, ::1], i8)")
def _walked(
    source: Floats, known: NDArray[np.bool_], steps: NDArray[np.int64], count: int
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """See ``walked``: the points of ``count`` paths, whether they were seen, and where paths begin and the last ends."""
    room = 0
    for k in range(len(steps)):
        x, y = _gap(source, steps, k)
        room += steps[k, 3] + math.ceil(math.hypot(x, y))
    points, seen = np.empty((room, 2)), np.zeros(room, np.bool_)
    begin = np.zeros(count + 1, np.int64)
    filled = 0
    for k in range(len(steps)):
        path, first, inward = steps[k, 0], steps[k, 1], steps[k, 2]
        x, y = _gap(source, steps, k)
        apart = math.ceil(math.hypot(x, y))
        for i in range(1, apart):
            points[filled, 0] = source[first, 0] - x * (apart - i) / apart
            points[filled, 1] = source[first, 1] - y * (apart - i) / apart
            filled += 1
        for i in range(steps[k, 3]):
            here = first + inward * i
            points[filled, 0], points[filled, 1] = source[here, 0], source[here, 1]
            seen[filled] = known[here]
            filled += 1
        begin[path + 1] = filled
    for path in range(count):
        begin[path + 1] = max(begin[path], begin[path + 1])
    return points[:filled], seen[:filled], begin


@compiled()
def _gap(source: Floats, steps: NDArray[np.int64], k: int) -> tuple[float, float]:
    """From the last point of a path's step before to the first of this; nothing at the path's beginning."""
    if k == 0 or steps[k - 1, 0] != steps[k, 0]:
        return 0.0, 0.0
    here, before = steps[k, 1], steps[k - 1, 1] + steps[k - 1, 2] * (steps[k - 1, 3] - 1)
    return source[here, 0] - source[before, 0], source[here, 1] - source[before, 1]
