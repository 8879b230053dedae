import numpy as np
import pytest

from cath_perception.ordering import arrangements, on_ring


def loop(count, tilt, turns=1.05, radius=42.0):
    """A loop seen at a tilt with a shaft behind it, and ``count`` rings from its beginning: positions and line."""
    turn = np.linspace(0.0, 2 * np.pi * turns, 200)
    ring = np.column_stack((np.cos(turn), np.sin(turn) * np.cos(tilt))) * radius + 250.0
    leave = ring[-1] - ring[-2]
    shaft = ring[-1] + np.arange(1, 80)[:, None] * leave / np.hypot(*leave) * 2.0
    at = (0.01 + 0.83 * np.arange(count) / (count - 1)) * 2 * np.pi
    return np.column_stack((np.cos(at), np.sin(at) * np.cos(tilt))) * radius + 250.0, np.concatenate(
        (ring, shaft)
    )


@pytest.mark.parametrize("tilt", [0.0, 0.8, 1.3])
@pytest.mark.parametrize("count", [10, 20])
def test_rings_on_a_loop_are_ordered_round_it_also_edge_on(tilt, count):
    positions, line = loop(count, tilt)
    rng = np.random.default_rng(3)
    shuffled = rng.permutation(count)
    seen = positions[shuffled] + rng.normal(0, 0.3, (count, 2))
    (arranged,) = arrangements(seen, line, 12.0)
    assert shuffled[arranged.order].tolist() == list(range(count))
    assert arranged.angles is not None
    steps = np.diff(arranged.angles)
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(0.83 * 2 * np.pi / (count - 1), rel=0.1)


def test_no_ring_is_seen_in_a_line_or_half_a_circle():
    along = np.arange(10) * 14.0
    rng = np.random.default_rng(1)
    assert on_ring(np.column_stack((along, 0.2 * along)) + rng.normal(0, 0.5, (10, 2))) is None
    half = np.linspace(0, np.pi, 10)
    assert on_ring(np.column_stack((np.cos(half), np.sin(half))) * 50) is None
    assert on_ring(np.column_stack((np.cos(half), np.sin(half)))[:5] * 50) is None


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
    choices = arrangements(positions, line, 10.0)
    assert [choice.order.tolist() for choice in choices] == [[0, 1, 3, 2], [0, 1, 2, 3]] or [
        choice.order.tolist() for choice in choices
    ] == [[0, 1, 2, 3], [0, 1, 3, 2]]
    assert choices[0].cost == 0.0
    assert choices[1].cost >= 1.0


def test_without_a_line_the_order_given_stays_unless_the_way_is_shorter():
    positions = np.array([[0.0, 0.0], [30.0, 0.0], [31.0, 20.0]])
    (arranged,) = arrangements(positions, None, 10.0)
    assert arranged.order.tolist() == [0, 1, 2]
    assert arranged.along[:2].tolist() == [0.0, 30.0]
    (arranged,) = arrangements(np.array([[0.0, 0.0], [30.0, 0.0], [10.0, 0.0], [40.0, 0.0]]), None, 10.0)
    assert arranged.order.tolist() == [0, 2, 1, 3]
    assert arranged.along.tolist() == [0.0, 10.0, 30.0, 40.0]
    far = np.column_stack((np.arange(0, 40, 2.0), np.full(20, 90.0)))
    assert arrangements(positions, far, 10.0)[0].order.tolist() == [0, 1, 2]
