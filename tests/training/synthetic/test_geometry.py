import numpy as np
import pytest
from scipy.spatial import cKDTree

from cath_training.data.bank import CARM
from cath_training.synthetic import geometry, instruments


def catheters(seed):
    return [part for part in instruments.catheter(np.random.default_rng(seed)) if part.rings]


@pytest.mark.parametrize("seed", range(6))
def test_a_mask_is_as_wide_as_the_shaft_that_it_shows(seed):
    """OpenCV draws lines one to two px wider than it is asked to."""
    (shaft,) = catheters(seed)
    rows, columns = np.mgrid[: CARM.size, : CARM.size]
    away, nearest = cKDTree(CARM.project(shaft.course)).query(
        np.column_stack((columns.ravel(), rows.ravel()))
    )
    radius = shaft.radius * CARM.magnification(shaft.course)
    exact = (away <= radius[nearest]).reshape(CARM.size, CARM.size)
    drawn = geometry.mask([shaft], CARM) > 127
    assert drawn.sum() == pytest.approx(exact.sum(), rel=0.07)
    assert (drawn & exact).sum() > 0.93 * (drawn | exact).sum()


def test_a_pixel_of_the_mask_is_the_part_that_is_covered():
    mask = geometry.mask(catheters(0), CARM)
    edge = (mask > 0) & (mask < 255)
    assert mask.max() == 255
    assert 0 < edge.sum() < mask.astype(bool).sum()
