"""Centrelines end where they would run on along another catheter."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cath_perception.trimming import from_tip, without_others
from cath_perception.types import CatheterStatus, Centerline

from .patterns import catheter, straight

CS = replace(straight([2, 5] * 4 + [2], at=(60, 100), angle=0.0, identity=1), type="coronary_sinus")
ABLATION = replace(straight([2, 5, 2], 4.0, at=(330, 100), angle=0.0, identity=2), type="ablation")


def steps(*corners):
    """Points 3 px apart along straight lines."""
    parts = [
        np.linspace(a, b, max(2, int(np.hypot(*np.subtract(b, a)) / 3)), endpoint=False)
        for a, b in pairwise(corners)
    ]
    return np.concatenate([*parts, [corners[-1]]])


def along(original, *corners, **changes):
    line = Centerline(np.asarray(steps(*corners), np.float32), 8.0)
    return replace(original, centerline=line, **changes)


def test_a_curve_that_goes_on_along_another_catheter_ends_before_it():
    on_and_on = along(CS, (60, 100), (450, 100))
    trimmed, other = without_others([on_and_on, ABLATION])
    assert other is ABLATION
    assert trimmed.electrodes == CS.electrodes
    np.testing.assert_array_equal(trimmed.centerline.points[0], on_and_on.centerline.points[0])
    assert trimmed.centerline.points[-1, 0] == pytest.approx(ABLATION.electrodes[0].x, abs=6.0)


def test_two_that_share_a_curve_keep_their_own_parts():
    both = along(CS, (60, 100), (420, 100)), along(ABLATION, (420, 100), (60, 100))
    back = replace(both[1], electrodes=ABLATION.electrodes[::-1])  # its tip is at the other end
    cs, ablation = without_others([both[0], back])
    assert cs.centerline.points[:, 0].max() < ABLATION.electrodes[1].x
    assert ablation.centerline.points[:, 0].min() > CS.electrodes[-2].x


@pytest.mark.parametrize(
    "other",
    [
        replace(ABLATION, type=None),
        replace(ABLATION, status=CatheterStatus.LOST),
        replace(
            straight([2, 5, 2], 4.0, at=(330, 80), angle=1.57, identity=2), type="ablation"
        ),  # crosses it
    ],
)
def test_pieces_lost_ones_and_crossings_end_no_curve(other):
    on_and_on = along(CS, (60, 100), (450, 100))
    assert without_others([on_and_on, other]) == (on_and_on, other)


def test_another_on_its_own_electrodes_is_no_end():
    over = replace(
        catheter([e._replace(y=e.y + 1) for e in CS.electrodes[2:6]], CS.centerline.points, 2),
        type="ablation",
    )
    assert without_others([CS, over])[0] is CS


def test_a_curve_that_does_not_run_from_the_tip_is_left_as_it_is():
    backwards = along(CS, (250, 100), (10, 100))
    over = replace(straight([2, 5, 2], 4.0, at=(90, 100), angle=0.0, identity=2), type="ablation")
    assert without_others([backwards, over])[0] is backwards


def test_what_lies_beyond_the_tip_is_left_out():
    first, last = CS.electrodes[0], CS.electrodes[-1]
    line = Centerline(np.asarray(steps((10, 40), (60, 100), (250, 100)), np.float32), 8.0)
    trimmed = from_tip(line, first, last)
    assert np.hypot(*(trimmed.points[0] - (first.x, first.y))) < first.width
    np.testing.assert_array_equal(trimmed.points[-1], line.points[-1])
    assert from_tip(CS.centerline, first, last) is CS.centerline
    assert from_tip(line, last, first) is line  # it does not run from the tip, so nothing is known of it
