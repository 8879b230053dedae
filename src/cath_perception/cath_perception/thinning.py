"""A mask of shafts to lines of single px. Masks have a border of one empty px here, so that every px has neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from cath_perception.compiled import compiled

_FULL = 6
"""An empty px is filled if this many of the nine px around and in it are shaft."""


@compiled("(f4[:, ::1], f4)")
def shaft_mask(probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """``(h + 2, w + 2)`` px at the threshold or above, with the pits and holes of single px filled of which each would give
    the skeleton a branch.
    """
    height, width = probability.shape
    mask = np.zeros((height + 2, width + 2), np.uint8)
    for y in range(height):
        row, source = mask[y + 1], probability[y]
        for x in range(width):
            row[x + 1] = source[x] >= threshold
    filled, column = mask.copy(), np.empty(width + 2, np.uint8)
    for y in range(1, height + 1):
        above, here, below, row = mask[y - 1], mask[y], mask[y + 1], filled[y]
        for x in range(width + 2):
            column[x] = above[x] + here[x] + below[x]
        for x in range(1, width + 1):
            row[x] |= column[x - 1] + column[x] + column[x + 1] >= _FULL
    return filled


def thinned(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places (row times width plus column, ascending) of the px that are left of a mask when it is thinned to lines."""
    places: NDArray[np.int64] = np.flatnonzero(skeletonize(mask))
    return places
