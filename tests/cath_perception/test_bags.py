"""Bags: whole or not at all, exact, readable by others, and damaged ones named."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader

from cath_perception.bags import (
    CAMERA_INFO_TOPIC,
    IMAGE_TOPIC,
    METADATA_TOPIC,
    TRUTH_TOPIC,
    BagReader,
    BagWriter,
    typestore,
)
from cath_perception.errors import SourceError
from cath_perception.recording import record
from cath_perception.sources import open_source
from cath_perception.sources.base import FrameSource, SourceFrame, SourceInfo
from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode

START = 1_700_000_000_123_456_789
TRUTH = (
    Catheter(
        id=4,
        electrodes=(
            Electrode(10.25, 3.5, 4, 5, 1.0, sigma=0.5, catheter=4, index=0),
            Electrode(12.0, 6.75, 4, 5, 0.5, sigma=0.5, catheter=4, index=1, visible=False),
        ),
        centerline=Centerline(np.array([[10.25, 3.5], [12, 6.75], [20, 8]], np.float32), 6.5),
        score=0.75,
        type="coronary_sinus",
        type_confidence=0.5,
        status=CatheterStatus.PREDICTED,
    ),
    Catheter(id=5, electrodes=(), centerline=None, score=1.0),
)


class Random(FrameSource):
    """Random frames at uneven times, of which ``good`` can be read."""

    def __init__(self, bits: int = 8, good: int = 5, truth: bool = False, width: int = 33) -> None:
        self.bits, self.good, self.truth = bits, good, truth
        self.info = SourceInfo(
            "random",
            width,
            21,
            bits,
            5,
            10.0,
            pixel_spacing_mm=0.3,
            detector_spacing_mm=0.4,
            source_detector_mm=1000.0,
            primary_angle_deg=-30.0,
            metadata={"pixel_spacing_plane": "isocentre"},
        )

    def __iter__(self) -> Iterator[SourceFrame]:
        rng = np.random.default_rng(1)
        for index in range(self.good):
            pixels = rng.integers(0, 1 << self.bits, (21, self.info.width))
            typed = pixels.astype(np.uint8 if self.bits == 8 else np.uint16)
            yield SourceFrame(
                typed, (index + 0.01 * index**2) / 10, index, "random", TRUTH if self.truth else None
            )
        if self.good < 5:
            raise SourceError("the rest is missing")


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("width", [1, 32, 33])
def test_what_goes_in_comes_out(tmp_path: Path, bits: int, width: int) -> None:
    source = Random(bits, truth=True, width=width)
    summary = record(source, tmp_path / "bag", start_ns=START)
    assert (summary.frames, summary.seconds) == (5, pytest.approx(0.416))
    for path in (tmp_path / "bag", tmp_path / "bag" / "bag.mcap"):
        with open_source(str(path)) as bag:
            assert bag.info == source.info
            for put, got in zip(source, bag, strict=True):
                assert got.pixels.dtype == put.pixels.dtype
                np.testing.assert_array_equal(got.pixels, put.pixels)
                assert got.time_s == pytest.approx(put.time_s, abs=1e-9)
                assert got.index == put.index


def test_the_truth_comes_out(tmp_path: Path) -> None:
    record(Random(truth=True), tmp_path / "bag")
    for frame in open_source(str(tmp_path / "bag")):
        assert frame.truth is not None
        for put, got in zip(TRUTH, frame.truth, strict=True):
            assert got.electrodes == put.electrodes
            assert (got.id, got.type, got.score, got.status) == (put.id, put.type, put.score, put.status)
            assert (got.centerline is None) == (put.centerline is None)
            if put.centerline is not None and got.centerline is not None:
                np.testing.assert_array_equal(got.centerline.points, put.centerline.points)
                assert got.centerline.width == put.centerline.width


def test_nothing_is_said_where_the_truth_is_not_known(tmp_path: Path) -> None:
    record(Random(), tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader:
        assert TRUTH_TOPIC not in reader.topics
    assert [frame.truth for frame in open_source(str(tmp_path / "bag"))] == [None] * 5


def test_messages_as_other_tools_see_them(tmp_path: Path) -> None:
    record(Random(12), tmp_path / "bag", start_ns=START)
    with AnyReader([tmp_path / "bag"]) as reader:
        messages = {
            topic: [
                (time, reader.deserialize(data, connection.msgtype))
                for connection, time, data in reader.messages(reader.topics[topic].connections)
            ]
            for topic in reader.topics
        }
    assert {topic: len(items) for topic, items in messages.items()} == {
        IMAGE_TOPIC: 5,
        CAMERA_INFO_TOPIC: 5,
        METADATA_TOPIC: 1,
    }
    for (time, image), (_, info) in zip(messages[IMAGE_TOPIC], messages[CAMERA_INFO_TOPIC], strict=True):
        assert image.header.frame_id == "fluoroscopy"
        assert image.header == info.header
        assert image.header.stamp.sec * 10**9 + image.header.stamp.nanosec == time
        assert (image.encoding, image.step, image.is_bigendian) == ("mono16", 66, 0)
        np.testing.assert_allclose(info.k.reshape(3, 3), [[2500, 0, 16], [0, 2500, 10], [0, 0, 1]])
        assert (info.width, info.height, info.distortion_model) == (33, 21, "plumb_bob")
    assert messages[IMAGE_TOPIC][0][0] == START
    assert messages[IMAGE_TOPIC][2][0] == START + 204_000_000


def test_unknown_geometry_is_an_uncalibrated_camera(tmp_path: Path) -> None:
    source = Random()
    source.info = SourceInfo("unknown", 33, 21, 8, 5, 10.0)
    record(source, tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader:
        info = reader.decode(next(reader.messages({CAMERA_INFO_TOPIC})))
    assert not info.k.any()
    assert info.distortion_model == ""


def test_metadata_file_and_quality_of_service(tmp_path: Path) -> None:
    record(Random(truth=True), tmp_path / "bag", start_ns=START)
    with Reader(tmp_path / "bag") as reader:
        qos = {item.topic: item.ext.offered_qos_profiles[0] for item in reader.connections}
    assert {item.reliability for item in qos.values()} == {QosReliability.RELIABLE}
    latched = {topic for topic, item in qos.items() if item.durability == QosDurability.TRANSIENT_LOCAL}
    assert latched == {METADATA_TOPIC}
    stated = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (stated["version"], stated["storage_identifier"], stated["message_count"]) == (9, "mcap", 16)
    assert stated["relative_file_paths"] == ["bag.mcap"]
    assert stated["starting_time"]["nanoseconds_since_epoch"] == START


def test_an_existing_bag_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    record(Random(), path)
    before = (path / "bag.mcap").read_bytes()
    with pytest.raises(SourceError, match="--force"):
        record(Random(16), path)
    with pytest.raises(SourceError, match="missing"):
        record(Random(16, good=2), path, force=True)
    assert (path / "bag.mcap").read_bytes() == before
    record(Random(16), path, force=True)
    assert open_source(str(path)).info.bits == 16
    assert [item.name for item in tmp_path.iterdir()] == ["bag"]


def test_force_replaces_nothing_but_bags(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years of it")
    (tmp_path / "link").symlink_to(tmp_path / "work")
    for name in ("work", "work/thesis.txt", "link"):
        with pytest.raises(SourceError, match="not a bag"):
            record(Random(), tmp_path / name, force=True)
    assert (tmp_path / "work" / "thesis.txt").read_text() == "years of it"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="missing"):
        record(Random(good=3), tmp_path / "bag")
    with pytest.raises(SourceError, match="no frames"):
        record(_Empty(), tmp_path / "bag")
    with pytest.raises(KeyboardInterrupt):
        record(Random(), tmp_path / "bag", on_frame=_interrupt)
    assert not list(tmp_path.iterdir())


def _interrupt(frame: SourceFrame) -> None:
    if frame.index == 2:
        raise KeyboardInterrupt


class _Empty(FrameSource):
    info = SourceInfo("empty", 4, 4, 8, None, 10.0)

    def __iter__(self) -> Iterator[SourceFrame]:
        return iter(())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        record(Random(), tmp_path / "file" / "bag")


@pytest.mark.parametrize("left", [0.0, 0.2, 0.5, 0.95])
def test_a_damaged_bag_is_named(tmp_path: Path, left: float) -> None:
    record(Random(), tmp_path / "bag")
    file = tmp_path / "bag" / "bag.mcap"
    data = file.read_bytes()
    file.write_bytes(data[: int(left * len(data))])
    with pytest.raises(SourceError, match="bag"):
        list(open_source(str(tmp_path / "bag")))


def test_images_that_are_stated_and_not_held(tmp_path: Path) -> None:
    record(Random(), tmp_path / "bag")
    with BagWriter(tmp_path / "none") as writer:
        writer.add_topic(IMAGE_TOPIC, "sensor_msgs/msg/Image")
        writer.add_topic("/text", "std_msgs/msg/String")
        writer.write("/text", START, typestore().types["std_msgs/msg/String"](data="hello"))
    stated = (tmp_path / "bag" / "metadata.yaml").read_text().replace("bag.mcap", "none.mcap")
    (tmp_path / "none" / "metadata.yaml").write_text(stated)
    with pytest.raises(SourceError, match="damaged"):
        open_source(str(tmp_path / "none"))


def test_a_length_beyond_the_memory_is_damage(tmp_path: Path) -> None:
    record(Random(), tmp_path / "bag")
    file = tmp_path / "bag" / "bag.mcap"
    data = bytearray(file.read_bytes())
    data[9:17] = (1 << 62).to_bytes(8, "little")  # of the first record, after the magic bytes and its opcode
    file.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be read"):
        list(open_source(str(tmp_path / "bag")))


@pytest.mark.parametrize(
    "nonsense",
    [{"rate_hz": 0}, {"rate_hz": "fast"}, {"bits": 64}, {"pixel_spacing_mm": -1.0}, {"metadata": 3}],
)
def test_nonsense_that_a_recording_says_of_itself_is_left_out(
    tmp_path: Path, nonsense: dict[str, object]
) -> None:
    record(Random(16), tmp_path / "bag")
    said = asdict(Random(16).info) | nonsense
    with BagReader(tmp_path / "bag") as reader, BagWriter(tmp_path / "other") as writer:
        writer.add_topic(METADATA_TOPIC, "std_msgs/msg/String")
        writer.write(METADATA_TOPIC, START, typestore().types["std_msgs/msg/String"](data=json.dumps(said)))
        writer.add_topic(IMAGE_TOPIC, "sensor_msgs/msg/Image")
        for message in reader.messages({IMAGE_TOPIC}):
            writer.write_raw(IMAGE_TOPIC, message.time_ns, message.data)
    info = open_source(str(tmp_path / "other")).info
    assert (info.name, info.bits, info.pixel_spacing_mm) == ("other", 16, None)
    assert info.rate_hz == pytest.approx(1 / 0.101)
    assert info.metadata["kind"] == "bag"


def test_other_bags_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such bag"):
        BagReader(tmp_path / "missing")
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 99}")
    with pytest.raises(SourceError, match="bag"):
        BagReader(tmp_path / "bag")
    with BagWriter(tmp_path / "text") as writer:
        writer.add_topic("/text", "std_msgs/msg/String")
        writer.write("/text", START, typestore().types["std_msgs/msg/String"](data="hello"))
    with pytest.raises(SourceError, match=r"no raw images .* /text \(std_msgs/msg/String\)"):
        open_source(str(tmp_path / "text"))
    with BagWriter(tmp_path / "empty") as writer:
        writer.add_topic("/text", "std_msgs/msg/String")
    with pytest.raises(SourceError, match="no messages"):
        BagReader(tmp_path / "empty")


def test_a_bag_without_its_metadata_file_still_opens(tmp_path: Path) -> None:
    record(Random(), tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert open_source(str(tmp_path / "bag")).info.frames == 5


@pytest.mark.parametrize(("encoding", "big"), [("mono8", 0), ("mono16", 0), ("mono16", 1), ("bgr8", 0)])
def test_foreign_images_with_padded_rows(tmp_path: Path, encoding: str, big: int) -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 60000 if encoding == "mono16" else 256, (7, 5))
    stored = gray.astype((">u2" if big else "<u2") if encoding == "mono16" else "u1")
    values = np.repeat(stored[..., None], 3, axis=2) if encoding == "bgr8" else stored
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(7, -1)
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](sec=5, nanosec=7)
    message = types["sensor_msgs/msg/Image"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="c_arm"),
        height=7,
        width=5,
        encoding=encoding,
        is_bigendian=big,
        step=rows.shape[1] + 3,
        data=np.pad(rows, ((0, 0), (0, 3)), constant_values=99).reshape(-1),
    )
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/camera/image", "sensor_msgs/msg/Image")
        writer.write("/camera/image", START, message)
    with open_source(str(tmp_path / "bag")) as source:
        (frame,) = source
        assert source.info.bits == (16 if encoding == "mono16" else 8)
    np.testing.assert_array_equal(frame.pixels, gray)


def test_recorded_answers_are_not_taken_for_the_x_ray_images(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        for topic in ("/perception/mask", "/perception/overlay", "/camera/image"):
            writer.add_topic(topic, "sensor_msgs/msg/Image")
            writer.write_raw(topic, START, b"")
    with BagReader(tmp_path / "bag") as reader:
        assert reader.image_topic() == "/camera/image"


def test_a_raw_message_is_kept_byte_for_byte(tmp_path: Path) -> None:
    data = bytes(
        typestore().serialize_cdr(typestore().types["std_msgs/msg/String"](data="x"), "std_msgs/msg/String")
    )
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/text", "std_msgs/msg/String")
        writer.write_raw("/text", START, data)
    with BagReader(tmp_path / "bag") as reader:
        (message,) = reader.messages()
    assert (bytes(message.data), message.time_ns, message.topic) == (data, START, "/text")


def test_a_type_that_nobody_defined(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="other_msgs/msg/Thing"), BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/thing", "other_msgs/msg/Thing")
    assert not list(tmp_path.iterdir())
