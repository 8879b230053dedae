"""A replay as a process of its own, heard over DDS: everything, on time, with a clock, and a clean end."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from node.harness import NodeProcess, Peer
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from cath_perception.bags import CAMERA_INFO_TOPIC, IMAGE_TOPIC, METADATA_TOPIC
from cath_perception.recording import record
from cath_perception.sources.base import FrameSource, SourceFrame, SourceInfo

pytestmark = pytest.mark.ros

FRAMES, RATE = 20, 20.0
Start = Callable[..., NodeProcess]


class Numbered(FrameSource):
    """Frames whose first pixel is their number; of a size that a default shared-memory segment cannot hold."""

    info = SourceInfo("numbered", 1001, 600, 16, FRAMES, RATE)

    def __iter__(self) -> Iterator[SourceFrame]:
        for index in range(FRAMES):
            pixels = np.full((600, 1001), 40_000, np.uint16)
            pixels[0, 0] = index
            yield SourceFrame(pixels, index / RATE, index, "numbered")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "numbered"
    record(Numbered(), path)
    return path


class Ears:
    """Subscriptions of one test: ``images`` as (arrival, stamp in ns, number), ``clocks`` in ns."""

    def __init__(self, peer: Peer, topic: str = IMAGE_TOPIC, reliable: bool = True) -> None:
        self.peer = peer
        self.images: list[tuple[float, int, int]] = []
        self.clocks: list[int] = []
        self.first_clock_before_first_image: bool | None = None
        node = peer.node
        # Deep enough for a busy machine: what is tested is the replay, not how fast this test listens.
        qos = QoSProfile(
            depth=100, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        )
        self._subscriptions = [
            node.create_subscription(Clock, "/clock", self._clock, qos),
            node.create_subscription(Image, topic, self._image, qos),
        ]

    def _clock(self, message: Clock) -> None:
        self.clocks.append(nanoseconds(message.clock))

    def _image(self, message: Image) -> None:
        if self.first_clock_before_first_image is None:
            self.first_clock_before_first_image = bool(self.clocks)
        number = int(np.frombuffer(message.data, "<u2", 1)[0])
        self.images.append((time.monotonic(), nanoseconds(message.header.stamp), number))

    def close(self) -> None:
        for subscription in self._subscriptions:
            self.peer.node.destroy_subscription(subscription)


def nanoseconds(stamp: Time) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


@pytest.fixture
def ears(peer: Peer) -> Iterator[Ears]:
    ears = Ears(peer)
    yield ears
    ears.close()


def replay(start: Start, bag: Path, *arguments: str, ros: tuple[str, ...] = ()) -> NodeProcess:
    command = ("-m", "cath_perception.commands.replay", str(bag), *arguments)
    return start(*ros, command=command)


def ended(peer: Peer, process: NodeProcess) -> None:
    peer.wait(lambda: not process.running, "the end of the replay")
    assert process.wait() == 0, process.output
    peer.spin(0.1)


def test_every_frame_arrives_in_time_also_where_delivery_is_best_effort(
    peer: Peer, start: Start, bag: Path
) -> None:
    ears = Ears(peer, reliable=False)
    ended(peer, process := replay(start, bag))
    assert [number for _, _, number in ears.images] == list(range(FRAMES)), process.output
    arrivals, stamps, _ = (np.array(column) for column in zip(*ears.images, strict=True))
    lateness = (arrivals - arrivals[0]) - (stamps - stamps[0]) / 1e9
    lateness -= np.median(lateness)
    assert np.ptp(stamps) == (FRAMES - 1) / RATE * 1e9
    # Loose, since other tests may keep the machine busy; a replay that does not keep the pace fails all the same.
    assert np.median(np.abs(lateness)) < 0.04
    assert arrivals[-1] - arrivals[0] == pytest.approx((FRAMES - 1) / RATE, abs=0.3)
    ears.close()


def test_the_clock_runs_with_the_frames(peer: Peer, start: Start, bag: Path, ears: Ears) -> None:
    ended(peer, replay(start, bag))
    assert ears.first_clock_before_first_image
    clocks = np.array(ears.clocks)
    assert (np.diff(clocks) >= 0).all()
    first, last = ears.images[0][1], ears.images[-1][1]
    assert abs(clocks[0] - first) < 0.3e9
    assert clocks[-1] >= last
    during = np.unique(clocks[(clocks >= first) & (clocks <= last)])
    # 100 Hz through 0.95 s; a busy machine may miss some.
    assert len(during) > 50


def test_rate_start_topic_and_remapping(peer: Peer, start: Start, bag: Path) -> None:
    ears = Ears(peer, "/mapped")
    arguments = ("--rate", "4", "--start", "0.49", "--image-topic", "/elsewhere", "--clock", "0")
    process = replay(start, bag, *arguments, ros=("-r", "/elsewhere:=/mapped"))
    ended(peer, process)
    assert [number for _, _, number in ears.images] == list(range(10, FRAMES))
    assert ears.clocks == []
    took = ears.images[-1][0] - ears.images[0][0]
    assert took == pytest.approx(9 / RATE / 4, abs=0.1)
    ears.close()


def test_a_loop_goes_on_without_going_back(peer: Peer, start: Start, bag: Path, ears: Ears) -> None:
    process = replay(start, bag, "--loop", "--rate", "4")
    peer.wait(lambda: len(ears.images) > 2.5 * FRAMES, "two laps and a half")
    assert process.stop(signal.SIGINT) == 0
    assert "interrupted" in process.output
    # At this rate a busy machine may lose a frame; those that come must bear the stamp of their place.
    stamps = np.array([stamp for _, stamp, _ in ears.images])
    steps, rest = np.divmod(stamps - stamps[0], round(1e9 / RATE))
    assert not rest.any()
    assert (np.diff(steps) > 0).all()
    assert steps[-1] > 2 * FRAMES
    first = ears.images[0][2]
    assert [number for _, _, number in ears.images] == [int(first + step) % FRAMES for step in steps]
    assert (np.diff(ears.clocks) >= 0).all()


def test_everything_recorded_is_there(peer: Peer, start: Start, bag: Path, ears: Ears) -> None:
    infos = peer.listen(CameraInfo, CAMERA_INFO_TOPIC, matched=False)
    process = replay(start, bag, "--loop")
    peer.wait(lambda: len(ears.images) > 3 and infos, "some images and camera info")
    texts: list[String] = []
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    late = peer.node.create_subscription(String, METADATA_TOPIC, texts.append, kept)
    peer.wait(lambda: texts, "metadata for one who came late")
    assert process.stop() == 0
    assert json.loads(texts[0].data)["name"] == "numbered"
    assert infos[0].width == 1001
    peer.node.destroy_subscription(late)


def left_alone(peer: Peer, process: NodeProcess, infos: list[CameraInfo], ears: Ears) -> None:
    """The endless replay says that it leaves camera info out, and goes on without."""
    # How soon two nodes know of each other is up to DDS and the machine.
    peer.wait(lambda: f"{CAMERA_INFO_TOPIC} is left out: " in process.output, "the message")
    peer.spin(0.2)
    infos.clear()
    ears.images.clear()
    peer.wait(lambda: len(ears.images) > FRAMES, "a lap of images")
    assert infos == []
    assert process.stop() == 0


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_topics_that_another_node_publishes_are_left_to_it(
    peer: Peer, start: Start, bag: Path, ears: Ears, wait: tuple[str, ...]
) -> None:
    infos = peer.listen(CameraInfo, CAMERA_INFO_TOPIC, matched=False)
    live = peer.node.create_publisher(CameraInfo, CAMERA_INFO_TOPIC, 10)
    process = replay(start, bag, "--rate", "4", "--loop", *wait)
    left_alone(peer, process, infos, ears)
    peer.node.destroy_publisher(live)


def test_a_topic_is_left_to_a_node_that_comes_later(peer: Peer, start: Start, bag: Path, ears: Ears) -> None:
    infos = peer.listen(CameraInfo, CAMERA_INFO_TOPIC, matched=False)
    process = replay(start, bag, "--rate", "4", "--loop")
    peer.wait(lambda: infos, "camera info of the bag")
    assert "is left out" not in process.output
    live = peer.node.create_publisher(CameraInfo, CAMERA_INFO_TOPIC, 10)
    left_alone(peer, process, infos, ears)
    peer.node.destroy_publisher(live)


def test_stamps_of_the_present(peer: Peer, start: Start, bag: Path, ears: Ears) -> None:
    infos = peer.listen(CameraInfo, CAMERA_INFO_TOPIC, matched=False)
    before = time.time_ns()
    process = replay(start, bag, "--stamp-now", "--rate", "4", "--loop")
    peer.wait(lambda: min(len(infos), len(ears.images)) >= FRAMES, "a lap of images and camera infos")
    assert process.stop() == 0
    stamps = np.array([stamp for _, stamp, _ in ears.images])
    assert before < stamps[0] < stamps[-1] < time.time_ns()
    # A busy machine may begin late, or lose a message; stamps that went different ways would not be equal to the ns.
    both = np.intersect1d(stamps, [nanoseconds(info.header.stamp) for info in infos])
    assert len(both) > FRAMES / 2
    period = 1e9 / RATE / 4
    steps = np.round(np.diff(stamps) / period)
    assert (steps >= 1).all()
    np.testing.assert_allclose(np.diff(stamps), steps * period, atol=1000)
    assert ears.clocks == []


def test_it_waits_for_subscribers(peer: Peer, start: Start, bag: Path) -> None:
    process = replay(start, bag, "--wait-timeout", "20")
    peer.wait(lambda: "waiting for 1 subscriber" in process.output, "the message")
    assert process.running
    ears = Ears(peer)
    ended(peer, process)
    assert len(ears.images) == FRAMES
    ears.close()


def test_it_goes_on_without_them(peer: Peer, start: Start, bag: Path) -> None:
    process = replay(start, bag, "--wait-timeout", "0.2", "--rate", "10")
    ended(peer, process)
    assert "0 of 1 subscribers on /fluoroscopy/image_raw" in process.output
    process = replay(start, bag, "--no-wait", "--rate", "10")
    ended(peer, process)
    assert "subscribers" not in process.output
    assert f"replayed {FRAMES} images" in process.output


def test_an_interrupt_while_waiting(peer: Peer, start: Start, bag: Path) -> None:
    process = replay(start, bag)
    peer.wait(lambda: "waiting for 1 subscriber" in process.output, "the message")
    assert process.stop(signal.SIGTERM) == 0


def test_what_cannot_be_replayed(start: Start, bag: Path, tmp_path: Path) -> None:
    refused = {
        "no such bag": replay(start, tmp_path / "missing"),
        "rate is 0": replay(start, bag, "--rate", "0"),
        "numbered lasts": replay(start, bag, "--start", "9"),
    }
    for reason, process in refused.items():
        assert process.wait() == 2
        assert reason in process.output
        assert "Traceback" not in process.output
