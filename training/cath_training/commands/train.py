"""``./cath train CONFIG``: train a network."""

import argparse
from pathlib import Path

import torch

from cath_training.config import load
from cath_training.train import Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``./cath train``."""
    parser.add_argument("config", type=Path, help="YAML file, see training/configs")
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default out/train/NAME); an existing run is resumed"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("out/cache"), help="where generated geometry is kept"
    )


def run(args: argparse.Namespace) -> int:
    """Train to the end of the configured steps, resuming what is there."""
    config = load(args.config)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    Trainer(config, args.out or Path("out/train") / config.name, args.cache, device).run()
    return 0
