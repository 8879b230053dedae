import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cath_perception.errors import ImageError
from cath_perception.image import ENCODINGS, MAX_SIDE, Letterbox, check_pixels, gray_from_buffer

GRAY = {"mono8": "u1", "8UC1": "u1", "mono16": "u2", "16UC1": "u2", "32FC1": "f4"}
COLOUR = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}


def buffer_of(pixels, encoding, padding=0, bigendian=False):
    """The bytes and step of a message with these grey (or, for colour encodings, R G B) pixels."""
    if encoding in GRAY:
        rows = pixels.astype(np.dtype(GRAY[encoding]).newbyteorder(">" if bigendian else "<"))
    else:
        rows = pixels[..., COLOUR[encoding]]
        if "a" in encoding:
            rows = np.concatenate((rows, np.full((*rows.shape[:2], 1), 77, np.uint8)), axis=2)
    rows = np.frombuffer(rows.tobytes(), np.uint8).reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=201)
    return padded.tobytes(), padded.shape[1]


def some_pixels(encoding, height=11, width=7, seed=0):
    rng = np.random.default_rng(seed)
    if encoding in COLOUR:
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if encoding == "32FC1":
        return rng.normal(0, 1e4, (height, width)).astype(np.float32)
    return rng.integers(0, np.iinfo(GRAY[encoding]).max + 1, (height, width)).astype(GRAY[encoding])


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_its_pixels(encoding, padding, bigendian):
    pixels = some_pixels(encoding)
    data, step = buffer_of(pixels, encoding, padding, bigendian)
    gray = gray_from_buffer(data, 7, 11, encoding, step, bigendian)
    assert gray.shape == (11, 7)
    assert gray.dtype.isnative
    if encoding in COLOUR:
        luma = pixels @ np.array((0.299, 0.587, 0.114))
        assert gray.dtype == np.uint8
        assert np.abs(gray - luma).max() <= 1.0
    else:
        assert gray.dtype == np.dtype(GRAY[encoding])
        np.testing.assert_array_equal(gray, pixels)


@given(
    st.sampled_from(sorted(GRAY)), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_any_size_and_padding_comes_back(encoding, width, height, padding, bigendian):
    pixels = some_pixels(encoding, height, width, seed=width)
    data, step = buffer_of(pixels, encoding, padding, bigendian)
    np.testing.assert_array_equal(gray_from_buffer(data, width, height, encoding, step, bigendian), pixels)


def test_native_grey_is_not_copied():
    for dtype, encoding in ((np.uint8, "mono8"), (np.uint16, "mono16")):
        data = np.zeros(24 * 8 * np.dtype(dtype).itemsize, np.uint8)
        gray = gray_from_buffer(data, 20, 8, encoding, 24 * np.dtype(dtype).itemsize, sys.byteorder == "big")
        assert np.shares_memory(gray, data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "bayer_rggb8"}, "encoding: expected one of"),
        ({"encoding": ""}, "encoding"),
        ({"width": 0, "step": 0, "data": b""}, "image size"),
        ({"height": 0, "data": b""}, "image size"),
        ({"width": MAX_SIDE + 1, "step": MAX_SIDE + 1}, "image size"),
        ({"height": 2**31}, "image size"),
        ({"height": -4}, "image size"),
        ({"step": 9}, "step"),
        ({"step": 11}, "data: expected height 6 x step 11 = 66 bytes, got 60"),
        ({"data": b""}, "data"),
        ({"data": bytes(59)}, "data"),
        ({"data": bytes(61)}, "data"),
        ({"encoding": "mono16"}, "step"),
    ],
)
def test_bad_buffers_are_refused(change, words):
    image = {"data": bytes(60), "width": 10, "height": 6, "encoding": "mono8", "step": 10} | change
    with pytest.raises(ImageError, match=words):
        gray_from_buffer(**image)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    pixels = np.zeros((4, 5), np.float32)
    pixels[2, 3] = value
    with pytest.raises(ImageError, match="1 of 20 NaN or infinite"):
        gray_from_buffer(pixels.tobytes(), 5, 4, "32FC1", 20)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)]
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ImageError):
        check_pixels(pixels)


sizes = st.integers(1, 3000)


@given(sizes, sizes, st.sampled_from([64, 256, 320, 352]))
@settings(max_examples=80, deadline=None)
def test_letterbox_maps_there_and_back(width, height, size):
    box = Letterbox.fit(width, height, size)
    x, y = np.array((-0.5, 0.0, width / 3, width - 0.5)), np.array((-0.5, height / 2, 0.0, height - 0.5))
    u, v = box.to_network(x, y)
    assert u.min() >= -0.5 - 1e-9
    assert max(u.max(), v.max()) <= size - 0.5 + 1e-9
    np.testing.assert_allclose(box.to_image(u, v), (x, y), atol=1e-6)
    assert max(u[3] - u[0], v[3] - v[0]) == pytest.approx(size)


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1000, 700), (333, 512), (200, 150), (320, 320)])
def test_letterbox_keeps_positions(width, height):
    box = Letterbox.fit(width, height, 320)
    x0, y0 = 0.3 * width + 0.37, 0.6 * height - 0.21
    ys, xs = np.mgrid[:height, :width]
    blob = np.exp(-((xs - x0) ** 2 + (ys - y0) ** 2) / 2 / 6.0**2).astype(np.float32)
    seen = box.apply(blob)
    v, u = np.mgrid[:320, :320]
    x, y = box.to_image((seen * u).sum() / seen.sum(), (seen * v).sum() / seen.sum())
    assert (x, y) == pytest.approx((x0, y0), abs=0.05)


@pytest.mark.parametrize("side", [400, 512, 513, 640, 768, 1024])
@pytest.mark.parametrize("size", [256, 320, 384])
def test_shrunk_px_are_the_means_of_what_they_cover(side, size):
    pixels = (np.random.default_rng(side).random((side, side)) * 4000).astype(np.float32)
    expected = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(Letterbox.fit(side, side, size).apply(pixels), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_strided_and_locked_px_are_shrunk_alike(dtype):
    wide = (np.random.default_rng(3).random((200, 320)) * 250).astype(dtype)
    box, part = Letterbox.fit(300, 200, 128), wide[:, 7:307]
    expected = box.apply(np.ascontiguousarray(part)).copy()
    np.testing.assert_array_equal(box.apply(part), expected)
    locked = np.ascontiguousarray(part)
    locked.flags.writeable = False
    np.testing.assert_array_equal(box.apply(locked), expected)


def test_letterbox_repeats_the_edge_and_keeps_its_buffer():
    box = Letterbox.fit(100, 50, 64)
    first = box.apply(np.full((50, 100), 4000, np.uint16))
    assert (first == 4000).all()
    assert box.apply(np.zeros((50, 100), np.uint16)) is first
    with pytest.raises(ImageError, match="made for 100 x 50"):
        box.apply(np.zeros((100, 50), np.uint8))


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1000, 700), (333, 512), (90, 60)])
def test_mask_lies_where_the_network_saw_it(width, height):
    box = Letterbox.fit(width, height, 320)
    ys, xs = np.mgrid[:height, :width]
    truth = ((xs - width * 0.4) / (width * 0.22)) ** 2 + ((ys - height * 0.55) / (height * 0.3)) ** 2 < 1
    half = cv2.resize(box.apply(truth.astype(np.float32)), (160, 160), interpolation=cv2.INTER_AREA)
    mask = box.mask_to_image(half, 0.5)
    assert mask.shape == (height, width)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    found = mask > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.97
    centre = np.argwhere(found).mean(axis=0) - np.argwhere(truth).mean(axis=0)
    assert np.abs(centre).max() < 0.1
