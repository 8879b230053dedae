"""``demo [SOURCE]``: a recording through the real node, and what it found as a video, a contact sheet and figures."""

import argparse
import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from cath_perception.errors import CathError, SourceError
from cath_perception.motion_picture import MotionPicture
from cath_perception.overlay import draw
from cath_perception.pictures import VideoWriter, add_truth, contact_sheet
from cath_perception.scoring import CatheterTally, Tally
from cath_perception.sources.bag import BagSource
from cath_perception.types import CatheterStatus

SUMMARY = "find catheters in a moving X-ray sequence with the real ROS 2 node; results in out/"
SYNTHETIC = "synthetic:seconds=20,rate=15,size=512,seed=9"
SHEET_TILES = 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``demo`` takes to its parser."""
    parser.add_argument(
        "source",
        nargs="?",
        default=SYNTHETIC,
        metavar="SOURCE",
        help=f"DICOM file, image, folder of images, video, bag, or {SYNTHETIC} (the default)",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results (default out)")
    parser.add_argument("--model", default="light", help="name of a shipped model or a bundle's folder")
    parser.add_argument("--backend", default="auto", help="auto, openvino, torch or tensorrt")
    parser.add_argument(
        "--fresh", action="store_true", help="convert the source again even if that was done before"
    )


def run(args: argparse.Namespace) -> int:
    """Record if need be, replay through the node, and show what came of it."""
    from cath_perception import demonstration  # needs ROS, which `demo --help` does not

    console = Console()
    began = time.monotonic()
    out = results_folder(args.out, args.source)
    bag = prepared(args.source, out, args.fresh, console)
    with BagSource(bag) as source:
        topic, info = source.image_topic, source.info
    console.print(
        f"{info.frames} frames of {info.width} x {info.height} px at {info.rate_hz:.1f}/s through the node ..."
    )
    traffic = demonstration.perceive_bag(bag, topic, out, {"model": args.model, "backend": args.backend})
    answers = demonstration.Answers(out / "answers")
    tallies, counts = _show(bag, answers, out)
    figures = demonstration.figures(traffic, answers, tallies, counts)
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    table = Table("figure", "value", title=info.name)
    for name, value in figures.items():
        table.add_row(name, str(value))
    console.print(table)
    console.print(
        f"video {out / 'video.mp4'}, sheet {out / 'sheet.png'}, answers {out / 'answers'}, input {bag}"
    )
    console.print(f"done in {time.monotonic() - began:.0f} s")
    return 0


def results_folder(out: Path, source: str) -> Path:
    """Where the results of a source go: a readable name, and another one for another source."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(source).stem if Path(source).exists() else source.split(":")[0])
    key = str(Path(source).resolve()) if Path(source).exists() else source
    return out / f"{stem.strip('-')[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:6]}"


def prepared(source: str, out: Path, fresh: bool, console: Console) -> Path:
    """The source as a bag: itself, or converted to ``out/input`` (kept for the next time)."""
    from cath_perception.commands import record

    path = Path(source)
    if (path / "metadata.yaml").exists() or path.suffix in (".mcap", ".db3"):
        return path
    bag, made_of = out / "input", out / "input.key"
    key = f"{source} {path.stat().st_mtime_ns if path.exists() else _generator_key()}"
    if not fresh and bag.exists() and made_of.exists() and made_of.read_text() == key:
        return bag
    console.print(f"converting {source} ...")
    arguments = argparse.Namespace(
        source=source, bag=str(bag), rate=None, seconds=None, frames=None, size=None, force=True
    )
    if record.run(arguments) != 0:
        raise SourceError(f"{source} could not be recorded")
    made_of.write_text(key)
    return bag


def _generator_key() -> str:
    """Changes with the generator's source, so that no old sequence is shown for new code."""
    try:
        import cath_training.synthetic
    except ModuleNotFoundError as error:
        raise CathError(
            "the synthetic source needs cath_training, which ./cath provides; or give a recording"
        ) from error
    files = sorted(Path(cath_training.synthetic.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _show(bag: Path, answers: Any, out: Path) -> tuple[tuple[Tally, CatheterTally] | None, dict[str, float]]:
    """Write video and contact sheet; score against the truth where the recording has it."""
    tally, identities, moving = Tally(), CatheterTally(), MotionPicture()
    electrodes, catheters, answered = 0, 0, 0
    tiles: list[Any] = []
    with BagSource(bag) as source, VideoWriter(out / "video.mp4", source.info.rate_hz) as video:
        count = source.info.frames or 1
        truth_known = False
        for frame in track(source, "video", total=count, transient=True):
            stamp = source.start_ns + round(frame.time_s * 1e9)
            height, width = frame.pixels.shape
            result = answers.result(stamp, width, height)
            if result is None:
                continue
            answered += 1
            electrodes += len(result.electrodes)
            catheters += sum(c.status is CatheterStatus.DETECTED for c in result.catheters or ())
            picture = draw(frame.pixels, result)
            motion = answers.motion(stamp)
            if motion is not None:
                moving.draw(picture, motion, result.catheters or (), frame.time_s)
            if frame.truth is not None:
                truth_known = True
                truth = [(e.x, e.y) for c in frame.truth for e in c.electrodes]
                tally.add([(e.x, e.y) for e in result.electrodes], truth, max(width, height))
                identities.add(result.catheters or (), frame.truth, max(width, height))
                add_truth(picture, truth)
            video.add(picture)
            if frame.index * SHEET_TILES >= len(tiles) * count:  # evenly, of the answered frames
                tiles.append(picture)
    if not answered:
        raise SourceError(f"none of the frames of {bag} was answered")
    _write_sheet(out / "sheet.png", tiles or [picture])
    counts = {"electrodes per frame": electrodes / answered, "catheters per frame": catheters / answered}
    return ((tally, identities) if truth_known else None), counts


def _write_sheet(path: Path, tiles: list[Any]) -> None:
    import cv2

    if not cv2.imwrite(str(path), contact_sheet(tiles)):
        raise CathError(f"{path}: could not be written")
