import numpy as np
import pytest

from cath_perception.overlay import colour_of, draw, windowed
from cath_perception.types import Catheter, Centerline, Electrode, PerceptionResult, StageTimes


def result_of(width=200, height=160):
    electrodes = (
        Electrode(60.0, 80.0, 10.0, 8.0, 0.9, catheter=0, index=0),
        Electrode(150.0, 40.0, 10.0, 8.0, 0.5),
    )
    line = np.stack((np.linspace(40, 160, 50), np.full(50, 80.0)), axis=1).astype(np.float32)
    catheter = Catheter(0, electrodes[:1], Centerline(line, 8.0), 0.9)
    mask = np.zeros((height, width), np.uint8)
    mask[76:85, 40:160] = 255
    return PerceptionResult(width, height, electrodes, (catheter,), mask, StageTimes(total=12.3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_everything_is_drawn_and_the_frame_is_left_alone(dtype):
    pixels = np.full((160, 200), 100, dtype)
    pixels[::3] = 120
    before = pixels.copy()
    picture = draw(pixels, result_of())
    np.testing.assert_array_equal(pixels, before)
    assert picture.shape == (160, 200, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture[80, 120].astype(int) - colour_of(0)).max() <= 30
    plain = np.repeat(windowed(pixels)[..., None], 3, axis=2)
    assert (picture[78, 45:55] != plain[78, 45:55]).any()  # the tint
    assert (picture[36, 140:160] != plain[36, 140:160]).any()  # a box
    assert (picture[-10:] != plain[-10:]).mean() > 0.5  # the footer
    np.testing.assert_array_equal(picture[100:130], plain[100:130])


def test_shaft_without_electrodes_is_grey_and_has_no_name():
    line = np.stack((np.linspace(40, 160, 50), np.full(50, 80.0)), axis=1).astype(np.float32)
    bare = Catheter(3, (), Centerline(line, 8.0), 0.9)
    picture = draw(np.zeros((160, 200), np.uint8), PerceptionResult(200, 160, (), (bare,), None))
    assert np.abs(picture[80, 120].astype(int) - colour_of(-1)).max() <= 30
    drawn = picture[:140].any(axis=2)
    assert drawn[79:82].any()
    assert not drawn[:77].any()
    assert not drawn[84:].any()


def test_sixteen_bits_are_windowed():
    pixels = np.linspace(2000, 2400, 160 * 200).reshape(160, 200).astype(np.uint16)
    shown = windowed(pixels)
    assert shown.min() == 0
    assert shown.max() == 255
    assert windowed(np.full((8, 8), 7, np.uint16)).dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 30)])
def test_small_frames_and_empty_results(shape):
    pixels = np.zeros(shape, np.uint8)
    nothing = PerceptionResult(shape[1], shape[0], (), None, None)
    assert draw(pixels, nothing).shape == (*shape, 3)
    empty = PerceptionResult(shape[1], shape[0], (), (), np.zeros(shape, np.uint8))
    assert draw(pixels, empty).shape == (*shape, 3)
