"""The electrode pattern of a catheter as it is seen in an image. All lengths are image px."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cath_perception.alignment import Floats
from cath_perception.arrangement import Arrangement
from cath_perception.ordering import arrangements
from cath_perception.types import Catheter

_ENDS = 1.5
"""A shaft that goes on for so many widths at most ends at its electrode."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is seen of a catheter.

    Attributes:
        along: ``(N,)`` places of the electrodes along the shaft in px, increasing.
        lengths: ``(N,)`` their lengths along the shaft in px.
        width: the shaft's in px: a rough idea of px per mm.
        cost: what speaks against the order in itself, natural logarithm of odds.
        angles: for those on a loop their increasing angles on it, rad.
        scale: px per mm by the widths of other catheters that are known; 0 where none is.
        ends: whether the shaft is seen to end at the first electrode, and at the last one.
    """

    along: Floats
    lengths: Floats
    width: float
    cost: float = 0.0
    angles: Floats | None = None
    scale: float = 0.0
    ends: tuple[bool, bool] = (False, False)

    def reversed(self) -> Pattern:
        """The same catheter with its other end taken for the tip."""
        angles = None if self.angles is None else self.angles[-1] - self.angles[::-1]
        along, lengths = self.along[-1] - self.along[::-1], self.lengths[::-1]
        return replace(self, along=along, lengths=lengths, angles=angles, ends=self.ends[::-1])

    def without(self, index: int) -> Pattern:
        """The pattern with one electrode left out."""
        angles = None if self.angles is None else np.delete(self.angles, index)
        along, lengths = np.delete(self.along, index), np.delete(self.lengths, index)
        ends = self.ends[0] and index > 0, self.ends[1] and index < len(along)
        return replace(self, along=along, lengths=lengths, angles=angles, ends=ends)


def patterns_of(catheter: Catheter) -> list[Pattern]:
    """What a single catheter's electrodes (two or more) look like in each order that they may have."""
    positions = np.array([(e.x, e.y) for e in catheter.electrodes], dtype=np.float64)
    boxes = np.array([e.width + e.height for e in catheter.electrodes], dtype=np.float64)
    line, width = None, float(np.median(boxes)) / 2.0
    if catheter.centerline is not None:
        line, width = catheter.centerline.points.astype(np.float64), max(catheter.centerline.thickness, 1.0)
    return [
        pattern(positions[arranged.order], boxes[arranged.order], arranged, width)
        for arranged in arrangements(positions, line, width)
    ]


def pattern(
    positions: Floats, boxes: Floats, arranged: Arrangement, width: float, scale: float = 0.0
) -> Pattern:
    """The pattern of ``(N, 2)`` positions in order.

    Args:
        boxes: ``(N,)`` sum of each electrode's box's sides in px.
        arranged: their arrangement.
        width: the shaft's, px.
        scale: px per mm by other catheters' widths; 0 where it is not known.
    """
    step = np.abs(_chords(positions) if arranged.headings is None else arranged.headings)
    # a box of a bar (a, b) at an angle measures |c| a + |s| b by |s| a + |c| b
    lengths = boxes * np.hypot(step[:, 0], step[:, 1]) / np.maximum(step[:, 0] + step[:, 1], 1e-6)
    before, behind = (beyond <= _ENDS * width for beyond in arranged.beyond)
    return Pattern(arranged.along, lengths, width, arranged.cost, arranged.angles, scale, (before, behind))


def _chords(positions: Floats) -> Floats:
    """``(N, 2)`` the shaft's directions as the neighbours' positions tell them."""
    step = np.empty_like(positions)
    step[1:-1] = positions[2:] - positions[:-2]
    step[0], step[-1] = positions[1] - positions[0], positions[-1] - positions[-2]
    return step
