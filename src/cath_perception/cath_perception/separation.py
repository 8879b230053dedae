"""Breathing and heartbeat told apart in a displacement, frame by frame, from the past alone."""

from __future__ import annotations

from collections import deque

import numpy as np

from cath_perception.alignment import Floats

_HEART_HZ = np.arange(0.7, 2.21, 0.025)
_HARMONICS = 3
_WINDOW_S, _LEAST_S, _EVERY_S = 8.0, 3.0, 0.5
_MOST_SAMPLES = 500
_DRIFT, _BEAT, _NOISE_PX = 20.0, 0.45, 0.4
"""Variances a second of the breathing's velocity and of each oscillation of the heart (px), and the measurement's noise."""


class RespiratoryCardiacFilter:
    """A Kalman filter of a slow part (breathing: a drifting velocity) and of the heartbeat with its harmonics.

    The heart's rate is that of the strongest periodic motion of the last 8 s; before 3 s are seen the whole
    displacement counts as respiratory. The constant part of a beat cannot be told from breathing and stays with it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        size = 2 + 2 * _HARMONICS
        self._state = np.zeros((size, 2))
        self._covariance = np.diag([100.0, 400.0] + [1e-6] * (size - 2))
        self._past: deque[tuple[float, float, float]] = deque(maxlen=_MOST_SAMPLES)
        self._time: float | None = None
        self._looked = -np.inf
        self.heart_hz: float | None = None

    def update(self, displacement: Floats, time_s: float) -> tuple[Floats, Floats]:
        """Respiratory and cardiac part ``(2,)`` each of a ``(2,)`` displacement in px; they sum up to it."""
        since = 0.0 if self._time is None else time_s - self._time
        self._time = time_s
        self._past.append((time_s, *displacement.tolist()))
        self._find_rate(time_s)
        self._predict(since)
        observe = np.zeros(len(self._state))
        observe[0] = 1.0
        observe[2::2] = 1.0
        gain = self._covariance @ observe
        gain /= observe @ gain + _NOISE_PX**2
        self._state += np.outer(gain, displacement - observe @ self._state)
        self._covariance -= np.outer(gain, observe @ self._covariance)
        cardiac = self._state[2::2].sum(axis=0)
        return displacement - cardiac, cardiac

    def _predict(self, since: float) -> None:
        move = np.eye(len(self._state))
        move[0, 1] = since
        noise = np.zeros_like(move)
        noise[:2, :2] = _DRIFT**2 * np.array([[since**3 / 3, since**2 / 2], [since**2 / 2, since]])
        if self.heart_hz is not None:
            for harmonic in range(_HARMONICS):
                at = 2 + 2 * harmonic
                angle = 2 * np.pi * self.heart_hz * (harmonic + 1) * since
                c, s = np.cos(angle), np.sin(angle)
                move[at : at + 2, at : at + 2] = [[c, s], [-s, c]]
                noise[at, at] = noise[at + 1, at + 1] = _BEAT**2 * since
        self._state = move @ self._state
        self._covariance = move @ self._covariance @ move.T + noise

    def _find_rate(self, now: float) -> None:
        """Look for the heart's rate now and then."""
        while self._past and now - self._past[0][0] > _WINDOW_S:
            self._past.popleft()
        if now - self._looked < _EVERY_S or now - self._past[0][0] < _LEAST_S or len(self._past) < 20:
            return
        self._looked = now
        past = np.array(self._past)
        steps = np.diff(past[:, 0])
        rates = np.diff(past[:, 1:], axis=0) / np.maximum(steps, 1e-3)[:, None]
        times = (past[1:, 0] + past[:-1, 0]) / 2.0
        rates = (rates - rates.mean(axis=0)) * np.hanning(len(times))[:, None]
        angles = -2j * np.pi * _HEART_HZ[:, None] * (times - now)
        turning = np.exp(angles)
        power = np.zeros(len(_HEART_HZ))
        for harmonic in range(1, _HARMONICS + 1):
            power += np.square(np.abs(turning**harmonic @ rates)).sum(axis=1) / harmonic
        if self.heart_hz is None:
            self._covariance[2:, 2:] += np.eye(len(self._state) - 2) * 25.0
        self.heart_hz = float(_HEART_HZ[int(power.argmax())])
