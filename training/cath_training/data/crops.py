"""Training batches of labelled images: crops with random scale, flip and rotation, labels moved along."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from cath_training.data.batches import MASK_STRIDE, Batch, BatchRule, with_targets
from cath_training.data.labelled import LabelledImage, LabelledSource

Affine = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CropRule:
    """How crops are drawn.

    Attributes:
        zoom: smallest and largest scale, where 1 fits the image's shorter side to the crop.
        turned: share of crops with any rotation; the others turn by about 10 degrees.
        flipped: share of mirrored crops.
    """

    zoom: tuple[float, float] = (0.9, 2.0)
    turned: float = 0.5
    flipped: float = 0.5


def draw(
    source: LabelledSource,
    rule: BatchRule,
    count: int,
    seed: tuple[int, ...],
    device: torch.device,
    crops: CropRule | None = None,
) -> Batch:
    """One batch, a function of ``seed`` and the source alone; crop and targets as ``rule`` says.

    ``identity`` is the image's. ``labelled[:, 0]`` is False where a sample has no electrode labels, ``labelled[:, 1]``
    where it has no mask; its targets are then empty.
    """
    rng = np.random.default_rng(seed)
    crops = crops or CropRule()
    chosen = [source[int(i)] for i in rng.integers(len(source), size=count)]
    images, masks, boxes = zip(*(cut(sample, rule.crop, crops, rng) for sample in chosen), strict=True)
    mask = F.avg_pool2d(torch.from_numpy(np.stack(masks))[:, None], MASK_STRIDE)
    identity = np.array([sample.identity for sample in chosen], np.int64)
    labelled = np.array([(s.boxes is not None, s.mask is not None) for s in chosen], bool)
    image = torch.from_numpy(np.stack(images))[:, None].to(device)
    return with_targets(image, mask.to(device), list(boxes), identity, labelled, rule)


def cut(
    sample: LabelledImage, crop: int, rule: CropRule, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Image and mask ``(crop, crop)`` 0..1 and boxes ``(M, 4)`` in px of one random crop.

    Beyond the image its edge is repeated, as the node's letterbox does.
    """
    affine = _affine(sample, crop, rule, rng)
    image = warp(sample.image, affine, crop, cv2.BORDER_REPLICATE)
    mask = np.zeros((crop, crop), np.float32)
    if sample.mask is not None:
        mask = warp(sample.mask.astype(np.float32), affine, crop, cv2.BORDER_CONSTANT)
    boxes = sample.boxes if sample.boxes is not None else np.empty((0, 4), np.float32)
    return image, mask, moved(boxes, affine, crop)


def _affine(sample: LabelledImage, crop: int, rule: CropRule, rng: np.random.Generator) -> Affine:
    """2 x 3 matrix, image px -> crop px, that puts something labelled (nine times of ten) into the crop."""
    shape = np.array(sample.image.shape[::-1], float)
    zoom = float(np.exp(rng.uniform(*np.log(rule.zoom)))) * crop / shape.min()
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < rule.turned else rng.normal(0, 0.17)
    c, s = zoom * np.cos(angle), zoom * np.sin(angle)
    mirror = -1.0 if rng.random() < rule.flipped else 1.0
    linear = np.array([[c, -s], [s, c]]) @ np.diag([mirror, 1.0])
    target = rng.uniform(0.3, 0.7, 2) * (shape - 1)
    if rng.random() < 0.9:
        places = _places(sample)
        if len(places):
            target = places[rng.integers(len(places))]
    place = crop / 2 + rng.uniform(-0.4, 0.4, 2) * crop
    return np.column_stack([linear, place - linear @ target])


def _places(sample: LabelledImage) -> NDArray[np.floating]:
    if sample.boxes is not None and len(sample.boxes):
        return sample.boxes[:, :2]
    if sample.mask is not None:
        return np.argwhere(sample.mask)[:, ::-1].astype(float)
    return np.empty((0, 2))


def warp(image: NDArray[np.float32], affine: Affine, crop: int, border: int) -> NDArray[np.float32]:
    """``image`` ``(H, W)`` by ``affine`` (image px -> crop px); shrunk by area first where it gets smaller."""
    zoom = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if zoom < 1.0:
        height, width = image.shape
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        scale = np.array([size[0] / width, size[1] / height])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
        linear = affine[:, :2] / scale
        shift = (linear - affine[:, :2]) @ np.array([0.5, 0.5])  # px edges coincide, not px centres
        affine = np.column_stack([linear, affine[:, 2] + shift])
    result = cv2.warpAffine(image, affine, (crop, crop), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(result, np.float32)


def moved(boxes: NDArray[np.float32], affine: Affine, crop: int) -> NDArray[np.float32]:
    """Boxes ``(N, 4)`` under ``affine``, those centred in the crop.

    A rotated box is that of the rotated ellipse which the label encloses: a box around the rotated corners would be
    too large by up to a half.
    """
    centre = boxes[:, :2] @ affine[:, :2].T + affine[:, 2]
    size = np.sqrt(np.square(boxes[:, 2:]) @ np.square(affine[:, :2]).T)
    inside = ((centre > 0) & (centre < crop - 1)).all(axis=1)
    return np.column_stack([centre, size])[inside].astype(np.float32)
