"""``./cath train CONFIG``: train a network; ``./cath train --experiment NAME``: compare ways of training."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console

from cath_perception.errors import CathError
from cath_training import checkpoint, processes
from cath_training.config import TrainConfig, load
from cath_training.data import source
from cath_training.experiments import plans, runner
from cath_training.train import Trainer, stride

TRAINING = Path(__file__).parents[2]
"""Where ``configs`` is, so that ``./cath train configs/smoke.yaml`` works from anywhere."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``./cath train``."""
    parser.add_argument(
        "config", type=Path, nargs="?", help="YAML file, as configs/light.yaml (in training/)"
    )
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default out/train/NAME); an existing run is resumed"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("out/cache"), help="where generated geometry is kept"
    )
    parser.add_argument(
        "--experiment",
        choices=sorted(plans.PLANS),
        help="instead of one configuration, compare those of a plan at an equal budget and several seeds",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="with --experiment: train nothing, tables of the runs that are there",
    )
    parser.add_argument("--doc", type=Path, help="with --experiment: a text to write the tables into")


def run(args: argparse.Namespace) -> int:
    """Train to the end of the configured steps, resuming what is there."""
    if args.experiment:
        return runner.run(
            args.experiment, args.out or Path("out/experiments"), args.cache, args.doc, args.report
        )
    if not args.config:
        raise CathError("expected a configuration, as configs/light.yaml, or --experiment NAME")
    config = load(find(args.config))
    if config.threads:
        torch.set_num_threads(config.threads)
    fabric = processes.start(config)
    for part, folder in stages(config, args.out or Path("out/train") / config.name):
        train(part, folder, args.cache, fabric)
    return 0


def find(path: Path) -> Path:
    """``path`` as it is, or below ``training/``."""
    return path if path.exists() or not (TRAINING / path).exists() else TRAINING / path


def stages(config: TrainConfig, out: Path) -> list[tuple[TrainConfig, Path]]:
    """The runs that ``config`` asks for, in order: pre-training where its data is there, then the training itself.

    A pre-training stage ends in a folder beside ``out`` and the next one starts from its mean weights. All samples and
    tasks count alike in it.
    """
    runs: list[tuple[TrainConfig, Path]] = []
    start = config.start_from
    for stage in config.stages:
        if not Path(stage.path).exists():
            Console().print(
                f"{config.name}: no {stage.name} data at {stage.path}, this pre-training is left out"
            )
            continue
        data = replace(config.data, source=stage.source, path=stage.path)
        name = f"{config.name}-{stage.name}"
        folder = out.parent / f"{out.name}-{stage.name}"
        part = replace(
            config, name=name, steps=stage.steps, data=data, start_from=start, stages=(), priority=None
        )
        runs.append((part, folder))
        start = str(folder / checkpoint.MEAN)
    return [*runs, (replace(config, start_from=start), out)]


def train(config: TrainConfig, folder: Path, cache: Path, fabric: Fabric) -> None:
    """One run to its end. One process of each machine makes the data, the others wait for it."""
    with fabric.rank_zero_first(local=True):
        samples = source.make(config.data, stride(config), config.seed, cache)
    Trainer(config, folder, samples, fabric).run()
    fabric.barrier()
