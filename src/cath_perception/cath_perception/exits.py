"""Where shafts leave a loop, and where a tip lies on it. All lengths are image px, angles rad."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import squared_distances
from cath_perception.curves import Floats, arc_lengths
from cath_perception.ellipses import seen_round

# Lengths are in widths of the shaft.
_ON, _ENDS_ON = 0.5, 1.0
"""A shaft is on the loop where it is so near to the ellipse; its end is where it is so near."""
_STRAYS, _STRAYS_FAR = 2.0, 1.0
"""It may leave it for so long if it does not go so far."""
_LEAVES, _LEAVES_FAR = 3.0, 1.5
"""It leaves the loop if it goes on for so long and so far from it."""
_CROSSES = 2.0
"""A shaft that is on the loop for less crosses it."""
_PASSES, _PASSING = math.radians(120.0), 1.5
"""One that comes, follows the loop for less and goes is rather another's; what speaks against its being this one's."""
_INSIDE = 1.0
"""What speaks against the shaft's running inside the loop."""
_STRANGERS, _LIE, _STRANGE = 2, 0.7, 3.0
"""One that beyond the loop has so many of other catheters' electrodes, so near to it, is another's; what speaks against
its being this one's."""
_STRAIGHT, _THROUGH = math.radians(20.0), 3.0
"""Two exits between which a shaft would turn by less are those of one that goes straight on; what speaks against both."""
_CHORD = 3.0
"""A shaft leaves in the direction of so much of it."""
_ENDS = 1.5
"""A shaft that goes on for less ends on the loop."""
_FREE, _ITS_OWN = 1.0, 6.0
"""Its end is a tip if no shaft is so near to it, itself only from so far along itself ..."""
_BEFORE = math.radians(375.0)
"""... or if it goes round so far: it runs over its beginning, then."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A place where a shaft leaves a loop.

    Attributes:
        angle: of the place.
        heading: how much the shaft goes in the direction of growing angles there, -1..1.
        shown: how much of the loop's direction is seen there, 0..1: little where it runs towards the viewer or away.
        score: what speaks for its being the loop's own shaft, 0 or below, natural logarithm of odds.
        place: ``(2,)`` where that is.
        outwards: ``(2,)`` unit vector in which the shaft leaves.
    """

    angle: float
    heading: float
    shown: float
    score: float
    place: Floats
    outwards: Floats


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of a shaft that lies on a loop: its angle, and the direction, 1 or -1, in which the shaft goes on from it."""

    angle: float
    heading: float


@dataclass(frozen=True, slots=True)
class _Walk:
    """A line as seen from the loop: where it is on it, from its ``first`` to its ``last`` point there."""

    points: Floats
    arcs: Floats
    angles: Floats
    radii: Floats
    off: Floats
    first: int
    last: int
    width: float

    def beyond(self, side: int) -> tuple[int, int]:
        """The last point on the loop and the line's end on that side: 0 towards its beginning, 1 towards its end."""
        return (self.last, len(self.points) - 1) if side else (self.first, 0)

    def leaves(self, side: int) -> bool:
        """Whether the line goes on from the loop on that side."""
        at, end = self.beyond(side)
        low, high = min(at, end), max(at, end)
        far = abs(self.arcs[end] - self.arcs[at]) > _LEAVES * self.width
        return bool(far and self.off[low : high + 1].max() > _LEAVES_FAR * self.width)

    def turn(self) -> float:
        """How far the line goes round the loop."""
        turned = np.unwrap(self.angles[self.first : self.last + 1])
        return float(abs(turned[-1] - turned[0]))

    def reached(self, at: int, along: float) -> int:
        """The point so far along the line from another, in px, or its end."""
        to = int(np.searchsorted(self.arcs, self.arcs[at] + along))
        return min(max(to, 0), len(self.points) - 1)


def clues(
    lines: Sequence[NDArray[np.floating]], ellipse: Floats, width: float, strangers: Floats
) -> tuple[list[Exit], list[Tip]]:
    """Where shafts leave a loop, and where tips lie on it.

    Args:
        lines: ``(M, 2)`` centrelines of a frame, of the loop's own shaft and of all others, in any direction.
        ellipse: of the loop, as ``fitted`` has it.
        width: of its shaft.
        strangers: ``(K, 2)`` places of other catheters' electrodes.
    """
    exits, tips = [], []
    for number, line in enumerate(lines):
        for walk in _walks(line.astype(np.float64), ellipse, width) if len(line) else ():
            leaving = [walk.leaves(0), walk.leaves(1)]
            on = float(walk.arcs[walk.last] - walk.arcs[walk.first])
            if all(leaving) and on < _CROSSES * width:
                continue
            passing = _PASSING * (all(leaving) and walk.turn() < _PASSES)
            for side in (0, 1):
                if leaving[side]:
                    against = passing + _STRANGE * _is_strange(walk, side, strangers)
                    exits.append(_exit(walk, side, ellipse, against))
                elif walk.last > walk.first and (tip := _tip(walk, side, lines, number)) is not None:
                    tips.append(tip)
    return _weighed(exits, width), tips


def _weighed(exits: list[Exit], width: float) -> list[Exit]:
    """The exits, with what speaks against those through which another shaft goes straight on."""
    pairs = combinations(range(len(exits)), 2)
    through = {
        n for one, other in pairs if _are_straight(exits[one], exits[other], width) for n in (one, other)
    }
    return [replace(e, score=e.score - _THROUGH) if n in through else e for n, e in enumerate(exits)]


def _are_straight(one: Exit, other: Exit, width: float) -> bool:
    """Whether a shaft that comes in at one exit would go out at the other straight on."""
    way, least = other.place - one.place, math.cos(_STRAIGHT)
    far = math.hypot(*way)
    if far < width:
        return bool(-(one.outwards @ other.outwards) > least)
    return bool(min(-(one.outwards @ way), other.outwards @ way) > least * far)


def _walks(points: Floats, ellipse: Floats, width: float) -> Iterator[_Walk]:
    """The stretches of a line on the loop."""
    angles, radii, off = seen_round(points, ellipse)
    is_on = off <= _ON * width
    is_on[0], is_on[-1] = off[0] <= _ENDS_ON * width, off[-1] <= _ENDS_ON * width
    on = np.flatnonzero(is_on)
    if not len(on):
        return
    arcs = arc_lengths(points)
    parted = [
        n
        for n in (np.flatnonzero(np.diff(on) > 1) + 1).tolist()
        if arcs[on[n]] - arcs[on[n - 1]] >= _STRAYS * width
        or off[on[n - 1] : on[n]].max() >= _STRAYS_FAR * width
    ]
    for a, b in pairwise([0, *parted, len(on)]):
        yield _Walk(points, arcs, angles, radii, off, int(on[a]), int(on[b - 1]), width)


def _is_strange(walk: _Walk, side: int, strangers: Floats) -> bool:
    """Whether the shaft beyond the loop on that side is the one of other catheters' electrodes."""
    if not len(strangers):
        return False
    low, high = sorted(walk.beyond(side))
    near = squared_distances(strangers, walk.points[low : high + 1]).min(axis=1) <= (_LIE * walk.width) ** 2
    return bool(near.sum() >= _STRANGERS)


def _exit(walk: _Walk, side: int, ellipse: Floats, against: float) -> Exit:
    at, _ = walk.beyond(side)
    to = walk.reached(at, (1.0 if side else -1.0) * _CHORD * walk.width)
    angle = float(walk.angles[at])
    thin, wide, cos, sin = ellipse[2:].tolist()
    major, minor = -wide * math.sin(angle), thin * math.cos(angle)
    growing = np.array((major * cos - minor * sin, major * sin + minor * cos))
    ahead = walk.points[to] - walk.points[at]
    outwards = ahead / max(math.hypot(*ahead), 1e-9)
    shown = math.hypot(*growing)
    heading = float(growing @ outwards) / max(shown, 1e-9)
    score = -against - _INSIDE * bool(walk.radii[to] < 1.0)
    return Exit(angle, heading, shown / wide, score, walk.points[at], outwards)


def _tip(walk: _Walk, side: int, lines: Sequence[NDArray[np.floating]], number: int) -> Tip | None:
    """The line's end on that side, if it lies on the loop and is a tip."""
    at, end = walk.beyond(side)
    if abs(walk.arcs[end] - walk.arcs[at]) >= _ENDS * walk.width:
        return None
    if walk.turn() < _BEFORE:
        own = walk.points[np.abs(walk.arcs - walk.arcs[end]) > _ITS_OWN * walk.width]
        others = np.concatenate([own, *(line for n, line in enumerate(lines) if n != number)])
        away = squared_distances(walk.points[end : end + 1], others)
        if away.min(initial=np.inf) < (_FREE * walk.width) ** 2:
            return None
    to = walk.reached(at, (-1.0 if side else 1.0) * _CHORD * walk.width)
    to = min(max(to, walk.first), walk.last)
    angle = float(walk.angles[end])
    return Tip(
        angle, math.copysign(1.0, math.remainder(float(walk.angles[to]) - float(walk.angles[at]), math.tau))
    )
