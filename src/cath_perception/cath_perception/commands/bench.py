"""``bench``: what a frame costs, in the core and through the node over DDS; a benchmark, not a test."""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cath_perception import benchmark
from cath_perception.bundle import ModelBundle, resolve_bundle
from cath_perception.commands.demo import SYNTHETIC, prepared, results_folder

SUMMARY = "measure how long a frame takes, in the core and through the node"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bench`` takes to its parser."""
    parser.add_argument("--source", default=SYNTHETIC, help=f"recording to use (default {SYNTHETIC})")
    parser.add_argument("--model", default="light", help="name of a shipped model or a bundle's folder")
    parser.add_argument("--backends", default="openvino,torch", help="backends of the core, side by side")
    parser.add_argument("--node-backend", default="auto", help="backend of the node")
    parser.add_argument(
        "--rate", type=float, default=30.0, metavar="HZ", help="frames a second through the node"
    )
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="how long through the node")
    parser.add_argument("--frames", type=int, default=150, metavar="N", help="frames of the core")
    parser.add_argument("--json", type=Path, default=Path("out/bench.json"), help="where the figures go")


def run(args: argparse.Namespace) -> int:
    """Measure, print a table and write the JSON."""
    console = Console()
    out = results_folder(Path("out"), args.source)
    bag = prepared(args.source, out, False, console)
    frames = benchmark.first_frames(bag, args.frames)
    figures: dict[str, Any] = {
        "machine": benchmark.machine(),
        "model": {
            "name": args.model,
            "weights_sha256": ModelBundle.load(resolve_bundle(args.model)).weights_sha256,
        },
        "image": list(frames[0].shape[::-1]),
    }
    console.print("through the node ...")
    settings = {"model": args.model, "backend": args.node_backend}
    figures["node"] = benchmark.through_node(bag, args.rate, args.seconds, settings, out / "log")
    figures["core"] = []
    for backend in args.backends.split(","):
        console.print(f"core with {backend} ...")
        figures["core"].append(benchmark.core(args.model, backend, frames))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(_table(figures))
    console.print(f"figures in {args.json}")
    return 0


def _table(figures: dict[str, Any]) -> Table:
    node, width_height = figures["node"], " x ".join(map(str, figures["image"]))
    table = Table(
        "what", "p50 ms", "p95 ms", "p99 ms", title=f"{width_height} px, {figures['machine']['cpu']}"
    )

    def add(name: str, values: dict[str, float]) -> None:
        table.add_row(name, *(f"{values[f'p{p}']:.1f}" for p in benchmark.PERCENTILES))

    add(f"published to received, {node['rate_hz']:g} Hz", node["publish_to_receive_ms"])
    add("node, whole frame", node["node_ms"])
    add("node, network", node["network_ms"])
    add("node, all but the network", node["node_less_network_ms"])
    for entry in figures["core"]:
        if "refused" in entry:
            table.add_row(entry["backend"], "refused", "", entry["refused"][:60])
            continue
        add(f"core, {entry['backend']}: network", entry["stages_ms"]["network"])
        add("core, all but the network", entry["all_but_network_ms"])
    table.add_row(f"frames missed of {node['frames']}", str(node["missed"]), "", "")
    table.add_row("node: CPU cores, memory MB", f"{node['cpu_cores']}", f"{node['memory_mb']:.0f}", "")
    return table
