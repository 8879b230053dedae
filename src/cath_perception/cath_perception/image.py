"""Image buffers to grey pixels, and the letterbox between an image and the network's square input.

Pixel coordinates throughout: (0, 0) is the centre of the top-left pixel, so an image spans -0.5 .. size - 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.errors import ImageError
from cath_perception.scaling import covering, shrink

MAX_SIDE = 8192
"""Largest width or height in px that is accepted; checked before anything is allocated."""


@dataclass(frozen=True, slots=True)
class _Encoding:
    dtype: str
    channels: int = 1
    to_gray: int | None = None


ENCODINGS: dict[str, _Encoding] = {
    "mono8": _Encoding("u1"),
    "8UC1": _Encoding("u1"),
    "mono16": _Encoding("u2"),
    "16UC1": _Encoding("u2"),
    "32FC1": _Encoding("f4"),
    "rgb8": _Encoding("u1", 3, cv2.COLOR_RGB2GRAY),
    "bgr8": _Encoding("u1", 3, cv2.COLOR_BGR2GRAY),
    "rgba8": _Encoding("u1", 4, cv2.COLOR_RGBA2GRAY),
    "bgra8": _Encoding("u1", 4, cv2.COLOR_BGRA2GRAY),
}
"""The encodings of ``sensor_msgs/Image`` that are understood."""


def check_size(width: int, height: int) -> None:
    """Raise ImageError unless both sides are 1..MAX_SIDE px."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"image size: expected 1 x 1 to {MAX_SIDE} x {MAX_SIDE} px, got {width} x {height}")


def gray_from_buffer(
    data: Any, width: int, height: int, encoding: str, step: int, is_bigendian: bool = False
) -> NDArray[Any]:
    """Grey pixels of an image message's buffer.

    Args:
        data: any object with the buffer protocol, ``height * step`` bytes.
        width, height: px.
        encoding: one of ``ENCODINGS``.
        step: bytes from one row to the next, padding included.
        is_bigendian: byte order of values wider than one byte.

    Returns ``(height, width)`` uint8, uint16 or float32 in native byte order: a view of ``data`` where that is possible,
    a copy where bytes are swapped or colours turned to luma (alpha is ignored).

    Raises ImageError for an encoding that is not known, a size, step or length that does not fit, and for
    values that are not finite.
    """
    kind = ENCODINGS.get(encoding)
    if kind is None:
        raise ImageError(f"encoding: expected one of {', '.join(ENCODINGS)}, got {encoding!r}")
    check_size(width, height)
    dtype = np.dtype(kind.dtype).newbyteorder(">" if is_bigendian else "<")
    row = width * kind.channels * dtype.itemsize
    if step < row:
        raise ImageError(f"step: {width} px of {encoding} need at least {row} bytes a row, got {step}")
    length = memoryview(data).nbytes
    if length != height * step:
        raise ImageError(
            f"data: expected height {height} x step {step} = {height * step} bytes, got {length}"
        )
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, kind.channels * dtype.itemsize)
    if kind.channels > 1:
        shape, strides = (*shape, kind.channels), (*strides, 1)
    pixels: NDArray[Any] = np.ndarray(shape, dtype, memoryview(data).cast("B"), 0, strides)
    if kind.to_gray is not None:
        return np.asarray(cv2.cvtColor(pixels, kind.to_gray))
    if not (pixels.dtype.isnative and pixels.flags.aligned):
        pixels = pixels.astype(dtype.newbyteorder("="))
    return check_pixels(pixels)


def check_pixels(pixels: NDArray[Any]) -> NDArray[Any]:
    """``pixels`` itself if it is a usable grey image: ``(H, W)`` uint8, uint16 or finite float32; ImageError otherwise."""
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(
            f"pixels: expected (height, width) of uint8, uint16 or float32, got {pixels.shape} of {pixels.dtype}"
        )
    check_size(pixels.shape[1], pixels.shape[0])
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        bad = int(pixels.size - np.isfinite(pixels).sum())
        raise ImageError(f"pixels: expected finite values, got {bad} of {pixels.size} NaN or infinite")
    return pixels


class Letterbox:
    """The image, scaled to fit a square and centred in it; buffers are kept between frames.

    Attributes:
        width, height: the image in px.
        size: the square's side in network-input px.
        scale: network-input px per image px. Sides are rounded to even numbers of px, so the exact figures,
            which all the mappings here use, are ``scale_x`` and ``scale_y``.
        left, top, inner_width, inner_height: the image's place in the square, all even.
    """

    def __init__(self, width: int, height: int, size: int) -> None:
        check_size(width, height)
        if size < 2 or size % 2:
            raise ImageError(f"letterbox: expected an even network input size, got {size}")
        self.width, self.height, self.size = width, height, size
        self.scale = size / max(width, height)
        self.inner_width = max(2, 2 * round(width * self.scale / 2))
        self.inner_height = max(2, 2 * round(height * self.scale / 2))
        self.left = (size - self.inner_width) // 4 * 2
        self.top = (size - self.inner_height) // 4 * 2
        self.scale_x = self.inner_width / width
        self.scale_y = self.inner_height / height
        self._rows, self._columns = covering(height, self.inner_height), covering(width, self.inner_width)
        self._square = np.zeros((size, size), np.float32)
        self._probability = np.empty((height, width), np.float32)

    @classmethod
    def fit(cls, width: int, height: int, size: int) -> Letterbox:
        """A letterbox for images of ``width`` x ``height`` px; ImageError for a size that cannot be used."""
        return cls(width, height, size)

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """``(height, width)`` pixels to the ``(size, size)`` float32 network input in the pixels' own range.

        The edges are repeated into the padding. The array returned is reused by the next call.
        """
        if pixels.shape != (self.height, self.width):
            raise ImageError(f"letterbox: made for {self.width} x {self.height} px, got {pixels.shape[::-1]}")
        right, bottom = self.left + self.inner_width, self.top + self.inner_height
        inner = self._square[self.top : bottom, self.left : right]
        if self.inner_width < self.width and self.inner_height < self.height:
            # What is strided or may not be written to is copied: the kernel takes neither.
            shrink(np.require(pixels, requirements=("C", "W")), *self._rows, *self._columns, inner)
        else:
            how = cv2.INTER_AREA if self.scale < 1.0 else cv2.INTER_LINEAR
            inner[:] = cv2.resize(pixels.astype(np.float32), inner.shape[::-1], interpolation=how)
        self._square[: self.top] = self._square[self.top]
        self._square[bottom:] = self._square[bottom - 1]
        self._square[:, : self.left] = self._square[:, self.left : self.left + 1]
        self._square[:, right:] = self._square[:, right - 1 : right]
        return self._square

    def to_image(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Network-input px to image px; scalars or arrays."""
        return (x + 0.5 - self.left) / self.scale_x - 0.5, (y + 0.5 - self.top) / self.scale_y - 0.5

    def to_network(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Image px to network-input px; scalars or arrays."""
        return (x + 0.5) * self.scale_x + self.left - 0.5, (y + 0.5) * self.scale_y + self.top - 0.5

    def inner_mask(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """The part of a ``(size / 2, size / 2)`` mask that the image covers, as a view."""
        if probability.shape != (self.size // 2, self.size // 2):
            raise ImageError(f"mask: expected {self.size // 2} squared, got {probability.shape}")
        top, left = self.top // 2, self.left // 2
        return probability[top : top + self.inner_height // 2, left : left + self.inner_width // 2]

    def mask_to_image(self, probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
        """``(size / 2, size / 2)`` probabilities to a new ``(height, width)`` mask of 0 and 255, bilinear."""
        inner = self.inner_mask(probability)
        cv2.resize(inner, (self.width, self.height), self._probability, interpolation=cv2.INTER_LINEAR)
        mask = np.empty((self.height, self.width), np.uint8)
        np.greater_equal(self._probability, threshold, out=mask.view(np.bool_))
        return np.negative(mask, out=mask)  # 1 becomes 255
