"""Annotated video and contact sheet of a recording and its answers."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.errors import SourceError

Picture = NDArray[np.uint8]


class VideoWriter:
    """MP4 of ``(H, W, 3)`` uint8 BGR pictures, all of the first one's size; a context manager.

    Raises SourceError where OpenCV cannot write the file.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        self.path, self.rate_hz = path, rate_hz
        self._writer: cv2.VideoWriter | None = None

    def add(self, picture: Picture) -> None:
        """Append one picture; odd sides lose a row or column, as the codec wants."""
        height, width = (side - side % 2 for side in picture.shape[:2])
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self.path), code, max(1.0, self.rate_hz), (width, height))
            if not self._writer.isOpened():
                raise SourceError(f"{self.path}: this OpenCV cannot write MP4; install one with ffmpeg")
        self._writer.write(np.ascontiguousarray(picture[:height, :width]))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def contact_sheet(pictures: Iterable[Picture], across: int = 3, tile_px: int = 512) -> Picture:
    """Pictures in rows of ``across``, each fitted into ``tile_px`` squares on black; at least one is needed."""
    tiles = []
    for picture in pictures:
        scale = tile_px / max(picture.shape[:2])
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        tile = np.zeros((tile_px, tile_px, 3), np.uint8)
        top, left = (tile_px - size[1]) // 2, (tile_px - size[0]) // 2
        tile[top : top + size[1], left : left + size[0]] = small
        tiles.append(tile)
    across = min(across, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    return np.vstack([np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)])


def add_truth(picture: Picture, centres: Iterable[tuple[float, float]]) -> None:
    """Mark true electrode centres (px) with small white crosses, in place."""
    for x, y in centres:
        at = (round(x), round(y))
        cv2.drawMarker(picture, at, (255, 255, 255), cv2.MARKER_TILTED_CROSS, 7, 1, cv2.LINE_AA)
