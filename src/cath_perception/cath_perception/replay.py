"""Publishes a bag on ROS 2 topics at its own pace, with ``/clock``; the bytes go out as recorded."""

import importlib
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosReliability
from rosgraph_msgs.msg import Clock

from cath_perception.bags import NANOSECONDS, BagMessage, BagReader, typestore
from cath_perception.errors import SourceError
from cath_perception.interruption import Interruption
from cath_perception.playback import CLOCK_TOPIC, Playback, moved, stamp_ns, with_stamp

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHARED = frozenset({"/diagnostics", "/parameter_events", "/rosout", "/tf", "/tf_static"})
"""Topics that are meant to have many publishers."""
_SETTLE_S = 0.3
"""Time a best-effort subscriber needs to know the publisher once the publisher knows it, and this node to know others."""
_LOOK_ROUND_S = 0.5
"""How often others that publish the same topics are looked for: a busy machine, or a later start, makes them late."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    Attributes:
        rate: speed, 1 is the bag's own.
        start_s: seconds from the bag's beginning to start at.
        loop: begin again at the end, with stamps that go on.
        clock_hz: how often ``/clock`` is published (also right before each image); 0 for none.
        subscribers: how many subscribers of the images to wait for before the first one; 0 does not wait.
        wait_s: how long to wait for them; then the replay begins without.
        image_topic: publish the images under this name instead of the recorded one, and their camera info beside it.
        stamp_now: move header stamps to the present: to the wall clock's time at which the message is due.
    """

    rate: float = 1.0
    start_s: float = 0.0
    loop: bool = False
    clock_hz: float = 100.0
    subscribers: int = 1
    wait_s: float = 30.0
    image_topic: str | None = None
    stamp_now: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate", 0.01, 100.0),
            ("clock_hz", 0.0, 1000.0),
            ("subscribers", 0, 1000),
            ("wait_s", 0.0, 86400.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SourceError(f"{name} is {value:g}; expected {low:g} to {high:g}")


@dataclass(slots=True)
class ReplaySummary:
    """What was published. ``late_ms`` holds how late the last 10,000 images went out, in ms."""

    images: int = 0
    messages: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    late_ms: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def __str__(self) -> str:
        text = (
            f"{self.images} images and {self.messages - self.images} other messages in {self.seconds:.2f} s"
        )
        if self.late_ms:
            median, tail = np.percentile(list(self.late_ms), [50, 99])
            text += f"; images late by {median:.1f} ms (median), {tail:.1f} ms (p99)"
        return text


class Replayer:
    """Publishers for every topic of a bag whose type is installed, and the loop that feeds them."""

    def __init__(self, node: Node, reader: BagReader, options: ReplayOptions) -> None:
        self._node = node
        self._options = options
        self._reader = reader
        self._playback = Playback(reader, options.start_s, options.loop)
        self._stop = Interruption()
        self._images = reader.image_topic()
        self._clock = (
            node.create_publisher(Clock, CLOCK_TOPIC, QoSProfile(depth=1)) if options.clock_hz else None
        )
        self._clock_ns = self._started_ns = 0
        self._looked_round = 0.0
        self._publishers: dict[str, Publisher[Any]] = {}
        for topic in self._playback.topics():
            self._add(topic)
        if not self._publishers:
            raise SourceError(
                f"{reader.path}: none of its message types is installed here; nothing to replay"
            )

    def _add(self, topic: str) -> None:
        msgtype = self._reader.topics[topic]
        try:
            kind = message_class(msgtype)
            self._check_definition(topic, msgtype)
        except SourceError as error:
            say(f"{topic} is left out: {error}")
            return
        self._publishers[topic] = self._node.create_publisher(
            kind, self._name(topic), ros_qos(self._reader.qos(topic))
        )

    def _name(self, topic: str) -> str:
        """What a recorded topic is published as: the camera info beside the images goes where they go."""
        images, elsewhere = self._images, self._options.image_topic
        return moved(images, elsewhere).get(topic, topic) if images and elsewhere else topic

    def _check_definition(self, topic: str, msgtype: str) -> None:
        """Bytes of another cath_msgs definition would be misread; standard definitions do not change."""
        recorded = self._reader.digest(topic)
        if not (msgtype.startswith("cath_msgs/") and recorded and msgtype in typestore().fielddefs):
            return
        if recorded != typestore().hash_rihs01(msgtype):
            raise SourceError(f"it was recorded with another definition of {msgtype}; record it again")

    def stop(self) -> None:
        """End the replay before its next message; safe in a signal handler."""
        self._stop.set()

    def run(self) -> ReplaySummary:
        """Wait for subscribers, publish everything, and return when it is done or stopped."""
        summary = ReplaySummary()
        # The first message is read before time begins, so that it is not late by the opening of the file.
        messages = iter(self._playback)
        head = list(islice(messages, 1))
        self._await_subscribers()
        self._leave_to_others()
        started, self._started_ns = time.monotonic(), time.time_ns()
        tick = started
        begin_ns, rate = self._playback.begin_ns, self._options.rate
        for message in chain(head, messages):
            due = started + (message.time_ns - begin_ns) / NANOSECONDS / rate
            tick = self._sleep_until(due, tick, started)
            if self._stop.is_set():
                break
            self._publish(message, due, summary)
            if time.monotonic() > self._looked_round + _LOOK_ROUND_S:
                self._leave_to_others()
        summary.seconds = time.monotonic() - started
        summary.interrupted = self._stop.is_set()
        self._flush()
        return summary

    def _sleep_until(self, due: float, tick: float, started: float) -> float:
        """Publish the clock at its own rate until ``due``; returns when its next tick is."""
        while not self._stop.is_set():
            now = time.monotonic()
            if self._clock is not None and now >= tick:
                played_s = (now - started) * self._options.rate
                self._publish_clock(self._playback.begin_ns + round(played_s * NANOSECONDS))
                tick = max(tick + 1.0 / self._options.clock_hz, now)
            if now >= due:
                break
            self._stop.wait((due if self._clock is None else min(due, tick)) - now)
        return tick

    def _publish(self, message: BagMessage, due: float, summary: ReplaySummary) -> None:
        publisher = self._publishers.get(message.topic)
        if publisher is None:
            return
        data = bytes(message.data)
        if self._options.stamp_now and self._reader.has_header(message.msgtype):
            data = with_stamp(data, self._present_ns(stamp_ns(data)))
        if message.topic == self._images:
            # So that no frame comes from what its subscriber still takes for the future.
            self._publish_clock(message.time_ns)
            summary.images += 1
            summary.late_ms.append(1000 * (time.monotonic() - due))
        publisher.publish(data)
        summary.messages += 1

    def _present_ns(self, recorded_ns: int) -> int:
        """The wall clock's time at which a stamp is due; equal stamps stay equal."""
        return self._started_ns + round((recorded_ns - self._playback.begin_ns) / self._options.rate)

    def _publish_clock(self, time_ns: int) -> None:
        if self._clock is None:
            return
        # Never back: a message that goes out late must not undo a tick.
        self._clock_ns = max(self._clock_ns, time_ns)
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(self._clock_ns, NANOSECONDS)
        self._clock.publish(message)

    def _await_subscribers(self) -> None:
        """Until enough subscribers of the images are matched; the clock stands at the start meanwhile."""
        self._publish_clock(self._playback.begin_ns)
        publisher = self._publishers.get(self._images or "")
        if publisher is not None and self._options.subscribers:
            self._await_count(publisher)
        self._stop.wait(_SETTLE_S)

    def _await_count(self, publisher: Publisher[Any]) -> None:
        wanted, started, told = self._options.subscribers, time.monotonic(), False
        while publisher.get_subscription_count() < wanted and not self._stop.is_set():
            waited = time.monotonic() - started
            if waited > self._options.wait_s:
                here = publisher.get_subscription_count()
                say(
                    f"{here} of {wanted} subscribers on {publisher.topic_name} after {waited:.0f} s; going on"
                )
                return
            if waited > 1.0 and not told:
                say(f"waiting for {wanted} subscriber(s) on {publisher.topic_name} (--no-wait does not)")
                told = True
            self._publish_clock(self._playback.begin_ns)
            self._stop.wait(0.02)

    def _leave_to_others(self) -> None:
        """Nothing more on topics that another node publishes: recorded answers must not pass for live ones."""
        self._looked_round = time.monotonic()
        for topic, publisher in list(self._publishers.items()):
            if topic == self._images or publisher.topic_name in _SHARED:
                continue
            infos = self._node.get_publishers_info_by_topic(publisher.topic_name)
            others = sorted({info.node_name for info in infos} - {self._node.get_name()})
            if others:
                say(f"{topic} is left out: {', '.join(others)} publishes it")
                self._node.destroy_publisher(self._publishers.pop(topic))

    def _flush(self) -> None:
        """Let reliable subscribers have the last messages before the publishers go."""
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=1.0 if not self._stop.is_set() else 0.1))
        self._stop.wait(0.1)


def message_class(msgtype: str) -> Any:
    """The installed Python class of e.g. ``sensor_msgs/msg/Image``. Raises ``SourceError``."""
    package, _, name = msgtype.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise SourceError(f"message type {msgtype} is not installed here") from None


def ros_qos(qos: Qos | None) -> QoSProfile:
    """A recorded QoS for a publisher; where it is not stated: reliable, volatile, the last 10."""
    profile = QoSProfile(depth=max(1, qos.depth) if qos else 10)
    if qos is not None:
        if qos.history == QosHistory.KEEP_ALL:
            profile.history = HistoryPolicy.KEEP_ALL
        if qos.reliability == QosReliability.BEST_EFFORT:
            profile.reliability = ReliabilityPolicy.BEST_EFFORT
        if qos.durability == QosDurability.TRANSIENT_LOCAL:
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def say(text: str) -> None:
    """A line for the user, on stderr."""
    print(f"cath: {text}", file=sys.stderr, flush=True)


def replay(path: str, options: ReplayOptions, ros_args: Sequence[str] | None = None) -> ReplaySummary:
    """Replay a bag in this process until its end, SIGINT or SIGTERM.

    Args:
        path: bag folder or .mcap file.
        options: how.
        ros_args: command line of ROS 2 (``--ros-args ...``), e.g. for remapping.

    Raises:
        SourceError: the bag cannot be read, or nothing in it can be published.
    """
    with BagReader(path) as reader:
        rclpy.init(args=list(ros_args or []), signal_handler_options=SignalHandlerOptions.NO)
        try:
            node = Node("replay", start_parameter_services=False, enable_rosout=False)
            replayer = Replayer(node, reader, options)
            kept = {number: signal.signal(number, lambda *_: replayer.stop()) for number in _SIGNALS}
            try:
                return replayer.run()
            finally:
                for number, handler in kept.items():
                    signal.signal(number, handler)
        finally:
            rclpy.shutdown()
