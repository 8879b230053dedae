"""From instruments in space to what the detector sees of them: attenuation, mask, electrodes and centrelines."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_training.synthetic import curves, render
from cath_training.synthetic.carm import CArm
from cath_training.synthetic.instruments import Instrument

_FINER = 4
"""Masks are drawn this many times larger: OpenCV's own anti-aliased lines are about 1.5 px too wide."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One labelled catheter as projected.

    Attributes:
        electrodes: ``(N, 5)`` float32: x, y in px, length along and width across the shaft in px, direction in rad.
        inside: ``(N,)`` bool, whether the centre lies in the image.
        centerline: ``(M, 2)`` float32 px from the tip, cut where it leaves the image for good.
        width: mean shaft width in px.
        type: catheter type.
    """

    electrodes: NDArray[np.float32]
    inside: NDArray[np.bool_]
    centerline: NDArray[np.float32]
    width: float
    type: str


def attenuation(instruments: list[Instrument], carm: CArm, rng: np.random.Generator) -> NDArray[np.float32]:
    """Line integrals (dimensionless) of all instruments, ``(size, size)`` float32."""
    image = np.zeros((carm.size, carm.size), np.float32)
    for instrument in instruments:
        for part in instrument.tubes:
            render.tube(image, carm, instrument.course, part.span, part.radii, part.coefficient, rng)
    return image


def see(instrument: Instrument, carm: CArm) -> Seen:
    """Project the labels of one catheter."""
    centres = np.array([ring.centre for ring in instrument.rings])
    halves = np.array([ring.length / 2 for ring in instrument.rings])
    ends = [carm.project(curves.sample(instrument.course, centres + sign * halves)) for sign in (-1, 1)]
    middle = curves.sample(instrument.course, centres)
    uv, scale = carm.project(middle), carm.magnification(middle)
    across = 2 * instrument.radius * scale
    axis = ends[1] - ends[0]
    depth_share = np.sqrt(np.clip(1 - (np.hypot(*axis.T) / np.maximum(2 * halves * scale, 1e-6)) ** 2, 0, 1))
    along = np.hypot(*axis.T) + across * depth_share  # a ring seen end-on is as long as it is wide
    electrodes = np.column_stack([uv, along, across, np.arctan2(axis[:, 1], axis[:, 0])]).astype(np.float32)
    inside = np.all((uv >= 0) & (uv <= carm.size - 1), axis=1)
    line = carm.project(instrument.course)
    within = np.flatnonzero(((line > -1) & (line < carm.size)).all(axis=1))
    line = line[: within[-1] + 1] if len(within) else line[:0]
    width = float(2 * instrument.radius * carm.scale)
    return Seen(electrodes, inside, line.astype(np.float32), width, instrument.type)


def mask(catheters: list[Instrument], carm: CArm) -> NDArray[np.uint8]:
    """Shafts and electrodes of labelled catheters: the share of each pixel they cover, ``(size, size)`` uint8 0..255."""
    fine = np.zeros((carm.size * _FINER, carm.size * _FINER), np.uint8)
    for instrument in catheters:
        line = carm.project(instrument.course)
        thickness = 2 * instrument.radius * carm.magnification(instrument.course)
        near = (
            np.abs(line - carm.size / 2).max(axis=1) < carm.size
        )  # OpenCV's fixed point overflows far outside
        line = (line + 0.5) * _FINER - 0.5
        for group in np.array_split(np.flatnonzero(near), max(1, int(near.sum()) // 40)):
            if len(group) < 2:
                continue
            joined = np.append(group, min(group[-1] + 1, len(line) - 1))
            points = np.round(line[joined] * 16).astype(np.int32)
            width = _drawn(float(thickness[group].mean()) * _FINER)
            cv2.polylines(fine, [points], False, 255, width, cv2.LINE_8, 4)
    return cv2.resize(fine, (carm.size, carm.size), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _drawn(width: float) -> int:
    """The thickness to ask of OpenCV for a line ``width`` px wide: it draws even ones one px wider, odd ones two."""
    return 1 if width < 2 else max(2, 2 * round((width - 1) / 2))
