import numpy as np
import pytest

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.types import Electrode

DOWN = np.array((0.0, 1.0))
ASIDE = np.array((np.sin(0.6), -np.cos(0.6)))  # 0.6 rad off straight on, seen from the tip
TIP = np.array((256.0, 240.0))


def through_the_tip(proximal, beyond, flip):
    """A shaft straight down from the tip for ``proximal`` px, and what lies beyond the tip for ``beyond`` px."""
    shaft = TIP + np.arange(0.0, proximal, 2.5)[:, None] * DOWN
    other = TIP + np.arange(2.5, beyond, 2.5)[::-1, None] * ASIDE
    points = np.concatenate((other, shaft))
    return Trace(points[::-1] if flip else points, 9.0, 0.9)


@pytest.mark.parametrize("flip", [False, True])
def test_a_curve_that_goes_on_over_another_instrument_turns_at_the_tip(flip):
    """The electrodes lie farther from that end of the curve than from the end at which the shaft enters."""
    shaft = through_the_tip(proximal=110.0, beyond=130.0, flip=flip)
    electrodes = [Electrode(256.0, y, 8.0, 6.0, 0.9) for y in (244.0, 262.0, 272.0, 290.0)]
    _, (found,) = group(electrodes, [shaft], 512, 512)
    assert [e.y for e in found.electrodes] == [244.0, 262.0, 272.0, 290.0]


@pytest.mark.parametrize("flip", [False, True])
def test_a_curve_that_is_as_wide_as_at_the_electrodes_on_one_side_alone_has_its_tip_on_the_other(flip):
    """It goes straight on at both ends, just as far, over a thicker instrument at one."""
    y = np.arange(100.0, 400.0, 2.5)
    points = np.column_stack((np.full(len(y), 256.0), y))
    measured = np.column_stack((points, np.where(y < 200.0, 15.0, 9.0)))
    shaft = Trace(points[::-1] if flip else points, 9.0, 0.9, measured=measured)
    electrodes = [Electrode(256.0, y, 8.0, 6.0, 0.9) for y in (227.0, 241.0, 258.0, 272.0)]
    _, (found,) = group(electrodes, [shaft], 512, 512)
    assert [e.y for e in found.electrodes] == [227.0, 241.0, 258.0, 272.0]
    assert found.centerline.tip_odds > 2.0


def test_a_curve_that_looks_alike_at_both_ends_tells_little_of_the_tip():
    y = np.arange(100.0, 400.0, 2.5)
    points = np.column_stack((np.full(len(y), 256.0), y))
    shaft = Trace(points, 9.0, 0.9, measured=np.column_stack((points, np.full(len(y), 9.0))))
    electrodes = [Electrode(256.0, y, 8.0, 6.0, 0.9) for y in (227.0, 241.0, 258.0, 272.0)]
    _, (found,) = group(electrodes, [shaft], 512, 512)
    assert 0.0 <= found.centerline.tip_odds < 0.1


def test_a_turn_does_not_count_where_the_curve_ends_at_the_electrodes():
    """The shaft bends behind the last electrode; the other end is the tip all the same."""
    shaft = through_the_tip(proximal=60.0, beyond=40.0, flip=False)
    electrodes = [Electrode(256.0, y, 8.0, 6.0, 0.9) for y in (244.0, 262.0, 272.0, 290.0)]
    _, (found,) = group(electrodes, [shaft], 512, 512)
    assert [e.y for e in found.electrodes] == [290.0, 272.0, 262.0, 244.0]
