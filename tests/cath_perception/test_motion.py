from dataclasses import replace

import numpy as np
import pytest

from cath_perception.alignment import rigid, rotation
from cath_perception.motion import MotionEstimator
from cath_perception.recognition import Recognizer
from cath_perception.tracking import CatheterTracker
from cath_perception.types import Electrode

from .patterns import catheter, moved, seen, straight

CS = straight([2, 5] * 4 + [2], at=(150, 150))
DT = 1 / 15


class Run:
    """A tracker and an estimator fed frame by frame."""

    def __init__(self):
        self.tracker, self.motion, self.frame = CatheterTracker(Recognizer.load()), MotionEstimator(), 0

    def __call__(self, *catheters):
        time_s, self.frame = self.frame * DT, self.frame + 1
        result = self.tracker.update(seen(*catheters), time_s)
        return self.motion.update(self.tracker, result.catheters, time_s)

    def settled(self):
        for _ in range(20):
            motion = self(CS)
        assert motion.valid
        return self


def turned(original, angle, dx, dy):
    """The catheter turned about the centre of its electrodes and shifted."""
    places = np.array([(e.x, e.y) for e in original.electrodes])
    centre, turn = places.mean(axis=0), rotation(angle).T
    rings = [
        Electrode(x, y, e.width, e.height, e.score)
        for (x, y), e in zip((places - centre) @ turn + centre + (dx, dy), original.electrodes, strict=True)
    ]
    return catheter(rings, (original.centerline.points - centre) @ turn + centre + (dx, dy))


def test_kabsch_finds_rotation_and_translation():
    before = np.random.default_rng(1).uniform(0, 100, (6, 2))
    angle, shift = rigid(before, before @ rotation(0.2).T + (5.0, -3.0))
    assert angle == pytest.approx(0.2)
    assert shift.tolist() == pytest.approx([5.0, -3.0])


def test_known_motion_is_measured():
    run = Run().settled()
    motion = run(turned(CS, 0.05, 6.0, -4.0))
    assert motion.translation.tolist() == pytest.approx([6.0, -4.0], abs=0.05)
    assert motion.rotation == pytest.approx(0.05, abs=1e-3)
    assert motion.centre.tolist() == pytest.approx(
        np.mean([(e.x, e.y) for e in CS.electrodes], axis=0).tolist()
    )
    assert motion.residual < 0.05
    assert motion.quality > 0.95
    assert (motion.respiratory + motion.cardiac).tolist() == pytest.approx(motion.translation.tolist())


def test_missing_electrodes_cost_quality_only():
    run = Run().settled()
    motion = run(moved(CS, 5.0, 2.0, keep=[0, 2, 3, 5, 8]))
    assert motion.translation.tolist() == pytest.approx([5.0, 2.0], abs=0.05)
    assert motion.quality == pytest.approx(0.5, abs=0.01)


def test_no_answer_from_less_than_half_of_the_electrodes():
    run = Run().settled()
    assert not run(moved(CS, 5.0, 2.0, keep=[0, 3, 5, 8])).valid
    assert run(CS).valid


def test_no_answer_where_the_electrodes_do_not_fit_the_reference():
    run = Run().settled()
    for k in range(1, 40):  # slowly, as another catheter pulls a track away
        rings = [
            Electrode(e.x, e.y + 0.5 * k * (-1) ** (i // 2), e.width, e.height, e.score)
            for i, e in enumerate(CS.electrodes)
        ]
        motion = run(catheter(rings, CS.centerline.points))
    assert not motion.valid


def test_no_answer_without_the_reference_catheter():
    run = Run()
    motion = run(CS)
    assert not motion.valid
    assert np.isnan(motion.reference_time_s)
    assert run.motion.set_reference() is None
    other = straight([2, 5, 2], 4.0, at=(300, 400))
    for _ in range(20):
        run(CS, other)
    motion = run(other)
    assert (motion.valid, motion.quality) == (False, 0.0)
    assert run.motion.set_reference() is None
    assert run(CS, other).valid


def test_no_answer_once_the_catheter_turns_out_to_be_of_another_type():
    """A track of two catheters' electrodes that goes on as the other one."""
    run = Run().settled()
    time_s = run.frame * DT
    found = run.tracker.update(seen(CS), time_s).catheters
    for kind, valid in (("quadripolar", False), (None, True), ("coronary_sinus", True)):
        answered = run.motion.update(run.tracker, tuple(replace(c, type=kind) for c in found), time_s)
        assert answered.valid == valid


@pytest.mark.parametrize(("shown", "chosen"), [(5, False), (6, True)])
def test_a_catheter_of_which_few_electrodes_are_known_is_no_reference(monkeypatch, shown, chosen):
    """Numbered, five of ten may be those next to them in the next frame."""
    run = Run().settled()
    (found,) = run.tracker.update(seen(CS), run.frame * DT).catheters
    assert run.tracker.complete(found.id) == 10
    some = dict(list(run.tracker.landmarks(found.id).items())[:shown])
    monkeypatch.setattr(run.tracker, "landmarks", lambda _: some)
    part, estimator = replace(found, electrodes=found.electrodes[:shown]), MotionEstimator()
    assert any(estimator.update(run.tracker, (part,), n * DT).valid for n in range(40)) == chosen


def test_the_reference_can_be_set_and_ends_with_the_scene():
    run = Run().settled()
    for step in range(1, 6):
        motion = run(moved(CS, 2.0 * step, 0.0))
    assert motion.translation[0] == pytest.approx(10.0, abs=0.05)
    assert run.motion.set_reference() == pytest.approx((run.frame - 1) * DT)
    assert run(moved(CS, 11.0, 0.0)).translation[0] == pytest.approx(1.0, abs=0.05)
    run.frame += 100
    assert not run(CS).valid


def test_a_wrong_electrode_does_not_move_the_answer():
    run = Run().settled()
    for step in range(1, 11):  # within reach each time, so that it is followed
        strayed = moved(CS, 2.0 * step, 0.0)
        rings = list(strayed.electrodes)
        rings[9] = rings[9]._replace(x=rings[9].x - 0.4 * step, y=rings[9].y + 1.2 * step)
        motion = run(catheter(rings, strayed.centerline.points))
    assert motion.translation.tolist() == pytest.approx([20.0, 0.0], abs=0.2)
    assert motion.residual < 0.05
    assert motion.quality == pytest.approx(0.8)


def test_the_reference_frame_outlives_its_track():
    run, other = Run(), straight([2, 5, 2], 4.0, at=(350, 420))
    reference = [run(CS, other) for _ in range(20)][-1].reference_time_s
    for _ in range(90):
        assert not run(other).valid
    motions = [run(moved(CS, 40.0, 30.0), other) for _ in range(40)]
    assert motions[-1].valid
    assert motions[-1].reference_time_s == reference
    assert motions[-1].translation.tolist() == pytest.approx([40.0, 30.0], abs=0.1)


def test_a_catheter_of_another_shape_begins_a_new_reference():
    run, other = Run(), straight([2, 5, 2], 4.0, at=(350, 420))
    reference = [run(CS, other) for _ in range(20)][-1].reference_time_s
    for _ in range(90):
        run(other)
    bend = straight([2, 8] * 4 + [2], at=(150, 150))
    motions = [run(bend, other) for _ in range(40)]
    assert motions[-1].valid
    assert motions[-1].reference_time_s > reference
    assert np.hypot(*motions[-1].translation) < 0.1


def test_a_catheter_of_pairs_that_goes_on_by_a_gap_does_not_slip_by_an_electrode():
    """Each second ring then lies where its neighbour lay."""
    run = Run().settled()
    (x0, y0), (x1, y1) = ((e.x, e.y) for e in CS.electrodes[:2])
    motion = run(moved(CS, x1 - x0, y1 - y0))
    assert motion.translation.tolist() == pytest.approx([x1 - x0, y1 - y0], abs=0.05)
    assert motion.quality == pytest.approx(1.0)


def bare(original):
    """The catheter's shaft alone."""
    return catheter([], original.centerline.points)


def test_electrodes_that_come_back_on_a_moving_shaft_are_not_taken_for_their_neighbours():
    """The track went on with its last speed as long as only its shaft was seen."""
    run, other = Run(), straight([2, 5, 2], 4.0, at=(330, 330), angle=1.2)
    for k in range(60):
        shift = 8.0 * np.sin(2 * np.pi * 1.2 * k * DT)
        run(moved(CS, shift, shift / 2), moved(other, shift, shift / 2))
    for k in range(60, 84):
        shift = 8.0 * np.sin(2 * np.pi * 1.2 * k * DT)
        whole = moved(CS, shift, shift / 2)
        motion = run(bare(whole) if k < 78 else whole, moved(other, shift, shift / 2))
        if k >= 78:
            first = 8.0 * np.sin(2 * np.pi * 1.2 * motion.reference_time_s)
            assert motion.valid
            assert motion.translation.tolist() == pytest.approx([shift - first, (shift - first) / 2], abs=0.5)


@pytest.mark.parametrize("gaps", [[2, 5] * 4 + [2], [1.5, 5] * 4 + [1.5], [4] * 9])
@pytest.mark.parametrize("leap", [-24.0, -20.0, 16.0, 20.0, 25.0])
def test_a_catheter_that_may_have_leapt_by_a_spacing_is_no_reference_until_it_is_numbered_anew(gaps, leap):
    run, even = Run(), straight(gaps, at=(150, 150))
    for _ in range(60):
        assert run(even).valid or run.frame < 20
    there = leap * np.array((np.cos(0.3), np.sin(0.3)))
    motions = [run(moved(even, *there)) for _ in range(60)]
    for motion in motions:
        assert not motion.valid or motion.translation.tolist() == pytest.approx(there.tolist(), abs=0.5)
    assert motions[-1].valid


@pytest.mark.parametrize("gaps", [[4] * 9, [2, 5] * 4 + [2], [2, 8] * 4 + [2]])
def test_a_reference_without_its_last_electrode_is_known_again_from_the_other_end(gaps):
    run, other = Run(), straight([2, 5, 2], 4.0, at=(300, 330), angle=1.2)
    whole = straight(gaps, at=(150, 150))
    for _ in range(60):
        run(whole, other)
    run(moved(whole, 0.0, 0.0, keep=range(9)), other)
    reference = run.motion.set_reference()
    for _ in range(80):
        run(other)
    for _ in range(60):
        motion = run(catheter(whole.electrodes[::-1], whole.centerline.points[::-1]), other)
    assert motion.valid
    assert motion.reference_time_s == reference
    assert np.hypot(*motion.translation) < 0.1
