"""Circular catheters by their electrodes alone, where other shafts lie across the loop. Positions are image px."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled
from cath_perception.curves import Floats

_FEWEST = 8
"""Electrodes of a loop that must be seen."""
_NEIGHBOURS, _TRIALS = 13, 120
"""Ellipses are laid through an electrode and four of so many neighbours, so many times."""
_OFF, _OFF_PX = 0.25, 1.2
"""An electrode lies on an ellipse within so much of a shaft's width, and px at least."""
_SMALLEST, _LARGEST, _FLATTEST = 2.0, 9.0, 0.12
"""Bounds on half the longer axis, in widths of a shaft, and on the shorter one as a part of it."""
_OPENING = math.radians(100.0)
"""The widest gap between electrodes on a loop."""
_UNEVEN = 0.35
"""How far the gaps between next but one electrodes are spread about their mean, as a part of it."""
_TURN = np.linspace(0.0, 2.0 * np.pi, 90, endpoint=False)
_COSINES, _SINES = np.cos(_TURN), np.sin(_TURN)


def find_ring(positions: Floats, width: float) -> tuple[NDArray[np.intp], Floats] | None:
    """The largest loop of evenly spaced electrodes, or of evenly spaced pairs, among ``(N, 2)`` positions.

    Args:
        width: of a shaft, px, by which loops that are too small or too large are told.

    Returns which electrodes are on it and the ``(M, 2)`` ellipse; None if there is none.
    """
    if len(positions) < _FEWEST:
        return None
    mine, ellipse = _found(np.ascontiguousarray(positions), width)
    return (mine, ellipse) if len(mine) else None


@compiled()
def _on(positions: Floats, ellipse: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Which positions lie within the tolerance (px, to first order) of an ellipse."""
    a, b, cos, sin, x, y = ellipse
    on = np.empty(len(positions), np.bool_)
    for n in range(len(positions)):
        u, v = positions[n, 0] - x, positions[n, 1] - y
        major, minor = (u * cos + v * sin) / a, (v * cos - u * sin) / b
        outside = major * major + minor * minor - 1.0
        steep = 4.0 * ((major / a) ** 2 + (minor / b) ** 2)
        on[n] = outside * outside <= tolerance * tolerance * steep
    return on


@compiled()
def _best(positions: Floats, width: float) -> Floats:
    """The ellipse with most electrodes, as ``_laid`` has it; zeros if there is none."""
    near = _neighbours(positions)
    best, most, state = np.zeros(6), _FEWEST - 1, 12345
    points, tolerance = np.empty((5, 2)), max(_OFF * width, _OFF_PX)
    others = near.shape[1]
    for trial in range(_TRIALS):
        row = trial % len(positions)
        picked = 0
        points[0] = positions[row]
        for k in range(others):  # each with the chance that leaves four in the end
            state = (1103515245 * state + 12345) % 2147483648
            if state / 2147483648.0 * (others - k) < 4 - picked:
                picked += 1
                points[picked] = positions[near[row, k]]
        ellipse = _laid(points)
        if not (_SMALLEST * width <= ellipse[0] <= _LARGEST * width and ellipse[1] >= _FLATTEST * ellipse[0]):
            continue
        on = _on(positions, ellipse, tolerance)
        count = on.sum()
        if count > most and _is_even(np.sort(_angles(positions[on], ellipse))):
            best, most = ellipse, count
    return best


@compiled()
def _neighbours(positions: Floats) -> NDArray[np.int64]:
    """``(N, M)`` the nearest others of each position, of equally near ones the former."""
    count = len(positions)
    most = min(_NEIGHBOURS, count - 1)
    near, squares = np.empty((count, most), np.int64), np.empty(most)
    for i in range(count):
        found = 0
        for j in range(count):
            square = (positions[i, 0] - positions[j, 0]) ** 2 + (positions[i, 1] - positions[j, 1]) ** 2
            if j == i or (found == most and square >= squares[most - 1]):
                continue
            at = min(found, most - 1)
            while at > 0 and squares[at - 1] > square:
                squares[at], near[i, at] = squares[at - 1], near[i, at - 1]
                at -= 1
            squares[at], near[i, at] = square, j
            found = min(found + 1, most)
    return near


@compiled()
def _laid(points: Floats) -> Floats:
    """The ellipse through five points: half axes (the longer first), cosine and sine of its turn, centre; else zeros."""
    ellipse = np.zeros(6)
    x, y = points[:, 0].mean(), points[:, 1].mean()
    rows = np.empty((5, 6))
    for i in range(5):
        u, v = points[i, 0] - x, points[i, 1] - y
        rows[i] = u * u, u * v, v * v, u, v, 1.0
    for i in range(5):
        pivot = i
        for k in range(i + 1, 5):
            pivot = k if abs(rows[k, i]) > abs(rows[pivot, i]) else pivot
        if abs(rows[pivot, i]) < 1e-9:
            return ellipse
        for j in range(i, 6):
            rows[i, j], rows[pivot, j] = rows[pivot, j], rows[i, j]
        for k in range(5):
            part = 0.0 if k == i else rows[k, i] / rows[i, i]
            for j in range(i, 6):
                rows[k, j] -= part * rows[i, j]
    a, b, c, d, e = (
        rows[0, 5] / rows[0, 0],
        rows[1, 5] / rows[1, 1] / 2.0,
        rows[2, 5] / rows[2, 2],
        rows[3, 5] / rows[3, 3],
        rows[4, 5] / rows[4, 4],
    )
    space = a * c - b * b
    if space <= 0.0:
        return ellipse
    u, v = (b * e - c * d) / (2.0 * space), (b * d - a * e) / (2.0 * space)
    inside = 1.0 - (d * u + e * v) / 2.0
    half, spread = (a + c) / 2.0, math.hypot((a - c) / 2.0, b)
    if inside / (half - spread) <= 0.0 or inside / (half + spread) <= 0.0:
        return ellipse
    turn = 0.5 * math.atan2(2.0 * b, a - c) + math.pi / 2.0
    ellipse[0], ellipse[1] = math.sqrt(inside / (half - spread)), math.sqrt(inside / (half + spread))
    ellipse[2], ellipse[3], ellipse[4], ellipse[5] = math.cos(turn), math.sin(turn), x + u, y + v
    return ellipse


@compiled()
def _angles(positions: Floats, ellipse: Floats) -> Floats:
    """The angle of each position on an ellipse seen from its axis, rad."""
    a, b, cos, sin, x, y = ellipse
    angles = np.empty(len(positions))
    for n in range(len(positions)):
        u, v = positions[n, 0] - x, positions[n, 1] - y
        angles[n] = math.atan2((v * cos - u * sin) / b, (u * cos + v * sin) / a)
    return angles


@compiled()
def _is_even(angles: Floats) -> bool:
    """Whether sorted angles go all round in equal steps, counted from each to the next but one."""
    count = len(angles)
    total, square = 0.0, 0.0
    for i in range(count):
        step = (angles[(i + 1) % count] - angles[i]) % (2.0 * math.pi)
        if step > _OPENING:
            return False
        two = (angles[(i + 2) % count] - angles[i]) % (2.0 * math.pi)
        total += two / count
        square += two * two / count
    return math.sqrt(max(square - total * total, 0.0)) <= _UNEVEN * total


@compiled("(f8[:, ::1], f8)")
def _found(positions: Floats, width: float) -> tuple[NDArray[np.int64], Floats]:
    """See ``find_ring``; no electrodes where there is no loop."""
    a, b, cos, sin, x, y = ellipse = _best(positions, width)
    points = np.empty((len(_COSINES), 2))
    if a <= 0.0:
        return np.empty(0, np.int64), points
    for n in range(len(points)):
        u, v = a * _COSINES[n], b * _SINES[n]
        points[n, 0], points[n, 1] = x + cos * u - sin * v, y + sin * u + cos * v
    return np.flatnonzero(_on(positions, ellipse, max(_OFF * width, _OFF_PX))), points
