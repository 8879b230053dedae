"""What a system does to frames once they are taken, batched: lag, local contrast, burned-in graphics, JPEG.

So that none of this surprises a network. Test frames are left as they were taken, unless one asks for this.
"""

from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

LAGGING, SURROUNDED = 0.2, 0.15
"""Shares of the samples."""
SOMETIMES = (0.25, 0.2, 0.3)
"""Shares that are enhanced, annotated and compressed."""

_JPEG_LUMINANCE = (  # ITU-T T.81, table K.1
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_SIGNS = "0123456789RLAOCUSkVmPHz:.,+-/%° "


def lag(attenuation: Tensor, rng: np.random.Generator) -> Tensor:
    """Some of ``(B, 1, H, W)`` with the trace of an earlier position: recursive noise reduction, or a long pulse."""
    result = attenuation
    for b in np.flatnonzero(rng.random(len(attenuation)) < LAGGING):
        shift = tuple(int(v) for v in np.round(rng.normal(0, 3.0, 2)))
        if result is attenuation:
            result = attenuation.clone()
        before = torch.roll(attenuation[b], shift, (-2, -1))
        result[b] = torch.lerp(attenuation[b], before, float(rng.uniform(0.1, 0.45)))
    return result


def treat(
    images: Tensor, rng: np.random.Generator, shares: tuple[float, float, float] = SOMETIMES
) -> tuple[Tensor, Tensor]:
    """Some of ``(B, 1, H, W)`` 0..1 enhanced, annotated, compressed, each the share of all that is given.

    Returns:
        The images in 8-bit steps, and what of them no graphics hide: bool of the same shape.
    """
    enhanced, annotated, compressed = (np.flatnonzero(rng.random(len(images)) < share) for share in shares)
    images = images.clone()
    for b in enhanced:
        sigma, share = float(np.exp(rng.uniform(np.log(6), np.log(40)))), float(rng.uniform(0.3, 0.9))
        images[b : b + 1] = local_contrast(images[b : b + 1], sigma, share)
    shown = torch.ones_like(images, dtype=torch.bool)
    for b in annotated:
        cover, shade = graphics(rng, images.shape[-2:])
        alpha = torch.from_numpy(cover).to(images.device)
        images[b, 0] = torch.lerp(images[b, 0], alpha.new_tensor(shade), alpha)
        shown[b, 0] = alpha < 0.5
    for b in compressed:
        images[b : b + 1] = jpeg(images[b : b + 1], float(rng.uniform(20, 92)))
    return torch.round(images * 255) / 255, shown


def surround(images: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Some of ``(B, 1, H, W)`` 0..1 blank outside a round or straight-edged field, mostly black.

    Returns:
        The images, and what lies within: bool of the same shape.
    """
    images, inside = images.clone(), torch.ones_like(images, dtype=torch.bool)
    height, width = images.shape[-2:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    for b in np.flatnonzero(rng.random(len(images)) < SURROUNDED):
        left, top = rng.normal(0, 0.1, 2)
        if rng.random() < 0.5:
            field = torch.hypot(x - left, y - top) < rng.uniform(0.75, 1.35)
        else:
            half = rng.uniform(0.45, 1.2, 2)
            field = ((x - left).abs() < half[0]) & ((y - top).abs() < half[1])
        inside[b, 0] = field.to(images.device)
        blank = 1.0 if rng.random() < 0.15 else float(rng.choice([0.0, 0.0, rng.uniform(0, 0.15)]))
        images[b] = torch.where(inside[b], images[b], blank)
    return images, inside


def local_contrast(images: Tensor, sigma: float, share: float) -> Tensor:
    """``share`` of what is coarser than ``sigma`` px taken out of ``(B, 1, H, W)`` 0..1, and 0..1 filled again."""
    logarithm = torch.log(images + 0.05)
    height, width = images.shape[-2:]
    step = max(1, round(sigma / 2))  # a running mean of what stays is near enough to a Gaussian
    small = F.interpolate(logarithm, (max(2, height // step), max(2, width // step)), mode="area")
    small = F.avg_pool2d(F.pad(small, (2, 2, 2, 2), mode="replicate"), 5, 1)
    coarse = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    result = logarithm - share * coarse
    sampled = result[:, :, ::4, ::4].flatten(1)
    low, high = torch.quantile(sampled, torch.tensor([0.003, 0.997], device=images.device), dim=1)
    low, high = low.view(-1, 1, 1, 1), high.view(-1, 1, 1, 1)
    return ((result - low) / (high - low).clamp_min(1e-3)).clamp(0, 1)


def graphics(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], float]:
    """Text, frames, marks and traces as consoles draw them: cover ``(H, W)`` 0..1 and its grey value 0..1."""
    height, width = shape
    cover = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 7)):
        at = rng.integers(0, (width, height))
        _DRAWN[rng.choice(len(_DRAWN), p=(0.6, 0.1, 0.1, 0.1, 0.1))](cover, rng, at)
    shade = 1.0 if rng.random() < 0.75 else float(rng.choice([0.0, rng.uniform(0.5, 1.0)]))
    return cover.astype(np.float32) / np.float32(255), shade


def _text(cover: NDArray[np.uint8], rng: np.random.Generator, at: NDArray[np.int64]) -> None:
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX)[rng.integers(3)]
    scale = float(np.exp(rng.uniform(np.log(0.3), np.log(0.9)))) * (
        2 if font == cv2.FONT_HERSHEY_PLAIN else 1
    )
    start = (int(at[0] - 20), int(at[1]))
    for line in range(rng.integers(1, 4)):
        words = "".join(rng.choice(list(_SIGNS), rng.integers(1, 14)))
        place = (start[0], start[1] + int(line * 32 * scale))
        cv2.putText(cover, words, place, font, scale, 255, 1, cv2.LINE_AA)


def _line(cover: NDArray[np.uint8], rng: np.random.Generator, at: NDArray[np.int64]) -> None:
    """A scale bar, an axis or an arrow, upright or level, with ticks at times."""
    upright, length = rng.random() < 0.5, int(rng.integers(5, 200))
    end = (int(at[0]), int(at[1]) + length) if upright else (int(at[0]) + length, int(at[1]))
    start = (int(at[0]), int(at[1]))
    if rng.random() < 0.3:
        cv2.arrowedLine(cover, start, end, 255, 1, cv2.LINE_AA)
        return
    cv2.line(cover, start, end, 255, int(rng.integers(1, 3)), cv2.LINE_AA)
    for tick in range(0, length, int(rng.integers(8, 40))) if rng.random() < 0.5 else ():
        place = (start[0], start[1] + tick) if upright else (start[0] + tick, start[1])
        cv2.line(cover, place, (place[0] + 4 * upright, place[1] + 4 * (not upright)), 255, 1)


def _box(cover: NDArray[np.uint8], rng: np.random.Generator, at: NDArray[np.int64]) -> None:
    size = rng.integers(8, 160, 2)
    filled = -1 if rng.random() < 0.15 and size.max() < 80 else 1
    cv2.rectangle(cover, at.tolist(), (at + size).tolist(), 255, filled, cv2.LINE_AA)


def _circle(cover: NDArray[np.uint8], rng: np.random.Generator, at: NDArray[np.int64]) -> None:
    """A mark: a ring, or a small disc or cross as of a cursor."""
    if rng.random() < 0.5:
        cv2.circle(cover, at.tolist(), int(rng.integers(2, 40)), 255, 1, cv2.LINE_AA)
    elif rng.random() < 0.5:
        cv2.circle(cover, at.tolist(), int(rng.integers(1, 5)), 255, -1, cv2.LINE_AA)
    else:
        cv2.drawMarker(
            cover, at.tolist(), 255, int(rng.integers(3)), int(rng.integers(5, 24)), 1, cv2.LINE_AA
        )


def _trace(cover: NDArray[np.uint8], rng: np.random.Generator, at: NDArray[np.int64]) -> None:
    """A trace like an electrocardiogram's along the whole width."""
    x = np.arange(cover.shape[1])
    beat = (x + rng.uniform(0, 200)) % rng.uniform(50, 200)
    spike = rng.uniform(10, 50) * (np.exp(-((beat - 20) ** 2) / 6) - 0.3 * np.exp(-((beat - 25) ** 2) / 8))
    y = at[1] - spike - rng.uniform(2, 8) * np.exp(-((beat - 42) ** 2) / 60)
    cv2.polylines(cover, [np.column_stack([x, y]).round().astype(np.int32)], False, 255, 1, cv2.LINE_AA)


_DRAWN = (_text, _line, _box, _circle, _trace)


@cache
def _cosines(device: torch.device) -> Tensor:
    """The orthonormal DCT-II of 8 samples, ``(8, 8)``."""
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    matrix = torch.cos(torch.pi * (2 * n + 1) * k / 16) / 2
    matrix[0] /= 2**0.5
    return matrix.to(device)


def jpeg(images: Tensor, quality: float) -> Tensor:
    """``(B, 1, H, W)`` 0..1 as baseline JPEG of ``quality`` 1..100 (IJG's scale) gives them back, without colour."""
    height, width = images.shape[-2:]
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    table = (torch.tensor(_JPEG_LUMINANCE, device=images.device) * scale).round().clamp(1, 255)
    padded = F.pad(images * 255 - 128, (0, -width % 8, 0, -height % 8), mode="replicate")
    blocks = padded.unfold(2, 8, 8).unfold(3, 8, 8)
    matrix = _cosines(images.device)
    kept = torch.round(matrix @ blocks @ matrix.T / table) * table
    back = (matrix.T @ kept @ matrix).transpose(3, 4).reshape(padded.shape)
    return ((back[..., :height, :width] + 128) / 255).clamp(0, 1)
