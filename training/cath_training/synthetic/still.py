"""Single labelled frames at the size of a camera image, for evaluation: ``draw_still``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cath_training.data.bank import draw_scene
from cath_training.synthetic import background, formation, geometry, instruments
from cath_training.synthetic.carm import CArm

TEST_SEED, VALIDATION_SEED = 9_000_000, 8_000_000
"""First seeds of the test and validation frames; training draws from other streams."""


@dataclass(frozen=True, slots=True)
class Still:
    """One frame and its truth.

    Attributes:
        pixels: ``(size, size)`` uint8.
        electrodes: ``(N, 4)`` float32 x, y, box width, box height in px of those that no shutter hides.
        kinds: the catheter type of each electrode.
        mask: ``(size, size)`` bool.
        centerlines, types: one a catheter.
    """

    pixels: NDArray[np.uint8]
    electrodes: NDArray[np.float32]
    kinds: tuple[str, ...]
    mask: NDArray[np.bool_]
    centerlines: tuple[NDArray[np.float32], ...]
    types: tuple[str, ...]


def _background(rng: np.random.Generator, size: int, angiograms: Sequence[Path]) -> NDArray[np.float32]:
    if len(angiograms) and rng.random() < 0.5:
        image = background.bank(rng, 0, [angiograms[int(rng.integers(len(angiograms)))]])[0]
        image = image.astype(np.float32) / 255
    else:
        image = background.procedural(rng)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _boxes(parts: list[geometry.Seen]) -> NDArray[np.float32]:
    rows = np.concatenate([s.electrodes[s.inside] for s in parts]) if parts else np.empty((0, 5), np.float32)
    c, s = np.abs(np.cos(rows[:, 4])), np.abs(np.sin(rows[:, 4]))
    width, height = c * rows[:, 2] + s * rows[:, 3], s * rows[:, 2] + c * rows[:, 3]
    return np.column_stack([rows[:, :2], width, height]).astype(np.float32)


def draw_still(seed: int, size: int = 512, angiograms: Sequence[Path] = ()) -> Still:
    """One frame, a function of its arguments alone: one to four catheters over 130 to 240 mm of detector."""
    rng = np.random.default_rng([seed, 30])
    carm = CArm(size, float(np.exp(rng.uniform(*np.log([130.0, 240.0])))) / size)
    scene = draw_scene(rng)
    labelled = [part for part in scene if part.rings]
    if rng.random() < 0.6:
        scene += [instruments.clutter(rng) for _ in range(rng.integers(1, 4))]
    attenuation = geometry.attenuation(scene, carm, rng)
    generator = torch.Generator().manual_seed(seed)
    exposure = formation.draw_exposure(generator, 1, torch.device("cpu"))
    zoom = size / 320
    exposure = replace(exposure, blur=exposure.blur * zoom, sharpen_blur=exposure.sharpen_blur * zoom)
    behind = torch.from_numpy(_background(rng, size, angiograms))[None, None]
    frame, field = formation.expose(behind, torch.from_numpy(attenuation)[None, None], exposure, generator)
    seen = [geometry.see(part, carm) for part in labelled]
    boxes, shown = _boxes(seen), field[0, 0].numpy() > 0.3
    x, y = (boxes[:, :2] + 0.5).astype(int).T
    kinds = [s.type for s in seen for inside in s.inside if inside]
    return Still(
        pixels=(frame[0, 0] * 255).round().to(torch.uint8).numpy(),
        electrodes=boxes[shown[y, x]],
        kinds=tuple(kind for kind, open_here in zip(kinds, shown[y, x], strict=True) if open_here),
        mask=(geometry.mask(labelled, carm) > 127) & shown,
        centerlines=tuple(s.centerline for s in seen),
        types=tuple(s.type for s in seen),
    )
