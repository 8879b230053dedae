"""Which centreline each electrode of a frame lies on, and where. Positions and lengths are image px."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cath_perception.centerline import Trace
from cath_perception.curves import Floats, arc_lengths

# All of these are in widths of the shaft.
_REACH = 1.0
"""An electrode belongs to a centreline that passes within this distance."""
_COMPANY = 12.0
"""An electrode with others of the same shaft this near is preferred ..."""
_LONELY = 1.5
"""... to one without by as much as this distance aside."""

Place = tuple[float, int, float]
"""Distance aside in widths, the shaft, and the length along it in px."""


def assign(positions: Floats, shafts: Sequence[Trace]) -> tuple[NDArray[np.intp], Floats]:
    """For each of ``(N, 2)`` positions its shaft, -1 beyond the reach of all, and its place along it in px.

    Where shafts cross, or one passes twice, a position has several places to choose from: it goes to the one with other
    electrodes near along the same shaft, unless another lies much nearer.
    """
    owner, along = np.full(len(positions), -1), np.zeros(len(positions))
    if not len(positions) or not shafts:
        return owner, along
    places = _places(positions, shafts)
    lengths = [float(arc_lengths(shaft.points)[-1]) if shaft.closed else np.inf for shaft in shafts]
    taken: list[list[float]] = [[] for _ in shafts]
    waiting = []
    for index, choices in enumerate(places):
        if len(choices) == 1:
            _, owner[index], along[index] = choices[0]
            taken[choices[0][1]].append(choices[0][2])
        elif choices:
            waiting.append(index)
    while waiting:  # the surest first, each of which then is company for the rest
        ranked = [_ranked(places[index], shafts, taken, lengths) for index in waiting]
        surest = max(range(len(waiting)), key=lambda i: ranked[i][1][0] - ranked[i][0][0])
        _, (_, shaft, place) = ranked[surest][0]
        index = waiting.pop(surest)
        owner[index], along[index] = shaft, place
        taken[shaft].append(place)
    return owner, along


def _ranked(
    choices: list[Place], shafts: Sequence[Trace], taken: list[list[float]], lengths: list[float]
) -> list[tuple[float, Place]]:
    """The choices with their costs, the best first."""
    costs = []
    for choice in choices:
        aside, shaft, place = choice
        gaps = [abs(place - other) for other in taken[shaft]]
        nearest = min((min(gap, lengths[shaft] - gap) for gap in gaps), default=np.inf)
        lonely = min(nearest / (_COMPANY * shafts[shaft].width), 1.0)
        costs.append((aside + _LONELY * lonely, choice))
    return sorted(costs)


def _places(positions: Floats, shafts: Sequence[Trace]) -> list[list[Place]]:
    """Every place within reach at which a shaft passes each position."""
    points = np.concatenate([shaft.points for shaft in shafts])
    count = [len(shaft.points) for shaft in shafts]
    which = np.repeat(np.arange(len(shafts)), count)
    width = np.array([shaft.width for shaft in shafts])
    square = positions @ (-2.0 * points.T)
    square += np.square(positions).sum(axis=1)[:, None]
    square += np.square(points).sum(axis=1)
    rows, at = np.divmod(np.flatnonzero(square <= np.square((_REACH + 0.5) * width)[which]), len(points))
    here, last = square[rows, at], len(points) - 1
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, last)
    # The nearest of its neighbourhood on the same shaft; of two equally near the former.
    nearest = ((square[rows, before] > here) | (before == at) | (which[before] != which[at])) & (
        (square[rows, after] >= here) | (which[after] != which[at])
    )
    rows, at = rows[nearest], at[nearest]
    distance, along = _along(positions[rows], points, which, at)
    aside = distance / width[which[at]]
    found: list[list[Place]] = [[] for _ in positions]
    for row, *place in zip(rows.tolist(), aside.tolist(), which[at].tolist(), along.tolist(), strict=True):
        if place[0] <= _REACH:
            found[row].append((place[0], place[1], place[2]))
    return found


def _along(
    positions: Floats, points: Floats, which: NDArray[np.intp], at: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Distance from the segments beside vertex ``at``, and length along that vertex's shaft, for each position."""
    along = arc_lengths(points)
    along -= along[np.searchsorted(which, which)]
    best, place = np.full(len(at), np.inf), np.zeros(len(at))
    for start in (np.maximum(at - 1, 0), np.minimum(at, len(points) - 2)):
        step = points[start + 1] - points[start]
        square = np.maximum(np.square(step).sum(axis=1), 1e-12)
        offset = positions - points[start]
        part = np.clip((offset * step).sum(axis=1) / square, 0.0, 1.0)
        offset -= part[:, None] * step
        distance = np.hypot(offset[:, 0], offset[:, 1])
        nearer = (distance < best) & (which[start] == which[start + 1])
        place = np.where(nearer, along[start] + part * np.sqrt(square), place)
        best = np.where(nearer, distance, best)
    return best, place
