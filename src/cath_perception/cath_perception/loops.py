"""The order of electrodes on a loop, which may close on itself. All lengths are image px, angles rad."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cath_perception.arrangement import Arrangement, Floats, Rounds
from cath_perception.closing import closing
from cath_perception.ellipses import fitted, seen_round
from cath_perception.exits import Exit, Tip, clues

_TIP_COUNTS, _TIP_BACKWARDS = 4.0, 0.3
"""How much it speaks for beginning with an electrode that a shaft's end is there (in a model's masks one in five is a tip),
and which part of that does if the shaft goes on the other way."""
_BEYOND, _SPREAD = math.radians(40.0), math.radians(37.0)
"""The shaft is seen to leave the loop so far beyond the tip: loops close with 0.92 to 1.1 turns, and then a shaft's width
must part the two; with its standard deviation."""
_LEAST, _NOWHERE = -6.0, -8.0
"""The most that it says against an electrode that the shaft leaves elsewhere, and what it says that none leaves."""
_OFF, _GAPS = 0.04, 0.8
"""Electrodes are so many widths from where they are; what the gaps between them say counts so much beside the exits."""
_AHEAD = 2.5
"""How much it says that a shaft does not leave straight ahead."""

_MOST_AGAINST, _NEW = 30.0, -4.0
"""The most that a frame says against a way round, and what one counts at most that is new, since an electrode is, beside
others that are known."""


class Ways:
    """What all frames so far say for the ways round a loop: by the first electrode's key and the direction in the image."""

    def __init__(self) -> None:
        self._scores: dict[tuple[int, int], float] = {}

    def likeliest(self, keys: NDArray[np.intp], rounds: Rounds, weight: float, keep: bool) -> int:
        """Which of the ``rounds`` of electrodes with these keys that is, a new frame among those that speak.

        ``weight``: the new frame's, 0..1. ``keep``: whether to count it from now on.
        """
        directions = np.repeat((1, -1), len(keys)).tolist()
        names = list(zip(keys[rounds.orders[:, 0]].tolist(), directions, strict=True))
        told = np.maximum(rounds.scores - rounds.scores.max(), -_MOST_AGAINST).tolist()
        ways = {}
        for name, score in zip(names, told, strict=True):
            before = self._scores.get(name, min(score, _NEW) if self._scores else score)
            ways[name] = before + weight * (score - before)
        if keep:
            self._scores.update(ways)
        return max(range(len(names)), key=lambda n: ways[names[n]])


def round_ring(
    positions: Floats,
    angles: Floats,
    lines: Sequence[NDArray[np.floating]],
    width: float,
    strangers: Floats,
) -> Arrangement:
    """The likeliest way round for ``(N, 2)`` electrodes at these ``angles`` on a loop.

    Their gaps tell where the loop closes, and the shafts that leave it which way it goes there.

    Args:
        lines: ``(M, 2)`` centrelines of the frame, in any direction, the loop's own among them.
        width: of its shaft.
        strangers: ``(K, 2)`` places of other catheters' electrodes.
    """
    count, ellipse = len(angles), fitted(positions)
    seen = seen_round(positions, ellipse)[0]
    cyclic = seen.argsort()
    rank = np.empty(count, np.intp)
    rank[cyclic] = np.arange(count)
    forward = (rank[None, :] - np.arange(count)[:, None]) % count  # (starts, electrodes)
    ranks = np.concatenate((forward, count - 1 - forward))
    # backwards from a start, the tip is the electrode before it
    first = seen[np.concatenate((cyclic, np.roll(cyclic, 1)))]
    ahead = np.repeat((1.0, -1.0), count)
    exits, tips = clues(lines, ellipse, width, strangers)
    round_it = seen[cyclic]
    off = _OFF * width * np.hypot(np.sin(round_it) / ellipse[3], np.cos(round_it) / ellipse[2])
    gaps = np.tile(closing(round_it, off), 2)
    scores = _GAPS * gaps + _before_exit(first, ahead, exits) + _at_tip(first, ahead, tips)
    return going_round(positions, angles, Rounds(ranks.argsort(axis=1), scores), int(scores.argmax()))


def _before_exit(first: Floats, ahead: Floats, exits: Sequence[Exit]) -> Floats:
    """What shafts that leave say for each way round: ``(W,)`` angles of the first electrode, 1 or -1 for the direction."""
    best = np.full(len(first), _NOWHERE)
    for left in exits:
        beyond = np.remainder(ahead * (left.angle - first) + math.pi, math.tau) - math.pi
        place = np.maximum(-0.5 * ((beyond - _BEYOND) / _SPREAD) ** 2, _LEAST)
        best = np.maximum(best, left.score + _AHEAD * left.shown * (ahead * left.heading - 1.0) + place)
    return best


def _at_tip(first: Floats, ahead: Floats, tips: Sequence[Tip]) -> Floats:
    """What tips on the loop say for each way round."""
    best, pitch = np.zeros(len(first)), 2.0 * math.tau / len(first)
    for tip in tips:
        away = np.abs(np.remainder(tip.angle - first + math.pi, math.tau) - math.pi)
        onwards = np.where(ahead == tip.heading, 1.0, _TIP_BACKWARDS)
        best = np.maximum(best, _TIP_COUNTS * np.maximum(1.0 - away / pitch, 0.0) * onwards)
    return best


def going_round(positions: Floats, angles: Floats, rounds: Rounds, chosen: int) -> Arrangement:
    """One of the ways round a loop."""
    order = rounds.orders[chosen]
    turned = np.unwrap(angles[order])
    along = np.concatenate(([0.0], np.cumsum(_lengths(np.diff(positions[order], axis=0)))))
    return Arrangement(order, along, 0.0, np.abs(turned - turned[0]), rounds)


def _lengths(vectors: Floats) -> Floats:
    return np.hypot(vectors[:, 0], vectors[:, 1])
