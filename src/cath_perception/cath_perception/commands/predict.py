"""``predict PATH...``: electrodes and catheters of images, recordings and videos as JSON and pictures, without ROS."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cath_perception.backends.base import PRECISIONS
from cath_perception.bundle import write_atomically
from cath_perception.errors import BackendError, CathError, ImageError, SourceError
from cath_perception.motion import Motion
from cath_perception.motion_picture import MotionPicture
from cath_perception.overlay import draw
from cath_perception.perceptor import Perceptor
from cath_perception.sequence import SequencePerceptor, SequenceResult
from cath_perception.sources import FrameSource, SourceFrame, open_source
from cath_perception.types import PerceptionResult

Record = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``predict`` takes to its parser."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="DICOM file, image, folder of images, video, bag, or synthetic",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything found here (- for standard output)"
    )
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write annotated frames (PNG) here")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="write masks (PNG, 0 and 255) here")
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="electrode score, 0 to 1 (default: the model's)"
    )
    parser.add_argument(
        "--model", default="light", help="name of a shipped model, or a bundle's folder (default: light)"
    )
    parser.add_argument("--backend", default="auto", help="auto, tensorrt, openvino or torch (default: auto)")
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads (default: the backend's choice)"
    )
    parser.add_argument(
        "--openvino-precision",
        choices=PRECISIONS,
        default="auto",
        help="arithmetic of OpenVINO (default: the fastest of enough accuracy that the CPU and the model have)",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0 if every frame was answered, 1 if some were not (the JSON and the messages say which), 2 if none was."""
    if not (args.json or args.overlay or args.masks):
        raise CathError("predict: expected --json, --overlay or --masks, else nothing would be kept")
    outputs = _Outputs(args.overlay, args.masks)
    for folder in filter(None, (args.overlay, args.masks)):
        _make(folder)
    if args.json and str(args.json) != "-":
        _make(args.json.resolve().parent)
    console = Console(stderr=True)
    with Perceptor.open(
        args.model,
        args.backend,
        threads=args.threads,
        openvino_precision=args.openvino_precision,
        electrode_threshold=args.threshold,
    ) as perceptor:
        records = [record for path in args.paths for record in _source(path, perceptor, outputs, console)]
        report = {"model": perceptor.bundle.name, "frames": records}
    _write_json(report, args.json)
    failed = sum("error" in record for record in records)
    answered = len(records) - failed
    found = sum(len(record["electrodes"]) for record in records)
    console.print(
        f"{answered} frames answered, {found} electrodes, {failed} failed; {perceptor.backend.description}"
    )
    return 0 if not failed and answered else 1 if answered else 2


@dataclass
class _Outputs:
    overlay: Path | None
    masks: Path | None
    names: set[str] = field(default_factory=set)
    moving: MotionPicture = field(default_factory=MotionPicture)

    def write(self, source: str, frame: SourceFrame, result: PerceptionResult, motion: Motion | None) -> None:
        """Write the pictures asked for; sources of the same name are told apart by a number."""
        if self.overlay is None and self.masks is None:
            return
        stem = Path(source).stem if Path(source).exists() else source.split(":")[0]
        name, number = f"{stem}_{frame.index:05d}.png", 1
        while name in self.names:
            number += 1
            name = f"{stem}-{number}_{frame.index:05d}.png"
        self.names.add(name)
        if self.overlay is not None:
            picture = draw(frame.pixels, result)
            if motion is not None:
                self.moving.draw(picture, motion, result.catheters or (), frame.time_s)
            _write_picture(self.overlay / name, picture)
        if self.masks is not None:
            _write_picture(self.masks / name, result.mask)


def _source(path: str, perceptor: Perceptor, outputs: _Outputs, console: Console) -> Iterator[Record]:
    """One record for every frame of a source, and one for where it broke off if it did."""
    index, outputs.moving = 0, MotionPicture()
    try:
        with open_source(path) as source, _progress(source, console) as advance:
            sequence = SequencePerceptor(perceptor) if _is_sequence(source) else None
            for frame in source:
                index = frame.index
                yield _frame(path, frame, sequence or perceptor, outputs, console)
                advance()
                index += 1
    except SourceError as error:
        yield _failure(path, index, 0, 0, error, console)


def _is_sequence(source: FrameSource) -> bool:
    """Whether its frames follow each other, so that catheters can be tracked; images of a folder need not."""
    return source.info.frames != 1 and source.info.metadata.get("kind") != "images"


def _frame(
    path: str,
    frame: SourceFrame,
    perceptor: Perceptor | SequencePerceptor,
    outputs: _Outputs,
    console: Console,
) -> Record:
    source = path
    if Path(path).is_dir() and (Path(path) / frame.name).is_file():
        source = str(Path(path) / frame.name)
    height, width = frame.pixels.shape[:2]
    try:
        if isinstance(perceptor, SequencePerceptor):
            answer = perceptor(frame.pixels, frame.time_s)
        else:
            answer = SequenceResult(perceptor(frame.pixels), None)
    except (ImageError, BackendError) as error:
        return _failure(source, frame.index, width, height, error, console)
    outputs.write(source, frame, answer.result, answer.motion)
    record = record_of(source, frame.index, answer.result)
    if answer.motion is not None:
        record |= {"time_s": frame.time_s, "motion": motion_of(answer.motion)}
    return record


def record_of(source: str, index: int, result: PerceptionResult) -> Record:
    """One frame as it stands in the JSON; coordinates in image px."""
    return {
        "source": source,
        "index": index,
        "width": result.width,
        "height": result.height,
        "time_ms": round(result.times.total, 3),
        "electrodes": [
            {
                "x": e.x,
                "y": e.y,
                "width": e.width,
                "height": e.height,
                "score": e.score,
                "catheter": e.catheter if e.catheter >= 0 else None,
                "index": e.index if e.index >= 0 else None,
            }
            for e in result.electrodes
        ],
        "catheters": [
            {
                "id": c.id,
                "type": c.type,
                "type_confidence": round(c.type_confidence, 4),
                "status": c.status.name.lower(),
                "score": c.score,
                "bridged": [{"x": e.x, "y": e.y, "index": e.index} for e in c.electrodes if not e.visible],
                "centerline": []
                if c.centerline is None
                else c.centerline.points.round(2).astype(float).tolist(),
            }
            for c in result.catheters or ()
        ],
    }


def motion_of(motion: Motion) -> Record | None:
    """The reference catheter's motion in the JSON, named as in ``cath_msgs/CatheterMotion``; None: no answer."""
    if not motion.valid:
        return None
    return {
        "reference_time_s": motion.reference_time_s,
        "translation_px": motion.translation.tolist(),
        "rotation_rad": motion.rotation,
        "respiratory_px": motion.respiratory.tolist(),
        "cardiac_px": motion.cardiac.tolist(),
        "residual_px": motion.residual,
        "quality": motion.quality,
    }


def _failure(source: str, index: int, width: int, height: int, error: CathError, console: Console) -> Record:
    """A frame that was not answered: as empty as it must be, with the reason under ``error``."""
    console.print(f"cath: {source}, frame {index}: {error}", highlight=False, markup=False, soft_wrap=True)
    return {
        "source": source,
        "index": index,
        "width": width,
        "height": height,
        "time_ms": 0.0,
        "electrodes": [],
        "catheters": [],
        "error": str(error),
    }


def _progress(source: FrameSource, console: Console) -> Any:
    """A context manager giving a function to call after every frame; a bar where a person is watching."""
    if not console.is_terminal:
        return nullcontext(lambda: None)
    return _Bar(source, console)


class _Bar:
    def __init__(self, source: FrameSource, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(source.info.name, total=source.info.frames)

    def __enter__(self) -> Any:
        self._progress.start()
        return lambda: self._progress.advance(self._task)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _write_json(report: Record, path: Path | None) -> None:
    if path is None:
        return
    text = json.dumps(report, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise CathError(f"{path}: cannot be written: {error.strerror}") from error


def _write_picture(path: Path, picture: Any) -> None:
    if not cv2.imwrite(str(path), picture):
        raise CathError(f"{path}: cannot be written; is the disk full?")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CathError(f"{folder}: cannot be made: {error.strerror}") from error
