"""A mask of shafts to lines of single px. Masks have a border of one empty px here, so that every px has neighbours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

_FULL = 6
"""An empty px is filled if this many of the nine px around and in it are shaft."""
_REMOVABLE = np.array(
    [
        int(digit)
        for digit in "0001001300311013000000002020303300000000300000000000000020003022"
        "0000000000000000000000000000000020000000200020003000000030003020"
        "0031001300000001000000000000000131000000000000002000000000000000"
        "2313001300000001000000000000000023010001000000003301000022002000"
    ],
    np.uint8,
)
"""By the eight neighbours (bits from top left clockwise): whether a px goes in the first (1) or second (2) half of a step,
or in either (3). The table of ImageJ and scikit-image for the method of Zhang and Suen (1984)."""


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


@compiled("(u1[:, ::1],)")
def thinned(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places (row times width plus column, ascending) of the px that are left of a mask when it is thinned to lines."""
    width = mask.shape[1]
    px = mask.copy().reshape(-1)
    alive, gone = np.empty(px.size, np.int64), np.empty(px.size, np.int64)
    count, stage, idle = 0, 1, 0
    for p in range(px.size):
        if px[p]:
            alive[count] = p
            count += 1
    while idle < 2:
        lost = kept = 0
        for k in range(count):
            p = alive[k]
            around = _neighbours(px, p, width)
            if _REMOVABLE[around] & stage:
                gone[lost] = p
                lost += 1
            else:
                alive[kept] = p
                kept += 1
        for k in range(lost):
            px[gone[k]] = 0
        count, stage, idle = kept, 3 - stage, 0 if lost else idle + 1
    return alive[:count]


@compiled()
def _neighbours(px: NDArray[np.uint8], p: int, width: int) -> Any:
    """The eight neighbours as bits, from top left clockwise."""
    up, down = p - width, p + width
    upper = px[up - 1] | px[up] << 1 | px[up + 1] << 2 | px[p + 1] << 3
    return upper | px[down + 1] << 4 | px[down] << 5 | px[down - 1] << 6 | px[p - 1] << 7
