import numpy as np
import pytest

from cath_perception.sifting import Patterns, sifted
from cath_perception.templates import Template

from .patterns import PX_PER_MM, centres

CS = centres([2, 5] * 4 + [2], 1.25, 1.25)[0]
PATTERNS = Patterns.of(
    [
        Template("halo", centres([2, 8] * 9 + [2], 1.25, 1.25)[0], np.ones(20)),
        Template("coronary_sinus", CS, np.ones(10)),
    ]
)


def likest(positions):
    """The chain that looks most like the pattern with centres ``CS``, beside another of more electrodes."""
    _, chain = sifted(positions, PATTERNS, 2.0 * PX_PER_MM)
    return chain


def bent(places, radius_mm=30.0):
    """Places in mm along an arc, in px."""
    angle = places / radius_mm
    return 100.0 + PX_PER_MM * radius_mm * np.column_stack((np.sin(angle), 1.0 - np.cos(angle)))


@pytest.mark.parametrize("seed", range(6))
def test_a_pattern_is_found_among_others(seed):
    rng = np.random.default_rng(seed)
    own = bent(CS) + rng.normal(0, 0.4, (10, 2))
    false = bent(rng.uniform(-5, 45, 5)) + rng.normal(0, 6, (5, 2))
    every = np.concatenate((own, false[np.hypot(*(false[:, None] - own).transpose(2, 0, 1)).min(axis=1) > 6]))
    mixed = rng.permutation(len(every))
    chain = mixed[likest(every[mixed])].tolist()
    assert chain in (list(range(10)), list(range(10))[::-1])


def test_that_of_another_catheter_beside_it_is_not_taken():
    beside = bent(centres([5, 5, 5], 1.8, 1.25)[0] + 4.0) + np.array((0.0, 11.0))
    chain = likest(np.concatenate((beside, bent(CS))))
    assert sorted(chain.tolist()) == list(range(4, 14))


def test_up_to_two_neighbours_may_be_missing():
    kept = [0, 1, 2, 5, 6, 7, 8, 9]
    chain = likest(bent(CS[kept]))
    assert sorted(chain.tolist()) == list(range(8))


def test_foreshortening_may_change_along_the_shaft():
    shorter = np.concatenate(([0.0], np.cumsum(np.diff(CS) * np.linspace(1.0, 0.4, 9))))
    assert sorted(likest(bent(shorter)).tolist()) == list(range(10))


def test_gaps_longer_than_the_shafts_width_allows_are_no_whole_pattern():
    assert len(likest(3.0 * bent(CS))) < 7


def test_a_chain_that_lacks_more_than_any_known_pattern_may_is_none():
    assert len(likest(bent(CS[:3]))) == 0


def test_nothing_is_found_where_no_pattern_has_many_electrodes():
    assert sifted(bent(CS), Patterns.of([]), 2.0 * PX_PER_MM) == []


def test_few_electrodes_and_doubles_raise_nothing():
    rng = np.random.default_rng(2)
    for count in range(12):
        for chain in sifted(rng.uniform(0, 60, (count, 2)).round(-1), PATTERNS, 2.0 * PX_PER_MM):
            assert len(set(chain.tolist())) == len(chain)
