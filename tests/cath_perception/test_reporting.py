"""What a tracker tells of, and what it keeps for itself."""

from cath_perception.counting import MATURE

from .patterns import ABLATION, CS, DT, by_id, seen, settle, straight


def test_electrodes_without_a_type_that_come_and_go_are_no_catheter(tracker):
    ids, i = settle(tracker)
    pair = straight([7], at=(60, 420))
    shown = []
    for n in range(120):
        there = n < 30 or (60 <= n < 90 and n % 2)
        result = tracker.update(seen(CS, ABLATION, *([pair] if there else [])), (i + n) * DT)
        shown.append(len(by_id(result)) > len(ids))
    assert all(shown[MATURE : 30 + 2]), "seen all the time, and after a frame or two without it"
    assert not any(shown[60:90]), "seen in every other frame"


def test_a_known_catheter_that_comes_and_goes_is_told_of(tracker):
    ids, i = settle(tracker)
    for n in range(30):
        result = tracker.update(seen(CS, *([ABLATION] if n % 2 else [])), (i + n) * DT)
        assert sorted(by_id(result)) == sorted(ids)


def test_a_single_electrode_is_no_catheter_and_its_shaft_has_none(tracker):
    ids, i = settle(tracker)
    lone = straight([], at=(60, 420))
    for n in range(MATURE + 5):
        result = tracker.update(seen(CS, ABLATION, lone), (i + n) * DT)
    (other,) = set(by_id(result)) - set(ids)
    shaft = by_id(result)[other]
    assert (shaft.electrodes, shaft.type) == ((), None)
    assert shaft.centerline is not None
    assert [(e.catheter, e.index) for e in result.electrodes if e.catheter not in ids] == [(other, -1)]
