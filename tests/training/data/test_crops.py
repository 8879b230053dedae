"""Crops of labelled images: labels lie on what the picture shows, missing ones are said to be missing."""

import cv2
import numpy as np
import pytest
import torch

from cath_training.data import crops
from cath_training.data.batches import BatchRule
from cath_training.data.labelled import DataError, Joined, LabelledImage, LabelledSource, split

CPU = torch.device("cpu")


class Dots(LabelledSource):
    """Images 150 x 200 of dark discs of 9 px diameter on white; ``labels`` says which labels there are."""

    def __init__(self, count: int, labels: tuple[bool, bool] = (True, True)) -> None:
        self.groups = [f"subject {i // 2}" for i in range(count)]
        self._labels = labels

    def __getitem__(self, index: int) -> LabelledImage:
        rng = np.random.default_rng(index)
        centres = rng.uniform(20, 130, (5, 2))
        y, x = np.mgrid[:150, :200]
        near = np.min([np.hypot(x - u, y - v) for u, v in centres], axis=0) < 4.5
        boxes = np.column_stack([centres, np.full((5, 2), 9.0)]).astype(np.float32)
        image = cv2.GaussianBlur(np.where(near, 0.1, 0.9).astype(np.float32), (0, 0), 0.7)
        return LabelledImage(
            image, boxes if self._labels[0] else None, near if self._labels[1] else None, index, f"{index}"
        )


def test_labels_follow_the_picture() -> None:
    batch = crops.draw(Dots(6), BatchRule(crop=128), 12, (1, 2), CPU)
    assert batch.image.shape == (12, 1, 128, 128)
    assert batch.labelled.all()
    seen = 0
    for image, mask, boxes in zip(
        batch.image[:, 0].numpy(), batch.mask[:, 0].numpy(), batch.boxes, strict=True
    ):
        for x, y, w, h in boxes:
            assert image[round(float(y)), round(float(x))] < 0.45
            assert mask[int(y / 2), int(x / 2)] > 0.5
            if min(x, y) > w and max(x, y) < 128 - w:  # the disc's own centre of mass, to a fraction of a px
                x0, y0, reach = round(float(x)), round(float(y)), round(0.62 * float(w))
                patch = 0.9 - image[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1]
                gy, gx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
                alone = np.hypot(*(boxes[:, :2] - (x, y)).T)
                if np.sort(alone)[1:2].min(initial=99) > 2.2 * w:
                    assert (patch * gx).sum() / patch.sum() + x0 == pytest.approx(x, abs=0.25)
                    assert (patch * gy).sum() / patch.sum() + y0 == pytest.approx(y, abs=0.25)
                    seen += 1
            assert w == pytest.approx(h, rel=1e-4)  # a disc's box does not grow as it turns
    assert seen > 8


def test_shrinking_does_not_shift() -> None:
    image = np.zeros((90, 90), np.float32)
    image[60:63, 30:33] = 1.0  # a spot of 3 px centred at 31, 61: exact to a tenth
    for zoom in (0.31, 0.5, 1.0, 2.0):
        affine = np.array([[zoom, 0.0, 3.0], [0.0, zoom, -2.0]])
        result = crops.warp(image, affine, 180, cv2.BORDER_CONSTANT)
        y, x = np.mgrid[:180, :180]
        assert (result * x).sum() / result.sum() == pytest.approx(31 * zoom + 3, abs=0.1)
        assert (result * y).sum() / result.sum() == pytest.approx(61 * zoom - 2, abs=0.1)


def test_missing_labels_are_said_to_be_missing() -> None:
    rule = BatchRule(crop=64)
    for labels in ((True, False), (False, True)):
        batch = crops.draw(Dots(4, labels), rule, 5, (3, 4), CPU)
        assert batch.labelled.tolist() == [list(labels)] * 5
        assert (batch.mask.sum() > 0) == labels[1]
        assert (batch.centre.sum() > 0) == labels[0]


def test_same_seed_same_batch() -> None:
    first, second, third = (crops.draw(Dots(6), BatchRule(crop=64), 4, (1, seed), CPU) for seed in (5, 5, 6))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.size, second.size)
    assert not torch.equal(first.image, third.image)


def test_split_keeps_subjects_together() -> None:
    training, validation = split(Dots(20), 0.3, 1)
    assert (len(training), len(validation)) == (14, 6)
    assert not set(training.groups) & set(validation.groups)
    identities = [side[i].identity for side in (training, validation) for i in range(len(side))]
    assert sorted(identities) == list(range(20))
    with pytest.raises(DataError, match="only subject 0"):
        split(Dots(2), 0.5, 1)


def test_joined_sources_go_on_counting() -> None:
    both = Joined([Dots(3), Dots(4)])
    assert [both[i].identity for i in range(7)] == list(range(7))
    assert np.array_equal(both[5].image, Dots(4)[2].image)
    assert both.groups[0] != both.groups[3]
    with pytest.raises(IndexError):
        both[7]
