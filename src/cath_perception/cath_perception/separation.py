"""Breathing and heartbeat told apart in a displacement, frame by frame, from the past alone."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from cath_perception.alignment import Floats
from cath_perception.compiled import compiled

_STEP_HZ = 0.025
_HEART_HZ = np.arange(0.7, 2.21, _STEP_HZ)
_HARMONICS = 3
_BREATH_HZ = 0.65
"""What is slower than this is no heartbeat when the heart's rate is looked for."""
_WINDOW_S, _LEAST_S, _EVERY_S = 8.0, 3.0, 0.5
_MOST_SAMPLES = 500
_LEAST_SAMPLES, _LONGEST_STEP_S, _SHARE_OF_STEPS = 20, 0.21, 0.2
"""A heartbeat is looked for in so many samples at least, of whose steps this share is no longer than this: frames at a lower
rate show another beat, while frames that are missing here and there do not."""
_ANOTHER, _AGAIN = 0.1, 6
"""A rate that differs by more than this part must be found so many times running to be believed."""
_DRIFT, _NOISE_PX = 100.0, 0.4
"""Standard deviations of the change in a second of the breathing's acceleration, and of a measurement (px)."""
_PHASE, _RATE, _RATE_S = 0.15, 0.04, 1.0
"""Standard deviations of the change in a second of the heart's phase (rad), of its rate from beat to beat, as a part of
it, and for how long a beat's rate lasts."""
_STEADY_S = 2.0
"""For so long beats count as all of one length when their shape is learnt."""
_BEAT, _LEAST_BEAT, _FIRST_BEAT = 0.1, 0.3, 10.0
"""The same of each harmonic in a second, as a part of the heartbeat; the least heartbeat, and what one may be before any is
known, px."""
_STRANGE, _STRANGE_FRAMES = 25.0, 2
"""A displacement whose squared distance from the expected one is so many times its variance is left out, unless it is one of
more than so many running: then the breathing's place leapt there (another reference frame, say)."""
_SLOW, _PHASE_AT = 6, 6 + 4 * _HARMONICS
_SIZE = _PHASE_AT + 2
"""The state: place, velocity and acceleration of the breathing in x and in y; of each harmonic the cosine's and the sine's
part in x and in y; the heart's phase, and by which part its rate differs from the mean one."""


class RespiratoryCardiacFilter:
    """An extended Kalman filter of breathing (a smooth drift) and of a heartbeat that repeats with a phase of its own.

    The beat's shape (harmonics of the heart's rate) changes slowly, but no beat is as long as the one before; its
    harmonics keep in step because they share one phase. The mean rate is that of the strongest periodic motion of the last
    8 s that is no breathing, and the beat is learnt from these when that is found; before 3 s are seen, and below 5
    frames/s, the whole displacement counts as respiratory. The constant part of a beat cannot be told from breathing and
    stays with it. One displacement far from all that is expected (a frame's electrodes taken for others) says nothing of
    either.

    Attributes:
        heart_hz: the mean rate; None where it is not known.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._begin()
        self._past: deque[tuple[float, float, float]] = deque(maxlen=_MOST_SAMPLES)
        self._time: float | None = None
        self._looked = -np.inf
        self._others, self._known_at = 0, math.inf
        self.heart_hz: float | None = None

    def _begin(self) -> None:
        self._state = np.zeros(_SIZE)
        self._covariance = np.diag([100.0, 400.0, 400.0] * 2 + [0.0] * (_SIZE - _SLOW))
        self._strange = 0

    def update(self, displacement: Floats, time_s: float) -> tuple[Floats, Floats]:
        """Respiratory and cardiac part ``(2,)`` each of a ``(2,)`` displacement in px; they sum up to it."""
        since = 0.0 if self._time is None else time_s - self._time
        self._time = time_s
        x, y = displacement.tolist()
        self._past.append((time_s, x, y))
        self._find_rate(time_s)
        self._take_step(since, time_s, x, y)
        cardiac = np.array(_heartbeat(self._state))
        return displacement - cardiac, cardiac

    def _take_step(self, since: float, time_s: float, x: float, y: float) -> None:
        """Move the state on to the time of a displacement x, y (px), and take that in."""
        free = 1.0 if time_s > self._known_at + _STEADY_S else 0.0
        _predict(self._state, self._covariance, since, self.heart_hz or 0.0, free)
        strange = _surprise(self._state, self._covariance, x, y) > _STRANGE
        self._strange = self._strange + 1 if strange else 0
        if self._strange > _STRANGE_FRAMES:
            leap = np.array((x, y)) - self._state[[0, 3]]
            self._covariance[[0, 3], [0, 3]] += leap * leap
        if not 0 < self._strange <= _STRANGE_FRAMES:
            _take_in(self._state, self._covariance, x, y)

    def _learn(self) -> None:
        """Go over all displacements but the newest once more, with the heart's rate now known."""
        self._begin()
        beat = np.arange(_SLOW, _PHASE_AT)
        self._covariance[beat, beat] = _FIRST_BEAT**2
        before = self._past[0][0]
        self._known_at = before
        for time_s, x, y in list(self._past)[:-1]:
            self._take_step(time_s - before, time_s, x, y)
            before = time_s

    def _find_rate(self, now: float) -> None:
        """Look for the heart's rate now and then."""
        while self._past and now - self._past[0][0] > _WINDOW_S:
            self._past.popleft()
        if now - self._looked < _EVERY_S or now - self._past[0][0] < _LEAST_S:
            return
        if len(self._past) < _LEAST_SAMPLES:
            return
        self._looked = now
        past = np.array(self._past)
        steps = np.sort(np.diff(past[:, 0]))
        if steps[int(_SHARE_OF_STEPS * len(steps))] > _LONGEST_STEP_S:
            self._forget_beat()
            return
        power = _heart_power(past[:, 0] - now, past[:, 1:])
        peaks = (power[1:-1] >= power[:-2]) & (power[1:-1] >= power[2:])
        if peaks.any():
            self._note_rate(float(_HEART_HZ[1:-1][int((power[1:-1] * peaks).argmax())]))

    def _forget_beat(self) -> None:
        self.heart_hz, self._others, self._known_at = None, 0, math.inf
        self._state[_SLOW:] = 0.0
        self._covariance[_SLOW:] = self._covariance[:, _SLOW:] = 0.0

    def _note_rate(self, rate: float) -> None:
        other = self.heart_hz is None or abs(rate / self.heart_hz - 1.0) > _ANOTHER
        self._others = self._others + 1 if other else 0
        if self.heart_hz is None or self._others >= _AGAIN:  # another heartbeat, of which nothing is known
            self.heart_hz, self._others = rate, 0
            self._learn()
        elif not other:
            self.heart_hz = rate


@compiled("(f8[::1], f8[:, ::1], f8, f8)")
def _surprise(state: Floats, covariance: Floats, x: float, y: float) -> float:
    """Squared distance of a displacement x, y (px) from the expected one, over its variance."""
    slope, surprise = np.zeros(_SIZE), 0.0
    for axis, place in enumerate((x, y)):
        off = place - state[3 * axis] - _beat(state, axis, slope)
        surprise += off * off / (_NOISE_PX * _NOISE_PX + slope @ (covariance @ slope))
    return surprise


@compiled("(f8[::1], f8[:, ::1], f8, f8)")
def _take_in(state: Floats, covariance: Floats, x: float, y: float) -> None:
    """Correct the state by a displacement x, y (px), in place."""
    slope = np.zeros(_SIZE)
    for axis, place in enumerate((x, y)):
        _correct(state, covariance, slope, place - state[3 * axis] - _beat(state, axis, slope))


@compiled("(f8[::1],)")
def _heartbeat(state: Floats) -> tuple[float, float]:
    """The heartbeat's part of the displacement, x and y."""
    slope = np.zeros(_SIZE)
    return _beat(state, 0, slope), _beat(state, 1, slope)


@compiled("(f8[::1], f8[:, ::1], f8, f8, f8)")
def _predict(state: Floats, covariance: Floats, since: float, hz: float, free: float) -> None:
    """Move the state on by ``since`` s, in place.

    ``hz``: the heart's mean rate; 0 where it is not known. ``free``: 1 where beats may differ in length, 0 where not.
    """
    turn = 2.0 * math.pi * hz * since
    kept = math.exp(-since / _RATE_S)
    state[_PHASE_AT] = (state[_PHASE_AT] + turn) % (2.0 * math.pi)
    _move(state, since, turn, kept)
    for i in range(_SIZE):
        _move(covariance[:, i], since, turn, kept)
    for i in range(_SIZE):
        _move(covariance[i], since, turn, kept)
    for axis in (0, 3):
        for i in range(3):
            for j in range(3):
                power = 5 - i - j
                shares = power * (2.0 if i == 0 else 1.0) * (2.0 if j == 0 else 1.0)
                covariance[axis + i, axis + j] += _DRIFT * _DRIFT * since**power / shares
    if hz > 0.0:
        square = 0.0
        for i in range(_SLOW, _PHASE_AT):
            square += 0.5 * state[i] * state[i]
        for i in range(_SLOW, _PHASE_AT):
            covariance[i, i] += _BEAT * _BEAT * max(square, _LEAST_BEAT * _LEAST_BEAT) * since
        covariance[_PHASE_AT, _PHASE_AT] += free * _PHASE * _PHASE * since
        covariance[_PHASE_AT + 1, _PHASE_AT + 1] += free * _RATE * _RATE * (1.0 - kept * kept)


@compiled()
def _move(values: Floats, since: float, turn: float, kept: float) -> None:
    """Apply the transition of the state to ``(_SIZE,)`` values, in place."""
    for axis in (0, 3):
        values[axis] += since * values[axis + 1] + 0.5 * since * since * values[axis + 2]
        values[axis + 1] += since * values[axis + 2]
    values[_PHASE_AT] += turn * values[_PHASE_AT + 1]
    values[_PHASE_AT + 1] *= kept


@compiled()
def _beat(state: Floats, axis: int, slope: Floats) -> float:
    """The heartbeat in x (0) or y (1); into ``slope`` goes how the whole displacement there changes with the state."""
    slope[:] = 0.0
    slope[3 * axis] = 1.0
    beat = 0.0
    for harmonic in range(_HARMONICS):
        at, times = _SLOW + 4 * harmonic + 2 * axis, harmonic + 1.0
        c, s = math.cos(times * state[_PHASE_AT]), math.sin(times * state[_PHASE_AT])
        slope[at], slope[at + 1] = c, s
        slope[_PHASE_AT] += times * (state[at + 1] * c - state[at] * s)
        beat += state[at] * c + state[at + 1] * s
    return beat


@compiled()
def _correct(state: Floats, covariance: Floats, slope: Floats, off: float) -> None:
    """Take in that a displacement is ``off`` px from what the state says, in place."""
    gain, spread = np.zeros(_SIZE), _NOISE_PX * _NOISE_PX
    for i in range(_SIZE):
        for j in range(_SIZE):
            gain[i] += covariance[i, j] * slope[j]
        spread += slope[i] * gain[i]
    for i in range(_SIZE):
        state[i] += gain[i] / spread * off
        for j in range(_SIZE):
            covariance[i, j] -= gain[i] * gain[j] / spread


def _heart_power(times: Floats, places: Floats) -> Floats:
    """How strong the motion ``(N, 2)`` at ``times`` is at each of ``_HEART_HZ`` and its harmonics, without breathing."""
    length = times[-1] - times[0]
    phase = (times - times[0]) / length
    slow = np.cos(math.pi * phase[:, None] * np.arange(math.ceil(2.0 * length * _BREATH_HZ) + 1))
    slow = np.column_stack((slow, phase))
    fast = places - slow @ np.linalg.lstsq(slow, places, rcond=None)[0]
    fast *= np.hanning(len(times) + 2)[1:-1, None]
    first, further = np.exp(-2j * math.pi * np.outer((_HEART_HZ[0], _STEP_HZ), times))
    turning = np.tile(further, (len(_HEART_HZ), 1))
    turning[0] = first
    np.multiply.accumulate(turning, out=turning)  # far faster than as many exponentials
    power, turned = np.zeros(len(_HEART_HZ)), np.ones_like(turning)
    for harmonic in range(1, _HARMONICS + 1):
        turned = turned * turning
        share = 1.0 if harmonic == 1 else 0.5
        power += share * np.square(np.abs(turned @ fast)).sum(axis=1)
    return power
