"""What is seen of a track's electrodes, or of some of them, when it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.arrangement import Arrangement
from cath_perception.ordering import arrangements
from cath_perception.pattern import Pattern
from cath_perception.recognition import Reading
from cath_perception.rings import find_ring
from cath_perception.track import Track


Points = NDArray[np.float32]


class View(NamedTuple):
    """A track in a frame: its own centreline, from the tip, and all that the frame has, px."""

    track: Track
    line: Floats | None
    lines: Sequence[Points]

    @classmethod
    def of(cls, track: Track, lines: Sequence[Points]) -> View:
        """That of a track as it is now."""
        return cls(track, None if track.line is None else track.line.points.astype(np.float64), lines)

    def arrangements(self, slots: NDArray[np.intp]) -> list[Arrangement]:
        """The orders that some of the track's slots may have."""
        return arrangements(self.track.places[slots], self.line, self.track.width, self.lines)


class Look(NamedTuple):
    """Some of a track's slots: which, their likeliest order (indices into ``slots``), their pattern and how it reads."""

    slots: NDArray[np.intp]
    order: NDArray[np.intp]
    pattern: Pattern
    reading: Reading

    @property
    def best(self) -> float:
        """The score of the likeliest type."""
        return self.reading.best


def loop_among(track: Track, shown: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the slots ``shown`` that lie on a loop; none where there is no loop."""
    ring = find_ring(track.places[shown], track.width)
    return shown[:0] if ring is None else shown[ring[0]]
