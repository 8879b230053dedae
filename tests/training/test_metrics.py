"""Figures of answers whose quality is known."""

import math

import numpy as np
import pytest

from cath_training.metrics import CenterlineTally, average_precision, dense, region_similarity

TRUTH = np.array([[20.0, 20.0, 10.0, 10.0], [60.0, 20.0, 10.0, 10.0]])


def scored(boxes: np.ndarray, score: float = 0.9) -> np.ndarray:
    return np.column_stack([boxes, np.full(len(boxes), score)])


def test_perfect_boxes_have_ap_one() -> None:
    assert average_precision([scored(TRUTH)] * 2, [TRUTH] * 2) == pytest.approx({"ap": 1.0, "ap50": 1.0})


def test_boxes_off_by_a_fifth_count_at_the_lower_thresholds() -> None:
    moved = TRUTH + np.array(
        [2.0, 0, 0, 0]
    )  # IoU 8 / 12 = 0.667: right at 0.50, 0.55, 0.60, 0.65 of ten thresholds
    assert average_precision([scored(moved)], [TRUTH]) == pytest.approx({"ap": 0.4, "ap50": 1.0})


def test_missed_half_and_confident_false_answers() -> None:
    half = average_precision([scored(TRUTH[:1])], [TRUTH])
    assert half["ap"] == pytest.approx(51 / 101)  # precision 1 at recalls 0 to 0.5
    false = np.array([[90.0, 90.0, 10.0, 10.0, 0.99]])
    worse = average_precision([np.vstack([scored(TRUTH), false])], [TRUTH])
    # after the false answer: precisions 1/2 and 2/3, so 2/3 at all recalls
    assert worse["ap"] == pytest.approx(2 / 3)


def test_false_answer_below_all_true_ones_does_no_harm() -> None:
    false = np.array([[90.0, 90.0, 10.0, 10.0, 0.1]])
    assert average_precision([np.vstack([scored(TRUTH), false])], [TRUTH])["ap"] == pytest.approx(1.0)


def test_frames_are_kept_apart() -> None:
    empty = np.empty((0, 4))
    swapped = average_precision([scored(empty), scored(TRUTH)], [TRUTH, empty])
    assert swapped["ap"] == 0.0


def test_nothing_found_and_nothing_there() -> None:
    nothing = np.empty((0, 5))
    assert average_precision([nothing], [TRUTH])["ap"] == 0.0
    assert math.isnan(average_precision([scored(TRUTH)], [np.empty((0, 4))])["ap"])


def test_region_similarity() -> None:
    found, truth, empty = np.zeros((3, 4, 4), bool)
    found[0, :3] = truth[0, 1:] = True
    assert region_similarity(found, truth) == 0.5
    assert region_similarity(empty, empty) == 1.0
    assert region_similarity(found, empty) == 0.0


def test_centerline_distance_in_px_of_256() -> None:
    truth = np.array([[0.0, 100.0], [400.0, 100.0]])
    found = np.array([[0.0, 104.0], [200.0, 104.0]])  # 4 px beside, half as long
    tally = CenterlineTally()
    tally.add([found], [truth], side=512)
    figures = tally.figures()
    assert figures["centerline_px256"] == pytest.approx(2.0, abs=1e-6)
    assert figures["centerline_covered"] == pytest.approx(0.5, abs=0.02)
    tally.add([], [truth], side=512)
    assert tally.figures()["centerline_covered"] == pytest.approx(0.25, abs=0.02)
    tally.add([found], [], side=512)
    assert len(tally.covered) == 2


def test_no_frames_have_no_figures() -> None:
    assert all(math.isnan(value) for value in CenterlineTally().figures().values())


def test_dense_curve_keeps_its_ends_and_shape() -> None:
    curve = dense(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 10.0]]))
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [3, 10]
    assert len(curve) == 12  # 11 px long
    assert np.hypot(*np.diff(curve, axis=0).T).max() < 1.001
