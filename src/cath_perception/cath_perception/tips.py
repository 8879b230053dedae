"""Long tip electrodes that were seen in pieces. Positions and lengths are image px."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cath_perception.curves import Floats
from cath_perception.types import Electrode

_OVERLAP = 0.22
"""Pieces share so much of the smaller one's box."""
_SHORT, _LONG = 1.05, 1.4
_NEAR, _NEARER = 0.85, 0.45
"""The shorter piece is so much longer than a ring; their centres are so near to each other in parts of their mean side,
nearer where the longer one is not so much longer than a ring."""
_BESIDE = 3
"""How long a ring is is told by so many beside them."""
_FEWEST, _MOST = 3, 9
"""So many electrodes are left at least, and catheters of more have no such tip."""


def whole_tips(
    electrodes: list[Electrode], mine: NDArray[np.intp], places: Floats
) -> tuple[NDArray[np.intp], Floats]:
    """Make pieces of one electrode, which lie at an end of a shaft, one again.

    Args:
        electrodes: of the frame; that which stays has the box of all its pieces, in place.
        mine, places: which of them are on the shaft, and where along it.

    Returns those that are left and their places, in order along the shaft.
    """
    order = places.argsort(kind="stable")
    rows, along = mine[order].tolist(), places[order].tolist()
    for first, second in ((0, 1), (-1, -2)):
        while _FEWEST < len(rows) <= _MOST:
            pair = rows[first], rows[second]
            beside = rows[2 : 2 + _BESIDE] if first == 0 else rows[-2 - _BESIDE : -2]
            rings = sorted(_length(electrodes[row]) for row in beside)
            if not _are_pieces(electrodes[pair[0]], electrodes[pair[1]], rings[len(rings) // 2]):
                break
            stays = max(pair, key=lambda row: electrodes[row].score)
            electrodes[stays] = _union([electrodes[row] for row in pair], electrodes[stays])
            rows[second], along[second] = stays, (along[first] + along[second]) / 2.0
            del rows[first], along[first]
    return np.array(rows, np.intp), np.array(along)


def _length(e: Electrode) -> float:
    return e.width + e.height


def _are_pieces(a: Electrode, b: Electrode, ring: float) -> bool:
    """Whether two electrodes are one that is longer than the others, which are of that ``_length``."""
    short, long = sorted((_length(a), _length(b)))
    near = (_NEAR if long > _LONG * ring else _NEARER) * (short + long) / 4.0
    if short <= _SHORT * ring or math.hypot(a.x - b.x, a.y - b.y) > near:
        return False
    across = min(a.x + a.width / 2, b.x + b.width / 2) - max(a.x - a.width / 2, b.x - b.width / 2)
    down = min(a.y + a.height / 2, b.y + b.height / 2) - max(a.y - a.height / 2, b.y - b.height / 2)
    return max(across, 0.0) * max(down, 0.0) > _OVERLAP * min(a.width * a.height, b.width * b.height)


def _union(pieces: Sequence[Electrode], best: Electrode) -> Electrode:
    left, right = min(p.x - p.width / 2 for p in pieces), max(p.x + p.width / 2 for p in pieces)
    top, bottom = min(p.y - p.height / 2 for p in pieces), max(p.y + p.height / 2 for p in pieces)
    return Electrode(
        (left + right) / 2, (top + bottom) / 2, right - left, bottom - top, best.score, best.sigma
    )
