"""Compressed input, camera info, and what is published for people: mask, overlay and markers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import ElectrodeArray, PerceptionStatus
from node.frames import image, packed, scene
from node.harness import Inbox, NodeProcess, Peer, RemoteNode, Stream
from rcl_interfaces.msg import Log
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import Marker, MarkerArray

pytestmark = pytest.mark.ros

PICTURE = scene(320, 240)


@pytest.fixture(scope="module")
def node(start: Callable[..., NodeProcess], peer: Peer, bundle: Path) -> Iterator[RemoteNode]:
    settings = {"model": bundle, "backend": "openvino", "max_age": 20.0, "deadline": 0.0}
    process = start(*(part for name, value in settings.items() for part in ("-p", f"{name}:={value}")))
    yield RemoteNode(peer)
    assert process.running, process.output


@pytest.fixture
def stream(node: RemoteNode, peer: Peer) -> Iterator[Stream]:
    """The node on raw images with camera info."""
    assert node.set(use_camera_info=True, source_detector_mm=1000.0)[0].successful
    yield Stream.configured(peer)
    assert node.deactivate()
    assert node.cleanup()


@pytest.fixture(scope="module")
def reference(node: RemoteNode, peer: Peer) -> ElectrodeArray:
    """The answer to ``PICTURE`` sent raw."""
    raw = Stream.configured(peer)
    answer = raw.answer(image(raw.header(), PICTURE))
    assert node.deactivate()
    assert node.cleanup()
    return answer


@pytest.fixture
def compressed(node: RemoteNode, peer: Peer, reference: ElectrodeArray) -> Iterator[Stream]:
    """The node on compressed images."""
    assert node.set(input_transport="compressed")[0].successful
    yield Stream.configured(peer, image_topic="/perception/image/compressed", kind=CompressedImage)
    assert node.deactivate()
    assert node.cleanup()
    assert node.set(input_transport="raw")[0].successful


def test_compressed_images(compressed: Stream, reference: ElectrodeArray) -> None:
    colour = np.repeat(PICTURE[:, :, None], 3, axis=2)
    for pixels in (PICTURE, PICTURE.astype(np.uint16), colour):
        answer = compressed.answer(packed(compressed.header(), pixels, "png"))
        assert answer.electrodes == reference.electrodes
    assert compressed.answer(packed(compressed.header(), PICTURE, "jpg")).electrodes


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: b"", "without data"),
        (lambda data: b"no picture at all", "neither JPEG nor PNG"),
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:16] + b"\x7f\xff\xff\xff\x7f\xff\xff\xff" + data[24:], ""),
        (lambda data: b"\0" * len(data), "neither JPEG nor PNG"),
    ],
    ids=["empty", "text", "truncated", "absurd size", "zeros"],
)
def test_bad_compressed_images(
    compressed: Stream, reference: ElectrodeArray, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    message = packed(compressed.header(), PICTURE, "png")
    message.data = type(message.data)("B", spoil(message.data.tobytes()))
    status = compressed.send(message)
    assert status.state == PerceptionStatus.BAD_INPUT, status.message
    assert status.message.startswith("ImageError: compressed image")
    assert reason in status.message
    after = compressed.answer(packed(compressed.header(), PICTURE, "png"))
    assert after.electrodes == reference.electrodes


def test_mask_and_overlay_only_while_someone_listens(stream: Stream) -> None:
    unheard = stream.send(image(stream.header(), PICTURE))
    assert np.isnan(unheard.mask_ms)
    masks = stream.peer.listen(Image, "/perception/mask")
    overlays = stream.peer.listen(Image, "/perception/overlay")
    stream.reach(masks, overlays)
    masks.clear()
    overlays.clear()
    message = image(stream.header(), PICTURE.astype(np.uint16) * 16, "mono16")
    assert stream.send(message).mask_ms > 0
    stream.peer.wait(lambda: masks and overlays, "mask and overlay")
    for received, encoding, channels in ((masks[0], "mono8", 1), (overlays[0], "bgr8", 3)):
        assert received.header == message.header
        assert (received.width, received.height, received.encoding) == (320, 240, encoding)
        assert (received.step, len(received.data)) == (320 * channels, 320 * 240 * channels)
    picture = np.frombuffer(overlays[0].data, np.uint8)
    assert picture.std() > 5


def test_camera_info_that_does_not_come_is_missed_aloud(stream: Stream) -> None:
    said = stream.peer.listen(Log, "/rosout")
    stream.peer.wait(
        lambda: stream.answer(stream.frame()) and any("no camera info" in line.msg for line in said),
        "word of the camera info",
    )
    assert "camera_info_topic" in said[-1].msg


def test_markers_in_pixels_then_in_metres(stream: Stream) -> None:
    arrays = stream.peer.listen(MarkerArray, "/perception/markers")
    stream.reach(arrays)
    _check_markers(stream, arrays, 1.0)
    infos = stream.peer.publisher(CameraInfo, "/perception/camera_info")
    info = CameraInfo(header=stream.header(), width=320, height=240)
    info.k[0] = info.k[4] = 4000.0  # with 1000 mm to the detector: 0.25 mm per pixel
    while arrays[-1].markers[1].scale.x > 0.5:  # camera info travels on a topic of its own
        infos.publish(info)
        stream.reach(arrays)
    _check_markers(stream, arrays, 0.25e-3)
    assert stream.set(mm_per_pixel=2.0)[0].successful
    _check_markers(stream, arrays, 2e-3)
    assert stream.set(mm_per_pixel=0.0)[0].successful


def _check_markers(stream: Stream, arrays: Inbox[MarkerArray], scale: float) -> None:
    """The next frame's markers show its electrodes at ``scale`` units per pixel."""
    answer = stream.answer(image(stream.header(), PICTURE))
    array = stream.peer.wait(lambda: arrays.of(answer.header), "markers")
    assert array.markers[0].action == Marker.DELETEALL
    assert all(marker.header == answer.header for marker in array.markers)
    spheres = [marker for marker in array.markers if marker.ns == "electrodes"]
    assert all(marker.type == Marker.SPHERE_LIST for marker in spheres)
    shown = sorted((marker.id, point.x, point.y) for marker in spheres for point in marker.points)
    expected = sorted((item.catheter_id, item.x * scale, item.y * scale) for item in answer.electrodes)
    assert len(shown) > 3
    np.testing.assert_allclose(shown, expected)
    assert len({(marker.ns, marker.id) for marker in array.markers[1:]}) == len(array.markers) - 1
