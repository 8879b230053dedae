import numpy as np
import pytest

from cath_perception.parting import Parting, apart


def tried(parting, loop, looks=40):
    """All places that are cut at within so many looks which say nothing for any cut."""
    keys, places = list(range(12)), set()
    for _ in range(looks):
        for at, cut in parting.next_cuts(keys, loop):
            places.add(at)
            parting.note(cut, 0.0, 0.0, 0.0, False)
    return places


def test_a_shaft_may_be_cut_wherever_three_electrodes_are_left_on_either_side():
    assert tried(Parting(), ()) == set(range(3, 10))


def test_a_loop_is_not_cut_but_what_leads_into_it_is():
    assert tried(Parting(), range(12)) == set()
    assert tried(Parting(), range(4, 12)) == {3, 4, 5, 6}


def test_a_cut_that_was_promising_is_given_up_once_it_turns_out_to_lie_on_a_loop():
    parting, keys = Parting(), list(range(12))
    for _ in range(5):
        for at, cut in parting.next_cuts(keys, ()):
            parting.note(cut, *((5.0, 5.0) if at == 6 else (0.0, 0.0)), 0.0, False)
    assert parting.strangers(keys)
    parting.next_cuts(keys, range(12))
    assert not parting.strangers(keys)


@pytest.mark.parametrize(("gap", "known", "cut"), [(60.0, 3.5, True), (60.0, 1.8, False), (30.0, 3.5, False)])
def test_two_known_parts_are_two_catheters_where_the_gap_between_them_is_wider_than_in_any_pattern(
    gap, known, cut
):
    along = np.cumsum([0.0, 10.0, 15.0, 10.0, gap, 10.0, 15.0, 10.0])
    places, parting, keys = np.column_stack((along, along)), Parting(), list(range(8))
    for _ in range(5):
        for at, between in parting.next_cuts(keys, ()):
            score = known if at == 4 else -4.0
            parting.note(between, score, score, 0.5, apart(places, at))
    assert bool(parting.strangers(keys)) == cut
