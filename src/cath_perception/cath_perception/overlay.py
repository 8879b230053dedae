"""A result drawn over its frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.types import Catheter, CatheterStatus, Electrode, PerceptionResult

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (255, 191, 64),
    (96, 220, 120),
    (80, 170, 255),
    (220, 120, 255),
    (90, 230, 240),
    (130, 130, 255),
    (230, 220, 100),
    (180, 160, 220),
)
"""One colour per catheter id, in OpenCV's BGR order."""

_LOOSE: Colour = (225, 225, 225)
_SHIFT = 4  # OpenCV draws at sixteenths of a pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(pixels: NDArray[Any], result: PerceptionResult) -> Picture:
    """The frame with mask tint, centrelines, numbered electrodes and a line of figures below.

    Args:
        pixels: ``(H, W)`` uint8, uint16 or float32, the frame that ``result`` is of.

    Returns ``(H, W, 3)`` uint8 in BGR order (encoding ``bgr8``).
    """
    picture = cv2.cvtColor(windowed(pixels), cv2.COLOR_GRAY2BGR)
    if result.mask is not None:
        _tint(picture, result.mask)
    for catheter in result.catheters or ():
        _draw_centerline(picture, catheter)
    for electrode in result.electrodes:
        _draw_electrode(picture, electrode)
    for catheter in result.catheters or ():
        for electrode in catheter.electrodes:
            if not electrode.visible and catheter.status is not CatheterStatus.LOST:
                _draw_electrode(picture, electrode)
    _draw_footer(picture, result)
    return np.asarray(picture, dtype=np.uint8)


def windowed(pixels: NDArray[Any], low: float = 1.0, high: float = 99.0) -> Picture:
    """Grey values for a screen: 8-bit pixels as they are, others from percentile ``low`` to ``high``."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    dark, bright = np.percentile(pixels[::4, ::4], (low, high))
    scale = 255.0 / max(float(bright - dark), 1e-6)
    scaled = (pixels.astype(np.float32) - np.float32(dark)) * np.float32(scale)
    return scaled.clip(0.0, 255.0).astype(np.uint8)


def colour_of(catheter: int) -> Colour:
    """The colour of a catheter id; grey for -1."""
    return _LOOSE if catheter < 0 else PALETTE[catheter % len(PALETTE)]


def _tint(picture: NDArray[Any], mask: NDArray[np.uint8]) -> None:
    """A breath of blue where the mask is."""
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return
    part = picture[y : y + height, x : x + width]
    tinted = cv2.add(cv2.convertScaleAbs(part, alpha=0.86), (46.0, 26.0, 6.0, 0.0))  # type: ignore[call-overload]
    cv2.copyTo(tinted, mask[y : y + height, x : x + width], part)


def _draw_centerline(picture: NDArray[Any], catheter: Catheter) -> None:
    if catheter.centerline is None or catheter.status is CatheterStatus.LOST:
        return
    points = np.round((catheter.centerline.points) * (1 << _SHIFT)).astype(np.int32)
    colour = colour_of(catheter.id) if catheter.electrodes else _LOOSE
    cv2.polylines(picture, [points[:, None]], False, colour, 1, cv2.LINE_AA, _SHIFT)
    if not catheter.electrodes:  # a bare shaft needs no name
        return
    label = f"{catheter.id}" if catheter.type is None else f"{catheter.id} {catheter.type}"
    if catheter.status is not CatheterStatus.DETECTED:
        label += f" ({catheter.status.name.lower()})"
    ends = catheter.centerline.points[[0, min(6, len(catheter.centerline.points) - 1)]]
    ahead = (ends[0] - ends[1]) / max(float(np.hypot(*(ends[0] - ends[1]))), 1e-6)
    x, y = (ends[0] + 14.0 * ahead).tolist()
    write(picture, label, (x - 4.0, y + 4.0), 0.45, colour)


def _draw_electrode(picture: NDArray[Any], electrode: Electrode) -> None:
    colour = colour_of(electrode.catheter)
    half = np.array((max(electrode.width, 4.0), max(electrode.height, 4.0))) / 2.0
    centre = np.array((electrode.x, electrode.y))
    start, stop = (_fixed(centre - half), _fixed(centre + half))
    cv2.rectangle(picture, start, stop, colour, 1, cv2.LINE_AA, _SHIFT)
    if electrode.visible:
        cv2.circle(picture, _fixed(centre), 20, (40, 40, 255), -1, cv2.LINE_AA, _SHIFT)
    if electrode.index >= 0:
        corner = (float(centre[0] + half[0]) + 2.0, float(centre[1] - half[1]))
        write(picture, str(electrode.index + 1), corner, 0.3, colour)


def _draw_footer(picture: NDArray[Any], result: PerceptionResult) -> None:
    counts = "catheters not computed"
    if result.catheters is not None:
        named = sum(bool(catheter.electrodes) for catheter in result.catheters)
        counts = f"{named} catheters   {len(result.catheters) - named} bare shafts"
    text = f"{len(result.electrodes)} electrodes   {counts}"
    if np.isfinite(result.times.total):
        text += f"   {result.times.total:.1f} ms"
    height = min(18, picture.shape[0])
    strip = picture[-height:]
    strip[:] = (strip * 0.35).astype(np.uint8)
    write(picture, text, (6.0, picture.shape[0] - 5.5), 0.4, (235, 235, 235))


def write(picture: NDArray[Any], text: str, at: tuple[float, float], size: float, colour: Colour) -> None:
    """Text with a dark edge, kept within the picture."""
    (width, height), _ = cv2.getTextSize(text, _FONT, size, 1)
    x = int(min(max(at[0], 1.0), max(picture.shape[1] - width - 2.0, 1.0)))
    y = int(min(max(at[1], height + 1.0), picture.shape[0] - 2.0))
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):  # a thicker stroke is wider text from OpenCV 5 on
        cv2.putText(picture, text, (x + dx, y + dy), _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(picture, text, (x, y), _FONT, size, colour, 1, cv2.LINE_AA)


def _fixed(point: NDArray[Any]) -> tuple[int, int]:
    x, y = np.round(point * (1 << _SHIFT)).astype(int).tolist()
    return x, y
