import numpy as np
import pytest

from cath_perception.alignment import rotation
from cath_perception.reference import Reference, fitted, known_again, learnt, renumbered

from .patterns import straight

CS = {n: (e.x, e.y) for n, e in enumerate(straight([2, 5] * 4 + [2], at=(150, 150)).electrodes)}
SAME = {key: key for key in CS}


def gone(places, angle=0.0, dx=0.0, dy=0.0):
    """The electrodes turned about the image's corner and shifted."""
    return {key: tuple(rotation(angle) @ place + (dx, dy)) for key, place in places.items()}


def only(places, *keys):
    return {key: places[key] for key in keys}


def after(reference, frames):
    for places in frames:
        reference = learnt(reference, places)
    return reference


def off(reference):
    """How far its electrodes are from where they were, px, as a catheter."""
    keys = list(reference.places)
    return np.hypot(*(np.array([reference.places[key] for key in keys]) - [CS[key] for key in keys]).T)


@pytest.mark.parametrize(("shown", "known"), [(4, False), (6, True)])
def test_a_catheter_is_known_again_by_half_of_its_electrodes(shown, known):
    some = only(CS, *range(shown))
    again = known_again(Reference.of(1, 0.0, CS, SAME, 0), 2, some, {key: key for key in some})
    assert (again is not None) == known


def test_places_in_the_reference_frame_are_learnt_from_many_frames():
    rng = np.random.default_rng(3)
    noisy = [{key: tuple(place + rng.normal(0, 1.0, 2)) for key, place in CS.items()} for _ in range(30)]
    reference = Reference.of(1, 0.0, noisy[0], SAME, 0)
    moving = [gone(places, 0.01 * n, 3.0 * n, -n) for n, places in enumerate(noisy)]
    learned = after(reference, moving[1:])
    spread = [fitted(CS, places).residual for places in (reference.places, learned.places)]
    assert spread[1] < 0.4 * spread[0]
    assert learned.centre.tolist() == reference.centre.tolist()
    assert after(learned, [gone(CS, 0.1)]) is learned


def test_an_electrode_not_seen_in_the_reference_frame_is_learnt_where_it_was():
    reference = Reference.of(1, 0.0, only(CS, 0, 1, 2, 4, 5, 6, 8, 9), SAME, 0)
    learned = after(reference, [gone(CS, 0.05, 8.0, -3.0)])
    assert set(learned.places) == set(CS)
    assert off(learned).max() < 1e-6


def test_one_without_a_number_or_far_off_is_not_learnt():
    astray = CS | {4: (CS[4][0] + 20.0, CS[4][1])}
    told = {key: n for key, n in SAME.items() if n != 9}
    learned = after(Reference.of(1, 0.0, only(CS, *range(8)), told, 0), [astray])
    assert set(learned.places) == set(range(9))
    assert learned.places[4] == CS[4]


def test_electrodes_numbered_wrongly_are_put_right_where_they_are():
    swapped = SAME | {8: 9, 9: 8}
    right = renumbered(Reference.of(1, 0.0, CS, swapped, 0), gone(CS, 0.02, 5.0), SAME)
    assert right.numbers == SAME
    assert dict(right.places) == CS


def test_a_slot_that_went_on_to_its_neighbour_is_where_that_was():
    now = {key: CS[key + 1] if key in (2, 3) else CS[key] for key in CS if key != 4}
    numbers = {key: key + 1 if key in (2, 3) else key for key in now}
    right = renumbered(Reference.of(1, 0.0, CS, SAME, 0), gone(now, 0.02, 5.0), numbers)
    assert dict(right.places) == now
    assert right.numbers == numbers


def test_a_new_slot_is_the_electrode_of_its_number():
    """Seven were lost to another track for a while: what is left alone would not tell where they were."""
    now = {key if key < 3 else key + 20: place for key, place in CS.items()}
    numbers = {key: key % 20 for key in now}
    right = renumbered(Reference.of(1, 0.0, CS, SAME, 0), gone(now, 0.02, 5.0), numbers)
    assert dict(right.places) == now


def test_a_track_that_slipped_takes_the_places_of_its_numbers():
    now = {key: CS[key + 1] for key in range(9)}
    numbers = {key: key + 1 for key in now}
    right = renumbered(Reference.of(1, 0.0, CS, SAME, 0), now, numbers)
    assert dict(right.places) == now
