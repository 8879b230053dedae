"""Frames to judge a model by, with what is known of them: synthetic ones, angiograms, labelled images, bags."""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cath_perception.bags import NANOSECONDS, TRUTH_TOPIC, BagReader
from cath_perception.from_message import catheter_from_message
from cath_perception.sources.bag import BagSource, stamp_ns
from cath_perception.types import Catheter
from cath_training.data import bank
from cath_training.data.labelled import DataError, LabelledSource
from cath_training.metrics import dense
from cath_training.synthetic import processing, still
from cath_training.synthetic.still import Still, draw_still


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and its truth.

    Attributes:
        name: for pictures and messages.
        pixels: ``(H, W)`` uint8, uint16 or float32.
        electrodes: ``(M, 4)`` x, y, width, height in px; None where they are not known.
        kinds: the catheter type of each electrode, empty where not known.
        mask: ``(H, W)`` bool, None where not known.
        centerlines: ``(N, 2)`` curves in px, what of them can be seen; None where not known.
        catheters: with lasting ids, None where not known. stamp_ns: when it was taken, 0 where that means nothing.
    """

    name: str
    pixels: NDArray[Any]
    electrodes: NDArray[np.floating] | None
    kinds: tuple[str, ...] = ()
    mask: NDArray[np.bool_] | None = None
    centerlines: tuple[NDArray[np.floating], ...] | None = None
    catheters: tuple[Catheter, ...] | None = None
    stamp_ns: int = 0

    @property
    def side(self) -> int:
        """The longer side in px."""
        return max(self.pixels.shape)


def synthetic(
    first_seed: int, count: int, angiograms: Sequence[Path], size: int = 512, cache: Path | None = None
) -> Iterator[Frame]:
    """``count`` synthetic frames, one a seed; drawn once and kept below ``cache`` where that is given."""
    folder = cache / f"frames-{_fingerprint(angiograms, size)}" if cache else None
    for seed in range(first_seed, first_seed + count):
        path = folder / f"{seed}.npz" if folder else None
        if path and path.exists():
            yield _load(path)
            continue
        frame = of_still(f"synthetic {seed}", draw_still(seed, size, angiograms))
        if path:
            _save(path, frame)
        yield frame


def processed(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames as a system may show and record them: all annotated, half enhanced, half compressed.

    What graphics hide is taken out of electrodes and mask.
    """
    for n, frame in enumerate(frames):
        image = torch.from_numpy(frame.pixels)[None, None].float() / 255
        image, uncovered = processing.treat(image, np.random.default_rng([n, 41]), (0.5, 1.0, 0.5))
        shown = uncovered[0, 0].numpy()
        pixels = (image[0, 0] * 255).round().to(torch.uint8).numpy()
        assert frame.electrodes is not None
        assert frame.mask is not None
        column, row = np.round(frame.electrodes[:, :2]).astype(int).T
        clear = shown[row, column]
        kinds = tuple(compress(frame.kinds, clear))
        yield replace(
            frame, pixels=pixels, electrodes=frame.electrodes[clear], kinds=kinds, mask=frame.mask & shown
        )


def of_still(name: str, drawn: Still) -> Frame:
    """A drawn frame; its centrelines are the pieces that lie in the frame and that no shutter hides."""
    return Frame(name, drawn.pixels, drawn.electrodes, drawn.kinds, drawn.mask, tuple(_seen(drawn)))


def _seen(drawn: Still) -> list[NDArray[np.float32]]:
    shown: list[NDArray[np.float32]] = []
    for curve in drawn.centerlines:
        points = dense(curve)
        x, y = np.round(points).astype(int).T
        kept = (x >= 0) & (x < drawn.mask.shape[1]) & (y >= 0) & (y < drawn.mask.shape[0])
        kept[kept] = drawn.mask[y[kept], x[kept]]
        index = np.flatnonzero(kept)
        runs = np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)
        shown += [points[run].astype(np.float32) for run in runs if len(run)]
    return shown


def _fingerprint(angiograms: Sequence[Path], size: int) -> str:
    """Changes with the generator, so that no frame of an older one is judged by."""
    digest = hashlib.sha256(repr((size, [path.name for path in angiograms])).encode())
    for path in [*sorted(Path(still.__file__).parent.glob("*.py")), Path(bank.__file__), Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _save(path: Path, frame: Frame) -> None:
    assert frame.electrodes is not None
    assert frame.mask is not None
    assert frame.centerlines is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npz")  # another evaluation may draw the same frame
    np.savez(
        part,
        pixels=frame.pixels,
        electrodes=frame.electrodes,
        kinds=np.array(frame.kinds, "U32"),
        mask=np.packbits(frame.mask),
        points=np.concatenate([np.empty((0, 2), np.float32), *frame.centerlines]),
        lengths=np.array([len(curve) for curve in frame.centerlines], int),
    )
    part.replace(path)


def _load(path: Path) -> Frame:
    with np.load(path, allow_pickle=False) as held:
        pixels, kinds = held["pixels"], tuple(held["kinds"].tolist())
        mask = np.unpackbits(held["mask"], count=pixels.size).reshape(pixels.shape) > 0
        curves = np.split(held["points"], np.cumsum(held["lengths"])[:-1]) if len(held["lengths"]) else []
        return Frame(f"synthetic {path.stem}", pixels, held["electrodes"], kinds, mask, tuple(curves))


def without_electrodes(paths: Sequence[Path]) -> Iterator[Frame]:
    """Real images in which there is no electrode. Raises DataError for what OpenCV cannot read."""
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise DataError(f"{path}: expected an image, OpenCV cannot read it")
        yield Frame(path.stem, image, np.empty((0, 4)))


def labelled(source: LabelledSource) -> Iterator[Frame]:
    """Labelled images as frames."""
    for index in range(len(source)):
        sample = source[index]
        yield Frame(sample.name, sample.image, sample.boxes, sample.kinds, sample.mask)


def recording(path: Path) -> Iterator[Frame]:
    """A bag's frames that have a truth of the same stamp. Raises DataError where none has, SourceError for its faults."""
    truths = catheters_by_stamp(path, {TRUTH_TOPIC})
    found = False
    with BagSource(path) as source:
        for frame in source:
            stamp = source.start_ns + round(frame.time_s * NANOSECONDS)
            if stamp in truths:
                found = True
                yield _of_truth(f"{path.stem} {frame.index}", frame.pixels, truths[stamp], stamp)
    if not found:
        raise DataError(f"{path}: no frame of this bag has a truth: record {TRUTH_TOPIC}, too")


def _of_truth(name: str, pixels: NDArray[Any], truth: tuple[Catheter, ...], stamp: int) -> Frame:
    seen = [(e, c.type) for c in truth for e in c.electrodes if e.visible]
    boxes = np.array([(e.x, e.y, e.width, e.height) for e, _ in seen]).reshape(-1, 4)
    kinds = tuple(kind or "unknown" for _, kind in seen)
    lines = tuple(c.centerline.points for c in truth if c.centerline is not None)
    return Frame(name, pixels, boxes, kinds, None, lines, truth, stamp)


def catheters_by_stamp(path: Path, topics: Collection[str]) -> dict[int, tuple[Catheter, ...]]:
    """What ``cath_msgs/CatheterArray`` topics of a bag hold, by header stamp in ns; not what was not computed."""
    found: dict[int, tuple[Catheter, ...]] = {}
    with BagReader(path) as reader:
        known = {name for name in topics if reader.topics.get(name) == "cath_msgs/msg/CatheterArray"}
        for item in reader.messages(known) if known else ():
            message = reader.decode(item)
            if message.computed:
                found[stamp_ns(message)] = tuple(map(catheter_from_message, message.catheters))
    return found
