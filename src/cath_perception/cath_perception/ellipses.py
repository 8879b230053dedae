"""The ellipse that a loop's electrodes lie on, and the angle of points round it. All lengths are image px, angles rad.

An ellipse is six numbers: centre x, y, its shorter and its longer axis, cosine and sine of the latter's direction.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from cath_perception.compiled import compiled
from cath_perception.curves import Floats

_FLATTEST = 0.05
_THINNEST_PX = 1.2
_FEWEST, _ROUNDNESS, _OPEN = 6, 0.22, math.radians(150.0)
"""Electrodes lie on a loop if they are so many, the deviation of their distances from its axis is no larger than this part
of the mean, and no gap between them is wider."""


@compiled("(f8[:, ::1],)")
def spread(positions: Floats) -> Floats:
    """Of ``(N, 2)`` points their mean and the standard deviations along both axes; zeros where that is too flat."""
    count, ellipse = len(positions), np.zeros(6)
    x, y = positions[:, 0] - positions[:, 0].mean(), positions[:, 1] - positions[:, 1].mean()
    a, b, c = (x * x).sum() / count, (x * y).sum() / count, (y * y).sum() / count
    half, apart = (a + c) / 2.0, math.hypot((a - c) / 2.0, b)
    thin, wide = math.sqrt(max(half - apart, 0.0)), math.sqrt(half + apart)
    if thin < max(_FLATTEST * wide, _THINNEST_PX):
        return ellipse
    turn = 0.5 * math.atan2(2.0 * b, a - c)
    ellipse[0], ellipse[1] = positions[:, 0].mean(), positions[:, 1].mean()
    ellipse[2], ellipse[3], ellipse[4], ellipse[5] = thin, wide, math.cos(turn), math.sin(turn)
    return ellipse


def fitted(positions: Floats) -> Floats:
    """The ellipse through ``(N, 2)`` points, with half its axes: also where they do not go all round, for which their mean
    is not its middle. That of their spread where none fits."""
    (x, y), (first, second), degrees = cv2.fitEllipseDirect(positions.astype(np.float32))
    thin, wide = min(first, second) / 2.0, max(first, second) / 2.0
    if not max(_FLATTEST * wide, _THINNEST_PX) <= thin <= wide < math.inf:
        ellipse = spread(positions)
        ellipse[2:4] *= math.sqrt(2.0)
        return ellipse
    turn = math.radians(degrees + (90.0 if second > first else 0.0))
    return np.array((x, y, thin, wide, math.cos(turn), math.sin(turn)))


@compiled("(f8[:, :], f8[::1])")
def seen_round(points: Floats, ellipse: Floats) -> tuple[Floats, Floats, Floats]:
    """Angle and distance of ``(N, 2)`` points as seen from the ellipse's axis, and how far off it they are, towards its
    centre or away from it, in px."""
    angles, radii, off = np.zeros(len(points)), np.zeros(len(points)), np.zeros(len(points))
    u, v, thin, wide, cos, sin = ellipse
    for n in range(len(points) if thin > 0.0 else 0):
        x, y = points[n, 0] - u, points[n, 1] - v
        major, minor = (x * cos + y * sin) / wide, (y * cos - x * sin) / thin
        angles[n], radii[n] = math.atan2(minor, major), math.hypot(major, minor)
        off[n] = abs(1.0 - 1.0 / max(radii[n], 1e-3)) * math.hypot(x, y)
    return angles, radii, off


@compiled("(f8[:, ::1],)")
def _angles_on_ring(positions: Floats) -> Floats:
    """See ``on_ring``; none where they lie on no loop."""
    ellipse = spread(positions)
    angles, radii, _ = seen_round(positions, ellipse)
    if not ellipse[2] > 0.0 or radii.std() > _ROUNDNESS * radii.mean():
        return angles[:0]
    ordered = np.sort(angles)
    opening = ordered[0] + 2.0 * math.pi - ordered[-1]
    for n in range(1, len(ordered)):
        opening = max(opening, ordered[n] - ordered[n - 1])
    return angles if opening < _OPEN else angles[:0]


def on_ring(positions: Floats) -> Floats | None:
    """Angles of ``(N, 2)`` points round the ellipse they lie on, as seen from its axis; None where they do not.

    A circle seen at an angle is an ellipse, which the square root of the points' inverse covariance makes a circle again.
    """
    if len(positions) < _FEWEST:
        return None
    angles = _angles_on_ring(np.ascontiguousarray(positions))
    return angles if len(angles) else None
