"""Changes to a source on its way: frame rate, length and size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import cv2
import numpy as np

from cath_perception.errors import SourceError
from cath_perception.image import MAX_SIDE
from cath_perception.sources.base import MAX_FRAMES, FrameSource, SourceFrame, SourceInfo
from cath_perception.types import Catheter, Centerline, Electrode


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What to change; None leaves it.

    Attributes:
        rate_hz: replaces the source's own times by equal ones.
        seconds, frames: end after this long or this many frames, whichever is first.
        size: length of the longer side in px; the other follows.
    """

    rate_hz: float | None = None
    seconds: float | None = None
    frames: int | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate_hz", 0.1, 1000.0),
            ("seconds", 0.0, 86400.0),
            ("frames", 1, MAX_FRAMES),
            ("size", 16, MAX_SIDE),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SourceError(f"{name} is {value:g}; expected {low:g} to {high:g}")


class AdaptedSource(FrameSource):
    """Another source with :class:`SourceOptions` applied; spacing and truth follow the size."""

    def __init__(self, source: FrameSource, options: SourceOptions) -> None:
        self._source = source
        self._options = options
        self._scale = options.size / max(source.info.width, source.info.height) if options.size else 1.0
        self.info = _adapted_info(source.info, options, self._scale)

    def __iter__(self) -> Iterator[SourceFrame]:
        options, info = self._options, self.info
        for count, frame in enumerate(islice(self._source, options.frames)):
            time_s = count / options.rate_hz if options.rate_hz else frame.time_s
            if options.seconds is not None and time_s >= options.seconds and count:
                break
            frame = replace(frame, time_s=time_s)
            if (info.width, info.height) != (frame.pixels.shape[1], frame.pixels.shape[0]):
                frame = _resized(frame, info.width, info.height)
            yield frame

    def close(self) -> None:
        """Close the source underneath."""
        self._source.close()


def _adapted_info(info: SourceInfo, options: SourceOptions, scale: float) -> SourceInfo:
    rate = options.rate_hz or info.rate_hz
    counts = [info.frames, options.frames]
    if options.seconds is not None:
        counts.append(
            max(1, int(np.ceil(options.seconds * rate - 1e-6))) if info.frames is not None else None
        )
    known = [count for count in counts if count is not None] if info.frames is not None else []
    metadata = dict(info.metadata)
    if options.rate_hz:
        metadata["frame_times_from"] = f"{options.rate_hz:g} Hz as asked for"
    if scale != 1.0:
        metadata["resized_from"] = f"{info.width} x {info.height}"
    return replace(
        info,
        width=max(1, round(info.width * scale)),
        height=max(1, round(info.height * scale)),
        frames=min(known) if known else None,
        rate_hz=rate,
        pixel_spacing_mm=info.pixel_spacing_mm / scale if info.pixel_spacing_mm else None,
        detector_spacing_mm=info.detector_spacing_mm / scale if info.detector_spacing_mm else None,
        metadata=metadata,
    )


def _resized(frame: SourceFrame, width: int, height: int) -> SourceFrame:
    x_scale, y_scale = width / frame.pixels.shape[1], height / frame.pixels.shape[0]
    shrinks = x_scale < 1.0
    pixels: Any = cv2.resize(
        frame.pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    truth = None if frame.truth is None else tuple(_scaled(item, x_scale, y_scale) for item in frame.truth)
    return replace(frame, pixels=pixels, truth=truth)


def _scaled(catheter: Catheter, x_scale: float, y_scale: float) -> Catheter:
    """Positions between images whose pixel *edges* coincide: the centre of pixel 0 moves."""

    def electrode(item: Electrode) -> Electrode:
        return item._replace(
            x=(item.x + 0.5) * x_scale - 0.5,
            y=(item.y + 0.5) * y_scale - 0.5,
            width=item.width * x_scale,
            height=item.height * y_scale,
            sigma=item.sigma * max(x_scale, y_scale),
        )

    line = catheter.centerline
    if line is not None:
        scale = np.array([x_scale, y_scale], np.float32)
        line = Centerline(
            (line.points + np.float32(0.5)) * scale - np.float32(0.5), line.width * max(x_scale, y_scale)
        )
    return replace(
        catheter, electrodes=tuple(electrode(item) for item in catheter.electrodes), centerline=line
    )
