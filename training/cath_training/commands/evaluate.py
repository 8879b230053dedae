"""``./cath eval``: figures of a model on synthetic test frames and on real angiograms without electrodes."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cath_perception.bundle import resolve_bundle
from cath_perception.perceptor import Perceptor
from cath_training.catheters import Damage, on_sequences
from cath_training.evaluate import false_electrodes, on_synthetic
from cath_training.export import add_figures
from cath_training.synthetic.still import TEST_SEED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``./cath eval``."""
    parser.add_argument("--model", default="light", help="name of a shipped model or a bundle's folder")
    parser.add_argument("--backend", default="auto", help="auto, openvino, torch or tensorrt")
    parser.add_argument("--frames", type=int, default=500, help="synthetic test frames")
    parser.add_argument("--first-seed", type=int, default=TEST_SEED)
    parser.add_argument(
        "--angiograms", type=Path, default=Path("../shared/data/angiograms"), help="folder of real angiograms"
    )
    parser.add_argument(
        "--angiograms-from", type=int, default=700, help="index of the first one training never saw"
    )
    parser.add_argument("--threshold", type=float, help="electrode score 0..1 (default: the model's)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the figures in the model's training summary"
    )
    parser.add_argument(
        "--catheters",
        type=int,
        metavar="SEQUENCES",
        help="measure grouping, type, tracking and motion instead, without a network: on the true electrodes of so many "
        "sequences, as they are and with 20 %% dropped and 10 %% added",
    )
    parser.add_argument(
        "--through-model",
        action="store_true",
        help="measure these on what the model sees of the sequences' pictures",
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="length of each of these sequences (default 60)"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")


def run(args: argparse.Namespace) -> int:
    """Print a table of figures, and write them as JSON if asked."""
    if args.catheters:
        return _catheters(args)
    unseen = sorted(args.angiograms.glob("*.jpg"))[args.angiograms_from :]
    with Perceptor.open(args.model, args.backend, electrode_threshold=args.threshold) as perceptor:
        figures = {"synthetic": on_synthetic(perceptor, args.first_seed, args.frames, unseen)}
        if unseen:
            figures["angiograms"] = false_electrodes(perceptor, unseen)
    _report(f"{args.model}, {args.frames} synthetic frames", figures, args.json)
    if args.keep:
        add_figures(resolve_bundle(args.model), _rounded(figures))
    return 0


def _catheters(args: argparse.Namespace) -> int:
    if args.through_model:
        with Perceptor.open(args.model, args.backend, electrode_threshold=args.threshold) as perceptor:
            seen = on_sequences(args.first_seed, args.catheters, perceptor, args.seconds)
        _report(f"{args.model}, {args.catheters} sequences of {args.seconds:g} s", {"seen": seen}, args.json)
        return 0
    degrees = {"as they are": Damage(0.0, 0.0), "20 % dropped, 10 % added": Damage()}
    figures = {
        name: on_sequences(args.first_seed, args.catheters, damage, args.seconds)
        for name, damage in degrees.items()
    }
    _report(f"true electrodes of {args.catheters} sequences of {args.seconds:g} s", figures, args.json)
    return 0


def _report(title: str, figures: dict[str, dict[str, float]], path: Path | None) -> None:
    table = Table("figure", "value", title=title)
    for group, values in figures.items():
        for name, value in values.items():
            table.add_row(f"{group}: {name}", f"{value:.4g}")
    Console().print(table)
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n")


def _rounded(figures: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        group: {name: round(value, 4) for name, value in values.items()} for group, values in figures.items()
    }
