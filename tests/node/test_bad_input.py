"""Each bad frame is named on status and diagnostics and counted, and the good frame after it is answered."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import ElectrodeArray, PerceptionStatus
from node.frames import image, scene
from node.harness import NodeProcess, Peer, Stream, values
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros

PICTURE = scene()
FLOATS = PICTURE.astype(np.float32)


@pytest.fixture(scope="module")
def process(start: Callable[..., NodeProcess], bundle: Path) -> NodeProcess:
    settings = {
        "model": bundle,
        "backend": "openvino",
        "max_age": 20.0,
        "deadline": 0.0,
        "diagnostics_period": 0.2,
    }
    return start(*(part for name, value in settings.items() for part in ("-p", f"{name}:={value}")))


@pytest.fixture(scope="module")
def stream(process: NodeProcess, peer: Peer) -> Iterator[Stream]:
    yield Stream.configured(peer)
    assert process.running, process.output


@pytest.fixture(scope="module")
def reference(stream: Stream) -> ElectrodeArray:
    return stream.answer(image(stream.header(), PICTURE))


def with_bad_value(value: float) -> np.ndarray:
    pixels = FLOATS.copy()
    pixels[17, 23] = value
    return pixels


def wrong_encoding(message: Image) -> None:
    message.encoding = "yuv422"


def no_encoding(message: Image) -> None:
    message.encoding = ""


def short_step(message: Image) -> None:
    message.step = message.width - 1


def zero_step(message: Image) -> None:
    message.step = 0


def truncated(message: Image) -> None:
    message.data = message.data[:-1000]


def empty(message: Image) -> None:
    message.data = message.data[:0]


def too_wide(message: Image) -> None:
    message.width *= 2


def too_high(message: Image) -> None:
    message.height += 1


def absurd(message: Image) -> None:
    message.width = message.height = message.step = 4_000_000_000


def nothing_at_all(message: Image) -> None:
    message.width = message.height = message.step = 0
    message.data = message.data[:0]


def no_width(message: Image) -> None:
    message.width = 0


def not_a_number(message: Image) -> None:
    _replace(message, with_bad_value(np.nan))


def infinite(message: Image) -> None:
    _replace(message, with_bad_value(-np.inf))


def _replace(message: Image, pixels: np.ndarray) -> None:
    other = image(message.header, pixels, "32FC1")
    message.encoding, message.step, message.data = other.encoding, other.step, other.data


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (wrong_encoding, "encoding"),
        (no_encoding, "encoding"),
        (short_step, "step"),
        (zero_step, "step"),
        (truncated, "data"),
        (empty, "data"),
        (too_wide, "step"),
        (too_high, "data"),
        (absurd, "size"),
        (nothing_at_all, "size"),
        (no_width, "size"),
        (not_a_number, "NaN"),
        (infinite, "infinite"),
    ],
)
def test_bad_image_costs_itself_only(
    stream: Stream, reference: ElectrodeArray, spoil: Callable[[Image], None], reason: str
) -> None:
    before = stream.send(image(stream.header(), PICTURE))
    message = image(stream.header(), PICTURE)
    spoil(message)
    status = stream.send(message)
    assert status.state == PerceptionStatus.BAD_INPUT
    assert status.message.startswith("ImageError: ")
    assert reason in status.message
    assert status.frames_failed == before.frames_failed + 1
    assert status.frames_processed == before.frames_processed
    assert np.isnan(status.latency_ms)
    after = stream.answer(image(stream.header(), PICTURE))
    assert after.electrodes == reference.electrodes
    assert stream.electrodes.of(message.header) is None
    failed = str(status.frames_failed)
    found = stream.diagnosed(lambda _, pairs: pairs["frames_failed"] == failed)
    assert values(found)["last_error"] == status.message


def test_size_may_change_in_midstream(
    stream: Stream, process: NodeProcess, reference: ElectrodeArray
) -> None:
    stream.answer(image(stream.header(), PICTURE))
    turned = stream.answer(image(stream.header(), scene(200, 360)))
    assert all(item.x < 200 and item.y < 360 for item in turned.electrodes)
    assert stream.answer(image(stream.header(), PICTURE)).electrodes == reference.electrodes
    assert "image size changed from 320 x 240 to 200 x 360 px" in process.output


def test_late_frame_is_dropped(stream: Stream, reference: ElectrodeArray) -> None:
    newest = image(stream.header(), PICTURE)
    before = stream.send(newest)
    status = stream.send(image(stream.header(age=0.5), PICTURE))
    assert status.state == PerceptionStatus.BAD_INPUT
    assert status.message.startswith("StampError: stamp is ")
    assert status.frames_failed == before.frames_failed + 1
    assert stream.answer(image(stream.header(), PICTURE)).electrodes == reference.electrodes


def test_new_run_after_a_jump_back_costs_one_frame(stream: Stream, reference: ElectrodeArray) -> None:
    stream.answer(image(stream.header(), PICTURE))
    first = stream.send(image(stream.header(age=8.0), PICTURE))
    assert first.state == PerceptionStatus.BAD_INPUT
    assert "StampError: stamp went back by " in first.message
    second = stream.send(image(stream.header(age=7.5), PICTURE))
    assert second.state == PerceptionStatus.OK
    assert stream.answer(image(stream.header(), PICTURE)).electrodes == reference.electrodes


def test_frame_from_the_future_is_refused(stream: Stream, reference: ElectrodeArray) -> None:
    status = stream.send(image(stream.header(age=-60.0), PICTURE))
    assert status.state == PerceptionStatus.BAD_INPUT
    assert "in the future" in status.message
    assert stream.answer(image(stream.header(), PICTURE)).electrodes == reference.electrodes


def test_log_is_limited(stream: Stream, process: NodeProcess) -> None:
    """Twenty bad frames of one kind in a moment leave at most two lines, and the log says there were more."""
    before = process.output.count("expected one of")
    for _ in range(20):
        message = image(stream.header(), PICTURE)
        wrong_encoding(message)
        stream.send(message)
    assert process.output.count("expected one of") - before <= 2
