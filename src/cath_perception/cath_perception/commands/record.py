"""``record SOURCE BAG``: a ROS 2 bag of a DICOM run, images, a video or the synthetic generator."""

import argparse
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cath_perception.recording import RecordingSummary, record
from cath_perception.sources import FrameSource, SourceInfo, SourceOptions, adapt, open_source
from cath_perception.sources.synthetic import is_synthetic, parse_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``record`` takes to its parser."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="DICOM file, image, folder of images, video, bag, or synthetic[:seconds=20,seed=1,...]",
    )
    parser.add_argument("bag", metavar="BAG", help="folder to make; its parent is made if need be")
    parser.add_argument(
        "--rate", type=float, metavar="HZ", help="frame rate, instead of the source's own times"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after so many seconds")
    parser.add_argument("--frames", type=int, metavar="N", help="stop after so many frames")
    parser.add_argument("--size", type=int, metavar="PX", help="resize: length of the longer side")
    parser.add_argument("--force", action="store_true", help="replace an existing bag")


def run(args: argparse.Namespace) -> int:
    """Record, with a progress bar on a terminal and one closing line. Raises ``SourceError``."""
    spec, options = _arranged(args)
    with adapt(open_source(spec), options) as source:
        try:
            summary = _record(source, args.bag, args.force)
        except KeyboardInterrupt:
            print("cath: interrupted; no bag was written", file=sys.stderr)
            return 130
        print(closing_line(args.bag, source.info, summary))
    return 0


def _arranged(args: argparse.Namespace) -> tuple[str, SourceOptions]:
    """The generator is asked to make what is wanted; anything else is adapted to it."""
    options = SourceOptions(rate_hz=args.rate, seconds=args.seconds, frames=args.frames, size=args.size)
    if not is_synthetic(args.source):
        return args.source, options
    wanted = {"rate": args.rate, "seconds": args.seconds, "size": args.size}
    merged = parse_options(args.source) | {key: value for key, value in wanted.items() if value is not None}
    text = ",".join(f"{key}={value}" for key, value in merged.items())
    return f"synthetic:{text}" if text else "synthetic", SourceOptions(frames=args.frames)


def _record(source: FrameSource, bag: str, force: bool) -> RecordingSummary:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(source.info.name, total=source.info.frames)
        return record(source, bag, force, on_frame=lambda _: progress.advance(task))


def closing_line(bag: str, info: SourceInfo, summary: RecordingSummary) -> str:
    """What was recorded, in one line."""
    spacing = "spacing unknown"
    if info.pixel_spacing_mm:
        plane = info.metadata.get("pixel_spacing_plane", "plane not stated")
        spacing = f"{info.pixel_spacing_mm:.3f} mm/px, {plane}"
    frames = "1 frame" if summary.frames == 1 else f"{summary.frames} frames"
    times = info.metadata.get("frame_times_from", "")
    timing = f"{info.rate_hz:.4g} Hz" + (f" ({times})" if times.startswith("none stated") else "")
    return (
        f"{bag}: {frames} of {info.width} x {info.height} px, {info.bits} bits, {timing}, "
        f"{summary.seconds:.2f} s, {summary.size_bytes / 1e6:.1f} MB, {spacing}"
    )
