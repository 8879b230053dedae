import numpy as np
import pytest

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.tips import whole_tips
from cath_perception.types import Electrode


def bar(left, right, score=0.8, height=12.0):
    return Electrode((left + right) / 2, 100.0, right - left, height, score, 0.4)


RINGS = [bar(152, 160), bar(172, 180), bar(200, 208), bar(220, 228)]


def whole(electrodes):
    """What is left of electrodes along x, as left and right ends."""
    electrodes = list(electrodes)
    places = np.array([e.x for e in electrodes])
    rows, along = whole_tips(electrodes, np.arange(len(electrodes)), places)
    assert along.tolist() == sorted(along)
    return [
        (electrodes[i].x - electrodes[i].width / 2, electrodes[i].x + electrodes[i].width / 2) for i in rows
    ]


RINGS_ENDS = [(152, 160), (172, 180), (200, 208), (220, 228)]


def test_a_tip_in_two_pieces_is_one_electrode_again():
    assert whole([bar(100, 124), bar(114, 140), *RINGS]) == [(100, 140), *RINGS_ENDS]


def test_it_may_be_at_either_end_and_in_three_pieces():
    pieces = [bar(240, 264), bar(252, 274), bar(264, 284)]
    assert whole([*RINGS, *pieces]) == [*RINGS_ENDS, (240, 284)]


def test_rings_stay_apart_though_their_boxes_overlap():
    close = [bar(100, 112), bar(109, 121), *RINGS]
    assert len(whole(close)) == 6


def test_a_ring_beside_a_whole_tip_stays():
    assert len(whole([bar(100, 130), bar(127, 135), *RINGS])) == 6


def test_what_lies_in_the_middle_of_a_catheter_stays():
    assert len(whole([*RINGS[:2], bar(184, 192), bar(186, 194), *RINGS[2:]])) == 6


def test_three_electrodes_are_left_at_least():
    assert len(whole([bar(100, 124), bar(110, 134), bar(120, 144)])) == 3


@pytest.mark.parametrize("surest", [0, 1])
def test_grouping_gives_the_whole_tip_once_with_the_best_pieces_score(surest):
    scores = [0.6, 0.6]
    scores[surest] = 0.9
    found = [
        *RINGS,
        bar(100, 124, scores[0]),
        bar(114, 140, scores[1]),
        Electrode(300.0, 300.0, 8.0, 8.0, 0.7),
    ]
    shaft = Trace(np.column_stack((np.arange(98.0, 512.0), np.full(414, 100.0))), 10.0, 0.9)
    electrodes, (catheter,) = group(found, [shaft], 512, 512, pieces=True)
    assert [(e.x, e.index) for e in electrodes] == [
        (156, 1), (176, 2), (204, 3), (224, 4), (120, 0), (300, -1),
    ]  # fmt: skip
    tip = catheter.electrodes[0]
    assert (tip.x, tip.width, tip.height, tip.score, tip.sigma) == (120, 40, 12, 0.9, 0.4)
