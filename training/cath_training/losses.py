"""Losses of the three heads (centre focal, offset and size L1, mask BCE + IoU), over a batch and for each sample.

With several processes a batch is that of all of them: what a sum is divided by is counted over all, see
``processes.mean``.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cath_training import processes
from cath_training.config import LossConfig
from cath_training.data.batches import Batch


def _focal(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Each cell's focal gain, and 1 where a cell is a positive."""
    p = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    positive = (target >= 1.0).float()
    gain = positive * (1 - p) ** 2 * p.log() + (1 - positive) * (1 - target) ** 4 * p**2 * (1 - p).log()
    return gain, positive


def centre_focal(logits: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss of CenterNet (Zhou et al. 2019, eq. 1), per batch.

    ``(1 - p)^2 log p`` where the target is 1, ``(1 - y)^4 p^2 log(1 - p)`` elsewhere, over the number of ones
    (at least 1). ``logits`` and ``target`` are ``(B, 1, h, w)``.
    """
    gain, positive = _focal(logits, target)
    return processes.mean(-gain.sum(), positive.sum())


def weighted_l1(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of ``(B, 2, h, w)`` over cells with a ``weight`` ``(B, 1, h, w)``; 0 if there is none."""
    return processes.mean(((value - target).abs() * weight).sum(), 2 * weight.sum())


def _iou_loss(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """For each image 1 - IoU on probabilities, 0 without catheter; and 1 where there is a catheter."""
    p = logits.sigmoid()
    both = (p * target).sum((1, 2, 3))
    either = (p + target).sum((1, 2, 3)) - both
    has = (target.sum((1, 2, 3)) > 1).float()
    return (1 - both / either.clamp_min(1e-6)) * has, has


def mask_bce_iou(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy, and 1 - IoU on probabilities per image (an image without catheter counts in BCE only).

    A batch of no images gives 0.
    """
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    iou, has = _iou_loss(logits, target)
    return processes.mean(bce, bce.new_tensor(logits.numel())), processes.mean(iou.sum(), has.sum())


def total(
    maps: dict[str, Tensor], batch: Batch, weights: LossConfig | None = None
) -> tuple[Tensor, dict[str, float]]:
    """The training loss and its parts; a sample counts for the tasks it has labels for.

    Args:
        maps: the network's.
        batch: the targets.
        weights: of the parts; by default focal + offset + 0.1 size + 2 BCE + IoU.
    """
    weights = weights or LossConfig()
    detection, segmentation = batch.labelled.T
    focal = centre_focal(*_only(detection, maps["centre"], batch.centre))
    offset = torch.zeros((), device=focal.device)
    if "offset" in maps:
        offset = weighted_l1(*_only(detection, maps["offset"], batch.offset, batch.weight))
    size = weighted_l1(*_only(detection, maps["size"], batch.size, batch.weight))
    bce, iou = mask_bce_iou(*_only(segmentation, maps["mask"], batch.mask))
    loss = focal + weights.offset * offset + weights.size * size + weights.bce * bce + weights.iou * iou
    parts = {"focal": focal, "offset": offset, "size": size, "bce": bce, "iou": iou}
    return loss, {name: float(torch.as_tensor(part).detach()) for name, part in parts.items()}


def _only(keep: NDArray[np.bool_], *tensors: Tensor) -> Any:
    """The rows to keep of each tensor; the tensors themselves if that is all."""
    if keep.all():
        return tensors
    rows = torch.from_numpy(np.flatnonzero(keep)).to(tensors[0].device)
    return tuple(t[rows] for t in tensors)


def each(maps: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """The parts of the loss for each sample, ``(B,)``: those of ``total``, divided by the sample's own counts."""
    gain, positive = _focal(maps["centre"], batch.centre)
    cells = (2 * batch.weight.sum((1, 2, 3))).clamp_min(1.0)
    off = {
        name: ((maps[name] - target).abs() * batch.weight).sum((1, 2, 3)) / cells
        for name, target in (("offset", batch.offset), ("size", batch.size))
        if name in maps
    }
    bce = F.binary_cross_entropy_with_logits(maps["mask"], batch.mask, reduction="none").mean((1, 2, 3))
    parts = {"focal": -gain.sum((1, 2, 3)) / positive.sum((1, 2, 3)).clamp_min(1.0), "offset": bce * 0.0}
    return parts | off | {"bce": bce, "iou": _iou_loss(maps["mask"], batch.mask)[0]}


def by_task(parts: dict[str, Tensor], weights: LossConfig) -> Tensor:
    """Losses of detection and segmentation for each sample, ``(B, 2)``, from the parts of ``each``."""
    detection = parts["focal"] + weights.offset * parts["offset"] + weights.size * parts["size"]
    return torch.stack([detection, weights.bce * parts["bce"] + weights.iou * parts["iou"]], dim=1)
