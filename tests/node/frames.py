"""Pictures, and the messages that carry them."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


def scene(width: int = 320, height: int = 240, seed: int = 0) -> NDArray[np.uint8]:
    """A grey picture ``(height, width)`` with dark blobs and noise on a gradient."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = 110 + 60 * x / width + 30 * y / height + rng.normal(0, 4, (height, width))
    for _ in range(8):
        centre_x, centre_y = rng.uniform(20, width - 20), rng.uniform(20, height - 20)
        picture -= 70 * np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * 3.0**2))
    return np.clip(picture, 0, 255).astype(np.uint8)


def packed(header: Header, pixels: NDArray[Any], kind: str) -> CompressedImage:
    """A CompressedImage of ``(H, W)`` or ``(H, W, C)`` pixels; ``kind`` is png or jpg."""
    done, data = cv2.imencode(f".{kind}", pixels)
    assert done
    message = CompressedImage(header=header, format=kind)
    message.data.frombytes(data.tobytes())
    return message


def image(
    header: Header, pixels: NDArray[Any], encoding: str = "mono8", big: bool = False, pad: int = 0
) -> Image:
    """An Image of ``(H, W)`` or ``(H, W, C)`` pixels, with ``pad`` bytes of rubbish behind each row."""
    ordered = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")))
    rows = ordered.view(np.uint8).reshape(pixels.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    message = Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=padded.shape[1],
    )
    message.data.frombytes(padded.tobytes())
    return message
