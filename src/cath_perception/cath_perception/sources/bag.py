"""A bag as a source: its raw images, with the metadata and truth recorded beside them."""

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from cath_perception.bags import METADATA_TOPIC, NANOSECONDS, TRUTH_TOPIC, BagReader
from cath_perception.errors import ImageError, SourceError
from cath_perception.from_message import catheter_from_message
from cath_perception.image import gray_from_buffer
from cath_perception.sources.base import DEFAULT_RATE_HZ, FrameSource, Pixels, SourceFrame, SourceInfo
from cath_perception.types import Catheter


class BagSource(FrameSource):
    """Images of one ``sensor_msgs/Image`` topic; times are those of their headers from the first.

    Encoding, row padding and byte order are honoured; 32-bit float images are not accepted, since a recording
    holds integers. Truth is that of ``/truth/catheters`` with the same stamp. ``start_ns`` is the first image's stamp,
    ``image_topic`` the name of its topic.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        self._reader = BagReader(path)
        self._path = path
        found = topic or self._reader.image_topic()
        if found is None or not self._reader.counts.get(found):
            held = ", ".join(f"{name} ({kind})" for name, kind in sorted(self._reader.topics.items()))
            self._reader.close()
            raise SourceError(f"{path}: no raw images (sensor_msgs/Image) in this bag; it holds {held}")
        self._topic = self.image_topic = found
        try:
            self.info = self._describe()
        except BaseException:
            self._reader.close()
            raise

    def _describe(self) -> SourceInfo:
        images = (self._reader.decode(item) for item in self._reader.messages({self._topic}))
        first = next(images, None)
        if first is None:
            count = self._reader.counts[self._topic]
            raise SourceError(
                f"{self._path}: the bag states {count} images on {self._topic} and holds none; it is damaged, copy it again"
            )
        self.start_ns = stamp_ns(first)
        pixels = self._pixels(first)
        second = next(images, None)
        stated = self._stated()
        count = self._reader.counts[self._topic]
        if stated is not None and (stated.width, stated.height) == (pixels.shape[1], pixels.shape[0]):
            values = {item.name: getattr(stated, item.name) for item in fields(SourceInfo)}
            return SourceInfo(**{**values, "frames": count})
        period = stamp_ns(second) - stamp_ns(first) if second is not None else 0
        return SourceInfo(
            name=self._path.stem,
            width=pixels.shape[1],
            height=pixels.shape[0],
            bits=8 * pixels.itemsize,
            frames=count,
            rate_hz=NANOSECONDS / period if period > 0 else DEFAULT_RATE_HZ,
            metadata={"kind": "bag", "frame_times_from": "header stamps", "image_topic": self._topic},
        )

    def _stated(self) -> SourceInfo | None:
        """What the recording says of itself; None where it says nothing usable."""
        if self._reader.topics.get(METADATA_TOPIC) != "std_msgs/msg/String":
            return None
        for message in self._reader.messages({METADATA_TOPIC}):
            try:
                stated = json.loads(self._reader.decode(message).data)
                known = {item.name for item in fields(SourceInfo)}
                info = SourceInfo(**{key: value for key, value in stated.items() if key in known})
                return info if _is_sound(info) else None
            except (ValueError, TypeError, AttributeError):
                return None
        return None

    def __iter__(self) -> Iterator[SourceFrame]:
        start: int | None = None
        index = 0
        truths: dict[int, tuple[Catheter, ...]] = {}
        has_truth = self._reader.topics.get(TRUTH_TOPIC) == "cath_msgs/msg/CatheterArray"
        topics = {self._topic, TRUTH_TOPIC} if has_truth else {self._topic}
        for item in self._reader.messages(topics):
            message = self._reader.decode(item)
            stamp = stamp_ns(message)
            if item.topic == TRUTH_TOPIC:
                truths = {stamp: tuple(catheter_from_message(entry) for entry in message.catheters)}
                continue
            start = stamp if start is None else start
            seconds = (stamp - start) / NANOSECONDS
            yield SourceFrame(self._pixels(message), seconds, index, self.info.name, truths.get(stamp))
            index += 1

    def _pixels(self, message: Any) -> Pixels:
        try:
            pixels = gray_from_buffer(
                message.data,
                message.width,
                message.height,
                message.encoding,
                message.step,
                message.is_bigendian,
            )
        except ImageError as error:
            raise SourceError(f"{self._path}: an image on {self._topic} cannot be used: {error}") from error
        if pixels.dtype not in (np.uint8, np.uint16):
            raise SourceError(
                f"{self._path}: {message.encoding} images on {self._topic}; expected 8 or 16 bit integers"
            )
        return pixels

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()


def _is_sound(info: SourceInfo) -> bool:
    """Whether what a recording says of itself can be worked with: anyone may publish on that topic."""
    lengths = (
        info.pixel_spacing_mm,
        info.detector_spacing_mm,
        info.source_detector_mm,
        info.source_patient_mm,
    )
    needed = [info.rate_hz, info.bits, *(length for length in lengths if length is not None)]
    return (
        isinstance(info.name, str)
        and isinstance(info.metadata, dict)
        and all(isinstance(value, int | float) and 0 < value < math.inf for value in needed)
        and 8 <= info.bits <= 16
    )


def stamp_ns(message: Any) -> int:
    """Header stamp of a decoded message in ns."""
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
