"""What the perception core takes and returns. Positions are pixels of the input image; (0, 0) is the centre
of its top-left pixel, x to the right, y down."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class CatheterStatus(IntEnum):
    """How a catheter came to be in a result; values equal those of ``cath_msgs/Catheter``."""

    DETECTED = 0
    PREDICTED = 1
    LOST = 2


class Electrode(NamedTuple):
    """One electrode; a named tuple, as these are made by the dozen in every frame, and in a third of a dataclass's time.

    Attributes:
        x, y: centre in px.
        width, height: axis-aligned box in px.
        score: confidence, 0..1.
        sigma: one standard deviation of the centre in px; NaN if unknown.
        catheter: id of its catheter in the same result, -1 unknown.
        index: 0 at the distal tip and upwards, -1 unknown.
        visible: False for a position that was predicted and not seen.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    sigma: float = float("nan")
    catheter: int = -1
    index: int = -1  # type: ignore[assignment]  # hides tuple.index, of which there is no need
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Centerline:
    """An ordered curve.

    Attributes:
        points: ``(N, 2)`` float32 x, y in px from the distal tip.
        width: the shaft's, the median along the curve, px.
        at_electrodes: its width near its electrodes, px; 0 where it was not measured there.
        tip_odds: what speaks for its beginning at the tip rather than at the other end, natural logarithm of odds.
    """

    points: NDArray[np.float32]
    width: float
    at_electrodes: float = 0.0
    tip_odds: float = 0.0

    @property
    def thickness(self) -> float:
        """The shaft's width near its electrodes where that is known, else along the curve, px."""
        return self.at_electrodes or self.width


@dataclass(frozen=True, slots=True)
class Catheter:
    """One catheter with its electrodes ordered from the distal tip.

    ``type`` is None where it is not known (or not computed); ``type_confidence`` and ``score`` are 0..1.
    """

    id: int
    electrodes: tuple[Electrode, ...]
    centerline: Centerline | None
    score: float
    type: str | None = None
    type_confidence: float = 0.0
    status: CatheterStatus = CatheterStatus.DETECTED


@dataclass(slots=True)
class StageTimes:
    """Wall time of each stage of one frame in ms; NaN where the stage did not run."""

    preprocess: float = float("nan")
    network: float = float("nan")
    decode: float = float("nan")
    mask: float = float("nan")
    centerline: float = float("nan")
    grouping: float = float("nan")
    total: float = float("nan")


@dataclass(frozen=True, slots=True)
class PerceptionResult:
    """Everything seen in one frame.

    Attributes:
        width, height: size of the input image in px.
        electrodes: all electrodes seen, by falling score, catheter and index filled in where known.
        catheters: one for every catheter shaft found, in a tracked sequence also those that are predicted or lost;
            empty if there is none, None if not computed.
        mask: ``(height, width)`` uint8, 0 or 255; None if not computed.
        times: per-stage times in ms.
        faint: electrodes below the threshold, by falling score, which only tracking uses: where it expects one.
    """

    width: int
    height: int
    electrodes: tuple[Electrode, ...]
    catheters: tuple[Catheter, ...] | None
    mask: NDArray[np.uint8] | None
    times: StageTimes = field(default_factory=StageTimes)
    faint: tuple[Electrode, ...] = ()
