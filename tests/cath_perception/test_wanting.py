import numpy as np
import pytest

from cath_perception.types import Electrode

from .patterns import DT, catheter, seen, straight


@pytest.mark.parametrize("lent", [0, 3])
def test_an_electrode_on_a_known_catheters_shaft_goes_to_the_one_that_lacks_it(tracker, lent):
    """The mask leads from the ablation catheter's shaft over the other catheter's electrode."""
    ablation = straight([2, 5, 2], 4.0, ring=1.2, at=(150, 150), angle=0.1)
    other = straight([5, 5, 5], 1.8, at=(260, 200), angle=1.3)
    stray = other.electrodes[lent]
    others = [e for i, e in enumerate(other.electrodes) if i != lent]
    last = np.array(((stray.x, stray.y),))
    line = ablation.centerline.points
    mixed = catheter([*ablation.electrodes, stray], np.concatenate((line[:-15], last)))
    for i in range(60):
        result = tracker.update(seen(mixed, catheter(others, other.centerline.points)), i * DT)
    known = {c.type: [(e.x, e.y) for e in c.electrodes] for c in result.catheters}
    assert known["quadripolar"] == [pytest.approx((e.x, e.y)) for e in other.electrodes]
    assert len(known["ablation"]) == 4


def test_a_known_catheter_takes_nothing_that_another_needs(tracker):
    """Eight electrodes of a decapolar catheter beside four that are one of their own."""
    part = straight([2, 5] * 4 + [2], at=(150, 250), keep=range(8))
    end = part.electrodes[-1]
    next_to_it = straight([2, 5, 2], 4.0, ring=1.2, at=(end.x + 40.0, end.y + 12.0), angle=0.3)
    for i in range(60):
        result = tracker.update(seen(part, next_to_it), i * DT)
    assert sorted((c.type, sum(e.visible for e in c.electrodes)) for c in result.catheters) == [
        ("ablation", 4),
        ("coronary_sinus", 8),
    ]


def test_lone_electrodes_do_not_make_a_catheter_of_a_few(tracker):
    """Three that fit nothing, and false ones aside."""
    few = straight([2, 9], 1.25, at=(150, 250))
    aside = [
        catheter([Electrode(200.0, y, 6.0, 6.0, 0.5)], [(200.0, y), (200.0, y + 40.0)])
        for y in (150.0, 340.0)
    ]
    for i in range(40):
        result = tracker.update(seen(few, *aside), i * DT)
    assert [len(c.electrodes) for c in result.catheters] == [3, 0, 0]


def test_two_known_catheters_of_four_become_the_one_of_ten_that_they_are_pieces_of(tracker):
    """Every four electrodes of a decapolar catheter look like a quadripolar one; two are on no shaft with others."""
    whole = straight([2, 5] * 4 + [2], at=(150, 250))
    pieces = [straight([2, 5] * 4 + [2], at=(150, 250), keep=keep) for keep in (range(2, 6), range(6, 10))]
    tip = straight([2, 5] * 4 + [2], at=(150, 250), keep=range(2))
    for i in range(20):
        result = tracker.update(seen(*pieces), i * DT)
    assert [c.type for c in result.catheters] == ["quadripolar", "quadripolar"]
    for i in range(20, 90):
        result = tracker.update(seen(*pieces, tip), i * DT)
    known = [c for c in result.catheters if len(c.electrodes) > 1]
    assert [(c.type, len(c.electrodes)) for c in known] == [("coronary_sinus", 10)]
    assert [(e.x, e.y) for e in known[0].electrodes] == [pytest.approx((e.x, e.y)) for e in whole.electrodes]


def test_a_known_catheter_of_four_with_one_electrode_more_may_be_a_piece_of_one_of_ten(tracker):
    """The last five electrodes of a decapolar catheter look like a quadripolar one and another; four more come into view."""
    gaps, at = [2, 5] * 4 + [2], (150, 250)
    behind, before = (straight(gaps, at=at, keep=keep) for keep in (range(5, 10), range(1, 5)))
    for i in range(30):
        result = tracker.update(seen(behind), i * DT)
    assert [(c.type, len(c.electrodes)) for c in result.catheters] == [("quadripolar", 4)]
    line = before.centerline.points
    last = np.array([(e.x, e.y) for e in before.electrodes[-1:]])
    part = line[: int(np.hypot(*(line - last).T).argmin()) + 2]
    for i in range(30, 60):
        result = tracker.update(seen(catheter(before.electrodes, part), behind), i * DT)
    assert [c.type for c in result.catheters] == ["coronary_sinus"]


def test_two_catheters_of_four_in_a_line_stay_two(tracker):
    first = straight([2, 5, 2], at=(150, 250))
    end = first.electrodes[-1]
    second = straight([2, 5, 2], at=(end.x + 50.0, end.y + 50.0), angle=1.2)
    for i in range(90):
        result = tracker.update(seen(first, second), i * DT)
    assert [(c.type, len(c.electrodes)) for c in result.catheters] == [("quadripolar", 4)] * 2
