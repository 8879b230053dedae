"""Breathing and heartbeat told apart in a displacement, frame by frame, from the past alone."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from cath_perception.alignment import Floats

_HEART_HZ = np.arange(0.7, 2.21, 0.025)
_HARMONICS = 3
_BREATH_HZ = 0.55
"""What is slower than this is no heartbeat when the heart's rate is looked for."""
_WINDOW_S, _LEAST_S, _EVERY_S = 8.0, 3.0, 0.5
_MOST_SAMPLES = 500
_DRIFT, _NOISE_PX = 20.0, 0.4
"""Standard deviations of the change in a second of the breathing's velocity, and of a measurement (px)."""
_BEAT, _LEAST_BEAT, _MOST_BEAT, _MEMORY_S = 0.2, 0.1, 1.0, 3.0
"""The same of each oscillation of the heart, as a part of its amplitude over the last seconds, and bounds in px."""


class RespiratoryCardiacFilter:
    """A Kalman filter of a slow part (breathing: a drifting velocity) and of the heartbeat with its harmonics.

    The heart's rate is that of the strongest periodic motion of the last 8 s that is no breathing; before 3 s are seen the
    whole displacement counts as respiratory. The constant part of a beat cannot be told from breathing and stays with it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        size = 2 + 2 * _HARMONICS
        self._state = np.zeros((size, 2))
        self._covariance = np.diag([100.0, 400.0] + [1e-6] * (size - 2))
        self._observe = np.zeros(size)
        self._observe[0] = 1.0
        self._observe[2::2] = 1.0
        self._past: deque[tuple[float, float, float]] = deque(maxlen=_MOST_SAMPLES)
        self._time: float | None = None
        self._looked = -np.inf
        self._power = 1.0
        self.heart_hz: float | None = None

    def update(self, displacement: Floats, time_s: float) -> tuple[Floats, Floats]:
        """Respiratory and cardiac part ``(2,)`` each of a ``(2,)`` displacement in px; they sum up to it."""
        since = 0.0 if self._time is None else time_s - self._time
        self._time = time_s
        self._past.append((time_s, *displacement.tolist()))
        self._find_rate(time_s)
        self._predict(since)
        gain = self._covariance @ self._observe
        weighed = gain / (float(self._observe @ gain) + _NOISE_PX**2)
        self._state += weighed[:, None] * (displacement - self._observe @ self._state)
        self._covariance -= weighed[:, None] * gain
        cardiac = self._state[2::2].sum(axis=0)
        self._power += min(since / _MEMORY_S, 1.0) * (float(cardiac @ cardiac) - self._power)
        return displacement - cardiac, cardiac

    def _predict(self, since: float) -> None:
        move = np.eye(len(self._state))
        move[0, 1] = since
        if self.heart_hz is not None:
            for harmonic in range(_HARMONICS):
                at = 2 + 2 * harmonic
                angle = 2 * math.pi * self.heart_hz * (harmonic + 1) * since
                move[at, at] = move[at + 1, at + 1] = math.cos(angle)
                move[at, at + 1] = math.sin(angle)
                move[at + 1, at] = -move[at, at + 1]
        self._state = move @ self._state
        covariance = move @ self._covariance @ move.T
        drift, half = _DRIFT**2 * since, since / 2
        covariance[0, 0] += drift * since * since / 3
        covariance[0, 1] += drift * half
        covariance[1, 0] += drift * half
        covariance[1, 1] += drift
        if self.heart_hz is not None:
            beat = min(max(_BEAT * math.sqrt(self._power), _LEAST_BEAT), _MOST_BEAT)
            covariance.flat[2 * (len(move) + 1) :: len(move) + 1] += beat * beat * since
        self._covariance = covariance

    def _find_rate(self, now: float) -> None:
        """Look for the heart's rate now and then."""
        while self._past and now - self._past[0][0] > _WINDOW_S:
            self._past.popleft()
        if now - self._looked < _EVERY_S or now - self._past[0][0] < _LEAST_S or len(self._past) < 20:
            return
        self._looked = now
        past = np.array(self._past)
        power = _heart_power(past[:, 0] - now, past[:, 1:])
        peaks = (power[1:-1] >= power[:-2]) & (power[1:-1] >= power[2:])
        if not peaks.any():
            return
        if self.heart_hz is None:
            self._covariance[2:, 2:] += np.eye(len(self._state) - 2) * 25.0
        self.heart_hz = float(_HEART_HZ[1:-1][int((power[1:-1] * peaks).argmax())])


def _heart_power(times: Floats, places: Floats) -> Floats:
    """How strong the motion ``(N, 2)`` at ``times`` is at each of ``_HEART_HZ`` and its harmonics, without breathing."""
    length = times[-1] - times[0]
    phase = (times - times[0]) / length
    slow = np.cos(math.pi * phase[:, None] * np.arange(math.ceil(2.0 * length * _BREATH_HZ) + 1))
    slow = np.column_stack((slow, phase))
    fast = places - slow @ np.linalg.lstsq(slow, places, rcond=None)[0]
    fast *= np.hanning(len(times) + 2)[1:-1, None]
    turning = np.exp(-2j * math.pi * _HEART_HZ[:, None] * times)
    power, turned = np.zeros(len(_HEART_HZ)), np.ones_like(turning)
    for harmonic in range(1, _HARMONICS + 1):
        turned = turned * turning
        share = 1.0 if harmonic == 1 else 0.5
        power += share * np.square(np.abs(turned @ fast)).sum(axis=1)
    return power
