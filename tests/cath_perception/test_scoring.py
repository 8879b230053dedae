from dataclasses import replace

import numpy as np
import pytest

from cath_perception.scoring import CatheterTally, Judgement, Tally, Verdict, match
from cath_perception.types import CatheterStatus

from .patterns import straight


def test_each_truth_is_matched_once() -> None:
    pairs, distance = match(np.array([[0.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 0.0]]), 2.0)
    assert pairs.tolist() == [[0, 0]]
    assert distance.tolist() == [0.0]


def test_pairs_beyond_the_limit_do_not_count() -> None:
    pairs, _ = match(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[1.0, 0.0], [13.0, 0.0]]), 2.0)
    assert pairs.tolist() == [[0, 0]]


def test_nothing_found_or_nothing_there() -> None:
    assert len(match(np.empty((0, 2)), np.ones((3, 2)), 2.0)[0]) == 0
    assert len(match(np.ones((3, 2)), np.empty((0, 2)), 2.0)[0]) == 0


def test_tally_counts_in_px_of_256() -> None:
    tally = Tally()
    tally.add([[10.0, 10.0], [100.0, 100.0]], [[10.0, 13.0], [300.0, 300.0]], side=512)
    figures = tally.figures()
    assert (figures["recall"], figures["precision"]) == (0.5, 0.5)
    assert figures["median_error_px256"] == 1.5


def test_catheters_are_scored_by_type_order_and_identity() -> None:
    tally = CatheterTally()
    truth = replace(straight([2, 5, 2], 4.0, identity=3), type="ablation")
    answers = [replace(truth, id=7), replace(truth, id=7, type="halo"), replace(truth, id=9, type=None)]
    answers.append(replace(truth, id=9, electrodes=truth.electrodes[::-1]))
    for answer in answers:
        tally.add([answer], [truth], 512)
    tally.add([], [truth], 512)
    tally.add([replace(truth, id=1, status=CatheterStatus.LOST)], [truth], 512)
    figures = tally.figures()
    assert figures["catheters found"] == 4 / 6
    assert (figures["type right"], figures["type wrong"]) == (0.5, 0.25)
    assert figures["order right"] == 0.75
    assert figures["identity switches"] == 1
    tally.begin()
    tally.add([replace(truth, id=2)], [truth], 512)
    assert tally.figures()["identity switches"] == 1


def test_no_pair_within_the_limit_is_given_up_for_a_smaller_sum() -> None:
    found, truth = np.array([[0.0, 0.0], [7.0, 0.0]]), np.array([[1.0, 0.0], [-6.0, 0.0]])
    pairs, distance = match(
        found, truth, 5.0
    )  # both 6 px away in the other pairing, whose sum is the smaller
    assert pairs.tolist() == [[0, 0]]
    assert distance.tolist() == [1.0]


def test_the_order_of_electrodes_too_close_to_tell_apart_does_not_count() -> None:
    truth = replace(straight([2, 5, 2], 4.0), type="ablation")
    swapped = [truth.electrodes[i] for i in (0, 2, 1, 3)]
    tally = CatheterTally()
    tally.add([replace(truth, electrodes=tuple(swapped))], [truth], 512)
    assert tally.figures()["order right"] == 0.0
    tally.add([replace(truth, electrodes=tuple(swapped))], [truth], 512 * 8)  # 2 px of 256 are 32 px there
    assert tally.figures()["order right"] == 0.5


def test_what_became_of_a_catheter_is_told() -> None:
    truth = replace(straight([2, 5, 2], 4.0, identity=3), type="ablation")
    for answer, verdict in (
        (replace(truth, status=CatheterStatus.PREDICTED), Verdict.LOST),
        (replace(truth, electrodes=truth.electrodes[:2]), Verdict.PART),
        (replace(truth, type=None), Verdict.UNTYPED),
        (replace(truth, type="halo", electrodes=truth.electrodes[::-1]), Verdict.MISTYPED),
        (replace(truth, electrodes=truth.electrodes[::-1]), Verdict.DISORDERED),
        (truth, Verdict.RIGHT),
    ):
        assert CatheterTally().add([answer], [truth], 512) == {3: Judgement(verdict)}
    tally = CatheterTally()
    told = [tally.add([replace(truth, id=identity)], [truth], 512)[3].switched for identity in (1, 1, 2, 2)]
    assert told == [False, False, True, False]


def test_an_electrode_behind_a_shutter_is_not_one_too_many() -> None:
    whole = replace(straight([2, 5, 2], 4.0, identity=3), type="ablation")
    truth = replace(whole, electrodes=whole.electrodes[:3])
    last = whole.electrodes[3]
    bridged = replace(whole, electrodes=(*truth.electrodes, last._replace(visible=False)))
    covered = {3: np.array([[last.x + 1.0, last.y]])}
    for answer, hidden, right in (
        (bridged, covered, True),
        (bridged, {3: covered[3] + 50.0}, False),
        (bridged, {4: covered[3]}, False),
        (bridged, None, False),
        (whole, covered, True),  # its edge is no sharp one
        (whole, None, False),
    ):
        tally = CatheterTally()
        tally.add([answer], [truth], 512, hidden)
        assert tally.figures()["order right"] == right


def test_extra_catheters_have_two_electrodes_and_bare_shafts_are_counted_apart() -> None:
    truth = replace(straight([2, 5, 2], 4.0, identity=0), type="ablation")
    elsewhere = straight([2, 5, 2], at=(60.0, 400.0), identity=1)
    single = replace(elsewhere, id=2, electrodes=elsewhere.electrodes[:1])
    bare = replace(elsewhere, id=3, electrodes=())
    gone = replace(bare, id=4, status=CatheterStatus.LOST)
    tally = CatheterTally()
    tally.add([truth, elsewhere, single, bare, gone], [truth], 512)
    figures = tally.figures()
    assert figures["extra catheters a frame"] == 1.0
    assert figures["shafts without electrodes a frame"] == 1.0


@pytest.mark.parametrize(("covered", "extra"), [(2, 0.0), (1, 1.0)])
def test_a_catheter_seen_through_a_shutter_is_no_extra_one(covered, extra) -> None:
    behind = straight([2, 5, 2], identity=1)
    hidden = {3: np.array([(e.x, e.y) for e in behind.electrodes])[:covered]}
    tally = CatheterTally()
    tally.add([behind], [], 512, hidden)
    assert tally.figures()["extra catheters a frame"] == extra


def test_an_answer_finds_one_catheter_and_goes_on_with_the_one_it_found_before() -> None:
    first, second = (straight([2, 5, 2], 4.0, identity=n) for n in (0, 1))  # one lies over the other
    tally = CatheterTally()
    tally.add([replace(first, id=7), replace(second, id=8)], [first, second], 512)
    tally.add([replace(second, id=8)], [first, second], 512)
    tally.add([replace(second, id=8), replace(first, id=7)], [first, second], 512)
    figures = tally.figures()
    assert figures["catheters found"] == 5 / 6
    assert (figures["identity switches"], figures["extra catheters a frame"]) == (0, 0)
