"""The order of electrodes on a loop, which may close on itself. All lengths are image px, angles rad."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.arrangement import Arrangement, Floats, Rounds
from cath_perception.compiled import compiled

_FEWEST = 6
_FLATTEST = 0.05
_THINNEST_PX = 1.2
_ROUNDNESS = 0.22
_OPEN = math.radians(150.0)
_TIP_COUNTS = 10.0
"""How much it speaks for beginning with an electrode that the line begins there."""
_UNEVEN, _CERTAIN = 0.1, 4.0
"""Standard deviation of the natural logarithm of gaps that are alike, and what a gap that differs much says, natural
logarithm of odds: from there on it grows ever more slowly, since an electrode that is missing makes such a gap, too."""
_FAR = 6.0
"""A line that comes back to its beginning does so after so many widths of the shaft at least ..."""
_BACK = 1.0
"""... to so many from it."""
_ON, _STAYS = 0.5, 3.0
"""The shaft is on the loop where it is so near to the ellipse, for so long, in widths."""
_BEFORE = math.radians(15.0)
"""A line that begins so far before the place where the shaft leaves the loop, and runs on over it, begins at the tip."""
_BEYOND, _SPREAD = math.radians(32.0), math.radians(29.0)
"""The shaft is seen to leave the loop so far beyond the tip: loops close with 0.92 to 1.1 turns, and then a shaft's width
must part the two; with its standard deviation."""
_LEAST = -4.0
"""The most that it says against an electrode that it lies elsewhere."""


def on_ring(positions: Floats) -> Floats | None:
    """Angles of ``(N, 2)`` points round the ellipse they lie on, as seen from its axis; None where they do not.

    A circle seen at an angle is an ellipse, which the square root of the points' inverse covariance makes a circle again.
    """
    if len(positions) < _FEWEST:
        return None
    ellipse = _ellipse(positions)
    angles, radii, _ = _round(positions, ellipse)
    if not ellipse[2] > 0.0 or radii.std() > _ROUNDNESS * radii.mean():
        return None
    return angles if _openings(np.sort(angles)).max() < _OPEN else None


@compiled("(f8[:, ::1],)")
def _ellipse(positions: Floats) -> Floats:
    """Centre x, y, deviations along the shorter and the longer axis, cosine and sine of the latter; 0 where too flat."""
    count, ellipse = len(positions), np.zeros(6)
    x, y = positions[:, 0] - positions[:, 0].mean(), positions[:, 1] - positions[:, 1].mean()
    a, b, c = (x * x).sum() / count, (x * y).sum() / count, (y * y).sum() / count
    half, spread = (a + c) / 2.0, math.hypot((a - c) / 2.0, b)
    thin, wide = math.sqrt(max(half - spread, 0.0)), math.sqrt(half + spread)
    if thin < max(_FLATTEST * wide, _THINNEST_PX):
        return ellipse
    turn = 0.5 * math.atan2(2.0 * b, a - c)
    ellipse[0], ellipse[1] = positions[:, 0].mean(), positions[:, 1].mean()
    ellipse[2], ellipse[3], ellipse[4], ellipse[5] = thin, wide, math.cos(turn), math.sin(turn)
    return ellipse


def _fitted(positions: Floats) -> Floats:
    """The ellipse that electrodes on a loop lie on, as ``_ellipse`` has it but with half its axes: also where they do not go
    all round, for which their mean is not its middle. That one where no ellipse fits."""
    (x, y), (first, second), degrees = cv2.fitEllipseDirect(positions.astype(np.float32))
    thin, wide = min(first, second) / 2.0, max(first, second) / 2.0
    if not max(_FLATTEST * wide, _THINNEST_PX) <= thin <= wide < math.inf:
        ellipse = _ellipse(positions)
        ellipse[2:4] *= math.sqrt(2.0)
        return ellipse
    turn = math.radians(degrees + (90.0 if second > first else 0.0))
    return np.array((x, y, thin, wide, math.cos(turn), math.sin(turn)))


@compiled("(f8[:, :], f8[::1])")
def _round(points: Floats, ellipse: Floats) -> tuple[Floats, Floats, Floats]:
    """Angle and distance of ``(N, 2)`` points as seen from the ellipse's axis, and their distance from its centre in px."""
    angles, radii, away = np.zeros(len(points)), np.zeros(len(points)), np.zeros(len(points))
    u, v, thin, wide, cos, sin = ellipse
    for n in range(len(points) if thin > 0.0 else 0):
        x, y = points[n, 0] - u, points[n, 1] - v
        major, minor = (x * cos + y * sin) / wide, (y * cos - x * sin) / thin
        angles[n], radii[n], away[n] = math.atan2(minor, major), math.hypot(major, minor), math.hypot(x, y)
    return angles, radii, away


def _openings(angles: Floats) -> Floats:
    """The angle from each of the sorted ones to the next, round to the first."""
    return np.diff(angles, append=angles[0] + 2.0 * np.pi)


def round_ring(
    positions: Floats, angles: Floats, places: Floats, certain: NDArray[np.bool_], line: Floats, width: float
) -> Arrangement:
    """The likeliest way round for ``(N, 2)`` electrodes at these ``angles`` on a loop.

    Args:
        places: along the line, of which those that are ``certain`` tell the direction, and the beginning as well where
            the line's first point is the tip.
        line: ``(M, 2)``, from the tip as far as that is known.
        width: of the shaft.
    """
    count, ellipse = len(angles), _fitted(positions)
    seen = _round(positions, ellipse)[0]
    cyclic = seen.argsort()
    rank = np.empty(count, np.intp)
    rank[cyclic] = np.arange(count)
    forward = (rank[None, :] - np.arange(count)[:, None]) % count  # (starts, electrodes)
    ranks = np.concatenate((forward, count - 1 - forward))
    agreed = _agreement(ranks, places, certain).reshape(2, count).max(axis=1)
    first = np.concatenate(
        (cyclic, np.roll(cyclic, 1))
    )  # backwards from a start, the tip is the electrode before it
    left = _left_at(ellipse, line, width, 1.0 if agreed[0] >= agreed[1] else -1.0)
    if math.isnan(left):
        begins = _near_tip(positions, cyclic, line[0])[first]
    else:
        begins = _before_shaft(np.repeat((1.0, -1.0), count) * (left - seen[first]))
    scores = np.repeat(agreed, count) + np.tile(_opened(_openings(seen[cyclic])), 2) + begins
    return going_round(positions, angles, Rounds(ranks.argsort(axis=1), scores), int(scores.argmax()))


def _near_tip(positions: Floats, cyclic: NDArray[np.intp], tip: Floats) -> Floats:
    """What speaks for each electrode's being the first where the line begins at the tip."""
    pitch = float(np.median(_lengths(np.diff(positions[cyclic], axis=0))))
    return _TIP_COUNTS * np.maximum(1.0 - _lengths(positions - tip) / max(pitch, 1.0), 0.0)


def _before_shaft(beyond: Floats) -> Floats:
    """What speaks for an electrode's being the first where the shaft is seen to leave the loop so far beyond it."""
    beyond = np.remainder(beyond + math.pi, math.tau) - math.pi
    return np.maximum(-0.5 * ((beyond - _BEYOND) / _SPREAD) ** 2, _LEAST)


def _agreement(ranks: NDArray[np.intp], places: Floats, certain: NDArray[np.bool_]) -> Floats:
    """For each way round how many more pairs of electrodes lie in that order along the line than do not."""
    known = np.flatnonzero(certain) if certain.sum() >= 3 else np.arange(len(certain))
    later = np.sign(places[known][None, :] - places[known][:, None])
    seen = ranks[:, known]
    agreed: Floats = (np.sign(seen[:, None, :] - seen[:, :, None]) * later).sum(axis=(1, 2)) / 2.0
    return agreed


def _opened(gaps: Floats) -> Floats:
    """What speaks for each electrode's being the first: how much the gap before it differs from all others, be it wider or
    narrower. Gaps are compared with the next but one on either side, which evens out pairs, and what a slant does."""
    logs = np.log(np.maximum(gaps, 1e-3))
    odd = _less_neighbours(logs)
    # A gap that differs shows in ``odd`` as 1, and as -1/2 on either side; to be summed with just these weights.
    gain = np.roll(_less_neighbours(odd) ** 2, 1) / (3.0 * _UNEVEN**2)
    return _CERTAIN * np.log1p(gain / _CERTAIN)


def _less_neighbours(values: Floats) -> Floats:
    """Each less the mean of its next but one neighbours, round the loop."""
    return values - (np.roll(values, 2) + np.roll(values, -2)) / 2.0


def _left_at(ellipse: Floats, line: Floats, width: float, ahead: float) -> float:
    """The angle at which the shaft leaves a loop that closes on itself; NaN where the line begins at the tip anyhow, or no
    shaft is seen. Where the mask closes a loop its line begins where the shaft leaves it, and the tip is not seen."""
    angles, radii, away = _round(line, ellipse)
    left = _leaving(line, np.abs(1.0 - 1.0 / np.maximum(radii, 1e-3)) * away, width)
    if left < 0:
        return math.nan
    before = math.remainder(ahead * (angles[left] - angles[0]), math.tau)
    return math.nan if before > _BEFORE else float(angles[left])


@compiled("(f8[:, :], f8[::1], f8)")
def _leaving(line: Floats, off: Floats, width: float) -> int:
    """The last point of a line that comes back to its beginning that is on the loop, so far ``off`` it; -1 if it does not
    come back, or does not leave the loop."""
    along, first, on, nearest = 0.0, -1, 0.0, np.inf
    last = len(line) - 1
    for i in range(1, len(line)):
        along += math.hypot(line[i, 0] - line[i - 1, 0], line[i, 1] - line[i - 1, 1])
        if along > _FAR * width:
            nearest = min(nearest, math.hypot(line[i, 0] - line[0, 0], line[i, 1] - line[0, 1]))
    if nearest > _BACK * width:
        return -1
    for i in range(last, -1, -1):
        if off[i] > _ON * width:
            first, on = -1, 0.0
            continue
        first = i if first < 0 else first
        on += math.hypot(line[i, 0] - line[i - 1, 0], line[i, 1] - line[i - 1, 1]) if i else 0.0
        if on > _STAYS * width:
            return first if first < last else -1
    return -1


def going_round(positions: Floats, angles: Floats, rounds: Rounds, chosen: int) -> Arrangement:
    """One of the ways round a loop."""
    order = rounds.orders[chosen]
    turned = np.unwrap(angles[order])
    along = np.concatenate(([0.0], np.cumsum(_lengths(np.diff(positions[order], axis=0)))))
    return Arrangement(order, along, 0.0, np.abs(turned - turned[0]), rounds)


def _lengths(vectors: Floats) -> Floats:
    return np.hypot(vectors[:, 0], vectors[:, 1])
