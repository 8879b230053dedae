"""A frame's electrodes as arrays. All positions and lengths are image px."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.types import PerceptionResult

_COLUMNS = (slice(2), slice(2, 4), 4, 5)


@dataclass(slots=True)
class Sightings:
    """A frame's electrodes as arrays.

    Attributes:
        positions: ``(N, 2)`` px.
        boxes: ``(N, 2)`` width and height, px.
        scores, sigmas: ``(N,)``.
        shafts: ``(N,)`` place of the catheter in the frame's result, -1 for one of none.
        ranks: ``(N,)`` index on that catheter.
        faint: ``(N,)`` whether it is below the threshold, and only counts where one is expected; those come last.
        track, key: ``(N,)`` id of the track each one belongs to and the key of its slot, filled in by tracking; -1 none.
    """

    positions: Floats
    boxes: Floats
    scores: Floats
    sigmas: Floats
    shafts: NDArray[np.intp]
    ranks: NDArray[np.intp]
    faint: NDArray[np.bool_]
    track: NDArray[np.intp]
    key: NDArray[np.intp]

    @classmethod
    def of(cls, result: PerceptionResult) -> Sightings:
        """Those of one frame."""
        place = {catheter.id: n for n, catheter in enumerate(result.catheters or ())}
        rows = [
            (e.x, e.y, e.width, e.height, e.score, e.sigma, place.get(e.catheter, -1), e.index)
            for e in (*result.electrodes, *result.faint)
        ]
        table = np.array(rows, np.float64).reshape(-1, 8)
        shafts, ranks = table[:, 6].astype(np.intp), table[:, 7].astype(np.intp)
        faint = np.arange(len(table)) >= len(result.electrodes)
        none = np.full(len(table), -1)
        places, boxes, scores, sigmas = (np.ascontiguousarray(table[:, k]) for k in _COLUMNS)
        return cls(places, boxes, scores, sigmas, shafts, ranks, faint, none, none.copy())
