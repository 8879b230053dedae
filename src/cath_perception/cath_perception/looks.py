"""What is seen of a track's electrodes, or of some of them, when it is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cath_perception.pattern import Pattern
from cath_perception.recognition import Reading
from cath_perception.rings import find_ring
from cath_perception.track import Track

STAYED = 3.0
"""What it costs to leave out an electrode that has ``stayed``, natural logarithm of odds."""
_LONG, _ALWAYS = 15.0, 0.9
"""One stayed that was seen in so much of so many frames."""


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

    def without_stayed(self, track: Track, shown: NDArray[np.intp]) -> Look:
        """The same, which says less for each of the slots ``shown`` that it leaves out between its own though they stayed.

        Round a loop other catheters' electrodes may come between.
        """
        if self.pattern.angles is None:
            between = shown[
                (shown > self.slots.min()) & (shown < self.slots.max()) & ~np.isin(shown, self.slots)
            ]
            self.reading.scores[:] -= STAYED * np.count_nonzero(stayed(track)[between])
        return self


def stayed(track: Track) -> NDArray[np.bool_]:
    """``(N,)`` slots that were seen all the time, on the track's own shaft."""
    away = np.maximum(track.elsewhere, track.aside)
    return track.believed & (track.frames >= _LONG) & (track.share >= _ALWAYS) & (away <= 0.5)


def loop_among(track: Track, shown: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the slots ``shown`` that lie on a loop; none where there is no loop."""
    ring = find_ring(track.places[shown], track.width)
    return shown[:0] if ring is None else shown[ring[0]]
