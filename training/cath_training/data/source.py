"""Where training samples come from: synthetic fluoroscopy, or the labelled images of a user."""

from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console

from cath_training.config import DataConfig
from cath_training.data import bank, batches, crops
from cath_training.data.labelled import LabelledSource, split
from cath_training.data.sources import open_labelled


class Source(Protocol):
    """Samples with identities ``0 .. samples - 1``, drawn in batches."""

    samples: int

    def draw(self, count: int, seed: tuple[int, ...], device: torch.device) -> batches.Batch:
        """``count`` samples for training, a function of ``seed`` alone."""

    def draw_unseen(self, count: int, seed: tuple[int, ...], device: torch.device) -> batches.Batch:
        """``count`` samples for validation, a function of ``seed`` alone."""


class Synthetic:
    """Synthetic fluoroscopy from a bank of geometry; the last identity stands for all samples without a catheter.

    Args:
        geometry: the bank.
        rule: how crops of it are drawn.
    """

    def __init__(self, geometry: bank.Bank, rule: batches.BatchRule) -> None:
        self.bank, self.rule = geometry, rule
        self.samples = len(geometry.attenuation) + 1

    def draw(self, count: int, seed: tuple[int, ...], device: torch.device) -> batches.Batch:
        """``count`` samples, a function of ``seed`` alone."""
        return batches.draw(self.bank, self.rule, count, seed, device)

    def draw_unseen(self, count: int, seed: tuple[int, ...], device: torch.device) -> batches.Batch:
        """Other crops, of the same scenes."""
        return self.draw(count, seed, device)


class Labelled:
    """Labelled images of a user; identities are those of the whole data set.

    Whole subjects are kept for validation. Where there is only one, validation draws from the training images.

    Args:
        images: all of them.
        rule: crop and targets.
        held: share of subjects kept for validation.
        seed: of which these are.
    """

    def __init__(self, images: LabelledSource, rule: batches.BatchRule, held: float, seed: int) -> None:
        self.rule, self.samples = rule, len(images)
        self.train, self.unseen = images, images
        if len(set(images.groups)) > 1:
            self.train, self.unseen = split(images, held, seed)

    def draw(self, count: int, seed: tuple[int, ...], device: torch.device) -> batches.Batch:
        """Crops of training images."""
        return crops.draw(self.train, self.rule, count, seed, device)

    def draw_unseen(self, count: int, seed: tuple[int, ...], device: torch.device) -> batches.Batch:
        """Crops of images kept for validation."""
        return crops.draw(self.unseen, self.rule, count, seed, device)


def batch_rule(data: DataConfig, stride: int) -> batches.BatchRule:
    """How samples are cut and what a network of that stride learns from them."""
    return batches.BatchRule(
        crop=data.crop,
        zoom=data.zoom,
        empty=data.empty,
        cluttered=data.cluttered,
        treated=data.treated,
        taken=data.taken,
        blur=data.blur,
        targets=data.targets,
        sigma=data.sigma,
        spread=data.spread,
        stride=stride,
    )


def make(data: DataConfig, stride: int, seed: int, cache: Path) -> Source:
    """The source of ``data``; a bank is made (minutes) unless ``cache`` has it."""
    if data.source != "synthetic":
        images = open_labelled(data.source, Path(data.path))
        return Labelled(images, batch_rule(data, stride), data.held, seed)
    size = bank.BankSize(data.catheters, data.clutter, data.procedural, data.ct)
    return Synthetic(bank.make(cache, size, seed, training_angiograms(data)), batch_rule(data, stride))


def training_angiograms(data: DataConfig) -> list[Path]:
    """The real backgrounds that training may see; none, with a notice, where the folder is not there."""
    folder = Path(data.angiograms)
    paths = sorted(folder.glob("*.jpg"))[: data.angiograms_first]
    if data.angiograms_first and not paths:
        Console().print(f"no angiograms in {folder}: procedural backgrounds only")
    return paths
