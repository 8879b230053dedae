"""3-D catheter courses through a heart, grown from the tip to beyond the field of view."""

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
STEP_MM = 0.5
TIGHTEST_MM = 7.0  # no catheter bends tighter


def _unit(v: Points) -> Points:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9))


def _cross(a: Points, b: Points) -> Points:
    # numpy.cross costs ten times as much on two short vectors
    ax, ay, az = a.tolist()
    bx, by, bz = b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _turn(rng: np.random.Generator, count: int, radius_mm: float) -> Points:
    """A smooth random curvature vector (count, 3) in 1/mm whose typical radius is ``radius_mm``."""
    knots = max(4, int(count * STEP_MM / 12.0) + 2)
    values = rng.normal(0, 1.0 / radius_mm, (knots, 3))
    x = np.linspace(0, knots - 1, count)
    return np.stack([np.interp(x, np.arange(knots), values[:, i]) for i in range(3)], axis=1)


def grow(
    rng: np.random.Generator,
    start: Points,
    direction: Points,
    exit_point: Points,
    *,
    radius_mm: float = 35.0,
    flat: float = 0.5,
    loop_mm: float = 0.0,
    length_mm: float = 260.0,
) -> Points:
    """A course from ``start`` (the distal tip) that wanders and then leaves through ``exit_point``.

    Args:
        radius_mm: typical bending radius near the tip.
        flat: how much of the motion in depth is kept, 0..1.
        loop_mm: radius of one full loop put into the course; 0 for none.

    Returns:
        ``(N, 3)`` points in mm, ``STEP_MM`` apart, tip first.
    """
    count = int(length_mm / STEP_MM)
    turn = _turn(rng, count, radius_mm) * np.linspace(1.3, 0.5, count)[:, None]
    if loop_mm > 0:
        first = int(rng.uniform(15, 60) / STEP_MM)
        last = min(count, first + int(2 * np.pi * loop_mm / STEP_MM))
        turn[first:last] = np.array([0.0, 0.0, rng.choice([-1.0, 1.0]) / loop_mm])
    else:
        first = last = 0
    points = np.empty((count, 3))
    pull = np.minimum(1.0, np.arange(count) * STEP_MM / 120.0) ** 1.5 / 10.0
    pull[first:last] = 0.0
    p, d = start.astype(float), _unit(direction)
    depth_kept = 1.0 - 0.02 * (1.0 - flat)
    for i in range(count):
        points[i] = p
        exit_direction = _unit(exit_point - p)
        bend = _cross(turn[i], d) + pull[i] * (exit_direction - (exit_direction @ d) * d)
        bend *= min(1.0, 1.0 / (TIGHTEST_MM * math.sqrt(bend @ bend) + 1e-12))
        d = d + STEP_MM * bend
        d[2] *= depth_kept
        d /= math.sqrt(d @ d)
        p = p + STEP_MM * d
    return points


def circle_then_shaft(rng: np.random.Generator, centre: Points, loop_mm: float, exit_point: Points) -> Points:
    """A circular mapping catheter: the loop (tilted at random) from its tip, then a shaft that leaves the field."""
    turns = rng.uniform(0.92, 1.1)
    count = int(np.pi * loop_mm * turns / STEP_MM)
    angle = np.linspace(0, 2 * np.pi * turns, count) * rng.choice([-1.0, 1.0]) + rng.uniform(0, 2 * np.pi)
    squeeze = rng.uniform(0.75, 1.0)
    ring = np.stack([np.cos(angle), np.sin(angle) * squeeze, np.zeros(count)], axis=1) * loop_mm / 2
    ring = ring @ random_rotation(rng, tilt=rng.uniform(0.0, 1.35)).T + centre
    leave = _unit(ring[-1] - ring[-2])
    shaft = grow(
        rng, ring[-1] + leave * STEP_MM, leave + 0.3 * rng.normal(size=3), exit_point, radius_mm=25.0
    )
    return np.concatenate([ring, shaft])


def random_rotation(rng: np.random.Generator, tilt: float) -> Points:
    """Rotation matrix: ``tilt`` rad about a random in-plane axis."""
    a = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(a), np.sin(a), 0.0])
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + np.sin(tilt) * k + (1 - np.cos(tilt)) * (k @ k))


def arc_length(points: Points) -> NDArray[np.float64]:
    """Cumulative length in mm of an ``(N, 3)`` course, from 0."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def sample(points: Points, at: NDArray[np.float64]) -> Points:
    """Points of the course at arc lengths ``at`` (mm from the tip); ``(M, 3)``."""
    s = arc_length(points)
    return np.stack([np.interp(at, s, points[:, i]) for i in range(3)], axis=1)


def spread_exit(rng: np.random.Generator) -> Points:
    """Where a shaft leaves: below (femoral, 70 %), above (jugular, 22 %) or at the side; mm, outside the field."""
    side = rng.choice(3, p=[0.7, 0.22, 0.08])
    across = rng.normal(0, 40)
    if side == 2:
        return np.array([rng.choice([-1.0, 1.0]) * 170.0, across, rng.normal(0, 30)])
    return np.array([across, 170.0 if side == 0 else -170.0, rng.normal(0, 30)])
