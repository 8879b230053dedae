"""Order, start and loops of a replay, and header stamps rewritten in place."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cath_perception.bags import (
    CAMERA_INFO_TOPIC,
    IMAGE_TOPIC,
    METADATA_TOPIC,
    BagReader,
    BagWriter,
    typestore,
)
from cath_perception.errors import SourceError
from cath_perception.playback import Playback, moved, stamp_ns, with_stamp

START = 1_700_000_000_900_000_000
PERIOD = 100_000_000


def header(time_ns: int) -> object:
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id="fluoroscopy")


def image(time_ns: int, value: int = 0) -> object:
    return typestore().types["sensor_msgs/msg/Image"](
        header=header(time_ns),
        height=2,
        width=3,
        encoding="mono8",
        is_bigendian=0,
        step=3,
        data=np.full(6, value, np.uint8),
    )


@pytest.fixture
def bag(tmp_path: Path) -> BagReader:
    """Five images 0.1 s apart, a text kept for late subscribers, and a clock."""
    types = typestore().types
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic(METADATA_TOPIC, "std_msgs/msg/String", latched=True)
        writer.add_topic(IMAGE_TOPIC, "sensor_msgs/msg/Image")
        writer.add_topic("/clock", "rosgraph_msgs/msg/Clock")
        writer.write(METADATA_TOPIC, START, types["std_msgs/msg/String"](data="kept"))
        for index in range(5):
            time_ns = START + index * PERIOD
            writer.write(IMAGE_TOPIC, time_ns, image(time_ns, index))
            clock = types["builtin_interfaces/msg/Time"](sec=1, nanosec=index)
            writer.write("/clock", time_ns, types["rosgraph_msgs/msg/Clock"](clock=clock))
    return BagReader(tmp_path / "bag")


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("time_ns", [0, START, (2**31 - 1) * 10**9 + 999_999_999])
def test_a_stamp_is_changed_and_nothing_else(little: bool, time_ns: int) -> None:
    store = typestore()
    data = bytes(store.serialize_cdr(image(START, 9), "sensor_msgs/msg/Image", little_endian=little))
    changed = with_stamp(data, time_ns)
    assert stamp_ns(data) == START
    assert stamp_ns(changed) == time_ns
    message = store.deserialize_cdr(changed, "sensor_msgs/msg/Image")
    assert message.header == header(time_ns)
    assert (changed[:4], changed[12:]) == (data[:4], data[12:])


def test_a_message_too_short_for_a_stamp() -> None:
    with pytest.raises(SourceError, match="6 bytes"):
        stamp_ns(b"\0\1\0\0\0\0")


def test_once_through(bag: BagReader) -> None:
    messages = list(Playback(bag))
    assert [message.topic for message in messages] == [METADATA_TOPIC] + [IMAGE_TOPIC] * 5
    assert [message.time_ns for message in messages[1:]] == [START + index * PERIOD for index in range(5)]
    assert [stamp_ns(message.data) for message in messages[1:]] == [
        message.time_ns for message in messages[1:]
    ]


@pytest.mark.parametrize("start_s", [0.0, 0.25])
def test_laps_follow_one_another_in_even_steps(bag: BagReader, start_s: float) -> None:
    first = START if start_s == 0 else START + 3 * PERIOD
    kept, *messages = islice(Playback(bag, start_s, loop=True), 13)
    assert kept.topic == METADATA_TOPIC
    assert {message.topic for message in messages} == {IMAGE_TOPIC}
    stamps = np.array([stamp_ns(message.data) for message in messages])
    np.testing.assert_array_equal(stamps, [message.time_ns for message in messages])
    assert stamps[0] == first
    gaps = set(np.diff(stamps))
    # Where the start falls between two frames, the lap begins with the pause that the bag has there.
    assert gaps == ({PERIOD} if start_s == 0 else {PERIOD, int(1.5 * PERIOD)})
    store = typestore()
    values = [int(store.deserialize_cdr(message.data, message.msgtype).data[0]) for message in messages]
    assert values[:6] == ([0, 1, 2, 3, 4, 0] if start_s == 0 else [3, 4, 3, 4, 3, 4])


def test_start_leaves_out_what_lies_before_but_not_what_is_kept(bag: BagReader) -> None:
    kept, *messages = Playback(bag, 0.2)
    assert (kept.topic, kept.time_ns) == (METADATA_TOPIC, START + 2 * PERIOD)
    assert [stamp_ns(message.data) for message in messages] == [START + index * PERIOD for index in (2, 3, 4)]


@pytest.mark.parametrize("start_s", [-0.1, 0.5, float("nan")])
def test_a_start_outside_the_bag(bag: BagReader, start_s: float) -> None:
    with pytest.raises(SourceError, match=r"lasts 0\.40 s"):
        Playback(bag, start_s)


def test_which_types_have_a_header(bag: BagReader) -> None:
    assert bag.has_header("sensor_msgs/msg/Image")
    assert not bag.has_header("std_msgs/msg/String")
    assert not bag.has_header("nobody/msg/Knows")
    assert CAMERA_INFO_TOPIC not in bag.topics


@pytest.mark.parametrize(
    ("images", "elsewhere", "expected"),
    [
        ("/lab/image_raw", "/image", {"/lab/image_raw": "/image", "/lab/camera_info": "/camera_info"}),
        ("/image", "xray/image", {"/image": "xray/image", "/camera_info": "xray/camera_info"}),
    ],
)
def test_camera_info_goes_where_its_images_go(images: str, elsewhere: str, expected: dict[str, str]) -> None:
    assert moved(images, elsewhere) == expected
