"""The node under a namespace, with remapped topics and simulated time, and with a QoS override."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cath_msgs.msg import PerceptionStatus
from node.frames import image, scene
from node.harness import NodeProcess, Peer, Stream
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

pytestmark = pytest.mark.ros

QOS = "qos_overrides./xray/image_raw.subscription.reliability"


class SimulatedStream(Stream):
    """A stream that makes its own time: each header is 10 ms later than the one before, and /clock says so."""

    def __init__(self, peer: Peer, *names: str, **topics: str) -> None:
        super().__init__(peer, *names, **topics)
        self.now = 1000.0
        self._clock = peer.publisher(Clock, "/clock", QoSProfile(depth=10))

    def header(self, age: float = 0.0) -> Header:
        self.now += 0.01
        self._clock.publish(Clock(clock=_stamped(self.now).stamp))
        return _stamped(self.now - age)


def _stamped(seconds: float) -> Header:
    header = Header(frame_id="c_arm")
    header.stamp.sec, header.stamp.nanosec = divmod(round(seconds * 1e9), 1_000_000_000)
    return header


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
    yield node
    assert process.running, process.output


def test_simulated_time_decides_what_is_fresh(stream: SimulatedStream) -> None:
    message = stream.frame()
    assert stream.answer(message).header.frame_id == "c_arm"
    assert abs(stream.statuses.of(message.header).frame_age_ms) < 500
    stream.now += 10.0

    def _is_stale() -> bool:
        # The clock travels on a topic of its own: until it has arrived, the frame seems to be from the future.
        return stream.send(image(stream.header(age=5.0), scene())).state == PerceptionStatus.STALE

    stream.peer.wait(_is_stale, "a stale frame")
    assert stream.statuses[-1].frame_age_ms == pytest.approx(5000, abs=500)
    assert stream.answer(stream.frame())


def test_qos_override_is_taken(stream: SimulatedStream) -> None:
    assert stream.get(QOS) == "reliable"
    subscription = stream.peer.node.get_subscriptions_info_by_topic("/xray/image_raw")[0]
    assert subscription.node_namespace == "/lab_1"
    assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
