"""A mask of shafts to lines of single px. Masks have a border of one empty px here, so that every px has neighbours."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

_FULL = 6
"""An empty px is filled if this many of the nine px around and in it are shaft."""


def shaft_mask(probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """``(h + 2, w + 2)`` px at the threshold or above, with the pits and holes of single px filled of which each would give
    the skeleton a branch.
    """
    height, width = probability.shape
    mask = np.zeros((height + 2, width + 2), np.uint8)
    np.greater_equal(probability, threshold, out=mask[1:-1, 1:-1], casting="unsafe")
    count = cv2.boxFilter(mask, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    count[0] = count[-1] = count[:, 0] = count[:, -1] = 0
    np.greater_equal(count, _FULL, out=count, casting="unsafe")
    return np.bitwise_or(mask, count)


def thinned(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places (row times width plus column, ascending) of the px that are left of a mask when it is thinned to lines."""
    places: NDArray[np.int64] = np.flatnonzero(skeletonize(mask))
    return places
