"""Losses of the three heads (centre focal, offset and size L1, mask BCE + IoU)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cath_training.data.batches import Batch


def centre_focal(logits: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss of CenterNet (Zhou et al. 2019, eq. 1), per batch.

    ``(1 - p)^2 log p`` where the target is 1, ``(1 - y)^4 p^2 log(1 - p)`` elsewhere, over the number of ones
    (at least 1). ``logits`` and ``target`` are ``(B, 1, h, w)``.
    """
    p = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    positive = (target >= 1.0).float()
    gain = positive * (1 - p) ** 2 * p.log() + (1 - positive) * (1 - target) ** 4 * p**2 * (1 - p).log()
    return -gain.sum() / positive.sum().clamp_min(1.0)


def weighted_l1(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of ``(B, 2, h, w)`` over cells with a ``weight`` ``(B, 1, h, w)``; 0 if there is none."""
    return ((value - target).abs() * weight).sum() / (2 * weight.sum()).clamp_min(1.0)


def mask_bce_iou(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy, and 1 - IoU on probabilities per image (an image without catheter counts in BCE only)."""
    bce = F.binary_cross_entropy_with_logits(logits, target)
    p = logits.sigmoid()
    both = (p * target).sum((1, 2, 3))
    either = (p + target).sum((1, 2, 3)) - both
    has = (target.sum((1, 2, 3)) > 1).float()
    iou = ((1 - both / either.clamp_min(1e-6)) * has).sum() / has.sum().clamp_min(1.0)
    return bce, iou


def total(maps: dict[str, Tensor], batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """The training loss and its parts: focal + offset + 0.1 size + 2 BCE + IoU."""
    focal = centre_focal(maps["centre"], batch.centre)
    offset = weighted_l1(maps["offset"], batch.offset, batch.weight)
    size = weighted_l1(maps["size"], batch.size, batch.weight)
    bce, iou = mask_bce_iou(maps["mask"], batch.mask)
    loss = focal + offset + 0.1 * size + 2 * bce + iou
    parts = {"focal": focal, "offset": offset, "size": size, "bce": bce, "iou": iou}
    return loss, {name: float(torch.as_tensor(part).detach()) for name, part in parts.items()}
