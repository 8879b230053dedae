"""What every source of fluoroscopy frames offers: who it is (:class:`SourceInfo`) and its frames in order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cath_perception.types import Catheter

DEFAULT_RATE_HZ = 15.0
MAX_FRAMES = 1_000_000

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a recording before its frames are read.

    Attributes:
        name: short name for messages and files; never a patient's.
        width, height: frame size in px.
        bits: significant bits of a pixel, 8..16; ``2**bits - 1`` is the largest value.
        frames: number of frames, None where only reading to the end tells.
        rate_hz: nominal frame rate (the frames' own times may vary).
        pixel_spacing_mm: mm per px; ``metadata["pixel_spacing_plane"]`` says in which plane.
        detector_spacing_mm: mm per px on the detector.
        source_detector_mm, source_patient_mm: distances from the X-ray source.
        primary_angle_deg, secondary_angle_deg: C-arm angles (LAO and cranial positive).
        metadata: further plain facts; no patient data.
    """

    name: str
    width: int
    height: int
    bits: int
    frames: int | None
    rate_hz: float
    pixel_spacing_mm: float | None = None
    detector_spacing_mm: float | None = None
    source_detector_mm: float | None = None
    source_patient_mm: float | None = None
    primary_angle_deg: float | None = None
    secondary_angle_deg: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame.

    Attributes:
        pixels: ``(height, width)`` uint8 or uint16, dark where X-rays were absorbed.
        time_s: time since the first frame.
        index: position in the source, from 0.
        name: where it came from (a file's name, or the source's).
        truth: the catheters that are really there; None where nobody knows.
    """

    pixels: Pixels
    time_s: float
    index: int
    name: str
    truth: tuple[Catheter, ...] | None = None


Source = TypeVar("Source", bound="FrameSource")


class FrameSource(ABC):
    """Frames in order, read one at a time. Iterating again starts again; errors are ``SourceError``."""

    info: SourceInfo

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]: ...

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Release files. The source cannot be iterated afterwards."""

    def __enter__(self: Source) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
