"""Curves moved to the middle of their shafts, measured and carried on to their ends. Units are mask px."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled
from cath_perception.curves import Curves, Floats

_HALF = 4
"""Probabilities across a shaft are taken at so many places on either side of the curve ..."""
_MARGIN = 1.5
"""... up to this far beyond the shaft's radius ..."""
_RADII = 1.0, 8.0
"""... which is kept within these bounds."""
_LONGEST_SHIFT = 1.5
_TANGENT = 8
_STEP = 0.5


def centred(
    curves: Curves,
    seen: NDArray[np.bool_],
    probability: NDArray[np.float32],
    distance: NDArray[np.float32],
) -> tuple[Curves, Floats, list[float], list[float]]:
    """Every point moved to the centroid of the probability across the shaft, smoothed; the width at every point ``(N,)``,
    and each shaft's width and score.

    Args:
        seen: ``(N,)``, points that are not are left where they are and do not count for the width.
        probability, distance: ``(h, w)``, of shaft and from the mask's edge.
    """
    points, wide, widths, scores = _centred(
        curves.points, curves.slopes(), curves.first, curves.count, seen, probability, distance
    )
    return curves.with_points(points).smooth(), wide, widths.tolist(), scores.tolist()


def extended(
    curves: Curves,
    free: list[tuple[bool, bool]],
    probability: NDArray[np.float32],
    threshold: float,
    radius: float,
) -> Curves:
    """Carry free ends on to the mask's edge, which a skeleton stops short of by about the shaft's ``radius``."""
    ends = np.array(free) & ~curves.closed[:, None]
    points, count = _extended(
        curves.points, curves.first, curves.count, ends, probability, threshold, 3.0 * radius + 3.0
    )
    return Curves(points, np.cumsum(count) - count, count, curves.closed)


@compiled("(f8[:, ::1], f8[:, ::1], i8[::1], i8[::1], b1[::1], f4[:, ::1], f4[:, ::1])")
def _centred(
    points: Floats,
    slopes: Floats,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    seen: NDArray[np.bool_],
    probability: NDArray[np.float32],
    distance: NDArray[np.float32],
) -> tuple[Floats, Floats, Floats, Floats]:
    """See ``centred``."""
    moved, wide = points.copy(), np.empty(len(points))
    widths, scores = np.empty(len(first)), np.zeros(len(first))
    profile = np.empty(2 * _HALF + 1)
    for c in range(len(first)):
        for i in range(first[c], first[c] + count[c]):
            length = max(math.hypot(slopes[i, 0], slopes[i, 1]), 1e-9)
            x, y = -slopes[i, 1] / length, slopes[i, 0] / length
            half = min(max(_at(distance, points[i, 0], points[i, 1]), _RADII[0]), _RADII[1]) + _MARGIN
            for k in range(-_HALF, _HALF + 1):
                offset = half * k / _HALF
                profile[k + _HALF] = _at(probability, points[i, 0] + offset * x, points[i, 1] + offset * y)
            scores[c] += profile[_HALF] / count[c]
            # What rises again beyond a valley belongs to a neighbour.
            for k in range(1, _HALF + 1):
                profile[_HALF + k] = min(profile[_HALF + k], profile[_HALF + k - 1])
                profile[_HALF - k] = min(profile[_HALF - k], profile[_HALF - k + 1])
            weight = leaning = 0.0
            for k in range(-_HALF, _HALF + 1):
                weight += profile[k + _HALF]
                leaning += profile[k + _HALF] * half * k / _HALF
            wide[i] = weight * half / _HALF
            if seen[i]:
                shift = min(max(leaning / max(weight, 1e-6), -_LONGEST_SHIFT), _LONGEST_SHIFT)
                moved[i, 0] += shift * x
                moved[i, 1] += shift * y
        widths[c] = _middle(wide, seen, first[c], first[c] + count[c])
    return moved, wide, widths, scores


@compiled()
def _at(image: NDArray[np.float32], x: float, y: float) -> float:
    """Bilinear value of an image; its edge is repeated outside."""
    x, y = min(max(x, 0.0), image.shape[1] - 1.0), min(max(y, 0.0), image.shape[0] - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, image.shape[1] - 1), min(top + 1, image.shape[0] - 1)
    u, v = x - left, y - top
    upper = image[top, left] * (1.0 - u) + image[top, right] * u
    lower = image[bottom, left] * (1.0 - u) + image[bottom, right] * u
    return float(upper * (1.0 - v) + lower * v)


@compiled()
def _middle(values: Floats, chosen: NDArray[np.bool_], start: int, stop: int) -> float:
    """The (upper) median of the chosen values from start to stop, of all of them if none is chosen."""
    kept = np.empty(stop - start)
    count = 0
    for i in range(start, stop):
        if chosen[i]:
            kept[count] = values[i]
            count += 1
    if count == 0:
        for i in range(start, stop):
            kept[count] = values[i]
            count += 1
    low, high, middle = 0, count - 1, count // 2
    while low < high:  # Hoare's selection
        pivot, i, j = kept[(low + high) // 2], low, high
        while i <= j:
            while kept[i] < pivot:
                i += 1
            while kept[j] > pivot:
                j -= 1
            if i <= j:
                kept[i], kept[j] = kept[j], kept[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break
    return kept[middle]


@compiled("(f8[:, ::1], i8[::1], i8[::1], b1[:, ::1], f4[:, ::1], f8, f8)")
def _extended(
    points: Floats,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    free: NDArray[np.bool_],
    probability: NDArray[np.float32],
    threshold: float,
    furthest: float,
) -> tuple[Floats, NDArray[np.int64]]:
    """Points with straight ends of 1 px steps while the probability stays at the threshold, and how many of each curve."""
    height, width = probability.shape
    room = len(points) + 2 * len(first) * (int(furthest) + 1)
    longer, counts = np.empty((room, 2)), count.copy()
    filled = 0
    for c in range(len(first)):
        last, reach = first[c] + count[c] - 1, min(_TANGENT, count[c] - 1)
        for side in range(2):
            tip, inward = (last, -1) if side else (first[c], 1)
            x, y = points[tip, 0], points[tip, 1]
            dx, dy = x - points[tip + inward * reach, 0], y - points[tip + inward * reach, 1]
            length = max(math.hypot(dx, dy), 1e-9)
            dx, dy = dx / length, dy / length
            steps, at = 0, _STEP
            while free[c, side] and at < furthest:
                u, v = x + at * dx, y + at * dy
                outside = u < -0.5 or v < -0.5 or u > width - 0.5 or v > height - 0.5
                if outside or _at(probability, u, v) < threshold:
                    break
                steps += 1
                at += _STEP
            more = steps // 2
            counts[c] += more
            for k in range(more):
                beyond = k + 1 if side else more - k
                longer[filled, 0], longer[filled, 1] = x + beyond * dx, y + beyond * dy
                filled += 1
            if side == 0:
                for i in range(first[c], last + 1):
                    longer[filled, 0], longer[filled, 1] = points[i, 0], points[i, 1]
                    filled += 1
    return longer[:filled], counts
