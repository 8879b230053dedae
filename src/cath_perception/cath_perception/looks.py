"""What is seen of a track's electrodes, or of some of them, when it is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cath_perception.pattern import Pattern
from cath_perception.recognition import Reading
from cath_perception.rings import find_ring
from cath_perception.track import Track


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
