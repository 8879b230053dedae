"""Training batches: labels lie on what the picture shows, and a seed decides everything."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cath_perception.network.deployed import decode_maps
from cath_training.data import bank, batches
from cath_training.synthetic import ct

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def small_bank(tmp_path_factory: pytest.TempPathFactory) -> bank.Bank:
    return bank.make(tmp_path_factory.mktemp("bank"), bank.BankSize(4, 2, 2), seed=3, angiograms=[])


def test_targets_decode_to_the_electrodes_they_were_drawn_from(small_bank: bank.Bank) -> None:
    batch = batches.draw(small_bank, batches.BatchRule(crop=128, zoom=(0.9, 1.2)), 6, (5, 1), CPU)
    logits = torch.logit(batch.centre.clamp(1e-6, 1 - 1e-6))
    maps = {"centre": logits, "offset": batch.offset, "size": batch.size}
    answers = decode_maps(maps, batches.BatchRule().stride).numpy()
    checked = 0
    for rows, truth in zip(answers, batch.positions, strict=False):
        points = rows[rows[:, 4] > 0.99, :2]
        for x, y in truth:
            spacing = np.sort(np.hypot(*(truth - [x, y]).T))
            if len(spacing) > 1 and spacing[1] < 6:
                continue  # neighbours in touching cells share a peak
            assert np.hypot(*(points - [x, y]).T).min() < 0.05
            checked += 1
    assert checked > 5


@pytest.mark.parametrize("taken", [0.7, 1.6])
def test_crops_taken_at_another_size_show_the_same_at_the_same_place(
    small_bank: bank.Bank, taken: float
) -> None:
    plain = batches.BatchRule(crop=128, zoom=(0.9, 1.2), treated=False)
    drawn = batches.draw(small_bank, plain, 6, (5, 1), CPU)
    other = batches.draw(small_bank, replace(plain, taken=(taken, taken)), 6, (5, 1), CPU)
    assert other.image.shape == drawn.image.shape
    assert (other.mask - drawn.mask).abs().mean() < 0.01
    assert sum(map(len, drawn.boxes)) > 10
    for here, there in zip(drawn.boxes, other.boxes, strict=True):
        inside = [rows[((rows[:, :2] > 4) & (rows[:, :2] < 123)).all(axis=1)] for rows in (here, there)]
        np.testing.assert_allclose(*inside, atol=0.05)


@pytest.mark.parametrize(("stride", "targets"), [(2, "centernet"), (4, "centernet"), (4, "dense")])
def test_targets_follow_the_stride(small_bank: bank.Bank, stride: int, targets: str) -> None:
    rule = batches.BatchRule(crop=128, zoom=(0.9, 1.2), stride=stride, targets=targets)
    batch = batches.draw(small_bank, rule, 4, (5, 1), CPU)
    assert batch.centre.shape == (4, 1, 128 // stride, 128 // stride)
    assert batch.mask.shape == (4, 1, 64, 64)
    checked = 0
    for b, rows in enumerate(batch.boxes):
        cells = np.round((rows[:, :2] + 0.5) / stride - 0.5).astype(int)
        for (x, y, w, h), (ix, iy) in zip(rows, cells, strict=True):
            assert batch.centre[b, 0, iy, ix] == 1
            if (np.abs(cells - (ix, iy)).max(axis=1) <= 3).sum() > 1:
                continue  # a neighbour may claim the cell
            place = np.array([ix, iy]) + batch.offset[b, :, iy, ix].numpy()
            np.testing.assert_allclose((place + 0.5) * stride - 0.5, (x, y), atol=1e-3)
            np.testing.assert_allclose(batch.size[b, :, iy, ix].numpy() * stride, (w, h), rtol=1e-5)
            checked += 1
    assert checked > 1
    if targets == "centernet":
        assert set(batch.weight.unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(batch.weight == 1, batch.centre == 1)


def test_a_long_tip_may_be_found_a_little_off_its_middle_along_it() -> None:
    boxes = [np.float32([[64.0, 64.0, 48.0, 10.0], [20.0, 20.0, 8.0, 8.0]])]
    image, mask = torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 64, 64)
    rest = (image, mask, boxes, np.zeros(1, np.int64), np.ones((1, 2), bool))
    rule = batches.BatchRule(crop=128, spread=0.12)
    wide, narrow = (batches.with_targets(*rest, r) for r in (rule, batches.BatchRule(crop=128)))
    along, across = wide.centre[0, 0, 32, 32:38], wide.centre[0, 0, 32:38, 32]
    np.testing.assert_allclose(along, np.exp(-(np.arange(6) ** 2) / (2 * (0.12 * 24) ** 2)), atol=1e-6)
    np.testing.assert_allclose(across, narrow.centre[0, 0, 32:38, 32], atol=1e-6)
    assert torch.equal(wide.centre[..., :20, :20], narrow.centre[..., :20, :20])
    reached = wide.weight[0, 0, 32] > 0
    assert reached.sum() > (narrow.weight[0, 0, 32] > 0).sum()
    middle = wide.offset[0, 0, 32, reached] + torch.arange(64)[reached]
    np.testing.assert_allclose(middle, 31.75, atol=1e-5)


def test_overlap_radius() -> None:
    assert [batches.overlap_radius(side, side) for side in (1, 3, 4, 7, 8, 20)] == [1, 1, 1, 1, 2, 5]
    # published code leaves out a factor of 2.8: with both corners off by radius / 2.8 the boxes overlap by 0.7
    off = batches.overlap_radius(1000, 1000) / 2.8
    assert 1000**2 / (1000 + 2 * off) ** 2 == pytest.approx(0.7, abs=0.001)


def test_samples_without_catheter_are_one_sample(small_bank: bank.Bank) -> None:
    batch = batches.draw(small_bank, batches.BatchRule(crop=64, empty=0.5), 16, (5, 2), CPU)
    empty = batch.mask.sum((1, 2, 3)).numpy() == 0
    assert (batch.identity[~empty] < 4).all()
    assert (batch.identity == 4).sum() > 2
    assert all(len(rows) == 0 for rows, i in zip(batch.boxes, batch.identity, strict=True) if i == 4)


def test_same_seed_same_batch(small_bank: bank.Bank) -> None:
    rule = batches.BatchRule(crop=96)
    first, second = (batches.draw(small_bank, rule, 3, (1, 2), CPU) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.centre, second.centre)
    other = batches.draw(small_bank, rule, 3, (1, 3), CPU)
    assert not torch.equal(first.image, other.image)


def test_image_and_mask_agree_about_where_shafts_are(small_bank: bank.Bank) -> None:
    rule = batches.BatchRule(crop=128, empty=0.0, cluttered=0.0, zoom=(0.9, 1.1))
    batch = batches.draw(small_bank, rule, 8, (6, 1), CPU)
    image = torch.nn.functional.avg_pool2d(batch.image, 2)
    dark = []
    for picture, mask in zip(image, batch.mask, strict=False):
        ring = torch.nn.functional.max_pool2d(mask[None], 9, 1, 4)[0] - mask
        if mask.sum() > 50:
            dark.append(float(picture[mask > 0.9].mean() - picture[ring > 0.9].mean()))
    assert len(dark) >= 4
    assert np.mean(np.array(dark) < 0) > 0.7  # a few are shown with white catheters


def test_bank_is_loaded_not_made_again(tmp_path: Path) -> None:
    size = bank.BankSize(1, 1, 1)
    bank.make(tmp_path, size, 1, [])
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    bank.make(tmp_path, size, 1, [])
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}


def test_bank_goes_on_without_a_ct_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ct, "folder", lambda: None)
    made = bank.make(tmp_path, bank.BankSize(1, 1, 1, ct=2), 1, [])
    assert len(made.backgrounds) == 1
    assert "requirements/ct.txt" in capsys.readouterr().out


@pytest.mark.skipif(not ct.available(), reason="the CT (requirements/ct.txt) is not installed")
def test_bank_has_backgrounds_out_of_the_ct(tmp_path: Path) -> None:
    assert len(bank.make(tmp_path, bank.BankSize(1, 1, 1, ct=1), 1, []).backgrounds) == 2
