"""Memory while frames go by: what a frame takes is given back, in Python and beneath it."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from node.frames import image
from node.harness import PATIENCE_S, Peer, fresh_domain
from node.scripted_node import ScriptedPerceptor
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from cath_perception import parameters
from cath_perception.demonstration import OUTPUTS
from cath_perception.handler import FrameHandler
from cath_perception.outputs import Outputs
from cath_perception.sequence import SequencePerceptor

pytestmark = pytest.mark.ros

RATE, SETTLE, TURN, TURNS = 15, 150, 120, 4
"""Frames a second, before the first measurement, in one turn of the scene, and turns."""
LOOSE_OBJECTS, LOOSE_BYTES = 60, 4e6
"""What may be left of a turn: half an object a frame, an eighth of a picture a frame."""
GONE = 255


@pytest.fixture
def handler(bundle: Path) -> Iterator[FrameHandler]:
    """The node's handler in this process, with someone listening to every output."""
    domain = fresh_domain()
    settings = ("max_age:=0.0", "deadline:=0.0", "motion_transform:=pixels")
    arguments = [part for setting in settings for part in ("-p", setting)]
    rclpy.init(domain_id=domain, args=["--ros-args", *arguments])
    node = LifecycleNode("perception")
    parameters.declare(node)
    outputs = Outputs(node)
    with ScriptedPerceptor.open(bundle, "openvino") as perceptor, Peer(domain) as peer:
        pictures = {"overlay": Image, "markers": MarkerArray, "motion_transform": TransformStamped}
        topics = OUTPUTS | {f"/perception/{name}": kind for name, kind in pictures.items()}
        del topics["/perception/status"]  # that one is the node's
        subscriptions = [
            peer.node.create_subscription(kind, topic, print, 1) for topic, kind in topics.items()
        ]
        node.trigger_configure()
        node.trigger_activate()
        peer.wait(
            lambda: all(item.get_publisher_count() for item in subscriptions), "the publishers", PATIENCE_S
        )
        sequence = SequencePerceptor(perceptor)
        yield FrameHandler(sequence, outputs, node.get_clock(), parameters.read(node))
    node.destroy_node()
    rclpy.try_shutdown()


def test_frames_leave_nothing_behind(handler: FrameHandler) -> None:
    """Catheters that move, go for good and come back; pictures, markers and motion are published."""
    process, picture = psutil.Process(), np.full((512, 512), 90, np.uint8)
    used = []
    for number in range(SETTLE + TURN * TURNS + 1):
        if number >= SETTLE and (number - SETTLE) % TURN == 0:
            used.append(in_use(process))
        seconds = number / RATE
        picture[0, 0] = 10 + 5 * np.sin(seconds)
        picture[0, 1] = GONE if seconds % 8 < 6 else 10 + 5 * np.cos(seconds)
        stamp = Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))
        status = handler.handle(image(Header(stamp=stamp, frame_id="x"), picture), {})
        assert status.message == ""
    objects, size = np.diff(used, axis=0).min(
        axis=0
    )  # what grows once is no leak: a leak grows in every turn
    assert objects < LOOSE_OBJECTS
    assert size < LOOSE_BYTES


def in_use(process: psutil.Process) -> tuple[int, int]:
    """Python's blocks of memory, and the bytes that are the process' own: DDS' shared memory fills as the listener lags."""
    gc.collect()
    memory = process.memory_info()
    return sys.getallocatedblocks(), memory.rss - memory.shared
