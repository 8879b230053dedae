"""Where shafts go on behind a collimator's shutters, which are dark and even in a picture. All lengths are image px."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.centerline import Trace


def _points(along: Sequence[float], across: Sequence[float]) -> Floats:
    return np.array([(a, b) for a in along for b in across])


# Lengths are in widths of the shaft.
_HEADING = 3.0
"""A shaft ends in the direction of so much of it."""
_PATCH = np.stack(np.meshgrid(*[np.linspace(-0.8, 0.8, 3)] * 2), axis=-1).reshape(-1, 2)
"""Brightness is looked at so far (in x and y) from each of some points, along the shaft from its end and across it: ..."""
_BESIDE = _points((-2.5, -4.0), (-3.0, 3.0))
"""... these beside the shaft before its end, ..."""
_AT_END = _points((0.0, 1.0), (-2.0, 2.0))
"""... these at its end ..."""
_BEYOND = _points((4.0, 6.0), (-1.5, 0.0, 1.5))
"""... and these beyond it."""
_POINTS = np.concatenate((_BESIDE, _AT_END, _BEYOND))
_PARTS = np.cumsum((len(_BESIDE), len(_AT_END))) * len(_PATCH)
_EVEN, _DARKER = 0.25, 1.0
"""Behind a shutter brightness varies by less than this part of its deviation before it, and is lower by so many of these."""
_FALLEN = 0.4
"""So much of the fall is over at the end of a shaft that goes on behind the shutter: a tip may be near one."""


def ends_covered(pixels: NDArray[Any] | None, shafts: Sequence[Trace]) -> list[tuple[bool, bool]]:
    """Whether each shaft's beginning and end lie at a shutter; in no ``(H, W)`` frame (None) does any.

    Pixels may have any range of values; more is brighter.
    """
    if pixels is None or not shafts:
        return [(False, False)] * len(shafts)
    ends = np.array([shaft.points[at] for shaft in shafts for at in (0, -1)])
    before = np.array([point for shaft in shafts for point in _before_ends(shaft)])
    ahead = ends - before
    ahead /= np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)[:, None]
    widths = np.repeat([shaft.width for shaft in shafts], 2)
    beside, at_end, beyond = np.split(_brightness(pixels, ends, ahead, widths), _PARTS, axis=1)
    spread, bright, dark = beside.std(axis=1), beside.mean(axis=1), beyond.mean(axis=1)
    shutter = (bright - dark > _DARKER * spread) & (beyond.std(axis=1) < _EVEN * spread)
    covered = (shutter & (bright - at_end.mean(axis=1) > _FALLEN * (bright - dark))).tolist()
    return list(zip(covered[::2], covered[1::2], strict=True))


def _before_ends(shaft: Trace) -> tuple[Floats, Floats]:
    """A point of the shaft some widths from its beginning, and one from its end."""
    spacing = max(float(np.hypot(*(shaft.points[-1] - shaft.points[-2]))), 1e-6)
    step = min(len(shaft.points) - 1, max(1, round(_HEADING * shaft.width / spacing)))
    return shaft.points[step], shaft.points[-1 - step]


def _brightness(pixels: NDArray[Any], ends: Floats, ahead: Floats, widths: Floats) -> Floats:
    """``(E, N)`` values around all points, of one after the other."""
    across = np.column_stack((-ahead[:, 1], ahead[:, 0]))
    centres = _POINTS @ np.stack((ahead, across), axis=1)
    spots = ends[:, None, None] + widths[:, None, None, None] * (centres[:, :, None] + _PATCH)
    height, width = pixels.shape
    places = np.clip(spots + 0.5, 0.0, (width - 1.0, height - 1.0)).astype(np.intp)
    values = pixels[places[..., 1], places[..., 0]]
    return values.reshape(len(ends), -1).astype(np.float64)
