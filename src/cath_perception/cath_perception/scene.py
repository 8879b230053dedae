"""Whether a frame shows another view than those before: another run, or the C-arm or the table moved.

Positions are image px, times s.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

from cath_perception.shafts import Shafts
from cath_perception.track import Track
from cath_perception.types import CatheterStatus

_FEWEST = 3
"""A catheter of so many electrodes tells where it went."""


def jumped(tracks: Sequence[Track], found: Container[int], shafts: Shafts) -> bool:
    """Whether catheters were there, none of them is, and as many others are. ``found``: the places of tracks seen."""
    there = [n for n, t in enumerate(tracks) if t.status is CatheterStatus.DETECTED and _known_well(t)]
    new = sum(
        len(c.electrodes) >= _FEWEST and owner < 0
        for c, owner in zip(shafts.catheters, shafts.owner, strict=True)
    )
    return bool(there) and not any(n in found for n in there) and new >= len(there)


class Course:
    """How far all catheters went together lately."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, list[float]]] = []

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()

    def gone(
        self, tracks: Sequence[Track], found: Container[int], since: float, time_s: float, within_s: float
    ) -> float:
        """Take in a frame, ``since`` s after the one before; how far the tracks ``found`` went within the last s, px."""
        moving = [t.velocity.tolist() for n, t in enumerate(tracks) if n in found and _known_well(t)]
        middle = [sorted(axis)[len(axis) // 2] * since for axis in zip(*moving, strict=True)] or [0.0, 0.0]
        self._steps = [(t, s) for t, s in self._steps if time_s - t <= within_s] + [(time_s, middle)]
        return math.hypot(*(sum(axis) for axis in zip(*(shift for _, shift in self._steps), strict=True)))


def _known_well(track: Track) -> bool:
    return track.mature and len(track.keys) >= _FEWEST
