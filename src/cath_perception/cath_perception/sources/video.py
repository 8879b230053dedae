"""A video file (whatever OpenCV's FFmpeg reads) as 8-bit gray frames."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cath_perception.errors import SourceError
from cath_perception.image import MAX_SIDE
from cath_perception.sources.base import DEFAULT_RATE_HZ, FrameSource, SourceFrame, SourceInfo


class VideoSource(FrameSource):
    """Frames of a video at its own frame rate; colour becomes luma."""

    def __init__(self, path: Path) -> None:
        self.path = path
        capture = _open(path)
        width, height, rate, count = (
            capture.get(key)
            for key in (
                cv2.CAP_PROP_FRAME_WIDTH,
                cv2.CAP_PROP_FRAME_HEIGHT,
                cv2.CAP_PROP_FPS,
                cv2.CAP_PROP_FRAME_COUNT,
            )
        )
        capture.release()
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise SourceError(
                f"{path}: frames of {width:g} x {height:g} px; expected 1 to {MAX_SIDE} px a side"
            )
        known = 0.1 <= rate <= 1000
        self.info = SourceInfo(
            name=path.stem,
            width=int(width),
            height=int(height),
            bits=8,
            frames=int(count) if 0 < count < 2**31 else None,
            rate_hz=rate if known else DEFAULT_RATE_HZ,
            metadata={
                "kind": "video",
                "frame_times_from": "video" if known else f"none stated, {DEFAULT_RATE_HZ:g} Hz assumed",
            },
        )

    def __iter__(self) -> Iterator[SourceFrame]:
        capture = _open(self.path)
        index = 0
        try:
            while True:
                good, image = capture.read()
                if not good:
                    break
                gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                yield SourceFrame(
                    np.asarray(gray, np.uint8), index / self.info.rate_hz, index, self.info.name
                )
                index += 1
        finally:
            capture.release()
        if index == 0:
            raise SourceError(f"{self.path}: no frame of this video can be decoded")


def _open(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f"{path}: neither DICOM, bag, image nor a video that can be decoded; "
            "expected one of these, or a folder of images"
        )
    return capture
