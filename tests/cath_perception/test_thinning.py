import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from cath_perception.thinning import shaft_mask, thinned


@pytest.mark.parametrize("seed", range(20))
def test_thinning_is_that_of_scikit_image(seed):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((90, 70)).astype(np.float32), (0, 0), 0.5 + seed / 8)
    mask = shaft_mask(noise, float(np.median(noise)))
    skeleton = np.zeros(mask.size, bool)
    skeleton[thinned(mask)] = True
    np.testing.assert_array_equal(skeleton.reshape(mask.shape)[1:-1, 1:-1], skeletonize(mask[1:-1, 1:-1]))


def test_nothing_is_left_of_nothing():
    assert len(thinned(np.zeros((12, 9), np.uint8))) == 0


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
