import numpy as np
import pytest

from cath_perception.alignment import (
    best_pairs,
    best_shift,
    carried,
    consensus,
    mutual_pairs,
    rotation,
    squared_distances,
)

EVEN = np.column_stack((np.arange(6) * 12.0, np.zeros(6)))


def test_the_shift_that_explains_most_is_found_and_even_spacing_does_not_slip():
    shift, explained = best_shift(EVEN, EVEN + np.array((5.0, 2.0)), 30.0, 5.0)
    assert shift.tolist() == [5.0, 2.0]
    assert explained == pytest.approx(6.0)
    shift, explained = best_shift(EVEN, EVEN[1:] + np.array((4.0, 0.0)), 30.0, 5.0)
    assert shift.tolist() == [4.0, 0.0]
    assert best_shift(EVEN, EVEN + 100.0, 30.0, 5.0)[1] == 0.0


def test_a_heartbeat_by_about_one_spacing_does_not_leave_the_last_electrode_over():
    short = np.column_stack((np.arange(4) * 9.5, np.zeros(4)))
    assert best_shift(short, short + np.array((9.7, 0.0)), 27.0, 4.8)[0].tolist() == pytest.approx([9.7, 0.0])


def test_all_are_paired_where_nearest_ones_would_leave_some_over():
    before = np.array([[0.0, 0.0], [5.0, 0.0]])
    now = np.array([[-3.0, 0.0], [1.0, 0.0]])  # both nearest to the first
    squares = squared_distances(before, now)
    reach = np.full(2, 6.0)
    assert mutual_pairs(squares, reach).tolist() == [[0, 1]]
    assert best_pairs(squares, reach).tolist() == [[0, 0], [1, 1]]
    assert best_pairs(np.full((2, 3), 100.0), reach).shape == (0, 2)
    assert best_pairs(np.empty((0, 3)), np.empty(0)).shape == (0, 2)


def test_points_move_with_their_neighbours_and_only_those_of_the_same_owner():
    points = np.array([[0.0, 0.0], [10.0, 0.0], [200.0, 0.0]])
    found = np.array([[200.0, 8.0], [4.0, 0.0]])
    pairs = np.array([[0, 1], [2, 0]])
    together = carried(points, np.zeros(3, np.int64), pairs, found)
    assert 13.9 < together[1, 0] < 14.0
    assert 0.0 < together[1, 1] < 0.1
    alone = carried(points, np.array([0, 1, 2]), pairs, found)
    assert alone == pytest.approx(np.array([[4.0, 0.0], [10.0, 0.0], [200.0, 8.0]]))


def test_points_that_do_not_move_with_the_others_are_left_out():
    before = np.random.default_rng(4).uniform(0, 100, (10, 2))
    now = before @ rotation(0.1).T + (30.0, -5.0)
    assert consensus(before, now, 3.0).all()
    now[[2, 5, 7]] += ((12.0, 9.0), (12.0, 9.0), (-40.0, 3.0))
    assert np.flatnonzero(~consensus(before, now, 3.0)).tolist() == [2, 5, 7]
