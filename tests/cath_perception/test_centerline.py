from time import thread_time

import cv2
import numpy as np
import pytest

from cath_perception.centerline import trace_centerlines
from cath_perception.image import Letterbox

from .drawing import bezier, distances, mask_of

BOX = Letterbox.fit(512, 512, 320)
ACROSS = bezier((60, 100), (200, 250), (330, 270), (450, 420))


def traced(curves, box=BOX, **options):
    return trace_centerlines(mask_of(curves, box, **options), 0.5, box)


def follows(trace, curve, mean, furthest):
    """The trace runs along the whole curve, in one direction or the other, and nowhere else."""
    there, back = distances(trace.points, curve), distances(curve, trace.points)
    assert there.mean() < mean
    assert max(there.max(), back.max()) < furthest
    nearest = ((trace.points[:, None] - curve[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert abs(np.corrcoef(np.arange(len(nearest)), nearest)[0, 1]) > 0.9


@pytest.mark.parametrize("size", [(512, 512), (700, 480), (300, 512)])
def test_one_curve_is_followed_to_fractions_of_a_pixel(size):
    box = Letterbox.fit(*size, 320)
    curve = bezier((60, 100), (120, 250), (230, 170), (250, 420))
    (trace,) = traced([curve], box)
    follows(trace, curve, 0.25, 6.0)
    assert trace.width == pytest.approx(9.0, rel=0.1)
    assert trace.score > 0.9
    assert not trace.closed
    steps = np.hypot(*np.diff(trace.points, axis=0).T)
    assert np.median(steps) == pytest.approx(steps.mean(), rel=0.1)


@pytest.mark.parametrize("width", [6.0, 8.0, 12.0, 16.0])
def test_width_is_measured(width):
    (trace,) = traced([ACROSS], width=width)
    assert trace.width == pytest.approx(width, rel=0.12)
    assert np.median(trace.measured[:, 2]) == pytest.approx(trace.width, rel=0.02)
    assert distances(trace.measured[:, :2], ACROSS).max() < 2.0
    follows(trace, ACROSS, 0.3, width)


def test_tight_arc_is_not_cut_short():
    turn = np.linspace(0.3, 4.5, 300)
    arc = np.stack((256 + 40 * np.cos(turn), 256 + 40 * np.sin(turn)), axis=1)
    (trace,) = traced([arc])
    inner = trace.points[8:-8]
    assert np.hypot(*(inner - 256).T).mean() == pytest.approx(40.0, abs=0.4)


@pytest.mark.parametrize("degrees", [90, 60, 40, 25, 20])
def test_crossing_is_passed_straight(degrees):
    slope = np.tan(np.radians(degrees / 2))
    first = bezier((60, 256 - 196 * slope), (452, 256 + 196 * slope))
    second = bezier((60, 256 + 196 * slope), (452, 256 - 196 * slope))
    traces = traced([first, second])
    assert len(traces) == 2
    for curve in (first, second):
        trace = min(traces, key=lambda t: np.abs(distances(t.points, curve)).mean())
        follows(trace, curve, 0.6, 6.0)


def test_self_crossing_loop_is_one_curve():
    loop = bezier((250, 500), (200, 400), (600, 100), (-150, 180), (330, 480))
    (trace,) = traced([loop])
    follows(trace, loop, 0.6, 6.0)


def test_four_catheters_with_loop_and_crossings():
    curves = [
        bezier((0, 60), (150, 110), (300, 310), (420, 260)),
        bezier((511, 80), (400, 200), (200, 260), (60, 420)),
        bezier((150, 511), (120, 400), (420, 150), (50, 100), (20, 300)),
        bezier((300, 480), (400, 420), (420, 400), (500, 470)),
    ]
    traces = traced(curves)
    assert len(traces) == 4
    for curve in curves:
        trace = min(traces, key=lambda t: distances(curve, t.points).mean())
        follows(trace, curve, 0.8, 8.0)


def test_small_gap_is_bridged_and_wide_one_is_not():
    (trace,) = traced([ACROSS], holes=[(256, 251, 12)])
    follows(trace, ACROSS, 0.4, 6.0)
    assert len(traced([ACROSS], holes=[(256, 251, 60)])) == 2


def test_ends_side_by_side_are_not_joined():
    left, right = bezier((100, 60), (100, 300)), bezier((130, 310), (130, 480))
    assert len(traced([left, right])) == 2


def test_spurs_make_no_branches():
    rng = np.random.default_rng(4)
    mask = mask_of([ACROSS], BOX, width=14.0)
    noise = cv2.GaussianBlur(rng.standard_normal(mask.shape).astype(np.float32), (0, 0), 0.7)
    rough = mask + 0.45 * noise * (mask > 0.05)
    assert ((rough > 0.5) != (mask > 0.5)).sum() > 30
    traces = trace_centerlines(rough.clip(0, 1), 0.5, BOX)
    assert len(traces) == 1
    follows(traces[0], ACROSS, 1.0, 9.0)


def test_short_branch_ends_at_the_shaft():
    stem, branch = bezier((60, 256), (452, 256)), bezier((256, 256), (256, 400))
    traces = traced([stem, branch])
    assert len(traces) == 2
    follows(traces[0], stem, 0.4, 6.0)


def test_ring_is_closed():
    turn = np.linspace(0, 2 * np.pi, 300)
    ring = np.stack((256 + 60 * np.cos(turn), 256 + 45 * np.sin(turn)), axis=1)
    (trace,) = traced([ring])
    assert trace.closed
    assert distances(ring, trace.points).max() < 2.5
    assert np.hypot(*(trace.points[0] - trace.points[-1])) < 4.0


def test_lasso_is_one_curve_with_its_shaft():
    turn = np.linspace(np.pi, 2.6 * np.pi, 300)
    ring = np.stack((300 + 60 * np.cos(turn), 200 + 60 * np.sin(turn)), axis=1)
    lasso = np.concatenate((bezier((200, 480), (240, 350), (240, 280), (240, 200)), ring))
    (trace,) = traced([lasso])
    follows(trace, lasso, 0.6, 7.0)


def test_long_shared_stretch_of_a_loop_is_run_through_twice():
    """Tip and shaft of a loop lie on each other where it closes: one curve, no ring beside a straight shaft."""
    turn = np.linspace(-np.pi / 2, 1.5 * np.pi, 400)
    loop = np.stack((256 + 70 * np.cos(turn), 230 + 70 * np.sin(turn)), axis=1)
    tip, shaft = (
        bezier((120, 130), (180, 158), (256, 160)),
        bezier((256, 160), (340, 160), (400, 60), (420, 2)),
    )
    curve = np.concatenate((tip, loop, shaft))
    (trace,) = traced([curve])
    length = np.hypot(*np.diff(trace.points, axis=0).T).sum()
    assert length == pytest.approx(np.hypot(*np.diff(curve, axis=0).T).sum(), rel=0.06)
    assert distances(curve, trace.points).max() < 9.0


@pytest.mark.parametrize("half", [50, 65])
def test_two_shafts_along_each_other_part_again(half):
    """Each runs from one side to the other, through the stretch that they share."""
    left, right = 256 - half, 256 + half
    first = np.concatenate(
        (
            bezier((40, 150), (left - 60, 256), (left, 256)),
            bezier((left, 256), (right, 256)),
            bezier((right, 256), (right + 60, 256), (472, 362)),
        )
    )
    traces = traced([first, first * (1, -1) + (0, 512)])
    assert len(traces) == 2
    for trace in traces:
        assert abs(trace.points[0, 0] - trace.points[-1, 0]) > 400.0
        assert abs(trace.points[0, 1] - trace.points[-1, 1]) > 150.0


def test_bent_shafts_that_cross_twice_keep_their_bends():
    """Where they cross, straight lines through their last px would lead from one to the other."""
    radius = 80.0
    turn = np.linspace(-1.4, 1.4, 500)
    bend = radius * np.stack((np.cos(turn), np.sin(turn)), axis=1)
    shift = np.array((0.9 * radius, 0.0))
    curves = [256 - shift + bend, 256 + shift + bend * (-1, 1)]
    traces = traced(curves)
    assert len(traces) == 2
    for curve in curves:
        follows(min(traces, key=lambda t: distances(curve, t.points).mean()), curve, 1.0, 6.0)


def test_loop_carried_by_its_own_shaft_is_not_a_ring():
    """Also where another shaft crosses it, so that its two halves go on into each other at the shaft's end."""
    turn = np.linspace(0, 2 * np.pi, 300)
    ring = np.stack((256 + 70 * np.cos(turn), 190 + 70 * np.sin(turn)), axis=1)
    traces = traced([ring, bezier((256, 260), (262, 340), (300, 511)), bezier((0, 150), (511, 170))])
    assert len(traces) == 2
    assert not any(trace.closed for trace in traces)
    loop = traces[0]
    assert loop.points[:, 1].max() > 500
    assert distances(ring, loop.points).max() < 9.0


def vee(degrees, apex, length=220):
    """Two shafts that meet at their lower ends."""
    half = np.radians(degrees / 2)
    x, y = apex[0] - length * np.sin(half), apex[1] - length * np.cos(half)
    return [bezier((x, y), apex), bezier(apex, (2 * apex[0] - x, y))]


def test_shafts_that_leave_side_by_side_are_not_joined():
    """Their masks touch at the border, where one would have to turn back; elsewhere one catheter may bend like that."""
    traces = traced(vee(60, (256, 509)))
    assert len(traces) == 2
    for trace in traces:
        assert abs(trace.points[-1, 1] - trace.points[0, 1]) > 170.0, "no curve comes back to where it began"
    assert len(traced(vee(60, (256, 300)))) == 1


def test_hairpin_is_one_curve():
    turn = np.linspace(0.0, np.pi, 200)
    bend = np.stack((256 + 16 * np.cos(turn), 330 + 16 * np.sin(turn)), axis=1)
    hairpin = np.concatenate((bezier((272, 80), bend[0]), bend, bezier(bend[-1], (240, 80))))
    (trace,) = traced([hairpin])
    follows(trace, hairpin, 0.6, 7.0)


def test_shaft_beside_another_is_not_drawn_towards_it():
    curves = [bezier((60, y), (450, y)) for y in (200, 214)]
    traces = traced(curves)
    assert len(traces) == 2
    for curve in curves:
        assert min(np.abs(trace.points[:, 1].mean() - curve[0, 1]) for trace in traces) < 1.7


def test_time_grows_with_the_shafts_not_with_the_image():
    """Twice the mask's side costs less than the four times that its area is."""
    curves = [bezier((0, 60), (150, 110), (300, 310), (420, 260)), bezier((511, 80), (400, 200), (60, 420))]

    def quickest(size):
        box = Letterbox.fit(512, 512, size)
        mask = mask_of(curves, box)
        times = []
        for _ in range(15):
            begun = thread_time()
            trace_centerlines(mask, 0.5, box)
            times.append(thread_time() - begun)
        return min(times)

    assert quickest(640) < 4.0 * quickest(320)


def test_shaft_from_the_border_reaches_it():
    curve = bezier((0, 100), (150, 150), (300, 350), (420, 300))
    (trace,) = traced([curve])
    assert trace.points[:, 0].min() < 1.5
    assert trace.points.min() >= -0.5


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_empty_and_full_masks(fill):
    assert len(trace_centerlines(np.full((160, 160), fill, np.float32), 0.5, BOX)) <= 1


def test_specks_are_nothing():
    mask = np.zeros((160, 160), np.float32)
    mask[20:23, 30:33] = 1.0
    mask[80, 80] = 1.0
    assert trace_centerlines(mask, 0.5, BOX) == []


@pytest.mark.parametrize("seed", range(6))
def test_any_mask_is_survived(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((160, 160)).astype(np.float32) ** (seed + 1)
    for trace in trace_centerlines(mask, 0.5, BOX):
        assert np.isfinite(trace.points).all()
        assert trace.points.min() >= -0.5
        assert trace.points.max() <= 511.5


def test_a_mask_of_nothing_but_junctions_takes_no_minutes():
    """Thousands of them in a row were looked through again for each."""
    row, column = np.mgrid[:208, :208]
    checkered = ((row // 2 + column // 2) % 2).astype(np.float32)
    begun = thread_time()
    trace_centerlines(checkered, 0.5, Letterbox.fit(512, 512, 416))
    assert thread_time() - begun < 5.0
