"""Candidates of the network to electrodes in the image's pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled
from cath_perception.image import Letterbox
from cath_perception.types import Electrode

Floats = NDArray[np.float32]

_DUPLICATE = np.float32(0.4)
"""Two candidates closer than this part of their box are one electrode ..."""
_NEAREST, _FURTHEST = np.float32(1.0), np.float32(2.5)
"""... within these bounds in network-input px: two rings of a pair may be 4 px apart."""
_HALF, _ONE = np.float32(0.5), np.float32(1.0)


def decode(
    candidates: Floats,
    letterbox: Letterbox,
    threshold: float,
    sigma_floor: float,
    sigma_slope: float,
) -> tuple[Electrode, ...]:
    """Electrodes in image px, by falling score.

    Args:
        candidates: ``(K, 5)`` x, y, width, height in network-input px and score, by falling score.
        letterbox: the one the network's input was made with.
        threshold: candidates below this score are left out, as are those centred outside the image and the lower
            of two that lie closer than electrodes can.
        sigma_floor, sigma_slope: sigma is ``floor + slope * (1 - score)`` network-input px.
    """
    box = letterbox
    place = np.array(
        (box.left, box.top, box.scale_x, box.scale_y, box.width, box.height, box.scale), np.float32
    )
    sigma = np.array((sigma_floor, sigma_slope), np.float32)
    table = _decoded(np.require(candidates, np.float32, ("C", "W")), place, threshold, sigma)
    return tuple(Electrode(*row) for row in table.tolist())


@compiled("(f4[:, ::1], f4[::1], f4, f4[::1])")
def _decoded(candidates: Floats, place: Floats, threshold: float, sigma: Floats) -> Floats:
    """See ``decode``: ``(N, 6)`` x, y, width, height, score, sigma; ``place`` is what it says of the letterbox."""
    left, top, scale_x, scale_y, width, height, scale = place
    table, kept, count = np.empty((len(candidates), 6), np.float32), np.empty(len(candidates), np.int64), 0
    for i in range(len(candidates)):
        x, y, score = candidates[i, 0], candidates[i, 1], candidates[i, 4]
        u, v = (x + _HALF - left) / scale_x - _HALF, (y + _HALF - top) / scale_y - _HALF
        inside = u >= -_HALF and u <= width - _HALF and v >= -_HALF and v <= height - _HALF
        if score < threshold or not inside or _is_duplicate(candidates, i, kept[:count]):
            continue
        table[count, 0], table[count, 1] = u, v
        table[count, 2], table[count, 3] = candidates[i, 2] / scale_x, candidates[i, 3] / scale_y
        table[count, 4], table[count, 5] = score, (sigma[0] + sigma[1] * (_ONE - score)) / scale
        kept[count] = i
        count += 1
    return table[:count]


@compiled()
def _is_duplicate(candidates: Floats, which: int, kept: NDArray[np.int64]) -> bool:
    """Whether a better candidate that is kept lies too close to this one."""
    reach = _reach(candidates, which)
    for other in kept:
        x, y = candidates[which, 0] - candidates[other, 0], candidates[which, 1] - candidates[other, 1]
        near = min(reach, _reach(candidates, other))
        if x * x + y * y < near * near:
            return True
    return False


@compiled()
def _reach(candidates: Floats, which: int) -> float:
    """How near another candidate may be, network-input px."""
    return min(max(_DUPLICATE * max(candidates[which, 2], candidates[which, 3]), _NEAREST), _FURTHEST)
