import numpy as np

from cath_perception.association import associate
from cath_perception.sightings import Sightings
from cath_perception.track import Track

from .patterns import catheter, moved, seen, straight

CS = straight([2, 5] * 4 + [2], at=(100, 150))
PIECE = moved(CS, 0.0, 0.0, keep=range(5))
BENT = catheter([*moved(CS, 0.0, 3.0).electrodes[:5], *CS.electrodes[5:]], CS.centerline.points)


def track(thing):
    shown = Sightings.of(seen(thing))
    return Track(0, np.arange(len(shown.positions)), shown, thing.centerline, 0.9, 0.0)


def associated(claims, believed=False):
    """What the bent catheter and a piece of it, which is where it was, find of the straight one."""
    known, piece = track(BENT), track(PIECE)
    known.confirmed[:] = believed
    shown = Sightings.of(seen(CS))
    free = np.ones(len(shown.positions), bool)
    claimed = [np.full(len(known.keys), claims), np.zeros(len(piece.keys), bool)]
    return associate([known, piece], shown, free, 0.1, [25.0, 25.0], claimed).pairs


def test_what_a_settled_type_claims_goes_before_a_piece_that_lies_nearer():
    pairs, others = associated(claims=True)
    assert pairs.tolist() == [[n, n] for n in range(10)]
    assert not len(others)


def test_so_does_a_catheter_that_is_believed_in():
    pairs, others = associated(claims=False, believed=True)
    assert pairs.tolist() == [[n, n] for n in range(10)]
    assert not len(others)


def test_else_the_nearer_one_gets_the_electrode():
    pairs, others = associated(claims=False)
    assert pairs.tolist() == [[n, n] for n in range(5, 10)]
    assert others.tolist() == [[n, n] for n in range(5)]
