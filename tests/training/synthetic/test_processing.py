"""What systems do to frames, and what that leaves of the labels."""

import cv2
import numpy as np
import pytest
import torch

from cath_training.synthetic import processing


def _picture(side: int = 70) -> torch.Tensor:
    noise = np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.uint8)
    return torch.from_numpy(cv2.GaussianBlur(noise, (0, 0), 1.2))[None, None].float() / 255


def _coarse_to_fine(image: torch.Tensor) -> float:
    """How large the slope from left to right is beside what changes from row to row."""
    inner = image[40:-40, 40:-40]
    return float(abs(inner[:, -20:].mean() - inner[:, :20].mean()) / inner.std(dim=0).mean())


@pytest.mark.parametrize("quality", [15, 50, 85])
def test_jpeg_is_as_opencv_writes_it(quality: int) -> None:
    image = _picture()
    pixels = (image[0, 0] * 255).round().to(torch.uint8).numpy()
    coded, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert coded
    expected = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(int)
    ours = (processing.jpeg(image, quality)[0, 0] * 255).round().numpy().astype(int)
    away, lost = np.abs(ours - expected).mean(), np.abs(expected - pixels.astype(int)).mean()
    assert away < 0.25 * lost
    assert away < 0.7


def test_local_contrast_takes_out_what_is_coarse_and_keeps_what_is_fine() -> None:
    x = torch.linspace(0, 1, 256).expand(256, 256)
    fine = 0.05 * torch.sin(torch.arange(256) * 1.2)[:, None]
    image = (0.2 + 0.6 * x + fine)[None, None]
    result = processing.local_contrast(image, 16.0, 0.9)[0, 0]
    assert _coarse_to_fine(image[0, 0]) > 6 * _coarse_to_fine(result)
    assert 0.0 <= result.min() < 0.05
    assert 0.95 < result.max() <= 1.0


def test_graphics_hide_what_lies_below_and_all_kinds_are_drawn() -> None:
    rng, areas = np.random.default_rng(1), []
    for draw in processing._DRAWN:
        cover = np.zeros((200, 220), np.uint8)
        for _ in range(20):
            draw(cover, rng, rng.integers(0, (220, 200)))
        areas.append((cover > 127).mean())
    assert min(areas) > 0.005
    assert max(areas) < 0.5


def test_covered_pixels_are_told() -> None:
    images = torch.full((8, 1, 128, 128), 100 / 255)
    treated, shown = processing.treat(images, np.random.default_rng(2), (0.0, 1.0, 0.0))
    assert torch.equal(treated[shown] > 0.75, torch.zeros(int(shown.sum()), dtype=torch.bool))
    assert (treated[~shown] != images[~shown]).float().mean() > 0.95
    assert 0.001 < float((~shown).float().mean()) < 0.3


def test_lag_keeps_more_of_the_present_than_of_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing, "LAGGING", 1.0)
    attenuation = torch.zeros(16, 1, 40, 40)
    attenuation[:, :, 20, 20] = 1.0
    lagged = processing.lag(attenuation, np.random.default_rng(3))
    assert (lagged[:, 0, 20, 20] >= 0.55).all()
    assert torch.allclose(lagged.sum((1, 2, 3)), torch.ones(16))
    assert ((lagged > 0).sum((1, 2, 3)) == 2).sum() >= 12
    assert attenuation[:, :, 20, 20].eq(1).all()


def test_what_lies_outside_the_field_is_blank_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing, "SURROUNDED", 1.0)
    images = torch.full((40, 1, 64, 64), 0.5)
    surrounded, inside = processing.surround(images, np.random.default_rng(6))
    assert surrounded[inside].eq(0.5).all()
    blank = [set(picture[~field].tolist()) for picture, field in zip(surrounded, inside, strict=True)]
    assert all(len(values) <= 1 for values in blank)
    assert sum(values == {0.0} for values in blank) > sum(values == {1.0} for values in blank) > 0
    assert inside[:, 0, 32, 32].all()
    assert 0.1 < float((~inside).float().mean()) < 0.6


def test_untouched_images_stay_as_they_are() -> None:
    image = (_picture() * 255).round() / 255
    treated, shown = processing.treat(image, np.random.default_rng(4), (0.0, 0.0, 0.0))
    assert torch.equal(treated, image)
    assert shown.all()


def test_the_same_generator_treats_alike_and_about_as_many_as_asked_for() -> None:
    images = _picture(40).expand(200, 1, 40, 40)
    first, second = (processing.treat(images, np.random.default_rng(5))[0] for _ in range(2))
    assert torch.equal(first, second)
    changed = (first != (images * 255).round() / 255).any(3).any(2).float().mean()
    assert 0.4 < changed < 0.75  # 1 - 0.75 x 0.8 x 0.7 = 0.58, and graphics may miss so small an image
