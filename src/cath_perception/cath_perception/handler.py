"""What happens to one frame: checks, perception, publishing, and a status that says how it went."""

import math
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from builtin_interfaces.msg import Time
from cath_msgs.msg import PerceptionStatus
from numpy.typing import NDArray
from rclpy.clock import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from cath_perception import transform
from cath_perception.convert import pixels_from_compressed, pixels_from_image
from cath_perception.diagnostics import State
from cath_perception.errors import ImageError
from cath_perception.intake import Counters, GapCounter, StampError, StampGuard, check_not_future
from cath_perception.motion import Motion
from cath_perception.outputs import Outputs
from cath_perception.parameters import Settings
from cath_perception.sequence import SequencePerceptor
from cath_perception.types import PerceptionResult, StageTimes

Frame: TypeAlias = Image | CompressedImage
_WITHOUT_INFO = 30  # images after which camera info that was asked for should have come
_STAGES = ("preprocess", "network", "decode", "mask", "centerline", "grouping")


class FrameHandler:
    """Answers frames one by one; no frame can make it raise.

    Attributes:
        counters: frames since activation.
        gaps: counts frames that never arrived.
        camera_info: the newest camera info, None before the first.
    """

    def __init__(
        self, perceptor: SequencePerceptor, outputs: Outputs, clock: Clock, settings: Settings
    ) -> None:
        self.camera_info: CameraInfo | None = None
        self._perceptor, self._outputs, self._clock = perceptor, outputs, clock
        self.apply(settings)
        self.restart()

    def apply(self, settings: Settings) -> None:
        """Take new parameter values, from the next frame on."""
        perceptor, self._settings = self._perceptor.perceptor, settings
        bundle = perceptor.bundle
        perceptor.electrode_threshold = settings.electrode_threshold or bundle.electrode_threshold
        perceptor.mask_threshold = settings.mask_threshold or bundle.mask_threshold
        self._perceptor.tracking = settings.tracking
        tracker = self._perceptor.tracker
        tracker.limits = replace(tracker.limits, predict_s=settings.lost_after)

    def restart(self) -> None:
        """Begin a new stream: counters at zero, any stamp and size may come next."""
        self.counters, self.gaps, self._stamps = Counters(), GapCounter(), StampGuard()
        self._note = ""
        self._size: tuple[int, int] | None = None
        self._first_ns: int | None = None
        self._perceptor.reset()

    def set_reference(self) -> bool:
        """Measure motion from the newest frame on; False if the reference catheter is not seen in it."""
        return self._perceptor.motion.set_reference() is not None

    def handle(self, message: Frame, info: Mapping[str, Any]) -> PerceptionStatus:
        """Answer one frame and return its status, ready to be published but for model and backend.

        Args:
            info: rclpy's message info: when the frame arrived and its publisher's sequence number.
        """
        begun = time.perf_counter()
        waited = _seconds_since_arrival(info)
        self._count_arrival(info)
        status = unfilled_status(message.header)
        try:
            self._check_stamp(message.header.stamp, waited, status)
            if status.state != State.STALE:
                self._answer(message, begun - waited, status)
        except (ImageError, StampError) as error:
            self._fail(status, State.BAD_INPUT, f"{type(error).__name__}: {error}")
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self._fail(
                status,
                State.ERROR,
                f"{type(error).__name__}: {error} ({where.name}, line {where.lineno} of "
                f"{where.filename.rsplit('/', 1)[-1]})",
            )
        status.total_ms = (time.perf_counter() - begun) * 1e3
        self._fill_counters(status)
        return status

    def take_note(self) -> str:
        """What is worth telling people though it stopped nothing, once; "" if there is nothing."""
        note, self._note = self._note, ""
        return note

    def _count_arrival(self, info: Mapping[str, Any]) -> None:
        self.counters.received += 1
        publisher = (info.get("publisher_gid") or {}).get("data", b"")
        self.counters.dropped += self.gaps.missed(publisher, info.get("publication_sequence_number"))

    def _check_stamp(self, stamp: Time, waited: float, status: PerceptionStatus) -> None:
        """Raise StampError for a stamp that does not fit the stream; mark a frame that is too old."""
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        age, limit = (self._clock.now().nanoseconds - stamp_ns) * 1e-9, self._settings.max_age
        status.frame_age_ms = (age - waited) * 1e3
        check_not_future(age, limit)
        self._stamps.check(stamp_ns)
        if 0 < limit < age:
            self.counters.stale += 1
            status.state = int(State.STALE)
            status.message = (
                f"frame is {age:.3f} s old, max_age is {limit:g} s: not answered; if this is a replay, "
                "set use_sim_time or max_age 0"
            )

    def _answer(self, message: Frame, arrived: float, status: PerceptionStatus) -> None:
        """Perceive and publish; ``arrived`` is when the frame arrived on the performance counter's clock."""
        converting = time.perf_counter()
        pixels = pixels_from_image(message) if isinstance(message, Image) else pixels_from_compressed(message)
        converted = time.perf_counter()
        self._note_size(pixels)
        self._perceptor.perceptor.want_mask = self._outputs.mask_is_wanted
        seen = self._perceptor(pixels, self._seconds(message.header.stamp))
        result = seen.result
        perceived = time.perf_counter()
        self._outputs.publish_positions(
            result, seen.motion, self._reference_stamp(seen.motion), message.header
        )
        self._publish_transform(seen.motion, message.header)
        latency = time.perf_counter() - arrived
        self._outputs.publish_pictures(result, pixels, message.header, self.metres_per_pixel)
        status.publish_ms = (time.perf_counter() - perceived) * 1e3
        status.latency_ms = latency * 1e3
        _fill_stages(status, result.times)
        status.preprocess_ms += (converted - converting) * 1e3
        self.counters.processed += 1
        self._check_deadline(result, latency, status)

    def _publish_transform(self, motion: Motion | None, header: Header) -> None:
        """The motion as a transform, where that is asked for and there is one."""
        mode, size = self._settings.motion_transform, self.metres_per_pixel
        if mode == transform.OFF or motion is None or not motion.valid:
            return
        reason = transform.refusal(mode, header.frame_id, size)
        if reason:
            self._note = reason
        else:
            scale = size if mode == transform.METRES and size is not None else 1.0
            self._outputs.publish_transform(transform.motion_transform(motion, header, scale))

    def _seconds(self, stamp: Time) -> float:
        """Time since the first frame, which floating point holds exactly enough."""
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        if self._first_ns is None:
            self._first_ns = stamp_ns
        return (stamp_ns - self._first_ns) * 1e-9

    def _reference_stamp(self, motion: Motion | None) -> Time:
        if motion is None or self._first_ns is None or math.isnan(motion.reference_time_s):
            return Time()
        seconds, rest = divmod(self._first_ns + round(motion.reference_time_s * 1e9), 1_000_000_000)
        return Time(sec=seconds, nanosec=rest)

    def _check_deadline(self, result: PerceptionResult, latency: float, status: PerceptionStatus) -> None:
        status.state = int(State.OK)
        if 0 < self._settings.deadline < latency:
            status.state = int(State.DEADLINE_MISSED)
            status.message = (
                f"answered after {latency * 1e3:.1f} ms, deadline {self._settings.deadline * 1e3:g} ms"
            )

    def _note_size(self, pixels: NDArray[np.generic]) -> None:
        size, before = (pixels.shape[1], pixels.shape[0]), self._size
        if before is not None and size != before:
            self._note = f"image size changed from {before[0]} x {before[1]} to {size[0]} x {size[1]} px"
        info, self._size = self.camera_info, size
        if info is None and self._settings.use_camera_info and self.counters.received == _WITHOUT_INFO:
            self._note = f"no camera info came with {_WITHOUT_INFO} images: its scale is not known; see camera_info_topic"
        if info is not None and size != (info.width, info.height):
            self._note = (
                f"camera info is for {info.width} x {info.height} px, the image has {size[0]} x {size[1]}: "
                "its scale is not used"
            )

    def _fail(self, status: PerceptionStatus, state: State, message: str) -> None:
        self.counters.failed += 1
        status.state, status.message = int(state), message

    def _fill_counters(self, status: PerceptionStatus) -> None:
        for name in Counters.__slots__:
            setattr(status, f"frames_{name}", getattr(self.counters, name))

    @property
    def metres_per_pixel(self) -> float | None:
        """Size of an image pixel in m: the parameter's, else the camera info's at the detector, else None."""
        if self._settings.mm_per_pixel > 0:
            return self._settings.mm_per_pixel / 1e3
        info, distance = self.camera_info, self._settings.source_detector_mm
        if info is None or distance <= 0 or info.k[0] <= 0 or (info.width, info.height) != self._size:
            return None
        return distance / float(info.k[0]) / 1e3


def unfilled_status(header: Header) -> PerceptionStatus:
    """A status with this header and times that say 'did not happen' (NaN)."""
    status = PerceptionStatus(header=header)
    _fill_stages(status, StageTimes())
    status.publish_ms = status.latency_ms = status.frame_age_ms = status.total_ms = float("nan")
    return status


def _fill_stages(status: PerceptionStatus, times: StageTimes) -> None:
    for stage in _STAGES:
        setattr(status, f"{stage}_ms", float(getattr(times, stage)))


def _seconds_since_arrival(info: Mapping[str, Any]) -> float:
    """How long the frame waited in the queue; 0 where the middleware does not say when it arrived."""
    arrived = info.get("received_timestamp") or 0
    return max(0.0, (time.time_ns() - arrived) * 1e-9) if arrived else 0.0
