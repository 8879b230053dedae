"""A synthetic run: reproducible, and its truth lies where the picture is dark."""

from dataclasses import replace

import numpy as np
import pytest

from cath_training.synthetic.sequence import SyntheticSequence


def run(**changes: float) -> SyntheticSequence:
    return SyntheticSequence(**({"seconds": 0.2, "rate": 10.0, "size": 192, "seed": 3} | changes))  # type: ignore[arg-type]


def test_same_seed_same_bytes() -> None:
    for a, b in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
        assert [c.electrodes for c in a.catheters] == [c.electrodes for c in b.catheters]


def test_another_seed_another_run() -> None:
    assert (next(iter(run())).pixels != next(iter(run(seed=4))).pixels).any()


def test_electrodes_are_darker_than_the_background_beside_them() -> None:
    sequence = run(size=384, clutter=0, quanta=8000)
    frame = next(iter(sequence))
    pixels = frame.pixels.astype(float)
    darker = []
    for catheter in frame.catheters:
        for e in catheter.electrodes:
            x, y = round(e.x), round(e.y)
            reach = round(1.6 * max(e.width, e.height))
            around = pixels[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            darker.append(pixels[y, x] < np.percentile(around, 60))
    assert len(darker) >= 12
    assert np.mean(darker) > 0.9


def test_catheters_are_ordered_from_the_tip_and_typed() -> None:
    catheters = next(iter(run())).catheters
    assert [c.type for c in catheters][:2] == ["coronary_sinus", "ablation"]
    for catheter in catheters:
        assert [e.index for e in catheter.electrodes] == sorted(e.index for e in catheter.electrodes)
        tip = np.array([catheter.electrodes[0].x, catheter.electrodes[0].y])
        assert np.linalg.norm(catheter.centerline.points[0] - tip) < 12


def test_electrodes_behind_a_shutter_are_hidden_and_no_others() -> None:
    sequence = run(seed=39)
    frame, (unshuttered, _, _) = next(iter(sequence)), sequence.truth(0)
    seen = {c.id: [(e.x, e.y) for e in c.electrodes] for c in frame.catheters}
    assert sum(len(places) for places in frame.hidden.values()) >= 3
    for catheter in unshuttered:
        there = seen.get(catheter.id, []) + [(x, y) for x, y in frame.hidden[catheter.id].tolist()]
        assert sorted(there) == sorted((e.x, e.y) for e in catheter.electrodes)


def test_patient_breathes_and_heart_beats() -> None:
    frames = list(run(seconds=4, rate=6.0, size=128, clutter=0))
    breath = np.ptp([f.respiratory_px[1] for f in frames])
    beat = np.ptp([np.linalg.norm(f.cardiac_px) for f in frames])
    assert breath > 1.0
    assert beat > 0.3


def test_the_reference_catheter_is_known_out_of_view_and_does_not_jump() -> None:
    sequence = run(seconds=6.0, rate=15.0, size=512)
    part = sequence.instruments[0]
    to_border = (511 - sequence.reference(0)[:, 0].mean()) / sequence.carm.scale
    sequence.instruments[0] = replace(part, course=part.course + np.array((to_border, 0.0, 0.0)))
    inside, centres = [], []
    for index in range(sequence.frames):
        places = sequence.reference(index)
        seen = [e for c in sequence.truth(index)[0] if c.id == 0 for e in c.electrodes]
        np.testing.assert_allclose([places[e.index] for e in seen], [(e.x, e.y) for e in seen], atol=1e-3)
        inside.append(len(seen))
        centres.append(places.mean(axis=0))
    assert 0 < min(inside) < max(inside) < len(places)
    assert np.hypot(*np.diff(centres, axis=0).T).max() < 6.0


def test_the_parts_of_the_reference_motion_are_its_electrodes_motion() -> None:
    sequence = SyntheticSequence(12.0, 15.0, 512, 857, 2, 2, quanta=0)
    sequence.steering[0].reach = 0.0
    truth = [sequence.truth(index)[1:] for index in range(sequence.frames)]
    moved = np.array([sequence.reference(index).mean(axis=0) for index in range(sequence.frames)])
    parts = np.array(truth).sum(axis=1)
    np.testing.assert_allclose(moved - moved[0], parts - parts[0], atol=1e-6)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="size in"):
        SyntheticSequence(size=100_000)
