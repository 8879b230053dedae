"""Line integrals against what geometry gives in closed form."""

import numpy as np
import pytest

from cath_training.synthetic import render
from cath_training.synthetic.carm import CArm

CARM = CArm(128, 0.3)


def straight(length_mm: float = 60.0) -> np.ndarray:
    x = np.arange(-length_mm / 2, length_mm / 2, 0.5)
    return np.column_stack([x, np.zeros_like(x), np.zeros_like(x)])


def profile(inner: float, outer: float, coefficient: float = 1.0) -> np.ndarray:
    image = np.zeros((128, 128), np.float32)
    for seed in range(4):
        render.tube(
            image, CARM, straight(), (0, 60), (inner, outer), coefficient / 4, np.random.default_rng(seed)
        )
    return image[:, 30:98].mean(axis=1)


def test_solid_rod_attenuates_by_its_diameter() -> None:
    middle = profile(0.0, 3.0)[63:65].mean()
    assert middle == pytest.approx(2 * 3.0, rel=0.04)


def test_tube_is_darker_at_its_walls_than_in_its_middle() -> None:
    rows = profile(2.0, 3.0)
    wall = round(63.5 + 2.0 * CARM.scale)
    assert rows[63:65].mean() == pytest.approx(2 * 1.0, rel=0.06)
    assert rows[wall] > 1.5 * rows[63]


def test_attenuation_is_conserved_whatever_the_sampling() -> None:
    area_px = np.pi * 1.5**2 * CARM.scale  # integral over one column, in px
    assert profile(0.0, 1.5, coefficient=0.7).sum() == pytest.approx(0.7 * area_px, rel=0.02)


def test_end_on_rod_is_darker_by_its_length() -> None:
    z = np.arange(-5, 5, 0.5)
    course = np.column_stack([np.zeros_like(z), np.zeros_like(z), z])
    image = np.zeros((128, 128), np.float32)
    render.tube(image, CARM, course, (0, 9.5), (0.0, 3.0), 1.0, np.random.default_rng(0))
    assert image[62:66, 62:66].mean() == pytest.approx(9.5, rel=0.08)


def test_what_falls_outside_is_dropped() -> None:
    image = np.zeros((8, 8), np.float32)
    render.splat(image, np.array([[-1.0, 3.0], [3.0, 9.0], [3.25, 4.5]]), np.ones(3))
    assert image.sum() == pytest.approx(1.0)
    assert image[4, 3] == pytest.approx(0.75 * 0.5)
