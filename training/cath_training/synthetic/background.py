"""Backgrounds without electrophysiology catheters: a procedural thorax and, where the user has them, real angiograms."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def fractal(rng: np.random.Generator, size: int, coarsest: int = 3, slope: float = 1.0) -> Image:
    """Smooth noise of zero mean and unit standard deviation, power falling with frequency; ``(size, size)``."""
    image = np.zeros((size, size), np.float32)
    cells, weight = coarsest, 1.0
    while cells < size // 2:
        layer = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        image += weight * cv2.resize(layer, (size, size), interpolation=cv2.INTER_CUBIC)
        cells, weight = cells * 2, weight * 0.5**slope
    return np.asarray((image - image.mean()) / (image.std() + 1e-6), np.float32)


def _grid(size: int) -> tuple[Image, Image]:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _soft(distance: Image, width: float) -> Image:
    """1 inside (negative distance), 0 outside, with an edge ``width`` wide."""
    return np.asarray(1 / (1 + np.exp(np.clip(distance / width, -30, 30))), np.float32)


def _spine(rng: np.random.Generator, x: Image, y: Image) -> Image:
    lean, at, half = rng.normal(0, 0.12), rng.uniform(-0.9, 0.9), rng.uniform(0.14, 0.24)
    across = (x - at - lean * y) / half
    pitch, phase = rng.uniform(0.3, 0.5), rng.random()
    cycle = np.abs(((y + 0.08 * across**2) / pitch + phase) % 1.0 - 0.5) * 2  # 0 at a disc, 1 in a body
    edge = rng.uniform(0.05, 0.16)
    body = _soft(
        np.abs(across) - 1 + 0.12 * (1 - cycle) ** 2 + rng.normal(0, 0.03) * fractal(rng, len(x), 6), edge
    )
    plates = np.exp(-(((cycle - 0.22) / 0.07) ** 2)) * rng.uniform(0.03, 0.25)
    pedicles = np.exp(-(((np.abs(across) - 0.6) / 0.18) ** 2) - ((cycle - 0.7) / 0.25) ** 2) * rng.uniform(
        0, 0.3
    )
    return np.asarray(body * (0.3 + 0.15 * cycle + plates + pedicles) * rng.uniform(0.2, 0.9), np.float32)


def _ribs(rng: np.random.Generator, x: Image, y: Image) -> Image:
    image = np.zeros_like(x)
    tilt, bow = rng.uniform(-0.8, 0.8), rng.uniform(-0.5, 0.5)
    pitch, half = rng.uniform(0.28, 0.5), rng.uniform(0.05, 0.1)
    for k in range(-5, 6):
        across = np.abs(y - tilt * x - bow * x**2 - k * pitch - rng.normal(0, 0.02)) / half
        image += _soft(across - 1, 0.1) * (0.6 + 0.5 * np.exp(-(((across - 0.85) / 0.15) ** 2)))
    return image * rng.uniform(0.04, 0.18)


def procedural(rng: np.random.Generator, size: int = 448) -> Image:
    """A thorax without devices: heart shadow, diaphragm, spine, ribs, lung texture; intensity 0..1, ``(size, size)``."""
    x, y = _grid(size)
    depth = 0.35 * fractal(rng, size, 2, 1.2) * rng.uniform(0.3, 1.0)
    depth += rng.uniform(0.0, 0.10) * fractal(rng, size, 6, 0.7)
    depth += rng.uniform(0.0, 0.04) * fractal(rng, size, 24, 0.4)
    a, b = rng.uniform(0.5, 1.2, 2)
    heart = (
        np.hypot((x - rng.normal(0, 0.4)) / a, (y - rng.normal(0, 0.4)) / b)
        - 1
        + 0.05 * fractal(rng, size, 3)
    )
    depth += rng.uniform(0.1, 0.7) * _soft(heart, rng.uniform(0.02, 0.12))
    if rng.random() < 0.7:
        dome = rng.uniform(-0.2, 1.1) + 0.5 * (x - rng.normal(0, 0.5)) ** 2 - y
        depth += rng.uniform(0.15, 0.9) * _soft(dome, rng.uniform(0.008, 0.05))
    if rng.random() < 0.75:
        depth += _spine(rng, x, y)
    if rng.random() < 0.7:
        depth += _ribs(rng, x, y)
    intensity = np.exp(-(depth - depth.min()))
    low, high = np.percentile(intensity, [0.5, 99.5])
    return np.asarray(np.clip((intensity - low) / (high - low) * 0.85 + 0.12, 0, 1), np.float32)


def bank(rng: np.random.Generator, count: int, angiograms: list[Path], size: int = 448) -> NDArray[np.uint8]:
    """A bank of backgrounds ``(N, size, size)`` uint8: ``count`` procedural ones, then every angiogram that is given."""
    images = np.empty((count + len(angiograms), size, size), np.uint8)
    for i in range(count):
        images[i] = np.round(procedural(rng, size) * 255)
    for i, path in enumerate(angiograms, start=count):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise ValueError(f"{path} is not an image that OpenCV can read")
        margin = min(image.shape) // 12  # most of the black shutter
        open_field = image[margin:-margin, margin:-margin]
        images[i] = cv2.resize(open_field, (size, size), interpolation=cv2.INTER_AREA)
    return images
