"""``bench``: what a frame costs, side by side and through the node over DDS; a benchmark, not a test."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from cath_perception import bench_report, benchmark
from cath_perception.backends import BACKENDS, Options
from cath_perception.backends.base import gpu_is_present
from cath_perception.bundle import ModelBundle, resolve_bundle
from cath_perception.commands.demo import SYNTHETIC, prepared, results_folder
from cath_perception.errors import CathError

SUMMARY = "measure how long a frame takes, side by side and through the node"
ON_CPU = "openvino,openvino_f32,eager,onnxruntime"
ON_GPU = "tensorrt,torch,eager,openvino,openvino_f32,onnxruntime"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bench`` takes to its parser."""
    parser.add_argument("--source", default=SYNTHETIC, help=f"recording to use (default {SYNTHETIC})")
    parser.add_argument("--model", default="light", help="name of a shipped model or a bundle's folder")
    parser.add_argument(
        "--networks", help=f"measured side by side (default {ON_CPU}, with a GPU {ON_GPU}; also: compiled)"
    )
    parser.add_argument("--node-backends", default="auto", help="backends of the node, one after the other")
    parser.add_argument("--rates", default="30,60,max", help="frames a second through the node (30,60,max)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, metavar="S", help="how long through the node at each rate"
    )
    parser.add_argument("--frames", type=int, default=200, metavar="N", help="frames of the networks")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: theirs)")
    parser.add_argument("--json", type=Path, default=Path("out/bench.json"), help="where the figures go")
    parser.add_argument("--plot", type=Path, help="a picture of them (default: beside the JSON)")
    parser.add_argument(
        "--report",
        type=Path,
        help="a document to write the tables into, between the marks named after the JSON",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write JSON, picture and report."""
    console = Console()
    rates = [_rate(text) for text in args.rates.split(",")]
    names = (args.networks or (ON_GPU if gpu_is_present() else ON_CPU)).split(",")
    out = results_folder(Path("out"), args.source)
    bag = prepared(args.source, out, False, console)
    bundle, options = ModelBundle.load(resolve_bundle(args.model)), Options(args.threads)
    frames = benchmark.first_frames(bag, args.frames)
    figures: dict[str, Any] = {
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": benchmark.machine(),
        "model": {
            "name": bundle.name,
            "architecture": bundle.architecture["name"],
            "input_size": bundle.input_size,
            "weights_sha256": bundle.weights_sha256,
        },
        "image": list(frames[0].shape[::-1]),
    }
    console.print(f"networks {', '.join(names)} in turns ...")
    figures["network"] = benchmark.networks(names, bundle, options, frames)
    if "tensorrt" in names and gpu_is_present():
        figures["network"].append(benchmark.biplane(bundle, options, frames))
    console.print("roofline ...")
    figures["roofline"] = benchmark.roof(bundle, options)
    figures["stages"] = []
    for name in (name for name in names if name in BACKENDS):
        console.print(f"stages with {name} ...")
        figures["stages"].append(benchmark.stages(args.model, name, options, frames))
    figures["node"] = []
    for backend in args.node_backends.split(","):
        for rate in rates:
            console.print(f"node with {backend} at {rate or 'the highest rate'} Hz ...")
            settings = {"model": args.model, "backend": backend, "threads": args.threads}
            hertz = rate or benchmark.HIGHEST_HZ
            entry = benchmark.through_node(bag, hertz, args.seconds, settings, out / "log")
            figures["node"].append(entry | {"highest": rate is None})
    _write(args, figures)
    console.print(Markdown(bench_report.markdown(figures)))
    console.print(f"figures in {args.json}")
    return 0


def _rate(text: str) -> float | None:
    """Hz; None for the highest. CathError for anything else."""
    try:
        return None if text == "max" else float(text)
    except ValueError as error:
        raise CathError(f"--rates: expected numbers and max, separated by commas, got {text!r}") from error


def _write(args: argparse.Namespace, figures: dict[str, Any]) -> None:
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(figures, indent=2) + "\n")
    bench_report.plot(args.plot or args.json.with_suffix(".png"), figures)
    if args.report:
        bench_report.write_report(args.report, args.json.stem, figures)
