"""Candidates of the network to electrodes in the image's pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cath_perception.image import Letterbox
from cath_perception.types import Electrode

_DUPLICATE = 0.4
"""Two candidates closer than this part of their box are one electrode ..."""
_DUPLICATE_RANGE = (1.0, 2.5)
"""... within these bounds in network-input px: two rings of a pair may be 4 px apart."""


def decode(
    candidates: NDArray[np.float32],
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
    kept = candidates[candidates[:, 4] >= threshold]
    x, y = letterbox.to_image(kept[:, 0], kept[:, 1])
    inside = (x >= -0.5) & (x <= letterbox.width - 0.5) & (y >= -0.5) & (y <= letterbox.height - 0.5)
    kept, x, y = kept[inside], x[inside], y[inside]
    single = _without_duplicates(kept)
    kept, x, y = kept[single], x[single], y[single]
    width, height = kept[:, 2] / letterbox.scale_x, kept[:, 3] / letterbox.scale_y
    sigma = (sigma_floor + sigma_slope * (1.0 - kept[:, 4])) / letterbox.scale
    table = np.stack((x, y, width, height, kept[:, 4], sigma), axis=1)
    return tuple(Electrode(*row) for row in table.tolist())


def _without_duplicates(candidates: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True for each candidate that no better one, itself kept, lies too close to."""
    count = len(candidates)
    keep = np.ones(count, dtype=bool)
    if count < 2:
        return keep
    reach = np.clip(_DUPLICATE * candidates[:, 2:4].max(axis=1), *_DUPLICATE_RANGE)
    apart = candidates[:, None, :2] - candidates[None, :, :2]
    near = np.square(apart).sum(axis=2) < np.square(np.minimum(reach[:, None], reach[None, :]))
    for later, earlier in np.argwhere(np.tril(near, -1)):
        if keep[earlier]:
            keep[later] = False
    return keep
