"""Labelled images as a source of training: identities, subjects kept for validation, and pre-training that ends."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cath_training import processes
from cath_training.commands.train import stages, train
from cath_training.config import PriorityConfig, StageConfig
from cath_training.data.batches import BatchRule
from cath_training.data.source import Labelled
from cath_training.data.sources import open_labelled

from ..settings import SMALL


@pytest.fixture
def ucl(tmp_path: Path) -> Path:
    """Two recordings of four frames with masks."""
    folder = tmp_path / "ucl"
    folder.mkdir()
    for name in ("T3-T6", "Phantom"):
        mask = np.zeros((4, 64, 64, 2), np.uint8)
        mask[:, 20:26, 5:60, 0] = 1
        image = 200 - 90 * mask[..., :1].repeat(3, axis=3)
        for file, key, values in ((name, "test", image), (f"{name}_label", "label", mask)):
            with h5py.File(folder / f"{file}.hdf5", "w") as target:
                target[key] = values
    return folder


def test_training_and_validation_never_share_a_recording(ucl: Path) -> None:
    samples = Labelled(open_labelled("ucl", ucl), BatchRule(crop=64), 0.5, 1)
    assert samples.samples == 8
    drawn = samples.draw(64, (1,), torch.device("cpu")).identity
    unseen = samples.draw_unseen(64, (1,), torch.device("cpu")).identity
    assert len(set(drawn)) == len(set(unseen)) == 4
    assert not set(drawn) & set(unseen)


def test_pre_training_on_masks_is_where_the_training_starts(ucl: Path, tmp_path: Path) -> None:
    stage = StageConfig("ucl", "ucl", str(ucl), 2)
    config = replace(SMALL, stages=(stage,), priority=PriorityConfig(), steps=1, learning_rate=1e-9)
    fabric = processes.start(config)
    for part, folder in stages(config, tmp_path / "run"):
        train(part, folder, tmp_path / "cache", fabric)
    before, after = (load_file(tmp_path / name / "mean.safetensors") for name in ("run-ucl", "run"))
    weights = "segment.project.mask.weight"
    assert torch.allclose(before[weights], after[weights], atol=1e-6)
    assert '"recall": NaN' in (tmp_path / "run-ucl" / "log.jsonl").read_text()
