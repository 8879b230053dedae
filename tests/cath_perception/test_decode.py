import numpy as np
import pytest
import torch

from cath_perception.decode import decode
from cath_perception.image import Letterbox
from cath_perception.network.deployed import decode_maps

SIZE, STRIDE = 320, 2


def maps_of(objects, stride=STRIDE, offset=True):
    """Head maps as a network that knows everything would write them; objects are x, y, w, h, score in network px."""
    cells = SIZE // stride
    maps = {"centre": torch.full((1, 1, cells, cells), -9.0), "size": torch.zeros(1, 2, cells, cells)}
    maps["offset"] = torch.zeros(1, 2, cells, cells)
    v, u = torch.meshgrid(torch.arange(cells), torch.arange(cells), indexing="ij")
    for x, y, width, height, score in objects:
        cx, cy = (x + 0.5) / stride - 0.5, (y + 0.5) / stride - 0.5
        column, row = round(cx), round(cy)
        heat = torch.logit(torch.tensor(score)) - ((u - column) ** 2 + (v - row) ** 2) * 2.0
        maps["centre"][0, 0] = torch.maximum(maps["centre"][0, 0], heat)
        maps["offset"][0, :, row, column] = torch.tensor((cx - column, cy - row))
        maps["size"][0, :, row, column] = torch.tensor((width / stride, height / stride))
    if not offset:
        del maps["offset"]
    return maps


def decoded(objects, box, threshold=0.3):
    candidates = decode_maps(maps_of(objects), STRIDE)[0].numpy()
    return decode(candidates, box, threshold, 0.3, 1.0)


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1000, 700), (301, 640), (200, 150)])
def test_positions_come_back_in_image_pixels(width, height):
    box = Letterbox.fit(width, height, SIZE)
    rng = np.random.default_rng(1)
    column, row = np.meshgrid(np.linspace(0.1, 0.9, 5), np.linspace(0.15, 0.85, 4))
    truth = np.stack((column.ravel() * width, row.ravel() * height), axis=1) + rng.uniform(-0.5, 0.5, (20, 2))
    scores = np.linspace(0.95, 0.4, 20)
    objects = [
        (*box.to_network(x, y), 8 * box.scale_x, 6 * box.scale_y, s)
        for (x, y), s in zip(truth, scores, strict=True)
    ]
    found = decoded(objects, box)
    assert len(found) == 20
    assert np.abs(np.array([(e.x, e.y) for e in found]) - truth).max() < 0.05
    assert [e.score for e in found] == pytest.approx(scores, abs=1e-4)
    assert [(e.width, e.height) for e in found] == [pytest.approx((8, 6), abs=0.01)] * 20
    assert found[0].sigma == pytest.approx((0.3 + 0.05) / box.scale, rel=1e-3)
    assert {(e.catheter, e.index, e.visible) for e in found} == {(-1, -1, True)}


def test_rings_of_a_pair_survive_and_duplicates_do_not():
    box = Letterbox.fit(320, 320, SIZE)
    pair = [(100.0, 100.0, 8.0, 8.0, 0.9), (104.0, 100.0, 8.0, 8.0, 0.8)]
    assert len(decoded(pair, box)) == 2
    rows = np.array([(50, 50, 8, 8, 0.9), (51.5, 50.5, 8, 8, 0.8), (52.9, 51, 8, 8, 0.7)], np.float32)
    kept = decode(rows, box, 0.3, 0.3, 1.0)
    assert [e.x for e in kept] == pytest.approx([50, 52.9])  # the third is near only to the one left out


def test_what_lies_in_the_padding_is_left_out():
    box = Letterbox.fit(640, 320, SIZE)
    objects = [(160.0, 60.0, 8.0, 8.0, 0.9), (160.0, 160.0, 8.0, 8.0, 0.8)]
    assert len(decode_maps(maps_of(objects), STRIDE)[0]) == 128
    (only,) = decoded(objects, box)
    assert (only.x, only.y) == pytest.approx((320.5, 159.5 + 1.0), abs=0.6)


def test_threshold_and_nothing_found():
    box = Letterbox.fit(320, 320, SIZE)
    objects = [(100.0, 100.0, 8.0, 8.0, 0.9), (200.0, 100.0, 8.0, 8.0, 0.5)]
    assert len(decoded(objects, box, 0.6)) == 1
    assert decoded([], box) == ()


def test_without_offset_head_the_cell_centre_is_answered():
    candidates = decode_maps(maps_of([(101.3, 57.8, 8, 8, 0.9)], stride=4, offset=False), 4, candidates=10)
    assert candidates.shape == (1, 10, 5)
    assert candidates[0, 0].tolist() == pytest.approx([101.5, 57.5, 8, 8, 0.9], abs=1e-4)


def test_more_candidates_than_cells():
    maps = {"centre": torch.zeros(2, 1, 4, 4), "size": torch.zeros(2, 2, 4, 4)}
    assert decode_maps(maps, 2, candidates=128).shape == (2, 16, 5)
