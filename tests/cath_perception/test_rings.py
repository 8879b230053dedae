import numpy as np
import pytest

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.rings import find_ring
from cath_perception.types import Electrode

WIDTH = 8.0


def loop(angles, half_axes=(42.0, 20.0), turn=0.5, centre=(250.0, 240.0)):
    """``(N, 2)`` places on an ellipse, px."""
    u, v = half_axes[0] * np.cos(angles), half_axes[1] * np.sin(angles)
    return (
        np.column_stack((u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn))) + centre
    )


EVEN = np.arange(10) * 0.6
PAIRS = (np.arange(10)[:, None] * 2 * np.pi / 10 + (0.0, 0.2)).ravel()
ACROSS = np.column_stack((np.linspace(150, 350, 10), np.linspace(300, 190, 10)))  # a decapolar over the loop


@pytest.mark.parametrize("angles", [EVEN, PAIRS], ids=["even", "pairs"])
@pytest.mark.parametrize("half_axes", [(42.0, 40.0), (42.0, 12.0)], ids=["face on", "slanting"])
def test_a_loop_is_found_among_other_electrodes(angles, half_axes):
    rng = np.random.default_rng(3)
    ring = loop(angles, half_axes) + rng.normal(0, 0.4, (len(angles), 2))
    found = find_ring(np.concatenate((ACROSS, ring)), WIDTH)
    assert found is not None
    mine, ellipse = found
    assert len(set(mine.tolist()) & set(range(10, 10 + len(ring)))) >= 0.9 * len(ring)
    assert len(set(mine.tolist()) & set(range(10))) <= 2
    off = np.hypot(
        *(ellipse[:, None] - loop(np.linspace(0, 2 * np.pi, 400), half_axes)[None]).transpose(2, 0, 1)
    )
    assert off.min(axis=1).max() < 0.5 * WIDTH


def test_a_loop_with_one_electrode_missing_is_still_one():
    found = find_ring(loop(np.delete(EVEN, 4)), WIDTH)
    assert found is not None
    assert found[0].tolist() == list(range(9))


@pytest.mark.parametrize(
    "positions",
    [
        np.empty((0, 2)),
        loop(EVEN[:7]),  # too few
        loop(np.linspace(0.0, 3.6, 10)),  # an arc, as a coronary sinus catheter lies
        loop(EVEN, (400.0, 300.0)),  # no catheter makes so large a loop
        loop(EVEN, (9.0, 8.0)),
        np.repeat(ACROSS[:1], 12, axis=0),  # all in one place
        np.column_stack((np.arange(14) * 20.0, np.zeros(14))),  # in a straight line
    ],
    ids=["nothing", "few", "arc", "large", "small", "one place", "line"],
)
def test_what_is_no_loop_is_none(positions):
    assert find_ring(positions, WIDTH) is None


def test_scattered_electrodes_make_no_loop():
    found = [find_ring(np.random.default_rng(seed).uniform(100, 300, (25, 2)), WIDTH) for seed in range(40)]
    assert sum(ring is not None for ring in found) <= 1


def test_electrodes_of_a_loop_that_no_shaft_follows_are_one_catheter():
    ring = loop(EVEN)
    electrodes = [Electrode(x, y, 6.0, 6.0, 0.9) for x, y in np.concatenate((ACROSS, ring))]
    upper = np.column_stack((np.linspace(100, 400, 60), np.full(60, 225.0)))
    along = np.column_stack((np.linspace(120, 380, 60), np.linspace(316.5, 173.5, 60)))
    shafts = [Trace(along, WIDTH, 0.9), Trace(upper, WIDTH, 0.9)]
    named, catheters = group(electrodes, shafts, 512, 512)
    owners = [{e.catheter for e in part} for part in (named[:10], named[10:])]
    assert len(owners[1]) == 1
    assert len(owners[0] - owners[1]) == 1
    own = next(c for c in catheters if c.id == min(owners[1]))
    assert sorted(e.index for e in own.electrodes) == list(range(len(own.electrodes)))
    assert len(own.electrodes) >= 10
