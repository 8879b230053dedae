"""Bags as a reader sees them that shares no code with the writer: MCAP's own, which decodes by the recorded definitions."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from cath_perception.bags import IMAGE_TOPIC, BagReader, BagWriter, typestore
from cath_perception.recording import record
from cath_perception.sources.base import FrameSource, SourceFrame, SourceInfo
from cath_perception.types import Catheter, Centerline, Electrode

START = 1_700_000_000_123_456_789
STATUS_TOPIC = "/perception/status"
TRUTH = (
    Catheter(
        7,
        (Electrode(10.25, 3.5, 4, 5, 1.0, 0.5, 7, 0), Electrode(12.0, 6.75, 4, 5, 0.5, float("nan"), 7, 1)),
        Centerline(np.array([[10.25, 3.5], [12, 6.75], [20, 8]], np.float32), 6.5),
        0.75,
        "coronary_sinus",
    ),
    Catheter(8, (), None, 1.0),
)


class Frames(FrameSource):
    """Twelve-bit frames whose catheters are known; together more than one chunk of the file."""

    info = SourceInfo("frames", 641, 480, 12, 4, 10.0, detector_spacing_mm=0.4, source_detector_mm=1000.0)

    def __iter__(self):
        rng = np.random.default_rng(3)
        for index in range(4):
            pixels = rng.integers(0, 4096, (480, 641)).astype(np.uint16)
            yield SourceFrame(pixels, index / 10, index, "frames", TRUTH)


def same(theirs: Any, ours: Any) -> bool:
    """Whether two decoded messages, or parts of them, are equal; NaN equals NaN."""
    if hasattr(theirs, "__slots__"):
        return all(same(getattr(theirs, name), getattr(ours, name)) for name in theirs.__slots__)
    if isinstance(ours, np.ndarray):
        array = np.frombuffer(theirs, np.uint8) if isinstance(theirs, bytes) else np.array(theirs, ours.dtype)
        return np.array_equal(array, ours)
    if isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(same, theirs, ours))
    return type(theirs) is type(ours) and (theirs == ours or (theirs != theirs and ours != ours))


def status() -> Any:
    """What a node says of a frame it did not answer: with NaN and numbers beyond 32 bits."""
    kinds = typestore().types
    stamp = kinds["builtin_interfaces/msg/Time"](sec=1_700_000_000, nanosec=5)
    header = kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="fluoroscopy")
    kind = kinds["cath_msgs/msg/PerceptionStatus"]
    numbers = {
        name: 2**40 if name.startswith("frames_") else float("nan")
        for name in kind.__dataclass_fields__
        if name.startswith("frames_") or name.endswith("_ms")
    }
    return kind(header=header, state=3, message="alt: 0,5 s – zu spät", model="light", backend="", **numbers)


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recorded input and a bag with a status."""
    folder = tmp_path_factory.mktemp("bags")
    record(Frames(), folder / "input", start_ns=START)
    with BagWriter(folder / "answers") as writer:
        writer.add_topic(STATUS_TOPIC, "cath_msgs/msg/PerceptionStatus")
        writer.write(STATUS_TOPIC, START, status())
    return folder / "input", folder / "answers"


@pytest.mark.parametrize("which", [0, 1])
def test_every_message_of_every_topic_is_read_alike(bags: tuple[Path, Path], which: int) -> None:
    bag = bags[which]
    with BagReader(bag) as ours, (bag / f"{bag.name}.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        theirs = sorted(reader.iter_decoded_messages(), key=lambda item: (item[2].log_time, item[1].topic))
        mine = sorted(ours.messages(), key=lambda item: (item.time_ns, item.topic))
        for (schema, channel, message, decoded), item in zip(theirs, mine, strict=True):
            assert (channel.topic, schema.name, message.log_time) == (item.topic, item.msgtype, item.time_ns)
            assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
            assert same(decoded, ours.decode(item)), channel.topic
        assert Counter(item[1].topic for item in theirs) == ours.counts


def test_pixels_and_truth_are_those_that_were_recorded(bags: tuple[Path, Path]) -> None:
    with (bags[0] / "input.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        messages = list(reader.iter_decoded_messages())
    images = [decoded for _, channel, _, decoded in messages if channel.topic == IMAGE_TOPIC]
    for image, frame in zip(images, Frames(), strict=True):
        assert (image.encoding, image.step, image.header.frame_id) == ("mono16", 1282, "fluoroscopy")
        pixels = np.frombuffer(image.data, "<u2").reshape(image.height, image.width)
        np.testing.assert_array_equal(pixels, frame.pixels)
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        assert stamp == START + frame.index * 100_000_000
    truth = next(
        decoded for schema, _, _, decoded in messages if schema.name == "cath_msgs/msg/CatheterArray"
    )
    assert [(item.id, item.type) for item in truth.catheters] == [(7, "coronary_sinus"), (8, "")]
    assert [item.x for item in truth.catheters[0].electrodes] == [10.25, 12.0]
    assert list(truth.catheters[0].centerline.y) == [3.5, 6.75, 8.0]


def test_the_file_says_of_itself_what_the_metadata_beside_it_says(bags: tuple[Path, Path]) -> None:
    beside = yaml.safe_load((bags[0] / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    with (bags[0] / "input.mcap").open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        within = {item.name: item.metadata for item in reader.iter_metadata()}
        assert reader.get_header().profile == "ros2"
    assert yaml.safe_load(within["rosbag2"]["serialized_metadata"]) == beside
    assert len(summary.chunk_indexes) > 1
    counted = {
        channel.topic: summary.statistics.channel_message_counts[n] for n, channel in summary.channels.items()
    }
    stated = {
        item["topic_metadata"]["name"]: item["message_count"] for item in beside["topics_with_message_count"]
    }
    assert counted == stated
    qos = {channel.topic: channel.metadata["offered_qos_profiles"] for channel in summary.channels.values()}
    for item in beside["topics_with_message_count"]:
        topic = item["topic_metadata"]
        assert yaml.safe_load(qos[topic["name"]]) == topic["offered_qos_profiles"]
