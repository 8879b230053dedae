import numpy as np
import pytest

from cath_perception.types import CatheterStatus

from .patterns import ABLATION, CS, DT, by_id, moved, seen, settle

DETECTED, PREDICTED, LOST = CatheterStatus


@pytest.mark.parametrize("change", ["pause", "back", "size", "jump"])
def test_another_scene_begins_anew(tracker, change):
    ids, i = settle(tracker)
    frame, time_s = seen(CS, ABLATION), i * DT
    if change == "pause":
        time_s += 3.0
    elif change == "back":
        time_s = 0.2
    elif change == "size":
        frame = seen(CS, ABLATION, size=1024)
    else:
        frame = seen(moved(CS, 150, 120), moved(ABLATION, 150, 120))
    result = tracker.update(frame, time_s)
    assert tracker.scene == 1
    assert not set(by_id(result)) & set(ids)
    assert {c.status for c in result.catheters} == {DETECTED}


def test_a_table_that_moves_begins_anew_instead_of_dragging(tracker):
    ids, i = settle(tracker)
    for step in range(1, 12):
        shift = 13.0 * step, 4.0 * step
        result = tracker.update(seen(moved(CS, *shift), moved(ABLATION, *shift)), (i + step) * DT)
    assert tracker.scene == 1
    assert not set(by_id(result)) & set(ids)


def test_breathing_and_a_catheter_that_is_pulled_begin_no_scene(tracker):
    ids, i = settle(tracker)
    for step in range(60):
        breath = 30.0 * np.sin(step * DT * 2 * np.pi / 3.5)
        pulled = moved(ABLATION, 0.0, breath - min(8.0 * step, 120.0))
        result = tracker.update(seen(moved(CS, 0.0, breath), pulled), (i + step) * DT)
    assert tracker.scene == 0
    assert sorted(by_id(result)) == sorted(ids)


def test_frames_in_a_burst_begin_no_scene(tracker):
    """Stamps a fraction of a millisecond apart make any shift a huge velocity."""
    for i in range(40):
        shift = 8 * np.sin(0.4 * i)
        tracker.update(seen(moved(CS, shift, 0), moved(ABLATION, shift, 0)), i * DT)
    scene = tracker.scene
    for time_s in (39 * DT + 1e-4, 40 * DT):
        result = tracker.update(seen(moved(CS, shift + 1, 0), moved(ABLATION, shift + 1, 0)), time_s)
        assert (tracker.scene, sorted(by_id(result))) == (scene, [0, 1])
