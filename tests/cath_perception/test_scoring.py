import numpy as np

from cath_perception.scoring import Tally, match


def test_each_truth_is_matched_once() -> None:
    pairs, distance = match(np.array([[0.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 0.0]]), 2.0)
    assert pairs.tolist() == [[0, 0]]
    assert distance.tolist() == [0.0]


def test_pairs_beyond_the_limit_do_not_count() -> None:
    pairs, _ = match(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[1.0, 0.0], [13.0, 0.0]]), 2.0)
    assert pairs.tolist() == [[0, 0]]


def test_nothing_found_or_nothing_there() -> None:
    assert len(match(np.empty((0, 2)), np.ones((3, 2)), 2.0)[0]) == 0
    assert len(match(np.ones((3, 2)), np.empty((0, 2)), 2.0)[0]) == 0


def test_tally_counts_in_px_of_256() -> None:
    tally = Tally()
    tally.add([[10.0, 10.0], [100.0, 100.0]], [[10.0, 13.0], [300.0, 300.0]], side=512)
    figures = tally.figures()
    assert (figures["recall"], figures["precision"]) == (0.5, 0.5)
    assert figures["median_error_px256"] == 1.5
