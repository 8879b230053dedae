from dataclasses import replace

import numpy as np
import pytest

from cath_perception.counting import MATURE
from cath_perception.types import CatheterStatus, Electrode, PerceptionResult

from .patterns import ABLATION, CS, DT, by_id, catheter, moved, seen, settle, straight

DETECTED, PREDICTED, LOST = CatheterStatus


def test_ids_and_indices_last_whatever_the_order_of_detection(tracker):
    ids, _ = settle(tracker)
    for i in range(20, 80):
        dx, dy = 12 * np.sin(i * 0.4), 25 * np.sin(i * 0.1)
        both = moved(CS, dx, dy), moved(ABLATION, dx, dy)
        result = tracker.update(seen(*(both if i % 2 else both[::-1])), i * DT)
        found = by_id(result)
        assert sorted(found) == sorted(ids)
        assert found[ids[0]].type == "coronary_sinus"
        assert found[ids[1]].type == "ablation"
        assert [e.index for e in found[ids[0]].electrodes] == list(range(10))
        assert found[ids[0]].electrodes[0].x == pytest.approx(CS.electrodes[0].x + dx)
        assert {e.catheter for e in result.electrodes} == set(ids)


def test_missed_electrodes_are_bridged_and_keep_the_others_indices(tracker):
    ids, i = settle(tracker)
    result = tracker.update(seen(moved(CS, 4, 3, keep=[1, 2, 3, 5, 6, 8, 9]), ABLATION), i * DT)
    cs = by_id(result)[ids[0]]
    assert [e.visible for e in cs.electrodes] == [n not in (0, 4, 7) for n in range(10)]
    for before, now in zip(CS.electrodes, cs.electrodes, strict=True):
        assert (now.x, now.y) == pytest.approx((before.x + 4, before.y + 3), abs=0.1)
    assert [e.index for e in result.electrodes if e.catheter == ids[0]] == [1, 2, 3, 5, 6, 8, 9]


def test_an_electrode_missed_in_the_first_frame_is_there_from_the_next_but_one(tracker):
    """It is known for good later than the others, and does not vanish while they are known and it is not."""
    tracker.update(seen(moved(CS, 0, 0, keep=[0, 1, 2, 4, 5, 6, 7, 8, 9]), ABLATION), 0.0)
    for i in range(1, 30):
        result = tracker.update(seen(CS, ABLATION), i * DT)
        if i > 1:
            assert sorted(len(c.electrodes) for c in result.catheters) == [4, 10]


def test_a_false_electrode_on_the_shaft_has_no_index_and_moves_none(tracker):
    ids, i = settle(tracker)
    first, second = CS.electrodes[1], CS.electrodes[2]
    false = Electrode((first.x + second.x) / 2, (first.y + second.y) / 2, 8.0, 8.0, 0.5)
    worse = catheter([*CS.electrodes[:2], false, *CS.electrodes[2:]], CS.centerline.points)
    result = tracker.update(seen(worse, ABLATION), i * DT)
    assert len(by_id(result)[ids[0]].electrodes) == 10
    assert [e.index for e in result.electrodes if e.catheter == ids[0]] == [0, 1, -1, *range(2, 10)]


def test_the_centreline_begins_at_the_tip_though_its_shaft_goes_on(tracker):
    """The tip touches another shaft, and the frame's curve runs on along that one."""
    line = CS.centerline.points
    beyond = line[0] + np.arange(-90.0, 0.0, 3.0)[:, None] * (line[1] - line[0]) / 3.0
    longer = catheter(CS.electrodes, np.concatenate((beyond, line)))
    for i in range(20):
        result = tracker.update(seen(longer, ABLATION), i * DT)
    cs, ablation = sorted(result.catheters, key=lambda c: -len(c.electrodes))
    assert cs.type == "coronary_sinus"
    tip = CS.electrodes[0]
    assert np.hypot(*(cs.centerline.points[0] - (tip.x, tip.y))) < 8.0
    assert cs.centerline.points[-1] == pytest.approx(line[-1])
    assert len(ablation.centerline.points) == len(ABLATION.centerline.points)


def test_predicted_then_lost_then_known_again_or_dropped(tracker):
    ids, i = settle(tracker)
    states = []
    for i in range(20, 20 + 30):
        result = tracker.update(seen(CS), i * DT)
        states.append(by_id(result)[ids[1]].status)
    assert states[:7] == [PREDICTED] * 7
    assert states[8:] == [LOST] * 22
    lost = by_id(result)[ids[1]]
    assert not any(e.visible for e in lost.electrodes)
    assert lost.score < ABLATION.score
    assert {e.catheter for e in result.electrodes} == {ids[0]}
    back = by_id(tracker.update(seen(CS, moved(ABLATION, 15, -10)), 50 * DT))
    assert back[ids[1]].status is DETECTED
    for i in range(51, 51 + 80):
        result = tracker.update(seen(CS), i * DT)
    assert sorted(by_id(result)) == [ids[0]]


def test_a_ghost_of_a_few_frames_is_never_reported(tracker):
    ids, i = settle(tracker)
    ghost = straight([5, 5, 5], at=(60, 420))
    for n in range(MATURE - 1):
        result = tracker.update(seen(CS, ABLATION, ghost), (i + n) * DT)
        assert sorted(by_id(result)) == sorted(ids)
        assert {e.catheter for e in result.electrodes} == {*ids, -1}
    assert sorted(by_id(tracker.update(seen(CS, ABLATION), (i + MATURE) * DT))) == sorted(ids)


def test_a_catheter_that_comes_into_view_is_reported_once_it_is_known_well(tracker):
    alone = [len(tracker.update(seen(CS), i * DT).catheters) for i in range(MATURE)]
    assert alone == [1] * MATURE, "one that is there when the scene begins is reported at once"
    both = [len(tracker.update(seen(CS, ABLATION), i * DT).catheters) for i in range(MATURE, 2 * MATURE)]
    assert both == [1] * (MATURE - 1) + [2]


def test_a_broken_off_piece_is_no_catheter_of_its_own(tracker):
    ids, i = settle(tracker)
    pieces = moved(CS, 2, 1, keep=range(6)), moved(CS, 2, 1, keep=range(6, 10))
    result = tracker.update(seen(*pieces, ABLATION), i * DT)
    assert sorted(by_id(result)) == sorted(ids)
    assert all(e.visible for e in by_id(result)[ids[0]].electrodes)


def test_not_computed_stays_not_computed(tracker):
    result = PerceptionResult(64, 64, (), None, None)
    assert tracker.update(result, 0.0) is result


def test_an_electrode_that_a_crossing_catheter_lent_goes_back(tracker):
    """In the first frames one of the ablation catheter's electrodes is counted to the coronary sinus catheter."""
    lent = ABLATION.electrodes[3]
    for i in range(40):
        dx = 2.5 * max(i - 5, 0)
        cs, ablation = CS, moved(ABLATION, dx, 0.0)
        if i < 8:
            cs = catheter([*CS.electrodes, lent], CS.centerline.points)
            ablation = moved(ABLATION, dx, 0.0, keep=range(3))
        result = tracker.update(seen(cs, ablation), i * DT)
    found = {c.type: c for c in result.catheters}
    assert {kind: len(c.electrodes) for kind, c in found.items()} == {"coronary_sinus": 10, "ablation": 4}


def test_an_electrode_never_seen_is_filled_in_from_the_type(tracker):
    missing = 4
    kept = [n for n in range(10) if n != missing]
    for i in range(30):
        result = tracker.update(seen(moved(CS, 0.5 * i, 0.0, keep=kept)), i * DT)
    (cs,) = result.catheters
    assert cs.type == "coronary_sinus"
    assert [e.index for e in cs.electrodes] == list(range(10))
    assert [e.visible for e in cs.electrodes] == [n != missing for n in range(10)]
    filled, true = cs.electrodes[missing], CS.electrodes[missing]
    assert (filled.x, filled.y) == pytest.approx((true.x + 0.5 * 29, true.y), abs=1.5)
    assert [e.index for e in result.electrodes] == kept


def test_what_is_never_seen_lies_behind_the_others_where_the_shaft_ends_at_the_first(tracker):
    for i in range(30):
        result = tracker.update(seen(moved(CS, 0.5 * i, 0.0, keep=range(8))), i * DT)
    (cs,) = result.catheters
    assert [e.visible for e in cs.electrodes] == [True] * 8 + [False] * 2
    for found, true in zip(cs.electrodes, CS.electrodes, strict=True):
        assert (found.x, found.y) == pytest.approx((true.x + 0.5 * 29, true.y), abs=2.0)


def test_where_the_shaft_goes_on_at_both_ends_it_is_not_told_what_is_never_seen(tracker):
    x, y = CS.centerline.points[0]
    ahead = np.arange(60.0, 0.0, -3.0)[:, None] * np.array((-np.cos(0.3), -np.sin(0.3))) + (x, y)
    longer = catheter(CS.electrodes[:8], np.concatenate((ahead, CS.centerline.points)))
    for i in range(30):
        result = tracker.update(seen(longer), i * DT)
    (cs,) = result.catheters
    assert [e.visible for e in cs.electrodes] == [True] * 8


def test_a_marker_ring_seen_all_the_time_is_no_electrode(tracker):
    last, before = ABLATION.electrodes[3], ABLATION.electrodes[2]
    ring = Electrode(last.x + 3.5 * (last.x - before.x), last.y + 3.5 * (last.y - before.y), 8.0, 8.0, 0.6)
    sheathed = catheter([*ABLATION.electrodes, ring], ABLATION.centerline.points)
    for i in range(40):
        result = tracker.update(seen(CS, sheathed), i * DT)
    found = {c.type: c for c in result.catheters}
    assert len(found["ablation"].electrodes) == 4
    assert [e.index for e in result.electrodes if e.catheter == found["ablation"].id] == [0, 1, 2, 3, -1]


def test_the_first_frame_tells_the_types_of_all_its_catheters(tracker):
    result = tracker.update(seen(CS, ABLATION), 0.0)
    assert [c.type for c in result.catheters] == ["coronary_sinus", "ablation"]


def test_the_type_does_not_change_with_a_bad_view(tracker):
    ids, i = settle(tracker, 40)
    squeezed = straight([2, 5] * 4 + [2], at=(100, 150), squeeze=0.25)
    kinds = set()
    for step in range(30):
        result = tracker.update(seen(squeezed if step % 3 == 0 else CS, ABLATION), (i + step) * DT)
        kinds.add(by_id(result)[ids[0]].type)
    assert kinds == {"coronary_sinus"}


def test_a_faint_electrode_counts_where_one_is_expected_and_nowhere_else(tracker):
    ids, i = settle(tracker)
    expected, stray = CS.electrodes[4], Electrode(400.0, 60.0, 8.0, 8.0, 0.2)
    weak = Electrode(expected.x + 3.0, expected.y, 8.0, 8.0, 0.2)
    frame = seen(moved(CS, 3.0, 0.0, keep=[n for n in range(10) if n != 4]), ABLATION)
    result = tracker.update(replace(frame, faint=(weak, stray)), i * DT)
    found = by_id(result)[ids[0]].electrodes[4]
    assert (found.x, found.visible, found.score) == (weak.x, True, 0.2)
    assert [(e.x, e.index) for e in result.electrodes if e.score < 0.5] == [(weak.x, 4)]
    assert result.faint == ()


def test_a_piece_that_began_as_a_catheter_joins_its_own(tracker):
    """In the first frames the mask is broken between the electrodes 7 and 8."""
    for i in range(60):
        parts = (moved(CS, 0.0, 0.0, keep=range(8)), moved(CS, 0.0, 0.0, keep=(8, 9)))
        result = tracker.update(seen(*(parts if i < 8 else (CS,)), ABLATION), i * DT)
    assert sorted((c.type, len(c.electrodes)) for c in result.catheters) == [
        ("ablation", 4),
        ("coronary_sinus", 10),
    ]


def test_what_a_whole_catheter_has_no_place_for_is_another(tracker):
    """For a while the mask joins the ablation catheter to the end of the coronary sinus catheter."""
    other = straight([2, 5, 2], 4.0, at=(245, 195), angle=0.3)
    joined = catheter([*CS.electrodes, *other.electrodes], CS.centerline.points)
    for i in range(60):
        result = tracker.update(seen(joined), i * DT)
    found = {c.type: c for c in result.catheters}
    assert [e.index for e in found["coronary_sinus"].electrodes] == list(range(10))
    assert len(result.catheters) == 2
    assert sorted(len(c.electrodes) for c in result.catheters) == [4, 10]


def test_two_catheters_on_one_shaft_are_told_apart_by_their_patterns(tracker):
    front = straight([5, 5, 5], 1.8, at=(60, 150))
    x, y = front.electrodes[-1].x, front.electrodes[-1].y
    behind = straight([2, 5] * 4 + [2], at=(x + 30 * np.cos(0.3), y + 30 * np.sin(0.3)))
    both = catheter(
        [*front.electrodes, *behind.electrodes], [*front.centerline.points[:12], *behind.centerline.points]
    )
    for i in range(30):
        result = tracker.update(seen(both), i * DT)
    assert sorted((c.type, len(c.electrodes)) for c in result.catheters) == [
        ("coronary_sinus", 10),
        ("quadripolar", 4),
    ]
    assert all(e.catheter >= 0 and e.index >= 0 for e in result.electrodes)


def test_a_loop_of_paired_rings_is_no_halo_though_both_fit(tracker):
    gaps = np.tile([0.75 + 1.0, 3.05 + 1.0], 10)[:19]
    angles = np.concatenate(([0.0], np.cumsum(gaps))) / (gaps.sum() + 4.05) * 2 * np.pi
    turn = np.linspace(0.0, 6.1, 120)
    points = [np.column_stack((250 + 40 * np.cos(a), 250 + 34 * np.sin(a))) for a in (angles, turn)]
    ring = catheter([Electrode(x, y, 5.0, 5.0, 0.9) for x, y in points[0]], points[1])
    for i in range(15):
        result = tracker.update(seen(ring), i * DT)
    assert result.catheters[0].type == "circular_mapping"
    assert result.catheters[0].type_confidence > 0.9


def test_a_catheter_pulled_out_of_reach_along_its_shaft_is_numbered_anew(tracker):
    """Its shaft is still there, so the track goes on, but none of the electrodes that its type claims is."""
    settle(tracker, 60)
    away = 90.0 * np.array((np.cos(1.2), np.sin(1.2)))
    pulled = catheter(moved(ABLATION, *away).electrodes, ABLATION.centerline.points)
    for i in range(60, 120):
        result = tracker.update(seen(CS, pulled), i * DT)
    found = [c for c in result.catheters if c.status is DETECTED and c.type == "ablation"]
    assert [[(e.index, round(e.x)) for e in c.electrodes] for c in found] == [
        [(n, round(e.x)) for n, e in enumerate(pulled.electrodes)]
    ]


def test_pieces_of_an_unknown_catheter_that_lie_on_a_known_ones_shaft_at_times_join_that(tracker):
    """In half of the frames the mask leads from the coronary sinus catheter's first pair to another one."""
    other = straight([5, 5, 5], 1.8, at=(95, 60), angle=1.45)
    strays = [*other.electrodes, *CS.electrodes[:2]]
    bent = np.concatenate((other.centerline.points[:20], CS.centerline.points[:4]))
    rest = moved(CS, 0.0, 0.0, keep=range(2, 10))
    for i in range(90):
        mixed = i < 12 or i % 2
        result = tracker.update(seen(*((catheter(strays, bent), rest) if mixed else (other, CS))), i * DT)
    assert sorted((c.type, len(c.electrodes)) for c in result.catheters) == [
        ("coronary_sinus", 10),
        ("quadripolar", 4),
    ]


def test_an_electrode_forgotten_in_the_frame_in_which_another_catheter_needs_it(tracker):
    """A slot in another's shadow is dropped, though its sighting fills a gap of the first catheter."""
    gap = CS.electrodes[4]
    across = np.array((-np.sin(0.3), np.cos(0.3)))
    shaft = np.array((gap.x, gap.y)) + np.arange(-60, 60, 3.0)[:, None] * across

    def crossing(places):
        return catheter(
            [Electrode(*(np.array((gap.x, gap.y)) + s * across), 8.0, 8.0, 0.9) for s in places], shaft
        )

    whole = moved(CS, 0, 0, keep=[n for n in range(10) if n != 4])
    near = 3.6
    for i in range(20):
        tracker.update(seen(whole), i * DT)
    for i, (aside, places) in enumerate([(5, (0, near))] * 2 + [(5, (near,))] * 3 + [(0, (0,))] * 4, 20):
        there = crossing([p + aside for p in (*places, 40)])
        result = tracker.update(seen(whole, there), i * DT)
    assert len(by_id(result)[0].electrodes) == 10


def test_a_pattern_that_is_not_known_again_where_it_was_goes_on_as_that_track(tracker):
    """It has no type, leaps about beside a catheter at rest, and other ones of its electrodes are seen every time."""
    odd, names = straight([12, 1, 7, 3], 1.25, at=(250, 400), angle=0.0), []
    for seed in range(6):
        tracker.reset()
        rng, ids = np.random.default_rng(seed), set()
        for i in range(40):
            shift, kept = rng.uniform(-12, 12, 2), np.sort(rng.choice(5, 3, replace=False))
            result = tracker.update(seen(CS, moved(odd, *shift, keep=kept.tolist())), (100 * seed + i) * DT)
            ids |= {c.id for c in result.catheters if c.status is CatheterStatus.DETECTED}
        names.append(len(ids))
    assert sum(names) <= 24  # 29 if each began a new one
