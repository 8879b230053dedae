"""Shafts of known centrelines, drawn as the network's mask would show them."""

from math import comb

import cv2
import numpy as np

from cath_perception.image import Letterbox

FINE = 4


def bezier(*control, count=4000):
    """``(count, 2)`` points of the Bezier curve with these control points."""
    control = np.array(control, float)
    n, t = len(control) - 1, np.linspace(0.0, 1.0, count)[:, None]
    return sum(comb(n, i) * (1 - t) ** (n - i) * t**i * control[i] for i in range(n + 1))


def mask_of(curves, box: Letterbox, width=9.0, holes=()):
    """``(S/2, S/2)`` mask of curves given in image px; ``holes`` (x, y, radius) are cut out."""
    canvas = np.zeros((box.height * FINE, box.width * FINE), np.float32)
    for curve in curves:
        fixed = np.round(((curve + 0.5) * FINE - 0.5) * 16).astype(np.int32)
        cv2.polylines(canvas, [fixed[:, None]], False, 1.0, round(width * FINE), cv2.LINE_8, 4)
    for x, y, radius in holes:
        cv2.circle(canvas, (round(x * FINE), round(y * FINE)), round(radius * FINE), 0.0, -1)
    half = np.zeros((box.size // 2, box.size // 2), np.float32)
    box.inner_mask(half)[:] = cv2.resize(
        canvas, (box.inner_width // 2, box.inner_height // 2), interpolation=cv2.INTER_AREA
    )
    return half


def distances(points, curve):
    """Distance of each point from a densely sampled curve."""
    return np.sqrt(((points[:, None] - curve[None]) ** 2).sum(axis=2).min(axis=1))
