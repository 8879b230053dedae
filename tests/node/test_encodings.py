"""Every encoding of the same picture, sent to one node, gets the same answer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import CatheterArray, CenterlineArray, ElectrodeArray, PerceptionStatus
from node.frames import image, scene
from node.harness import NodeProcess, Peer, Stream
from sensor_msgs.msg import Image

from cath_perception.convert import catheters_from_message
from cath_perception.from_message import electrode_from_message
from cath_perception.perceptor import Perceptor

pytestmark = pytest.mark.ros

PICTURE = scene()
COLOUR = np.repeat(PICTURE[:, :, None], 3, axis=2)
ALPHA = np.dstack((COLOUR, np.random.default_rng(9).integers(0, 256, PICTURE.shape, np.uint8)))
WIDE = PICTURE.astype(np.uint16)


@pytest.fixture(scope="module")
def stream(start: Callable[..., NodeProcess], peer: Peer, bundle: Path) -> Iterator[Stream]:
    process = start(
        "-p", f"model:={bundle}", "-p", "backend:=openvino", "-p", "max_age:=20.0", "-p", "deadline:=0.0"
    )
    node = Stream.configured(peer)
    yield node
    assert process.running, process.output


@pytest.fixture(scope="module")
def reference(stream: Stream) -> ElectrodeArray:
    answer = stream.answer(image(stream.header(), PICTURE))
    assert len(answer.electrodes) > 3
    return answer


def positions(answer: ElectrodeArray) -> np.ndarray:
    return np.array([(item.x, item.y, item.width, item.height, item.score) for item in answer.electrodes])


@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("pad", [0, 7], ids=["tight", "padded"])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("mono8", PICTURE),
        ("8UC1", PICTURE),
        ("mono16", WIDE),
        ("16UC1", WIDE),
        ("32FC1", WIDE.astype(np.float32)),
        ("rgb8", COLOUR),
        ("bgr8", COLOUR),
        ("rgba8", ALPHA),
        ("bgra8", ALPHA),
    ],
)
def test_same_answer_in_every_encoding(
    stream: Stream, reference: ElectrodeArray, encoding: str, pixels: np.ndarray, pad: int, big: bool
) -> None:
    answer = stream.answer(image(stream.header(), pixels, encoding, big, pad))
    np.testing.assert_allclose(positions(answer), positions(reference), atol=1e-3)


@pytest.mark.parametrize("scale", [16, 257])
def test_bit_depth_does_not_matter(stream: Stream, reference: ElectrodeArray, scale: int) -> None:
    answer = stream.answer(image(stream.header(), (WIDE * scale).astype(np.uint16), "mono16"))
    np.testing.assert_allclose(positions(answer)[:4], positions(reference)[:4], atol=0.05)


def test_colour_order_is_kept(stream: Stream) -> None:
    """A picture in the red channel only is not one in the blue channel only: luma tells them apart."""
    red = np.zeros_like(COLOUR)
    red[:, :, 0] = PICTURE
    as_rgb = stream.answer(image(stream.header(), red, "rgb8"))
    same = stream.answer(image(stream.header(), red[:, :, ::-1], "bgr8"))
    np.testing.assert_allclose(positions(as_rgb), positions(same), atol=1e-3)


def test_answers_are_the_perceptors(stream: Stream, bundle: Path) -> None:
    """What comes out of the topics is what the core says about the same pixels, with the header untouched."""
    catheters = stream.peer.listen(CatheterArray, "/perception/catheters")
    centerlines = stream.peer.listen(CenterlineArray, "/perception/centerlines")
    masks = stream.peer.listen(Image, "/perception/mask")
    stream.reach(catheters, centerlines, masks)
    for inbox in (catheters, centerlines, masks):
        inbox.clear()
    message = image(stream.header(), PICTURE)
    answer = stream.answer(message)
    stream.peer.wait(lambda: catheters and centerlines and masks, "catheters, centrelines and mask")
    with Perceptor.open(bundle, "openvino") as perceptor:
        expected = perceptor(PICTURE)
    assert all(item.header == message.header for item in (answer, catheters[0], centerlines[0], masks[0]))
    received = [electrode_from_message(item) for item in answer.electrodes]
    assert [item.x for item in received] == pytest.approx([item.x for item in expected.electrodes], abs=1e-3)
    assert [item.y for item in received] == pytest.approx([item.y for item in expected.electrodes], abs=1e-3)
    assert [item.catheter for item in received] == [item.catheter for item in expected.electrodes]
    found = catheters_from_message(catheters[0])
    assert found is not None
    assert expected.catheters is not None
    assert [item.id for item in found] == [item.id for item in expected.catheters]
    assert len(centerlines[0].centerlines) == sum(item.centerline is not None for item in expected.catheters)
    mask = np.frombuffer(masks[0].data, np.uint8).reshape(masks[0].height, masks[0].step)
    assert masks[0].encoding == "mono8"
    assert expected.mask is not None
    assert np.mean(mask == expected.mask) > 0.999
    assert set(np.unique(mask)) <= {0, 255}


def test_status_of_an_answered_frame(stream: Stream) -> None:
    before = stream.send(image(stream.header(), PICTURE))
    status = stream.send(image(stream.header(), PICTURE))
    assert status.state == PerceptionStatus.OK
    assert status.message == ""
    assert status.model == "random"
    assert status.backend.startswith("openvino (")
    assert status.frames_received == before.frames_received + 1
    assert status.frames_processed == before.frames_processed + 1
    assert 0 < status.frame_age_ms < 20_000
    parts = [
        status.preprocess_ms,
        status.network_ms,
        status.decode_ms,
        status.centerline_ms,
        status.grouping_ms,
        status.publish_ms,
    ]
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= status.total_ms * 1.001
    assert status.latency_ms <= status.total_ms + 20_000
