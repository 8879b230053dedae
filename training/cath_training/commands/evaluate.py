"""``./cath eval``: how good a model is, on synthetic frames and real angiograms or on a user's own data."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from cath_perception.backends.base import PRECISIONS
from cath_perception.bundle import resolve_bundle
from cath_perception.errors import CathError
from cath_perception.perceptor import Perceptor
from cath_training import cases, report, sequence_report
from cath_training.cases import Frame
from cath_training.catheters import Damage, on_sequences
from cath_training.data.coco import CocoSource
from cath_training.data.copies import without_copies
from cath_training.evaluate import Evaluation, evaluate, evaluate_sequence
from cath_training.export import add_figures
from cath_training.recorded import judge_recorded
from cath_training.synthetic.still import TEST_SEED

_DAMAGES = {
    "as they are": Damage(0.0, 0.0),
    "20 % dropped, 10 % added": Damage(),
    "traced": Damage(0.0, 0.0, traced=True),
    "traced, damaged": Damage(traced=True, holes=1.0),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``./cath eval``."""
    parser.add_argument(
        "data",
        nargs="*",
        type=Path,
        help="own data instead of synthetic frames and angiograms: bags with /truth/catheters, folders with COCO labels",
    )
    parser.add_argument("--model", default="light", help="name of a shipped model or a bundle's folder")
    parser.add_argument("--backend", default="auto", help="auto, openvino, torch or tensorrt")
    parser.add_argument("--threads", type=int, default=0, help="threads of the backend (default: it chooses)")
    parser.add_argument(
        "--openvino-precision", choices=PRECISIONS, default="auto", help="arithmetic of OpenVINO"
    )
    parser.add_argument("--threshold", type=float, help="electrode score 0..1 (default: the model's)")
    parser.add_argument("--frames", type=int, default=1000, help="synthetic test frames (default 1000)")
    parser.add_argument(
        "--processed",
        action="store_true",
        help="synthetic frames with text and marks burned in, half with enhanced contrast, half compressed as JPEG",
    )
    parser.add_argument("--first-seed", type=int, default=TEST_SEED)
    parser.add_argument(
        "--angiograms", type=Path, default=Path("../shared/data/angiograms"), help="folder of real angiograms"
    )
    parser.add_argument(
        "--angiograms-from",
        type=int,
        default=700,
        help="index of the first one training never saw; copies of earlier ones among them are left out",
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("out/eval"), help="where drawn frames are kept (default out/eval)"
    )
    parser.add_argument(
        "--recorded",
        action="store_true",
        help="judge the answers that a node left in the bags, not the model",
    )
    parser.add_argument(
        "--report", type=Path, help="write report.md, report.json and pictures to this folder"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
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


def run(args: argparse.Namespace) -> int:
    """Print a table of figures; write JSON and report if asked."""
    if args.catheters:
        return _catheters(args)
    if args.keep and args.processed:
        raise CathError(
            "--keep: keeps the figures of the fixed test frames as they were taken; leave out --processed"
        )
    if args.data and args.keep:
        raise CathError(
            "--keep: keeps the figures of the fixed test frames; leave it out with data of your own"
        )
    if args.frames < 1 or args.threads < 0:
        raise CathError(
            f"expected --frames of 1 or more and --threads of 0 or more, got {args.frames}, {args.threads}"
        )
    names = [_name(path) for path in args.data]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CathError(
            f"data: several are called {', '.join(twice)}, which names their figures: rename them, or judge one at a time"
        )
    groups = {_name(path): judge_recorded(path) for path in args.data} if args.recorded else _judge(args)
    if not groups:
        raise CathError("--recorded: name the bags that hold a node's answers")
    figures = {name: evaluation.figures() for name, evaluation in groups.items()}
    title = "recorded answers" if args.recorded else str(args.model)
    _print(title, figures, args.json)
    if args.report:
        report.write(args.report, f"Evaluation of {title}", groups, _facts(args))
        print(f"{args.report / 'report.md'}")
    if args.keep:
        add_figures(resolve_bundle(args.model), _rounded(figures))
    return 0


def _perceptor(args: argparse.Namespace) -> Perceptor:
    return Perceptor.open(
        args.model,
        args.backend,
        threads=args.threads,
        openvino_precision=args.openvino_precision,
        electrode_threshold=args.threshold,
    )


def _judge(args: argparse.Namespace) -> dict[str, Evaluation]:
    with _perceptor(args) as perceptor:
        if args.data:
            return {_name(path): _on(perceptor, path) for path in args.data}
        paths = sorted(args.angiograms.glob("*.jpg"))
        unseen = without_copies(paths[args.angiograms_from :], paths[: args.angiograms_from])
        frames = cases.synthetic(args.first_seed, args.frames, unseen, cache=args.cache)
        name = "synthetic, processed" if args.processed else "synthetic"
        frames = cases.processed(frames) if args.processed else frames
        groups = {name: evaluate(perceptor, _shown(frames, "synthetic frames", args.frames))}
        if unseen and not args.processed:
            real = _shown(cases.without_electrodes(unseen), "real angiograms", len(unseen))
            groups["angiograms"] = evaluate(perceptor, real)
        return groups


def _on(perceptor: Perceptor, path: Path) -> Evaluation:
    """Judge on a folder with COCO labels, or on a bag."""
    if (path / "annotations.json").exists() or path.suffix == ".json":
        source = CocoSource(path)
        return evaluate(perceptor, _shown(cases.labelled(source), path.name, len(source)))
    return evaluate_sequence(perceptor, _shown(cases.recording(path), path.name, None))


def _shown(frames: Iterator[Frame], what: str, count: int | None) -> Iterator[Frame]:
    yield from track(frames, what, total=count)


def _name(path: Path) -> str:
    return path.resolve().stem


def _facts(args: argparse.Namespace) -> dict[str, str]:
    facts = {"threshold": "the model's own" if args.threshold is None else f"{args.threshold:g}"}
    if args.data:
        return facts | {"data": ", ".join(path.name for path in args.data)}
    return facts | {
        "synthetic frames": f"{args.frames} from seed {args.first_seed} on",
        "angiograms": f"from number {args.angiograms_from} on, without copies of earlier ones",
    }


def _catheters(args: argparse.Namespace) -> int:
    how = f"{args.catheters} sequences of {args.seconds:g} s"
    if args.through_model:
        title = f"{args.model}, {how}"
        with _perceptor(args) as perceptor:
            measured = {"seen": on_sequences(args.first_seed, args.catheters, perceptor, args.seconds)}
    else:
        title = f"true electrodes of {how}"
        measured = {
            name: on_sequences(args.first_seed, args.catheters, damage, args.seconds)
            for name, damage in _DAMAGES.items()
        }
    _print(title, {name: figures for name, (figures, _) in measured.items()}, args.json)
    if args.report:
        sequence_report.write(args.report, title, measured, {"first seed": args.first_seed})
        print(f"{args.report / 'report.md'}")
    return 0


def _print(title: str, figures: dict[str, dict[str, float]], path: Path | None) -> None:
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
