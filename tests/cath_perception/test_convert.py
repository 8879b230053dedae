"""Messages <-> core types, without any process: needs ROS messages only."""

import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed here")

from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cath_perception import convert
from cath_perception.errors import ImageError
from cath_perception.image import ENCODINGS
from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode

Reader = Callable[[Image], NDArray[Any]]
READERS = [
    pytest.param(convert.pixels_by_core, id="core"),
    pytest.param(
        convert.pixels_by_cv_bridge,
        id="cv_bridge",
        marks=pytest.mark.skipif(convert.CvBridge is None, reason="cv_bridge is not installed here"),
    ),
]
WIDTH, HEIGHT = 13, 7


def gray(dtype: str) -> NDArray[Any]:
    values = np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH))
    return (values * 200 if dtype == "u2" else values).astype(dtype)


def message(encoding: str, big: bool, pad: int) -> tuple[Image, NDArray[Any]]:
    """An image of ``encoding`` with equal colour channels, and the grey pixels it holds."""
    kind = ENCODINGS[encoding]
    pixels = gray(kind.dtype)
    colours = np.repeat(pixels[:, :, None], kind.channels, axis=2)
    ordered = np.ascontiguousarray(colours.astype(colours.dtype.newbyteorder(">" if big else "<")))
    rows = np.pad(ordered.view(np.uint8).reshape(HEIGHT, -1), ((0, 0), (0, pad)), constant_values=255)
    built = Image(height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=int(big), step=rows.shape[1])
    built.data.frombytes(rows.tobytes())
    return built, pixels


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("pad", [0, 3, 12])
@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_every_encoding(read: Reader, encoding: str, big: bool, pad: int) -> None:
    built, expected = message(encoding, big, pad)
    pixels = read(built)
    assert pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding", "yuv422"),
        ("encoding", ""),
        ("step", 5),
        ("step", 0),
        ("width", 0),
        ("height", 0),
        ("width", 4_000_000_000),
        ("height", HEIGHT + 1),
        ("data", []),
    ],
)
def test_bad_images_are_named(read: Reader, field: str, value: Any) -> None:
    built, _ = message("mono8", False, 0)
    setattr(built, field, type(built.data)("B", value) if field == "data" else value)
    with pytest.raises(ImageError, match=r"expected|need"):
        read(built)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(read: Reader, bad: float) -> None:
    built, pixels = message("32FC1", False, 0)
    pixels[2, 3] = bad
    built.data = type(built.data)("B", pixels.tobytes())
    with pytest.raises(ImageError, match="1 of 91 NaN or infinite"):
        read(built)


def test_gray_images_are_not_copied() -> None:
    built, _ = message("mono8", False, 0)
    assert np.shares_memory(convert.pixels_by_core(built), np.frombuffer(built.data, np.uint8))


def compressed(kind: str, pixels: NDArray[Any]) -> CompressedImage:
    done, data = cv2.imencode(f".{kind}", pixels)
    assert done
    built = CompressedImage(format=kind)
    built.data.frombytes(data.tobytes())
    return built


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_png_is_lossless(dtype: str) -> None:
    pixels = convert.pixels_from_compressed(compressed("png", gray(dtype)))
    assert pixels.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(pixels, gray(dtype))


@pytest.mark.parametrize("channels", [3, 4])
def test_compressed_colour_becomes_luma(channels: int) -> None:
    pixels = convert.pixels_from_compressed(
        compressed("png", np.repeat(gray("u1")[:, :, None], channels, axis=2))
    )
    np.testing.assert_array_equal(pixels, gray("u1"))


def test_jpeg() -> None:
    smooth = np.tile(np.arange(0, 250, 2, dtype=np.uint8), (64, 1))
    pixels = convert.pixels_from_compressed(compressed("jpg", smooth))
    assert np.abs(pixels.astype(int) - smooth).max() < 6


def test_compressed_size_is_bounded_before_decoding() -> None:
    """A PNG header that promises 9,000 x 8,000 px is refused although no such data follow."""
    built = compressed("png", gray("u1"))
    data = bytearray(built.data.tobytes())
    data[16:24] = (9_000).to_bytes(4, "big") + (8_000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    built.data = type(built.data)("B", data)
    with pytest.raises(ImageError, match=r"compressed image of 9000 x 8000 px, at most"):
        convert.pixels_from_compressed(built)


def test_compressed_16_bit_colour_is_refused() -> None:
    wide = np.repeat(gray("u2")[:, :, None], 3, axis=2)
    with pytest.raises(ImageError, match="8 bits a channel"):
        convert.pixels_from_compressed(compressed("png", wide))


@pytest.mark.parametrize(("encoding", "shape"), [("mono8", (5, 7)), ("bgr8", (5, 7, 3))])
def test_image_message(encoding: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    header = Header(frame_id="somewhere")
    built = convert.image_message(pixels[:, ::-1], encoding, header)
    assert (built.header, built.encoding, built.height, built.width) == (header, encoding, 5, 7)
    assert built.step * built.height == len(built.data) == pixels.size
    np.testing.assert_array_equal(np.frombuffer(built.data, np.uint8).reshape(shape), pixels[:, ::-1])


def test_catheters_survive_the_way_there_and_back() -> None:
    electrode = Electrode(1.25, 2.5, 4.0, 5.0, 0.75, 0.5, catheter=3, index=0)
    guess = Electrode(9.0, 8.0, 4.0, 5.0, 0.25, 0.5, catheter=3, index=1, visible=False)
    line = Centerline(np.array([[1, 2], [3, 4.5], [6, 7]], np.float32), 8.0)
    full = Catheter(3, (electrode, guess), line, 0.5, "decapolar", 0.25, CatheterStatus.PREDICTED)
    bare = Catheter(4, (), None, 0.125)
    header = Header(frame_id="fluoroscopy")
    built = convert.catheter_array((full, bare), header)
    assert built.header == header
    assert built.computed
    back = convert.catheters_from_message(built)
    assert back is not None
    np.testing.assert_array_equal(back[0].centerline.points, line.points)
    assert back[0].electrodes == full.electrodes
    assert (back[0].type, back[0].status, back[0].score) == ("decapolar", CatheterStatus.PREDICTED, 0.5)
    assert back[1] == bare
    lines = convert.centerline_array(built)
    assert lines.header == header
    assert [item.catheter_id for item in lines.centerlines] == [3]
    assert list(lines.centerlines[0].x) == [1, 3, 6]


def test_not_computed_is_not_none_found() -> None:
    assert convert.catheters_from_message(convert.catheter_array(None, Header())) is None
    assert convert.catheters_from_message(convert.catheter_array((), Header())) == ()
