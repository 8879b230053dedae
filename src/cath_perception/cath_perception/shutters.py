"""Where shafts go on behind a collimator's shutters, which are dark and even in a picture. All lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.centerline import Trace
from cath_perception.compiled import compiled


def _points(along: Sequence[float], across: Sequence[float]) -> Floats:
    return np.array([(a, b) for a in along for b in across])


# Lengths are in widths of the shaft.
_HEADING = 3.0
"""A shaft ends in the direction of so much of it."""
_PATCH = np.stack(np.meshgrid(*[np.linspace(-0.8, 0.8, 3)] * 2), axis=-1).reshape(-1, 2)
"""Brightness is looked at so far (in x and y) from each of some points, along the shaft from its end and across it: ..."""
_BESIDE = _points((-2.5, -4.0), (-3.0, 3.0))
"""... these beside the shaft before its end, ..."""
_AT_END = _points((0.0, 1.0), (-2.0, 2.0))
"""... these at its end ..."""
_BEYOND = _points((4.0, 6.0), (-1.5, 0.0, 1.5))
"""... and these beyond it."""
_SPOTS = np.repeat(np.concatenate((_BESIDE, _AT_END, _BEYOND)), len(_PATCH), axis=0)
_AROUND = np.tile(_PATCH, (len(_SPOTS) // len(_PATCH), 1))
_FIRST, _SECOND = len(_BESIDE) * len(_PATCH), (len(_BESIDE) + len(_AT_END)) * len(_PATCH)
_EVEN, _DARKER = 0.25, 1.0
"""Behind a shutter brightness varies by less than this part of its deviation before it, and is lower by so many of these."""
_FALLEN = 0.4
"""So much of the fall is over at the end of a shaft that goes on behind the shutter: a tip may be near one."""


def ends_covered(pixels: NDArray[Any] | None, shafts: Sequence[Trace]) -> list[tuple[bool, bool]]:
    """Whether each shaft's beginning and end lie at a shutter; in no ``(H, W)`` frame (None) does any.

    Pixels may have any range of values; more is brighter.
    """
    if pixels is None:
        return [(False, False)] * len(shafts)
    height, width = pixels.shape
    covered = []
    for shaft in shafts:
        rows, columns = _looked_at(shaft.points, shaft.width, height, width)
        covered.append(_behind_shutters(pixels[rows, columns].astype(np.float64)))
    return covered


@compiled("(f8[:, :], f8, i8, i8)")
def _looked_at(
    points: Floats, shaft: float, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(2, N)`` rows and columns of the pixels that tell of a shaft's beginning and of its end; ``shaft``: its width."""
    rows, columns = np.empty((2, len(_SPOTS)), np.int64), np.empty((2, len(_SPOTS)), np.int64)
    last = len(points) - 1
    spacing = math.hypot(points[last, 0] - points[last - 1, 0], points[last, 1] - points[last - 1, 1])
    step = min(last, max(1, round(_HEADING * shaft / max(spacing, 1e-6))))
    for side in range(2):
        end, before = (last, last - step) if side else (0, step)
        x, y = points[end, 0] - points[before, 0], points[end, 1] - points[before, 1]
        away = max(math.hypot(x, y), 1e-9)
        x, y = x / away, y / away
        for n in range(len(_SPOTS)):
            along, across = _SPOTS[n]
            u = points[end, 0] + shaft * (along * x - across * y + _AROUND[n, 0])
            v = points[end, 1] + shaft * (along * y + across * x + _AROUND[n, 1])
            columns[side, n] = int(min(max(u + 0.5, 0.0), width - 1.0))
            rows[side, n] = int(min(max(v + 0.5, 0.0), height - 1.0))
    return rows, columns


@compiled("(f8[:, ::1],)")
def _behind_shutters(values: Floats) -> tuple[bool, bool]:
    """Whether a shutter covers each end, by the ``(2, N)`` values of the pixels that tell."""
    covered = [False, False]
    for side in range(2):
        beside, beyond = values[side, :_FIRST], values[side, _SECOND:]
        spread, fall = beside.std(), beside.mean() - beyond.mean()
        shutter = fall > _DARKER * spread and beyond.std() < _EVEN * spread
        covered[side] = shutter and beside.mean() - values[side, _FIRST:_SECOND].mean() > _FALLEN * fall
    return covered[0], covered[1]
