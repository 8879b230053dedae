"""A source of frames to a bag: images, camera info, metadata and, where it is known, the truth."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cath_perception.bags import (
    CAMERA_INFO_TOPIC,
    FRAME_ID,
    IMAGE_TOPIC,
    IMAGE_TYPE,
    METADATA_TOPIC,
    NANOSECONDS,
    TRUTH_TOPIC,
    BagWriter,
    typestore,
)
from cath_perception.errors import SourceError
from cath_perception.sources.base import FrameSource, Pixels, SourceFrame, SourceInfo
from cath_perception.types import Catheter, Centerline, Electrode

METADATA_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """What was written: frames, seconds from the first to the last, bytes on disk."""

    frames: int
    seconds: float
    size_bytes: int


def record(
    source: FrameSource,
    path: str | Path,
    force: bool = False,
    start_ns: int | None = None,
    on_frame: Callable[[SourceFrame], None] | None = None,
) -> RecordingSummary:
    """Write every frame of ``source`` to a new bag at ``path``.

    Header stamps and recording times are ``start_ns`` (default: now) plus the frame's time.

    Raises:
        SourceError: the source cannot be read to its end, or the bag not written; then no bag is left behind.
    """
    start_ns = time.time_ns() if start_ns is None else start_ns
    count, last_s = 0, -1.0
    with BagWriter(path, force) as writer:
        _announce(writer, source.info, start_ns)
        for frame in source:
            if frame.time_s <= last_s:
                raise SourceError(
                    f"{frame.name}: frame {frame.index} is at {frame.time_s} s, not after {last_s} s"
                )
            if count == 0 and frame.truth is not None:
                writer.add_topic(TRUTH_TOPIC, "cath_msgs/msg/CatheterArray")
            _write_frame(writer, source.info, frame, start_ns + round(frame.time_s * NANOSECONDS))
            count, last_s = count + 1, frame.time_s
            if on_frame is not None:
                on_frame(frame)
        if count == 0:
            raise SourceError(f"{source.info.name}: the source holds no frames")
    return RecordingSummary(count, last_s, sum(item.stat().st_size for item in writer.path.iterdir()))


def _announce(writer: BagWriter, info: SourceInfo, start_ns: int) -> None:
    writer.add_topic(METADATA_TOPIC, "std_msgs/msg/String", latched=True)
    writer.add_topic(CAMERA_INFO_TOPIC, "sensor_msgs/msg/CameraInfo")
    writer.add_topic(IMAGE_TOPIC, IMAGE_TYPE)
    text = json.dumps({"schema_version": METADATA_SCHEMA, **asdict(info)}, allow_nan=False)
    writer.write(METADATA_TOPIC, start_ns, _type("std_msgs/msg/String")(data=text))


def _write_frame(writer: BagWriter, info: SourceInfo, frame: SourceFrame, stamp_ns: int) -> None:
    header = _header(stamp_ns)
    writer.write(CAMERA_INFO_TOPIC, stamp_ns, camera_info(info, header))
    if frame.truth is not None:
        message = _type("cath_msgs/msg/CatheterArray")(
            header=header, computed=True, catheters=[_catheter(item) for item in frame.truth]
        )
        writer.write(TRUTH_TOPIC, stamp_ns, message)
    writer.write(IMAGE_TOPIC, stamp_ns, image_message(frame.pixels, header))


def _type(name: str) -> Any:
    return typestore().types[name]


def _header(stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    stamp = _type("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)
    return _type("std_msgs/msg/Header")(stamp=stamp, frame_id=FRAME_ID)


def image_message(pixels: Pixels, header: Any) -> Any:
    """``(H, W)`` uint8 or uint16 as a mono8 or little-endian mono16 Image without row padding."""
    wide = pixels.dtype == np.uint16
    height, width = pixels.shape
    data = np.ascontiguousarray(pixels, dtype="<u2" if wide else np.uint8)
    return _type(IMAGE_TYPE)(
        header=header,
        height=height,
        width=width,
        encoding="mono16" if wide else "mono8",
        is_bigendian=0,
        step=width * data.itemsize,
        data=data.reshape(-1).view(np.uint8),
    )


def camera_info(info: SourceInfo, header: Any) -> Any:
    """The X-ray source as a pinhole: focal length = source-detector distance / detector pixel, in px.

    The central ray is taken to meet the image's centre. Where distance or spacing is unknown everything is 0,
    which is CameraInfo's convention for 'uncalibrated'.
    """
    matrix, rotation, projection = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 4))
    distortion = np.zeros(0)
    known = bool(info.detector_spacing_mm and info.source_detector_mm)
    if info.detector_spacing_mm and info.source_detector_mm:
        centre_x, centre_y = (info.width - 1) / 2, (info.height - 1) / 2
        focal = info.source_detector_mm / info.detector_spacing_mm
        matrix[:] = np.array([[focal, 0.0, centre_x], [0.0, focal, centre_y], [0.0, 0.0, 1.0]])
        rotation[:] = np.eye(3)
        projection[:, :3] = matrix
        distortion = np.zeros(5)
    return _type("sensor_msgs/msg/CameraInfo")(
        header=header,
        height=info.height,
        width=info.width,
        distortion_model="plumb_bob" if known else "",
        d=distortion,
        k=matrix.reshape(-1),
        r=rotation.reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=_type("sensor_msgs/msg/RegionOfInterest")(
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def _catheter(item: Catheter) -> Any:
    return _type("cath_msgs/msg/Catheter")(
        id=item.id,
        type=item.type or "",
        type_confidence=item.type_confidence,
        score=item.score,
        status=int(item.status),
        electrodes=[_electrode(electrode) for electrode in item.electrodes],
        centerline=_centerline(item.centerline, item.id),
    )


def _electrode(item: Electrode) -> Any:
    return _type("cath_msgs/msg/Electrode")(
        x=item.x,
        y=item.y,
        width=item.width,
        height=item.height,
        score=item.score,
        sigma=item.sigma,
        catheter_id=item.catheter,
        index=item.index,
        visible=item.visible,
    )


def _centerline(item: Centerline | None, catheter: int) -> Any:
    points = np.zeros((0, 2), np.float32) if item is None else np.asarray(item.points, np.float32)
    return _type("cath_msgs/msg/Centerline")(
        catheter_id=catheter,
        width=0.0 if item is None else float(item.width),
        x=np.ascontiguousarray(points[:, 0]),
        y=np.ascontiguousarray(points[:, 1]),
    )
