"""What an order of electrodes is. All lengths are image px."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rounds:
    """The ways round a loop: ``(2 N, N)`` orders, first those that go one way round in the image, from each electrode, then
    those that go the other way, and ``(2 N,)`` scores."""

    orders: NDArray[np.intp]
    scores: Floats


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Electrodes in their order from the line's beginning.

    Attributes:
        order: ``(N,)`` indices into the positions given.
        along: ``(N,)`` places along the shaft in px, increasing, in that order.
        cost: what speaks against it in itself, natural logarithm of odds: electrodes put on a branch farther off.
        rounds: for those on a loop all ways round it.
        angles: for electrodes on a loop their ``(N,)`` angles in rad on it, seen from its axis; None elsewhere.
        headings: ``(N, 2)`` vectors along the line at each electrode, in that order; None where no line tells them.
        beyond: how far the line goes on before the first electrode and behind the last one, px; infinite where none tells.
    """

    order: NDArray[np.intp]
    along: Floats
    cost: float = 0.0
    angles: Floats | None = None
    rounds: Rounds | None = None
    headings: Floats | None = None
    beyond: tuple[float, float] = (math.inf, math.inf)
