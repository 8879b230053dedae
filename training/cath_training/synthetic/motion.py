"""How catheters move in a patient: heartbeat, breathing and the operator's hand, as displacements of 3-D points."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cath_training.synthetic import curves

Points = NDArray[np.float64]
HEART_MM = 45.0  # radius of the heart's influence


def _phase(rng: np.random.Generator, seconds: float, period: float, jitter: float) -> tuple[Points, Points]:
    """Start time and length of each cycle from before 0 to after ``seconds``."""
    lengths = period * (1 + jitter * np.clip(rng.normal(size=int(seconds / period) + 4), -2, 2))
    return np.concatenate([[0.0], np.cumsum(lengths)]) - rng.uniform(0, period) - lengths[0], lengths


@dataclass(slots=True)
class PatientMotion:
    """Displacements at a time, drawn once for a sequence of ``seconds``.

    Heart 55-95 a minute, 3-7 mm, with beat-to-beat jitter; breathing 10-20 a minute, 5-14 mm, mostly along the body.
    """

    seconds: float
    rng: np.random.Generator

    beats: tuple[Points, Points] = field(init=False)
    breaths: tuple[Points, Points] = field(init=False)
    depth: Points = field(init=False)
    bulk: Points = field(init=False)
    strain: Points = field(init=False)
    breath_mm: Points = field(init=False)

    def __post_init__(self) -> None:
        rng = self.rng
        self.beats = _phase(rng, self.seconds, 60 / rng.uniform(55, 95), 0.03)
        self.breaths = _phase(rng, self.seconds, 60 / rng.uniform(10, 20), 0.08)
        self.depth = 1 + 0.1 * np.clip(rng.normal(size=len(self.breaths[1])), -2, 2)
        self.bulk = rng.normal(size=3) * rng.uniform(1.2, 3.0)
        self.strain = rng.normal(size=(3, 3)) * rng.uniform(1.0, 2.5)
        self.breath_mm = np.array([rng.normal(0, 1.0), rng.uniform(5, 14), rng.normal(0, 2.0)])

    def cardiac(self, points: Points, t: float) -> Points:
        """Displacement in mm by the heartbeat of ``(N, 3)`` points."""
        starts, lengths = self.beats
        beat = int(np.searchsorted(starts, t, side="right")) - 1
        phase = (t - starts[beat]) / lengths[beat]
        # a short systole, then rest: one smooth bump in the first 55 % of the beat
        squeeze = 0.5 * (1 - np.cos(2 * np.pi * min(phase / 0.55, 1.0)))
        near = np.exp(-0.5 * (np.linalg.norm(points, axis=1, keepdims=True) / HEART_MM) ** 2)
        return np.asarray(squeeze * near * (self.bulk + points / HEART_MM @ self.strain.T))

    def respiratory(self, points: Points, t: float) -> Points:
        """Displacement in mm by breathing of ``(N, 3)`` points; it fades towards the groin."""
        starts, lengths = self.breaths
        breath = int(np.searchsorted(starts, t, side="right")) - 1
        phase = (t - starts[breath]) / lengths[breath]
        filled = (0.5 * (1 - np.cos(2 * np.pi * phase))) ** 1.4 * self.depth[breath]
        share = 1 - 0.7 * np.clip((points[:, 1:2] - 40) / 130, 0, 1)
        return np.asarray(filled * share * self.breath_mm)


@dataclass(slots=True)
class Steering:
    """A slow wandering of a catheter's tip under the operator's hand, ``reach`` mm at the tip."""

    rng: np.random.Generator
    reach: float
    rates: Points = field(init=False)
    phases: Points = field(init=False)

    def __post_init__(self) -> None:
        self.rates, self.phases = self.rng.uniform(0.02, 0.09, (2, 3)), self.rng.uniform(0, 2 * np.pi, (2, 3))

    def displace(self, course: Points, t: float) -> Points:
        """Displacement in mm of the ``(N, 3)`` course, fading away from the tip."""
        swing = np.sin(2 * np.pi * self.rates * t + self.phases) - np.sin(self.phases)
        fade = np.exp(-((curves.arc_length(course) / 55.0) ** 2))[:, None]
        return np.asarray(self.reach * fade * swing.mean(axis=0))
