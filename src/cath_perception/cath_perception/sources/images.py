"""A folder of images, or one image, as a sequence."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cath_perception.errors import SourceError
from cath_perception.image import MAX_SIDE
from cath_perception.sources.base import DEFAULT_RATE_HZ, FrameSource, Pixels, SourceFrame, SourceInfo

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp"})


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts ``frame2`` before ``frame10``."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


class ImagesSource(FrameSource):
    """Images in natural order of their names, ``rate_hz`` a second; all of one size. Colour becomes luma.

    Files with other suffixes, hidden files and sub-folders are left out.
    """

    def __init__(self, path: Path, rate_hz: float = DEFAULT_RATE_HZ) -> None:
        self.paths = [path] if path.is_file() else _image_files(path)
        first = read_gray(self.paths[0])
        self.info = SourceInfo(
            name=path.stem if path.is_file() else path.resolve().name,
            width=first.shape[1],
            height=first.shape[0],
            bits=8 * first.itemsize,
            frames=len(self.paths),
            rate_hz=rate_hz,
            metadata={"kind": "images", "frame_times_from": f"none stated, {rate_hz:g} Hz assumed"},
        )

    def __iter__(self) -> Iterator[SourceFrame]:
        info = self.info
        for index, path in enumerate(self.paths):
            pixels = read_gray(path)
            if pixels.shape != (info.height, info.width) or 8 * pixels.itemsize != info.bits:
                raise SourceError(
                    f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px with {8 * pixels.itemsize} bits, but "
                    f"{self.paths[0].name} has {info.width} x {info.height} px with {info.bits} bits; "
                    "the images of one sequence must be alike"
                )
            yield SourceFrame(pixels, index / info.rate_hz, index, path.name)


def _image_files(folder: Path) -> list[Path]:
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not paths:
        raise SourceError(
            f"{folder}: no images in this folder; expected {', '.join(sorted(IMAGE_SUFFIXES))} files or a bag"
        )
    return sorted(paths, key=natural_key)


def read_gray(path: Path) -> Pixels:
    """An image file as ``(H, W)`` uint8 or uint16; colour as luma, alpha left out."""
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE) if encoded.size else None
    except cv2.error as error:
        raise SourceError(f"{path}: the image cannot be decoded: {error.err}") from error
    if image is None:
        raise SourceError(
            f"{path}: the image cannot be decoded; the file is empty, damaged or of another kind"
        )
    if path.suffix.lower() in (".tif", ".tiff") and (pages := cv2.imcount(str(path))) > 1:
        raise SourceError(f"{path}: {pages} pages in one file; expected one image a file, so split it")
    if image.dtype not in (np.uint8, np.uint16):
        raise SourceError(f"{path}: {image.dtype} pixels; expected 8 or 16 bit integers")
    if max(image.shape) > MAX_SIDE:
        raise SourceError(
            f"{path}: {image.shape[1]} x {image.shape[0]} px; at most {MAX_SIDE} a side is accepted"
        )
    return image  # type: ignore[return-value]  # its type has been checked above
