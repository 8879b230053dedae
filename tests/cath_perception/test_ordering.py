import numpy as np
import pytest

from cath_perception.ordering import arrangements


def test_an_electrode_at_a_crossing_may_lie_on_either_branch():
    """A figure like an alpha: the line crosses itself at (100, 100) after 100 and after some 480 px."""
    turn = np.linspace(-np.pi / 2, np.pi, 120)
    bend = np.column_stack((np.cos(turn), np.sin(turn))) * 60 + (160.0, 160.0)
    line = np.concatenate(
        (
            np.column_stack((np.arange(0, 160, 2.0), np.full(80, 100.0))),
            bend,
            np.column_stack((np.full(80, 100.0), np.arange(160, 0, -2.0))),
        )
    )
    positions = np.array([[20.0, 100.0], [60.0, 100.0], [100.3, 100.0], [140.0, 100.0]])
    choices = arrangements(positions, line, 7.0)
    assert [choice.order.tolist() for choice in choices] == [[0, 1, 3, 2], [0, 1, 2, 3]] or [
        choice.order.tolist() for choice in choices
    ] == [[0, 1, 2, 3], [0, 1, 3, 2]]
    assert choices[0].cost == 0.0
    assert choices[1].cost >= 1.0


def test_without_a_line_the_order_given_stays_unless_the_way_is_shorter():
    positions = np.array([[0.0, 0.0], [30.0, 0.0], [31.0, 20.0]])
    (arranged,) = arrangements(positions, None, 7.0)
    assert arranged.order.tolist() == [0, 1, 2]
    assert arranged.along[:2].tolist() == [0.0, 30.0]
    (arranged,) = arrangements(np.array([[0.0, 0.0], [30.0, 0.0], [10.0, 0.0], [40.0, 0.0]]), None, 7.0)
    assert arranged.order.tolist() == [0, 2, 1, 3]
    assert arranged.along.tolist() == [0.0, 10.0, 30.0, 40.0]
    far = np.column_stack((np.arange(0, 40, 2.0), np.full(20, 90.0)))
    assert arrangements(positions, far, 7.0)[0].order.tolist() == [0, 1, 2]


def test_how_far_the_line_goes_on_at_both_ends():
    line = np.column_stack((np.arange(0.0, 101.0, 2.0), np.full(51, 50.0)))
    (arranged,) = arrangements(np.array([[10.0, 50.0], [30.0, 50.0], [60.0, 51.0]]), line, 7.0)
    assert arranged.beyond == pytest.approx((10.0, 40.0), abs=0.01)
    (arranged,) = arrangements(np.array([[10.0, 50.0], [30.0, 50.0], [60.0, 51.0]]), None, 7.0)
    assert arranged.beyond == (np.inf, np.inf)
