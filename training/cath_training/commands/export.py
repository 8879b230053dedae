"""``./cath export CONFIG RUN OUT``: a training run as a model bundle."""

import argparse
from pathlib import Path

from cath_training.commands.train import find
from cath_training.config import load
from cath_training.export import export


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``./cath export``."""
    parser.add_argument("config", type=Path, help="the configuration the run was trained with")
    parser.add_argument("run", type=Path, help="folder of the run, with mean.safetensors")
    parser.add_argument("out", type=Path, help="folder of the bundle")
    parser.add_argument("--command", default="", help="the command that made the run, kept in the summary")
    parser.add_argument("--frames", type=int, default=200, help="validation frames for threshold and sigma")
    parser.add_argument(
        "--calibration",
        type=int,
        default=150,
        help="frames that the 8-bit form for CPUs is calibrated on; 0 leaves it out (default 150)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the bundle and say what was chosen."""
    bundle = export(
        load(find(args.config)),
        args.run,
        args.out,
        {"command": args.command} if args.command else {},
        args.frames,
        args.calibration,
    )
    sigma = f"{bundle.sigma_floor} + {bundle.sigma_slope} (1 - score) px"
    print(f"{args.out}: electrode threshold {bundle.electrode_threshold}, sigma {sigma}")
    return 0
