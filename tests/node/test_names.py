"""The node under a namespace, with remapped topics and simulated time, and with a QoS override."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import PerceptionStatus
from node.harness import NodeProcess, Peer, Stream, image, scene
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

QOS = "qos_overrides./xray/image_raw.subscription.reliability"


class SimulatedStream(Stream):
    """A stream whose time is what it publishes on /clock."""

    def begin(self) -> None:
        self.clock = self.peer.publisher(Clock, "/clock", QoSProfile(depth=10))

    def at(self, seconds: float) -> Header:
        message = Header(frame_id="c_arm")
        message.stamp.sec, message.stamp.nanosec = int(seconds), round(seconds % 1 * 1e9)
        return message

    def set_clock(self, seconds: float) -> None:
        self.clock.publish(Clock(clock=self.at(seconds).stamp))


@pytest.fixture(scope="module")
def stream(start: Callable[..., NodeProcess], peer: Peer, bundle: Path) -> Iterator[SimulatedStream]:
    remaps = ("__ns:=/lab_1", "~/image:=/xray/image_raw", "~/electrodes:=/robot/electrodes")
    settings = (
        f"model:={bundle}",
        "backend:=openvino",
        "use_sim_time:=true",
        "deadline:=0.0",
        f"{QOS}:=reliable",
    )
    process = start(
        *(part for remap in remaps for part in ("-r", remap)),
        *(part for setting in settings for part in ("-p", setting)),
    )
    node = SimulatedStream.configured(
        peer, "/lab_1/perception", image_topic="/xray/image_raw", electrodes="/robot/electrodes"
    )
    node.begin()
    yield node
    assert process.running, process.output


def test_simulated_time_decides_what_is_fresh(stream: SimulatedStream) -> None:
    stream.set_clock(1000.0)
    # The clock and the frames travel on different topics: frames are sent until the clock has arrived.
    times = iter(np.arange(1000.0, 1000.4, 0.01))
    status = stream.send(image(stream.at(next(times)), scene()))
    while status.state != PerceptionStatus.OK:
        assert "future" in status.message
        status = stream.send(image(stream.at(next(times)), scene()))
    assert -400 < status.frame_age_ms < 1
    stream.peer.wait(lambda: stream.electrodes_of(status.header), "the remapped electrodes")
    stream.set_clock(1010.0)
    status = stream.send(image(stream.at(1001.0), scene()))
    while status.state == PerceptionStatus.OK:
        status = stream.send(image(stream.at(1001.0), scene()))
    assert status.state == PerceptionStatus.STALE
    assert status.frame_age_ms == pytest.approx(9000, abs=50)


def test_qos_override_is_taken(stream: SimulatedStream) -> None:
    assert stream.get(QOS) == "reliable"
    subscription = stream.peer.node.get_subscriptions_info_by_topic("/xray/image_raw")[0]
    assert subscription.node_namespace == "/lab_1"
    assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
