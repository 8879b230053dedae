import numpy as np
import pytest

from cath_perception.closing import closing

RADIUS_PX = 40.0


def gaps_of(count, closes, *, pairs=1.0, slant=0.0):
    """Places round a loop of ``count`` electrodes, whose closing gap is ``closes`` times as wide as it would be if it were
    like the others; gaps are in turns ``pairs`` times as wide and not, and vary by ``slant`` twice round the loop."""
    gaps = np.ones(count)
    gaps[1::2] *= pairs
    middles = (np.cumsum(gaps) - gaps / 2) / gaps.sum() * 2 * np.pi
    gaps *= np.exp(slant * np.cos(2 * middles))
    gaps[-1] *= closes
    gaps *= 2 * np.pi / gaps.sum()
    return np.concatenate(([0.0], np.cumsum(gaps)[:-1])) - np.pi


def told(angles, off=0.5):
    return closing(angles, np.full(len(angles), off / RADIUS_PX))


@pytest.mark.parametrize("slant", [0.0, 0.1])
@pytest.mark.parametrize("closes", [0.5, 0.7, 1.5, 2.0])
@pytest.mark.parametrize(("count", "pairs"), [(10, 1.0), (20, 1.0), (20, 2.3)])
def test_a_loop_closes_where_a_gap_is_unlike_the_others(count, pairs, closes, slant):
    angles = gaps_of(count, closes, pairs=pairs, slant=slant)
    rng = np.random.default_rng(1)
    right = [told(np.sort(angles + rng.normal(0, 0.4 / RADIUS_PX, count))).argmax() == 0 for _ in range(40)]
    assert np.mean(right) >= (0.7 if (count, pairs) == (20, 1.0) and closes == 0.7 else 0.9)


def test_where_all_gaps_are_alike_no_electrode_is_told():
    assert np.ptp(told(gaps_of(10, 1.0))) < 0.1


def test_a_loop_of_pairs_closes_between_two_of_them():
    spoken = told(gaps_of(20, 1.0, pairs=2.3))
    assert spoken[0::2] == pytest.approx(0.0, abs=0.1)
    assert (spoken[1::2] < -3.0).all()


def test_a_gap_where_an_electrode_is_missing_closes_no_loop():
    angles = np.delete(gaps_of(20, 0.5), 8)
    assert told(angles).argmax() == 0


def test_a_false_electrode_between_two_closes_no_loop():
    angles = gaps_of(10, 1.5)
    false = np.sort(np.append(angles, angles[4:6].mean()))
    assert told(false).argmax() == 0


def test_gaps_count_less_where_electrodes_are_farther_from_where_they_are():
    angles = gaps_of(10, 1.3)
    assert told(angles, 0.3)[1:].max() < told(angles, 2.0)[1:].max() < 0.0


def test_a_gap_counts_less_where_its_electrodes_are_less_well_known_than_others():
    angles, off = gaps_of(10, 1.3), np.full(10, 0.01)
    clear = closing(angles, off)
    off[[0, -1]] = 0.08  # those on both sides of the closing gap
    doubtful = closing(angles, off)
    assert clear.argmax() == doubtful.argmax() == 0
    assert clear[1:].max() < doubtful[1:].max()
