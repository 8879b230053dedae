import numpy as np
import pytest

from cath_perception.separation import RespiratoryCardiacFilter

DT = 1 / 15


def test_breathing_and_heartbeat_are_told_apart_from_the_past_alone():
    parts, split = [], RespiratoryCardiacFilter()
    rng = np.random.default_rng(2)
    for t in np.arange(0, 30, DT):
        breath = 12.0 * np.array((0.1, 1.0)) * np.sin(2 * np.pi * 0.25 * t)
        beat = 4.0 * np.array((1.0, 0.3)) * np.sin(2 * np.pi * 1.2 * t)
        parts.append((breath, beat, *split.update(breath + beat + rng.normal(0, 0.2, 2), t)))
    breath, beat, slow, fast = np.array(parts)[90:].transpose(1, 0, 2)
    assert split.heart_hz == pytest.approx(1.2, abs=0.06)
    assert np.corrcoef(slow.ravel(), breath.ravel())[0, 1] > 0.98
    assert np.corrcoef(fast.ravel(), beat.ravel())[0, 1] > 0.95


def test_a_weak_heartbeat_is_not_taken_for_the_harmonics_of_deep_breathing():
    split = RespiratoryCardiacFilter()
    rng = np.random.default_rng(5)
    for t in np.arange(0, 20, DT):
        breath = 45.0 * (0.5 - 0.5 * np.cos(2 * np.pi * 0.3 * t)) ** 1.4
        beat = 1.5 * np.sin(2 * np.pi * 1.3 * t)
        split.update(np.array((0.1, 1.0)) * breath + np.array((1.0, 0.2)) * beat + rng.normal(0, 0.2, 2), t)
    assert split.heart_hz == pytest.approx(1.3, abs=0.06)


def test_a_beat_that_comes_early_or_late_is_still_a_beat():
    split, rng = RespiratoryCardiacFilter(), np.random.default_rng(3)
    parts, begun, length = [], 0.0, 0.8
    for t in np.arange(0, 40, DT):
        while t >= begun + length:
            begun, length = begun + length, 0.8 * (1 + 0.04 * rng.uniform(-2, 2))
        bump = 0.5 - 0.5 * np.cos(2 * np.pi * min((t - begun) / length / 0.55, 1.0))
        beat, breath = np.array((8.0, 3.0)) * bump, np.array((2.0, 25.0)) * np.sin(2 * np.pi * 0.25 * t)
        parts.append((beat, split.update(beat + breath + rng.normal(0, 0.2, 2), t)[1]))
    beat, found = np.array(parts)[150:].transpose(1, 0, 2)
    off = (found - found.mean(axis=0)) - (beat - beat.mean(axis=0))
    assert np.sqrt(np.square(off).sum(axis=1).mean()) < 0.2 * np.sqrt(
        np.square(beat - beat.mean(axis=0)).sum(axis=1).mean()
    )


def heart_hz_after(spells):
    """The rate found after spells of (seconds, Hz of the heart, px of a swing at 1 Hz)."""
    split, rng, t, phase = RespiratoryCardiacFilter(), np.random.default_rng(6), 0.0, 0.0
    for seconds, hz, swing in spells:
        for _ in range(round(seconds / DT)):
            t, phase = t + DT, phase + 2 * np.pi * hz * DT
            off = 3.0 * np.sin(phase) + swing * np.sin(2 * np.pi * t) + 8.0 * np.sin(2 * np.pi * 0.2 * t)
            split.update(np.array((1.0, 0.4)) * off + rng.normal(0, 0.2, 2), t)
    return split.heart_hz


def test_a_swing_of_some_seconds_does_not_upset_the_heartbeat_and_another_rate_is_followed():
    for after in (1.0, 2.0, 3.0, 4.0):
        assert heart_hz_after([(15, 1.4, 0.0), (3, 1.4, 6.0), (after, 1.4, 0.0)]) == pytest.approx(
            1.4, abs=0.06
        )
    assert heart_hz_after([(15, 1.4, 0.0), (10, 1.9, 0.0)]) == pytest.approx(1.9, abs=0.06)


def test_the_cardiac_part_does_not_leap_when_a_heartbeat_is_first_known():
    split, rng, most = RespiratoryCardiacFilter(), np.random.default_rng(7), 0.0
    for t in np.arange(0, 8, DT):
        breath = 70.0 * (0.5 - 0.5 * np.cos(2 * np.pi * 0.3 * t)) ** 1.4
        beat = 10.0 * (0.5 - 0.5 * np.cos(2 * np.pi * min((1.57 * t) % 1 / 0.55, 1.0)))
        place = np.array((0.1, 1.0)) * breath + np.array((1.0, 0.3)) * beat + rng.normal(0, 0.2, 2)
        most = max(most, abs(split.update(place, t)[1][1]))
    assert most < 4.0, (
        "3 px is the whole beat along this axis; it was 10 when the beat was learnt from then on"
    )


@pytest.mark.parametrize("stays", [False, True], ids=["one wrong frame", "another reference frame"])
@pytest.mark.parametrize("rate", [15.0, 30.0])
def test_a_leap_of_the_displacement_does_not_upset_the_heartbeat(rate, stays):
    split, rng, off = RespiratoryCardiacFilter(), np.random.default_rng(4), []
    for n in range(int(25 * rate)):
        t = n / rate
        breath = np.array((1.0, 0.5)) * 6.0 * np.sin(2 * np.pi * 0.25 * t)
        beat = 5.0 * np.array((np.sin(2 * np.pi * 1.2 * t), 0.5 * np.cos(2 * np.pi * 1.2 * t)))
        leap = np.array((24.0, 18.0)) * (t >= 15.0 if stays else n == int(15 * rate))
        off.append(np.abs(split.update(breath + beat + leap + rng.normal(0, 0.2, 2), t)[1] - beat).max())
    assert max(off[int(10 * rate) :]) < 1.5


def test_where_frames_are_too_few_to_show_a_heartbeat_none_is_told():
    split = RespiratoryCardiacFilter()

    def follow(times):
        for t in times:
            whole = np.array((2.0, 9.0)) * np.sin(2 * np.pi * 0.25 * t) + 5.0 * np.sin(2 * np.pi * 1.2 * t)
            slow, fast = split.update(whole, t)
            assert (slow + fast).tolist() == pytest.approx(whole.tolist())
        return fast

    follow(np.arange(0.0, 20.0, 1 / 7.5))
    assert split.heart_hz == pytest.approx(1.2, abs=0.06)
    assert follow(np.arange(20.0, 40.0, 1 / 3.75)).tolist() == [0.0, 0.0]
    assert split.heart_hz is None
    follow(np.arange(40.0, 60.0, 1 / 7.5))
    assert split.heart_hz == pytest.approx(1.2, abs=0.06)


def test_frames_that_are_missing_here_and_there_do_not_hide_the_heartbeat():
    """The median step is that of 3.75 frames/s, but two steps in five are of one frame."""
    split, parts = RespiratoryCardiacFilter(), []
    for t in DT * np.cumsum([1, 4, 4, 1, 4] * 70):
        breath = np.array((2.0, 9.0)) * np.sin(2 * np.pi * 0.25 * t)
        beat = np.array((5.0, 2.0)) * np.sin(2 * np.pi * 1.2 * t)
        parts.append((beat, split.update(breath + beat, t)[1]))
    assert split.heart_hz == pytest.approx(1.2, abs=0.06)
    beat, found = np.array(parts)[150:].transpose(1, 0, 2)
    assert np.corrcoef(found.ravel(), beat.ravel())[0, 1] > 0.95
