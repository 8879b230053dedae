import numpy as np
import pytest

from cath_perception.ellipses import fitted
from cath_perception.exits import clues

WIDTH = 8.0
NOBODY = np.empty((0, 2))
TURN = np.linspace(0.0, 2 * np.pi, 73)[:-1]


def on_loop(angles, squeeze=0.7):
    return np.column_stack((250 + 50 * np.cos(angles), 250 + 50 * squeeze * np.sin(angles)))


ELLIPSE = fitted(on_loop(TURN))


def straight_on(points, px=60.0):
    """Points that go on in the direction of the last two."""
    ahead = points[-1] - points[-2]
    return np.concatenate((points, points[-1] + np.arange(1.0, px)[:, None] * ahead / np.hypot(*ahead)))


def angle_at(point):
    """As the loop's axis has it."""
    u, v, thin, wide, cos, sin = ELLIPSE
    x, y = point[0] - u, point[1] - v
    return np.arctan2((y * cos - x * sin) / thin, (x * cos + y * sin) / wide)


def direction():
    """1 where the loop's angles grow with those of ``on_loop``, else -1."""
    return np.sign(np.sin(angle_at(on_loop(0.2)[0]) - angle_at(on_loop(0.0)[0])))


def on_loop_line(first, last):
    return on_loop(np.linspace(first, last, 90))


def test_a_shaft_leaves_the_loop_in_the_direction_in_which_it_goes_round():
    line = straight_on(on_loop_line(0.0, 5.5))
    for points in (line, line[::-1]):
        (left,), tips = clues([points.astype(np.float32)], ELLIPSE, WIDTH, NOBODY)
        place = on_loop(np.array([5.5]))[0]
        assert abs(np.remainder(left.angle - angle_at(place) + np.pi, 2 * np.pi) - np.pi) < 0.6
        assert left.heading * direction() > 0.8
        assert left.score == 0.0
        (tip,) = tips  # the line's other end is free
        assert tip.angle == pytest.approx(angle_at(on_loop(np.array([0.0]))[0]), abs=0.05)
        assert tip.heading == direction()


def test_little_of_the_direction_is_seen_where_a_loop_runs_towards_the_viewer():
    thin = fitted(on_loop(TURN, 0.2))
    shown = []
    for last in (1.5 * np.pi, 2.0 * np.pi):
        line = straight_on(on_loop(np.linspace(0.5, last, 90), 0.2))
        (left, *_), _ = clues([line], thin, WIDTH, NOBODY)
        shown.append(left.shown)
    assert shown[0] > 0.8
    assert shown[1] < 0.6


def test_a_shaft_that_ends_at_the_loop_leaves_it_where_that_is():
    """Where the mask joins it to nothing else."""
    line = straight_on(on_loop_line(5.2, 5.5))[80:]
    exits, tips = clues([on_loop(TURN), line], ELLIPSE, WIDTH, NOBODY)
    assert [np.sign(left.heading) for left in exits] == [direction()]
    assert tips == []


def test_a_shaft_across_the_loop_does_not_leave_it():
    across = np.column_stack((np.linspace(150, 350, 200), np.full(200, 250.0)))
    assert clues([across], ELLIPSE, WIDTH, NOBODY) == ([], [])


def test_a_shaft_that_follows_the_loop_for_a_while_is_rather_anothers():
    begin = straight_on(on_loop_line(0.5, 0.0))[::-1]
    passing = straight_on(np.concatenate((begin, on_loop_line(0.5, 1.2))))
    exits, _ = clues([passing], ELLIPSE, WIDTH, NOBODY)
    assert len(exits) == 2
    assert all(left.score < -1.0 for left in exits)


def test_a_shaft_that_has_another_catheters_electrodes_is_rather_anothers():
    """Not where these lie beside it, or there is but one, which may be false."""
    line = straight_on(on_loop_line(0.0, 5.5))
    strangers = line[-40::15]
    (left,), _ = clues([line], ELLIPSE, WIDTH, strangers)
    assert left.score < -2.0
    aside = left.outwards[::-1] * (-2 * WIDTH, 2 * WIDTH)
    (left,), _ = clues([line], ELLIPSE, WIDTH, strangers + aside)
    assert left.score == 0.0
    (left,), _ = clues([line], ELLIPSE, WIDTH, strangers[:1])
    assert left.score == 0.0


def test_two_exits_through_which_a_shaft_goes_straight_on_are_anothers():
    """Where the mask leads one half of it into the loop's own shaft."""
    own = straight_on(on_loop_line(0.0, 5.5))
    at = on_loop(np.array([3.4]))[0]
    above, below = (at + np.arange(60.0)[:, None] * (0.0, way) for way in (-1.0, 1.0))
    exits, _ = clues([own, above, below], ELLIPSE, WIDTH, NOBODY)
    near = [bool(abs(left.place[0] - at[0]) < 1.0) for left in exits]
    assert sorted(near) == [False, True, True]
    assert all((left.score < -2.0) == touching for left, touching in zip(exits, near, strict=True))


def test_an_end_at_another_shaft_is_no_tip():
    line = straight_on(on_loop_line(0.0, 5.5))
    other = on_loop(np.array([0.0]))[0] + np.column_stack((np.linspace(0, 60, 60), np.linspace(0, 20, 60)))
    _, tips = clues([line, other], ELLIPSE, WIDTH, NOBODY)
    assert tips == []


def test_a_line_that_runs_over_its_beginning_begins_at_the_tip():
    """One that comes back to its beginning, as where the mask closes the loop, does not."""
    over = straight_on(on_loop_line(0.0, 2 * np.pi + 0.2))
    assert len(clues([over], ELLIPSE, WIDTH, NOBODY)[1]) == 1
    closed = straight_on(on_loop_line(0.5, 2 * np.pi + 0.2))
    assert clues([closed], ELLIPSE, WIDTH, NOBODY)[1] == []


def test_far_short_and_empty_lines_tell_nothing():
    far = np.column_stack((np.linspace(10, 100, 50), np.full(50, 20.0)))
    assert clues([far, far[:0], far[:1], far[:2]], ELLIPSE, WIDTH, NOBODY) == ([], [])
