"""Training batches: bank geometry under random affine changes, image formation, and the targets of every head."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cath_training.data.bank import CANVAS_PX, Bank
from cath_training.synthetic import formation, processing

MASK_STRIDE = 2  # masks leave every network at half size
REACH = 3  # cells around a dense target's centre that its Gaussian is drawn in ...
WIDTHS = 2  # ... or so many sigmas if these are more
TARGETS = ("dense", "centernet")


@dataclass(frozen=True, slots=True)
class BatchRule:
    """How batches are drawn.

    Attributes:
        crop: side of the training image in px.
        zoom: smallest and largest scale of the canvas (512 px for 142 mm) in the crop.
        empty: share of samples without any catheter.
        cluttered: share of samples with clutter.
        treated: whether some are processed and annotated as systems do it, see ``synthetic.processing``.
        taken: smallest and largest side that the crops of a batch are taken in before they are scaled to ``crop``, as the
            node scales a camera's frame; relative to ``crop``.
        blur: factor on an exposure's blurs, which are drawn for frames of 320 px.
        targets: ``dense`` draws one Gaussian for all electrodes and learns offset and size at the cells around the
            centre too; ``centernet`` takes its radius from the box (overlap 0.7) and learns them at the centre only.
        sigma: standard deviation of a dense target's Gaussian in cells ...
        spread: ... and at least this part of the electrode's box, as where the middle of a long tip is nobody can say
            to a cell; above 0 crops look at electrodes in proportion to their length.
        stride: px per cell, the network's.
    """

    crop: int = 256
    zoom: tuple[float, float] = (0.5, 1.2)
    empty: float = 0.15
    cluttered: float = 0.65
    treated: bool = True
    taken: tuple[float, float] = (1.0, 1.0)
    blur: float = 1.0
    sigma: float = 0.75
    spread: float = 0.0
    stride: int = 2
    targets: str = "dense"


@dataclass(slots=True)
class Batch:
    """Images with the targets of every head, made for one network's stride.

    Attributes:
        image: ``(B, 1, S, S)`` 0..1.
        centre: ``(B, 1, S/stride, S/stride)`` 0..1.
        offset, size: ``(B, 2, ...)`` in cells, with ``weight`` ``(B, 1, ...)`` where they count.
        mask: ``(B, 1, S/2, S/2)`` 0..1.
        boxes: for each sample the ``(N, 4)`` electrodes: x, y, width, height in px.
        identity: ``(B,)`` which sample of the data set this is; all samples without a catheter are one, the last.
        labelled: ``(B, 2)`` bool, whether a sample has labels for (detection, segmentation).
    """

    image: Tensor
    centre: Tensor
    offset: Tensor
    size: Tensor
    weight: Tensor
    mask: Tensor
    boxes: list[NDArray[np.float32]]
    identity: NDArray[np.int64]
    labelled: NDArray[np.bool_]

    @property
    def positions(self) -> list[NDArray[np.float32]]:
        """For each sample the ``(N, 2)`` electrode centres in px."""
        return [rows[:, :2] for rows in self.boxes]


def _affine(
    rng: np.random.Generator, zoom: float, target: NDArray[np.float64], crop: int
) -> NDArray[np.float64]:
    """2 x 3 matrix, canvas px -> crop px, that puts ``target`` somewhere into the crop."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.normal(0, 0.2)
    c, s = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.array([[c, -s], [s, c]]) @ np.diag([rng.choice([-1.0, 1.0]), 1.0])
    place = (0.5 + rng.uniform(-0.42, 0.42, 2)) * crop - 0.5
    return np.column_stack([linear, place - linear @ target])


def _grid(affines: NDArray[np.float64], crop: int, side: int, device: torch.device) -> Tensor:
    """Where each crop px lies on a canvas of ``side`` px under canvas -> crop ``affines`` ``(B, 2, 3)``."""
    full = np.concatenate([affines, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(affines), 1, 3))], axis=1)
    back = np.linalg.inv(full)[:, :2]  # crop px -> canvas px
    normal = np.array([[crop / 2, 0, crop / 2 - 0.5], [0, crop / 2, crop / 2 - 0.5], [0, 0, 1]])
    theta = np.diag([2 / side, 2 / side]) @ (back @ normal) + np.array([[0, 0, 1 / side - 1]] * 2)
    # written out because F.affine_grid multiplies matrices point by point, which takes longer than sampling
    axis = (torch.arange(crop, device=device) * 2 + 1) / crop - 1
    t = torch.from_numpy(theta).float().to(device)[:, None, None]
    return t[..., 0] * axis[:, None] + (t[..., 1] * axis[:, None, None] + t[..., 2])


def _sample(images: Tensor, grid: Tensor, padding: str = "zeros") -> Tensor:
    """``(B, 1, h, w)`` at ``grid``; bilinear, at px centres."""
    return F.grid_sample(images, grid, "bilinear", padding, align_corners=False)


def _centres(rng: np.random.Generator, electrodes: NDArray[np.float32], longer: bool) -> NDArray[np.float64]:
    """What to look at: an electrode, and ``longer`` ones the likelier, as a catheter has one tip among many rings."""
    if len(electrodes) and rng.random() < 0.9:
        lengths = electrodes[:, 2].astype(float)
        number = len(electrodes)
        chosen = rng.choice(number, p=lengths / lengths.sum()) if longer else rng.integers(number)
        return electrodes[chosen, :2].astype(float)
    return rng.uniform(0.25, 0.75, 2) * CANVAS_PX


def _moved(electrodes: NDArray[np.float32], affine: NDArray[np.float64], crop: int) -> NDArray[np.float32]:
    """Electrodes ``(N, 5)`` of the canvas -> x, y, box width, box height ``(M, 4)`` in the crop, those inside it."""
    uv = electrodes[:, :2] @ affine[:, :2].T + affine[:, 2]
    zoom = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    axis = np.column_stack([np.cos(electrodes[:, 4]), np.sin(electrodes[:, 4])]) @ affine[:, :2].T / zoom
    along, across = electrodes[:, 2:3] * zoom, electrodes[:, 3:4] * zoom
    box = np.abs(axis) * along + np.abs(axis[:, ::-1]) * across
    inside = ((uv > 1) & (uv < crop - 2)).all(axis=1)
    return np.column_stack([uv, box])[inside].astype(np.float32)


def overlap_radius(width: float, height: float, overlap: float = 0.7) -> int:
    """CenterNet's Gaussian radius for a box, in cells, 1 at least.

    As in its published code, which solves the three quadratics without dividing by their leading coefficient. Of the
    three the one with both corners outside is then always the smallest, and ``4 x overlap`` times what would give
    that overlap; boxes of 3 cells or less have radius 0 there.
    """
    total, area = width + height, width * height
    root = math.sqrt((overlap * total) ** 2 + 4 * overlap * (1 - overlap) * area)
    return max(1, int(root - overlap * total))


def with_targets(
    image: Tensor,
    mask: Tensor,
    boxes: list[NDArray[np.float32]],
    identity: NDArray[np.int64],
    labelled: NDArray[np.bool_],
    rule: BatchRule,
) -> Batch:
    """A batch of what ``Batch`` names, with the targets of ``boxes`` drawn, all on the image's device."""
    side = rule.crop // rule.stride
    centre, offset, size, weight = (torch.zeros(len(boxes), n, side, side) for n in (1, 2, 2, 1))
    _draw_targets((centre, offset, size, weight), boxes, rule)
    centre, offset, size, weight = (t.to(image.device) for t in (centre, offset, size, weight))
    return Batch(image, centre, offset, size, weight, mask, boxes, identity, labelled)


def _draw_targets(targets: tuple[Tensor, ...], boxes: list[NDArray[np.float32]], rule: BatchRule) -> None:
    """Draw each electrode's Gaussian, and what its offset and size are where they are learnt."""
    centre, offset, size, weight = (t.numpy() for t in targets)
    side = centre.shape[-1]
    for b, rows in enumerate(boxes):
        for x, y, w, h in rows:
            cx, cy = (x + 0.5) / rule.stride - 0.5, (y + 0.5) / rule.stride - 0.5
            ix, iy = round(cx), round(cy)
            wide = [max(rule.sigma, rule.spread * length / rule.stride) for length in (w, h)]
            reach, lowest = max(REACH, math.ceil(WIDTHS * max(wide))), 0.3
            if rule.targets == "centernet":
                reach = overlap_radius(w / rule.stride, h / rule.stride)
                wide, lowest = [(2 * reach + 1) / 6] * 2, 0.999
            x0, x1 = max(0, ix - reach), min(side, ix + reach + 1)
            y0, y1 = max(0, iy - reach), min(side, iy + reach + 1)
            gx, gy = np.arange(x0, x1), np.arange(y0, y1)[:, None]
            # peak at the nearest cell so that every electrode has a positive
            bump = np.exp(-(((gx - ix) / wide[0]) ** 2 + ((gy - iy) / wide[1]) ** 2) / 2)
            window = centre[b, 0, y0:y1, x0:x1]
            nearer = (bump > window) & (bump > lowest)
            np.maximum(window, bump, out=window)
            offset[b, 0, y0:y1, x0:x1][nearer] = np.broadcast_to(cx - gx, bump.shape)[nearer]
            offset[b, 1, y0:y1, x0:x1][nearer] = np.broadcast_to(cy - gy, bump.shape)[nearer]
            size[b, :, y0:y1, x0:x1][:, nearer] = np.array([[w], [h]]) / rule.stride
            weight[b, 0, y0:y1, x0:x1][nearer] = bump[nearer]


def draw(bank: Bank, rule: BatchRule, count: int, seed: tuple[int, ...], device: torch.device) -> Batch:
    """One batch, a function of ``seed`` alone."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    side = _side(rng, rule)
    scenes = rng.integers(len(bank.attenuation), size=count)
    filled = rng.random(count) >= rule.empty
    zooms = np.exp(rng.uniform(math.log(rule.zoom[0]), math.log(rule.zoom[1]), count)) * side / rule.crop
    rows = [
        bank.electrodes[bank.first[s] : bank.first[s + 1]] if f else bank.electrodes[:0]
        for s, f in zip(scenes, filled, strict=True)
    ]
    affines = np.stack(
        [_affine(rng, z, _centres(rng, e, rule.spread > 0.0), side) for z, e in zip(zooms, rows, strict=True)]
    )
    present = _flags(filled, device)
    grid = _grid(affines, side, CANVAS_PX, device)
    attenuation = _sample(_chosen(bank.attenuation, scenes, device), grid) * present
    mask = _sample(_chosen(bank.mask, scenes, device), grid) * present / 255
    background, clutter = _behind(bank, rule, rng, zooms, side, device)
    image, shown = _taken(background, attenuation + clutter, rule, rng, generator)
    boxes = [
        _shrunk(_visible(_moved(e, a, side), s), side / rule.crop)
        for e, a, s in zip(rows, affines, shown[:, 0].cpu().numpy(), strict=True)
    ]
    image = _resized(image, rule.crop)
    mask = F.avg_pool2d(_resized(mask * shown, rule.crop), MASK_STRIDE)
    identity = np.where(filled, scenes, len(bank.attenuation))
    return with_targets(image, mask, boxes, identity, np.ones((count, 2), bool), rule)


def _side(rng: np.random.Generator, rule: BatchRule) -> int:
    """Side in px, even, that a batch is taken in."""
    low, high = np.log(rule.taken)
    return 2 * round(rule.crop * float(np.exp(rng.uniform(low, high) if low < high else low)) / 2)


def _chosen(array: NDArray[np.generic], index: NDArray[np.int64], device: torch.device) -> Tensor:
    """Maps of the bank as ``(B, 1, h, w)`` float32."""
    return torch.from_numpy(np.ascontiguousarray(array[index])).to(device).float().unsqueeze(1)


def _flags(values: NDArray[np.bool_], device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device).view(-1, 1, 1, 1)


def _behind(
    bank: Bank,
    rule: BatchRule,
    rng: np.random.Generator,
    zooms: NDArray[np.float64],
    side: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Backgrounds 0..1 and the clutter's line integrals, both ``(B, 1, side, side)``."""
    count, wide = len(zooms), bank.backgrounds.shape[-1]
    others = np.stack(
        [_affine(rng, z * rng.uniform(0.8, 1.2), rng.uniform(100, 412, 2), side) for z in zooms]
    )
    spread = rng.uniform(0.75, 1.6, count) * side / wide
    behind = np.stack([_affine(rng, z, rng.uniform(150, 298, 2), side) for z in spread])
    clutter = _chosen(bank.clutter, rng.integers(len(bank.clutter), size=count), device)
    clutter = _sample(clutter, _grid(others, side, CANVAS_PX, device))
    clutter = clutter * _flags(rng.random(count) < rule.cluttered, device)
    background = _chosen(bank.backgrounds, rng.integers(len(bank.backgrounds), size=count), device)
    return _sample(background, _grid(behind, side, wide, device), "reflection") / 255, clutter


def _taken(
    background: Tensor,
    attenuation: Tensor,
    rule: BatchRule,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Frames ``(B, 1, S, S)`` 0..1 with random exposures, and whether nothing hides a px, bool."""
    exposure = formation.draw_exposure(generator, len(background), background.device)
    factor = rule.blur * background.shape[-1] / rule.crop
    exposure = replace(exposure, blur=exposure.blur * factor, sharpen_blur=exposure.sharpen_blur * factor)
    if rule.treated:
        attenuation = processing.lag(attenuation, rng)
    image, field = formation.expose(background, attenuation, exposure, generator)
    shown = field > formation.LIT
    if rule.treated:
        image, inside = processing.surround(image, rng)
        image, uncovered = processing.treat(image, rng)
        shown &= inside & uncovered
    return image, shown


def _resized(images: Tensor, side: int) -> Tensor:
    """``(B, 1, S, S)`` to ``(B, 1, side, side)``, smoothed where it gets smaller."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def _shrunk(boxes: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Boxes ``(N, 4)`` of a picture that is ``scale`` times as large as the one they are for."""
    return np.column_stack([(boxes[:, :2] + 0.5) / scale - 0.5, boxes[:, 2:] / scale]).astype(np.float32)


def _visible(boxes: NDArray[np.float32], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Only the electrodes that no shutter and no graphics hide."""
    x, y = np.round(boxes[:, :2]).astype(int).T
    return boxes[shown[y, x]]
