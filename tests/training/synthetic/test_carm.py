import numpy as np
import pytest

from cath_training.synthetic.carm import CArm


def test_isocentre_lies_in_the_middle_of_the_image() -> None:
    np.testing.assert_allclose(CArm(400, 0.375).project(np.zeros((1, 3))), [[199.5, 199.5]])


def test_magnification_is_detector_over_object_distance() -> None:
    carm = CArm(400, 0.5, source_detector_mm=1000, source_isocentre_mm=750)
    near_source = carm.project(np.array([[10.0, 0.0, -250.0]]))
    assert near_source[0, 0] - 199.5 == pytest.approx(10 * 1000 / 500 / 0.5)
    assert carm.scale == pytest.approx(1000 / 750 / 0.5)
