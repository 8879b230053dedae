import numpy as np
import pytest

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.types import Electrode

from .drawing import bezier


def ring(x, y, score=0.8):
    return Electrode(float(x), float(y), 8.0, 6.0, score)


def trace(*control, width=9.0, score=0.9):
    return Trace(bezier(*control, count=120), width, score)


def grouped(positions, traces):
    return group([ring(x, y) for x, y in positions], traces, 512, 512)


def indices(electrodes):
    return [(e.catheter, e.index) for e in electrodes]


def test_electrodes_are_ordered_from_the_tip_inside_the_image():
    shaft = trace((0, 256), (400, 256))
    electrodes, (catheter,) = grouped([(300, 258), (395, 254), (350, 256), (250, 256)], [shaft])
    assert indices(electrodes) == [(0, 2), (0, 0), (0, 1), (0, 3)]
    assert [e.x for e in catheter.electrodes] == [395, 350, 300, 250]
    assert catheter.centerline.points[0].tolist() == [400, 256]
    assert catheter.centerline.points.dtype == np.float32
    assert catheter.type is None
    assert catheter.score == pytest.approx(0.85)


@pytest.mark.parametrize("flip", [False, True])
def test_direction_of_the_trace_does_not_matter(flip):
    ends = [(100, 100), (400, 300)]
    shaft = trace(*(ends[::-1] if flip else ends))
    _, (catheter,) = grouped([(110, 106), (130, 120), (160, 140)], [shaft])
    assert [e.x for e in catheter.electrodes] == [110, 130, 160]
    assert catheter.centerline.points[0].tolist() == [100, 100]


def test_electrodes_at_the_border_outweigh_it():
    """The tip may lie at the image's border; then the electrodes are there, and none at the other end."""
    shaft = trace((2, 256), (400, 256))
    _, (catheter,) = grouped([(5, 256), (20, 256), (40, 256)], [shaft])
    assert catheter.centerline.points[0].tolist() == [2, 256]


def test_shaft_without_electrodes_starts_away_from_the_border():
    _, (catheter,) = grouped([], [trace((3, 100), (250, 200))])
    assert catheter.electrodes == ()
    assert catheter.centerline.points[0].tolist() == [250, 200]
    assert catheter.score == pytest.approx(0.9)


def test_electrodes_without_shaft_stay_alone():
    electrodes, _ = grouped([(300, 100), (100, 256)], [trace((0, 256), (400, 256))])
    assert indices(electrodes) == [(-1, -1), (0, 0)]
    electrodes, catheters = grouped([(300, 100)], [])
    assert indices(electrodes) == [(-1, -1)]
    assert catheters == ()
    assert group([], [], 512, 512) == ((), ())


def test_nearest_in_widths_and_ids_by_length():
    short, long = trace((100, 100), (200, 100), width=20.0), trace((50, 130), (450, 130), width=8.0)
    electrodes, catheters = grouped([(150, 117), (150, 125)], [short, long])
    assert [e.catheter for e in electrodes] == [1, 0]
    assert [c.centerline.width for c in catheters] == [8.0, 20.0]
    assert [c.id for c in catheters] == [0, 1]


def test_run_of_electrodes_joins_two_pieces():
    pieces = [trace((40, 256), (200, 256)), trace((300, 262), (460, 262))]
    run = [(215, 257), (235, 258), (255, 259), (275, 260), (290, 261)]
    electrodes, (catheter,) = grouped([*run, (450, 262)], pieces)
    assert {e.catheter for e in electrodes} == {0}
    assert sorted(e.index for e in electrodes) == list(range(6))
    xs = catheter.centerline.points[:, 0]
    assert (np.diff(xs) > 0).all() or (np.diff(xs) < 0).all()
    assert np.abs(np.diff(xs)).max() < 6.0


def test_pieces_stay_apart_without_a_run():
    pieces = [trace((40, 256), (200, 256)), trace((300, 262), (460, 262))]
    assert len(grouped([(250, 300)], pieces)[1]) == 2
    assert len(grouped([(205, 256)], [pieces[0], trace((400, 262), (500, 262))])[1]) == 2
    aside = [trace((40, 256), (200, 256)), trace((230, 300), (230, 460))]
    assert len(grouped([(210, 262)], aside)[1]) == 2


def test_electrode_beyond_the_end_is_the_tip():
    electrodes, (catheter,) = grouped([(418, 258), (380, 256)], [trace((0, 256), (400, 256))])
    assert indices(electrodes) == [(0, 0), (0, 1)]
    assert catheter.centerline.points[0].tolist() == pytest.approx([418, 258])


def test_electrodes_round_a_short_piece_end():
    """However they lie, carrying an end on from electrode to electrode comes to an end."""
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack((256 + 40 * np.cos(turn), 256 + 40 * np.sin(turn)), axis=1)
    _, catheters = grouped(circle.tolist(), [trace((256, 200), (250, 216), width=9.0)])
    assert sorted(len(c.electrodes) for c in catheters) == [0, 16]  # the piece, and the loop that they make


def test_ring_begins_after_its_widest_gap():
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring_trace = Trace(np.stack((256 + 60 * np.cos(turn), 256 + 60 * np.sin(turn)), axis=1), 8.0, 0.9, True)
    at = np.radians([100, 130, 160, 190, 220])
    positions = np.stack((256 + 60 * np.cos(at), 256 + 60 * np.sin(at)), axis=1)
    electrodes, _ = grouped(positions.tolist(), [ring_trace])
    assert [e.index for e in electrodes] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("flip", [False, True])
def test_ring_runs_against_a_shaft_that_goes_along_it_before_it_ends(flip):
    """It comes from the left, meets the ring at its top, follows it for an eighth and ends in another one beside it."""
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)[:: -1 if flip else 1]
    circle = Trace(np.stack((256 + 60 * np.cos(turn), 256 + 60 * np.sin(turn)), axis=1), 8.0, 0.9, True)
    along = np.linspace(-np.pi / 2, -np.pi / 4, 30)
    radius = np.linspace(60, 64, 30)
    eighth = np.stack((256 + radius * np.cos(along), 256 + radius * np.sin(along)), axis=1)
    shaft = Trace(np.concatenate((bezier((20, 196), (256, 196), count=90), eighth)), 8.0, 0.9)
    at = np.radians(
        [80, 110, 140, 170, 200, 230]
    )  # right to left through the bottom, as the shaft would come to them
    positions = np.stack((256 + 60 * np.cos(at), 256 + 60 * np.sin(at)), axis=1)
    electrodes, _ = grouped(positions.tolist(), [circle, shaft])
    assert [e.index for e in electrodes] == [5, 4, 3, 2, 1, 0]


def test_electrode_at_a_crossing_goes_to_its_own_kind():
    """It lies a little nearer to the shaft that crosses, but its neighbours are on the other."""
    shafts = [trace((60, 256), (460, 256)), trace((150, 40), (150, 511))]
    electrodes, _ = grouped([(80, 256), (110, 256), (149, 252), (180, 256)], shafts)
    assert len({e.catheter for e in electrodes}) == 1
    assert [e.index for e in electrodes] == [0, 1, 2, 3]


def test_electrodes_where_a_curve_passes_twice_stay_in_a_row():
    """Electrodes sit on the first stretch; the shaft comes back over the same place much later."""
    turn = np.linspace(-np.pi / 2, 1.5 * np.pi, 200)
    loop = np.stack((256 + 70 * np.cos(turn), 230 + 70 * np.sin(turn)), axis=1)
    curve = np.concatenate(
        (bezier((120, 160), (256, 160), count=60), loop, bezier((256, 160), (500, 160), count=90))
    )
    xs = [125, 160, 195, 230, 254]
    electrodes, _ = grouped([(x, 160) for x in xs] + [(290, 168)], [Trace(curve, 9.0, 0.9)])
    assert [e.index for e in electrodes] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("flip", [False, True])
def test_an_end_at_another_shaft_is_no_tip(flip):
    """The mask parted a shaft where it crosses another; what is left has electrodes all along."""
    ends = [(203, 256), (300, 256)]
    piece, other = trace(*(ends[::-1] if flip else ends)), trace((200, 0), (200, 512))
    electrodes, _ = grouped([(210, 256), (235, 256), (260, 256), (283, 256)], [piece, other])
    assert [e.index for e in electrodes] == [3, 2, 1, 0]


@pytest.mark.parametrize("at_start", [True, False])
def test_long_electrode_is_the_tip(at_start):
    places = [(200, 256), (220, 256), (240, 256), (260, 256)]
    found = [ring(x, y) for x, y in places]
    which = 0 if at_start else 3
    found[which] = Electrode(*map(float, places[which]), 22.0, 9.0, 0.8)
    electrodes, _ = group(found, [trace((150, 256), (310, 256))], 512, 512)
    assert [e.index for e in electrodes] == ([0, 1, 2, 3] if at_start else [3, 2, 1, 0])


def test_ring_that_goes_round_further_begins_at_its_widest_gap():
    """The loop closes between its electrodes, the tip lies on the shaft's first stretch."""
    turn = np.linspace(0.5 * np.pi, 2.5 * np.pi, 240)
    loop = np.stack((256 + 60 * np.cos(turn), 196 + 60 * np.sin(turn)), axis=1)
    shaft = Trace(np.concatenate((bezier((256, 500), (256, 257), count=80), loop)), 9.0, 0.9)
    at = np.radians(np.r_[130:471:34] - 40.0)  # the widest gap lies elsewhere than where the loop closes
    at = at[(at - at[0]) < np.radians(320)]
    positions = np.stack((256 + 60 * np.cos(at), 196 + 60 * np.sin(at)), axis=1)
    gap = np.roll(np.arange(len(at)), 3)
    electrodes, _ = grouped(positions[gap].tolist(), [shaft])
    order = np.array([e.index for e in electrodes])[np.argsort(gap)]
    assert abs(np.diff(order)).tolist() == [1] * (len(at) - 1)


def test_ring_seen_at_a_slant_is_not_open_where_its_gaps_look_wide():
    """The gaps on the long sides of the loop are three times as wide as the one where it closes."""
    turn = np.linspace(0.0, 2.0 * np.pi, 240)
    loop = np.stack((256 + 60 * np.cos(turn), 196 + 24 * np.sin(turn)), axis=1)
    shaft = Trace(np.concatenate((loop, bezier((316, 197), (320, 500), count=80))), 9.0, 0.9)
    at = np.linspace(0.25, 2.0 * np.pi - 0.25, 10)
    positions = np.stack((256 + 60 * np.cos(at), 196 + 24 * np.sin(at)), axis=1)
    electrodes, _ = grouped(positions.tolist(), [shaft])
    assert [e.index for e in electrodes] == list(range(10))


def test_width_at_the_electrodes_is_not_that_of_a_shaft_the_centreline_goes_on_along():
    points = bezier((100, 100), (400, 100), count=120)
    widths = np.where(points[:, 0] < 200, 8.0, 12.0)
    wide = Trace(points, 12.0, 0.9, measured=np.column_stack((points, widths)))
    _, (catheter,) = grouped([(x, 100) for x in (105, 120, 140, 155)], [wide])
    assert (catheter.centerline.width, catheter.centerline.at_electrodes) == (12.0, 8.0)


def test_width_at_the_electrodes_is_unknown_where_it_was_not_measured():
    points = bezier((100, 100), (400, 100), count=120)
    unseen = Trace(points, 12.0, 0.9, measured=np.column_stack((points, np.full(120, 12.0)))[80:])
    _, (catheter,) = grouped([(x, 100) for x in (105, 120, 140, 155)], [unseen])
    assert catheter.centerline.at_electrodes == 0.0
