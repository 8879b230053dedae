import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from cath_perception.thinning import shaft_mask, thinned


def test_nothing_is_left_of_nothing():
    assert len(thinned(np.zeros((12, 9), np.uint8))) == 0


@pytest.mark.parametrize("smooth", [False, True])
def test_what_is_left_is_what_scikit_image_leaves(smooth):
    rng = np.random.default_rng(4)
    for _ in range(2000):
        values = rng.random(rng.integers(4, 30, 2), np.float32)
        mask = (
            cv2.GaussianBlur(values, (0, 0), rng.uniform(0.6, 2.5)) > 0.5
            if smooth
            else values < rng.uniform(0.1, 0.95)
        )
        mask = np.pad(mask, 1).astype(np.uint8)
        assert thinned(mask).tolist() == np.flatnonzero(skeletonize(mask)).tolist()


def test_a_border_that_is_not_empty_does_not_count():
    assert (
        thinned(np.ones((5, 5), np.uint8)).tolist() == thinned(np.pad(np.ones((3, 3), np.uint8), 1)).tolist()
    )


def test_holes_of_one_px_are_filled_and_larger_ones_are_not():
    probability = np.zeros((20, 20), np.float32)
    probability[4:10, 2:18] = 1.0
    probability[7, 5] = 0.0
    probability[5:9, 13:16] = 0.0
    mask = shaft_mask(probability, 0.5)[1:-1, 1:-1]
    assert mask[7, 5]
    assert not mask[6:8, 14].any()
    assert mask.sum() == 6 * 16 - 4 * 3


def test_mask_has_an_empty_border():
    mask = shaft_mask(np.ones((6, 8), np.float32), 0.5)
    assert mask.shape == (8, 10)
    assert mask[1:-1, 1:-1].all()
    assert mask.sum() == 48
