"""Projections of bodies whose shadows are known, and the CT itself where it is installed."""

import numpy as np
import pytest
import torch

from cath_training.synthetic import ct
from cath_training.synthetic.carm import CArm

FRONT = ct.View(0.0, 0.0, 0.0, np.zeros(3), 120.0, np.ones(3))


def ball(centre: tuple[float, float, float], radius: float = 20.0) -> ct.Volume:
    """Water in air, voxels 2 x 2 x 3 mm; the 'heart' is the middle of the volume."""
    z, y, x = np.meshgrid(
        *(np.arange(n) * s - 80.0 for n, s in ((54, 3.0), (81, 2.0), (81, 2.0))), indexing="ij"
    )
    away = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    density = torch.from_numpy(np.clip((radius - away) / 2 + 0.5, 0, 1).astype(np.float32))
    return ct.Volume(
        density[None, None],
        np.array([2.0, 2.0, 3.0]),
        np.full(3, 80.0),
        np.array([[-80.0, -80.0], [80.0, 80.0]]),
    )


def place(picture: torch.Tensor) -> tuple[float, float]:
    """Centre of mass in px."""
    weight, at = picture.double(), torch.arange(len(picture)).double()
    return float((weight.sum(0) * at).sum() / weight.sum()), float((weight.sum(1) * at).sum() / weight.sum())


def test_path_through_a_ball_is_its_diameter() -> None:
    for view in (FRONT, ct.View(0.6, 0.3, 0.2, np.zeros(3), 120.0, np.ones(3))):
        assert float(ct.project(ball((0, 0, 0)), view, 121).max()) == pytest.approx(40.0, abs=1.0)


def test_left_is_right_and_head_is_up() -> None:
    x, y = place(ct.project(ball((20, 0, 0)), FRONT, 120))
    assert (x, y) == (pytest.approx(59.5 + 20, abs=0.4), pytest.approx(59.5, abs=0.4))
    x, y = place(ct.project(ball((0, 0, 20)), FRONT, 120))
    assert (x, y) == (pytest.approx(59.5, abs=0.4), pytest.approx(59.5 - 20, abs=0.4))


def test_positions_are_those_of_the_c_arm() -> None:
    carm = CArm(120, 1050.0 / 750.0)  # 1 px a mm at the isocentre
    x, y = place(ct.project(ball((15, -30, 10), 12.0), FRONT, 120))  # 30 mm nearer to the detector
    assert (x, y) == pytest.approx(carm.project(np.array([15.0, -10.0, 30.0])).tolist(), abs=0.4)
    side = ct.View(np.pi / 2, 0.0, 0.0, np.zeros(3), 120.0, np.ones(3))  # detector at the patient's left
    x, _ = place(ct.project(ball((0, 25, 0), 12.0), side, 120))
    assert x == pytest.approx(59.5 + 25, abs=0.4)
    up = ct.View(0.0, 0.3, 0.0, np.zeros(3), 120.0, np.ones(3))  # seen from the head, what is in front sinks
    _, y = place(ct.project(ball((0, -30, 0), 12.0), up, 120))
    assert y == pytest.approx(59.5 + 30 * np.sin(0.3), abs=1.0)


def test_axes_are_orthonormal() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        frame = np.stack(ct.axes(ct.draw_view(rng)))
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)


def test_contrast_agent_and_what_is_outside_are_taken_away() -> None:
    z, y, x = np.meshgrid(np.arange(40.0), np.arange(120.0), np.arange(120.0), indexing="ij")
    units = np.full(x.shape, -1000.0, np.float32)
    units[np.hypot(x - 60, y - 60) < 46] = 40.0  # a body
    units[(np.hypot(x - 60, y - 60) < 22) & (np.abs(z - 20) < 12)] = 350.0  # opacified heart
    units[np.hypot(x - 60, y - 96) < 6] = 600.0  # a spine
    units[:, 115:118] = 200.0  # the table
    volume = ct.prepare(units, np.array([1.0, 1.0, 2.5]))
    density = volume.density[0, 0].numpy()
    assert volume.heart == pytest.approx([60, 60, 50], abs=3.0)
    assert density[20, 60, 60] == pytest.approx(1.055)
    assert density[20, 96, 60] > 1.6
    assert density[20, 116, 60] == 0
    assert density[20, 30, 60] == pytest.approx(1.04)


def test_without_the_ct_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ct, "find_spec", lambda name: None)
    ct.load.cache_clear()
    assert not ct.available()
    with pytest.raises(ct.CtError, match=r"requirements/ct\.txt"):
        ct.load()


@pytest.mark.skipif(not ct.available(), reason="the CT (requirements/ct.txt) is not installed")
def test_backgrounds_of_the_ct() -> None:
    first, again = (ct.backgrounds(np.random.default_rng(4), 2, 96) for _ in range(2))
    assert first.shape == (2, 96, 96)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert first.std(axis=(1, 2)).min() > 15
    assert not np.array_equal(first[0], first[1])
