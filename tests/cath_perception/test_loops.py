import math

import numpy as np
import pytest

from cath_perception.ellipses import on_ring
from cath_perception.ordering import arrangements


def loop(count, tilt, turns=1.05, radius=42.0, covered=0.83):
    """A loop seen at a tilt with a shaft behind it, and ``count`` rings from its beginning: positions and line."""
    turn = np.linspace(0.0, 2 * np.pi * turns, 200)
    ring = np.column_stack((np.cos(turn), np.sin(turn) * np.cos(tilt))) * radius + 250.0
    leave = ring[-1] - ring[-2]
    shaft = ring[-1] + np.arange(1, 80)[:, None] * leave / np.hypot(*leave) * 2.0
    at = (0.01 + covered * np.arange(count) / (count - 1)) * 2 * np.pi
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
    arranged, *_ = arrangements(seen, line, 8.0)
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


def as_traced(line, turns):
    """The line of a loop as a mask gives it, once round: it begins where the shaft is seen to leave the loop."""
    return line[round(200 * (turns - 1.0 + 0.07) / turns) :]


@pytest.mark.parametrize("count", [10, 20])
@pytest.mark.parametrize("covered", [0.78, 0.83, 0.93])
def test_a_loop_that_closes_begins_where_its_gaps_differ_not_where_its_line_begins(count, covered):
    """The closing gap is wider than the others, or narrower; the line begins one electrode of ten beyond the tip."""
    positions, line = loop(count, 0.6, 1.1, covered=covered)
    seen = positions + np.random.default_rng(2).normal(0, 0.2, (count, 2))
    arranged, *_ = arrangements(seen, as_traced(line, 1.1), 8.0)
    assert arranged.order.tolist() == list(range(count))
    backwards, *_ = arrangements(seen[::-1].copy(), as_traced(line, 1.1), 8.0)
    assert backwards.order.tolist() == list(range(count))[::-1]


def test_where_all_gaps_are_alike_a_loop_begins_before_the_shaft_leaves_it():
    positions, line = loop(10, 0.3, 1.02, covered=0.9)
    assert arrangements(positions, as_traced(line, 1.02), 8.0)[0].order[0] == 0
    assert arrangements(positions, line, 8.0)[0].order[0] == 0  # as it does where the line begins at the tip


def test_a_gap_left_by_a_missing_electrode_does_not_open_a_loop_whose_tip_is_seen():
    positions, line = loop(20, 0.0, turns=0.95)
    seen = np.delete(positions, 8, axis=0)
    assert arrangements(seen, line, 8.0)[0].order.tolist() == list(range(19))


@pytest.mark.parametrize("count", [10, 20])
def test_another_line_may_tell_the_direction_of_a_loop_whose_own_is_a_ring_alone(count):
    positions, line = loop(count, 0.6)
    ring, shaft = line[:190], line[196:]
    seen = positions + np.random.default_rng(2).normal(0, 0.2, (count, 2))
    for lines in ([ring, shaft], [ring[::-1], shaft[::-1]]):
        arranged, *_ = arrangements(seen, lines[0], 8.0, lines)
        assert arranged.order.tolist() == list(range(count))


def test_what_may_lie_on_a_loop_may_also_be_a_bent_catheter_in_the_order_of_its_line():
    """That costs something; and what is known to be no loop is not ordered round one."""
    positions, line = loop(10, 0.0, turns=0.95)
    round_it, along, *_ = arrangements(positions, line, 8.0)
    assert round_it.rounds is not None
    assert along.rounds is None
    assert along.angles is None
    assert along.order.tolist() == list(range(10))
    assert along.cost > round_it.cost
    likeliest, *others = arrangements(positions, line, 8.0, looped=False)
    assert likeliest.cost == 0.0
    assert likeliest.order.tolist() == list(range(10))
    assert all(other.rounds is None for other in others)


def test_a_shaft_with_another_catheters_electrodes_does_not_tell_the_direction():
    """It leaves the loop where its own might, the other way round; its own is not seen."""
    positions, line = loop(10, 0.6)
    ring, shaft = line[:190], line[196:]
    mirrored = shaft * (1.0, -1.0) + (0.0, 500.0)
    lines = [ring, shaft + np.array((4.0, 0.0)), mirrored]
    for strangers, first in ((mirrored[20:60:10], 0), (shaft[20:60:10], 9)):
        arranged, *_ = arrangements(positions, lines[0], 8.0, lines, strangers)
        assert arranged.order[0] == first


def test_flat_and_irregular_loops_raise_nothing():
    rng = np.random.default_rng(4)
    for _ in range(200):
        count, flat = rng.integers(6, 24), rng.uniform(0.03, 1.0)
        turn = np.sort(rng.uniform(0, math.tau, count))
        seen = (
            np.column_stack((50 * np.cos(turn), 50 * flat * np.sin(turn)))
            + rng.normal(0, 2, (count, 2))
            + 200
        )
        for arranged in arrangements(seen, seen[rng.permutation(count)], 8.0):
            assert sorted(arranged.order.tolist()) == list(range(count))
