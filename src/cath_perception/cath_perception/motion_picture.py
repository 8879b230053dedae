"""The reference catheter's motion drawn into a frame: how far it has gone, and its breathing and heartbeat so far."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.motion import Motion
from cath_perception.overlay import Colour, Picture, write
from cath_perception.types import Catheter, CatheterStatus

_SECONDS = 8.0
_PANEL = (200, 64)
_ARROW: Colour = (60, 60, 255)
_LINES: tuple[tuple[str, Colour], ...] = (
    ("motion", (235, 235, 235)),
    ("breathing", (255, 200, 90)),
    ("heart", (80, 120, 255)),
)
_LEAST_SPAN_PX = 8.0


class MotionPicture:
    """Draws motion into the frames of one run, in order: an arrow at the catheter, and a trace of the last seconds."""

    def __init__(self, reference_type: str = "coronary_sinus") -> None:
        self._type = reference_type
        self._past: deque[tuple[float, Floats]] = deque()

    def draw(self, picture: Picture, motion: Motion, catheters: tuple[Catheter, ...], time_s: float) -> None:
        """Draw into the ``(H, W, 3)`` BGR picture of the frame of that time, in place."""
        parts = np.full((3, 2), np.nan)
        if motion.valid:
            parts = np.stack((motion.translation, motion.respiratory, motion.cardiac))
            self._draw_arrow(picture, motion, catheters)
        self._past.append((time_s, parts))
        while time_s - self._past[0][0] > _SECONDS:
            self._past.popleft()
        self._draw_trace(picture, motion, time_s)

    def _draw_arrow(self, picture: Picture, motion: Motion, catheters: tuple[Catheter, ...]) -> None:
        """From where the reference catheter was to where it is."""
        seen = [c for c in catheters if c.type == self._type and c.status is CatheterStatus.DETECTED]
        if not seen or not seen[0].electrodes:
            return
        here = np.mean([(e.x, e.y) for e in seen[0].electrodes], axis=0)
        start, stop = (tuple(np.round(at).astype(int).tolist()) for at in (here - motion.translation, here))
        cv2.arrowedLine(picture, start, stop, _ARROW, 2, cv2.LINE_AA, 0, 0.25)
        cv2.circle(picture, start, 3, _ARROW, 1, cv2.LINE_AA)

    def _draw_trace(self, picture: Picture, motion: Motion, time_s: float) -> None:
        width, height = _PANEL
        if picture.shape[0] < 3 * height or picture.shape[1] < 2 * width:
            return
        panel = picture[6 : 6 + height, -width - 6 : -6]
        panel[:] = (panel * 0.3).astype(np.uint8)
        values = _along_main_axes(np.stack([parts for _, parts in self._past]))
        span = max(_LEAST_SPAN_PX, 2.2 * float(np.nanmax(np.abs(values), initial=0.0)))
        across = (1.0 - (time_s - np.array([at for at, _ in self._past])) / _SECONDS) * (width - 1)
        for line, (_, colour) in enumerate(_LINES):
            _polyline(panel, across, height * (0.5 - values[:, line] / span), colour)
        at = float(picture.shape[1] - width - 2)
        for line, (name, colour) in enumerate(_LINES):
            write(picture, name, (at + 62.0 * line, 16.0), 0.32, colour)
        state = f"{span / 2.2:.0f} px" if motion.valid else "no reference seen"
        write(picture, state, (at, 4.0 + height), 0.32, _LINES[0][1])


def _along_main_axes(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(T, 3, 2)`` motions as ``(T, 3)`` distances along the direction in which each goes farthest, NaN kept."""
    values = np.full(parts.shape[:2], np.nan)
    known = ~np.isnan(parts[:, 0, 0])
    if known.sum() < 2:
        return values
    for line in range(parts.shape[1]):
        away = parts[known, line] - parts[known, line].mean(axis=0)
        axis = np.linalg.svd(away, full_matrices=False)[2][0]
        values[known, line] = away @ (axis if axis[np.abs(axis).argmax()] > 0 else -axis)
    return values


def _polyline(panel: Picture, x: NDArray[np.float64], y: NDArray[np.float64], colour: Colour) -> None:
    """Draw what is known of a curve, with gaps where it is not."""
    known = np.flatnonzero(~np.isnan(y))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(run) > 1:
            points = np.round(np.column_stack((x[run], y[run])) * 16).astype(np.int32)
            drawn = np.ascontiguousarray(panel)
            cv2.polylines(drawn, [points[:, None]], False, colour, 1, cv2.LINE_AA, 4)
            panel[:] = drawn
