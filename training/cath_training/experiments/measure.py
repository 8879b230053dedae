"""Figures of a trained network on crops of scenes that no training met."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cath_perception.network.deployed import decode_maps
from cath_perception.scoring import match
from cath_training.config import DataConfig
from cath_training.data import source
from cath_training.data.batches import Batch
from cath_training.metrics import average_precision, region_similarity
from cath_training.train import CONFIDENT, Trainer

TRAIN_BANK, TEST_BANK = 1, 99
TEST_SEED = 8_000_000
SCENES = 40
ROUNDS, BATCH = 12, 16
NEAR_PX = 2.0
LOWEST = 0.05  # score from which an answer counts for AP


@lru_cache(maxsize=2)
def test_batches(data: DataConfig, stride: int, cache: Path) -> tuple[Batch, ...]:
    """Crops as those of training, of other scenes and backgrounds; the same at every call."""
    fresh = DataConfig(
        catheters=SCENES,
        clutter=12,
        procedural=8,
        angiograms_first=0,
        crop=data.crop,
        zoom=data.zoom,
        empty=data.empty,
        cluttered=data.cluttered,
        treated=data.treated,
    )
    samples = source.make(fresh, stride, TEST_BANK, cache)
    return tuple(samples.draw(BATCH, (TEST_SEED, k), torch.device("cpu")) for k in range(ROUNDS))


@torch.inference_mode()
def figures(trainer: Trainer, cache: Path) -> dict[str, float]:
    """AP, J, recall and precision (score 0.4, 2 px) of the trainer's mean weights."""
    network = trainer.mean_network()
    answers: list[NDArray[np.floating]] = []
    truths: list[NDArray[np.floating]] = []
    similarity: list[float] = []
    for batch in test_batches(trainer.config.data, trainer.stride, cache):
        maps = trainer.maps(network, batch)
        answers += [rows[rows[:, 4] > LOWEST] for rows in decode_maps(maps, trainer.stride).numpy()]
        truths += batch.boxes
        pairs = zip((maps["mask"] > 0).numpy(), (batch.mask > 0.5).numpy(), strict=True)
        similarity += [region_similarity(found[0], truth[0]) for found, truth in pairs]
    found = kept = 0
    for rows, truth in zip(answers, truths, strict=True):
        sure = rows[rows[:, 4] > CONFIDENT, :2]
        found += len(match(sure, truth[:, :2], NEAR_PX)[0])
        kept += len(sure)
    return {
        "ap": average_precision(answers, truths)["ap"],
        "j": float(np.mean(similarity)),
        "recall": found / max(1, sum(map(len, truths))),
        "precision": found / max(1, kept),
    }
