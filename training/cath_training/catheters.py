"""Grouping, type, tracking and motion measured on true electrodes made worse, so without any network."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import thread_time

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.motion import Motion, MotionEstimator
from cath_perception.recognition import Recognizer
from cath_perception.scoring import CatheterTally
from cath_perception.tracking import CatheterTracker
from cath_perception.types import Catheter, Electrode, PerceptionResult
from cath_training.synthetic.sequence import SyntheticSequence

Points = NDArray[np.float64]
SETTLING_S = 5.0  # motion's parts are judged from then on


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to true detections: part of electrodes ``dropped``, part ``added``, noise in px of 512."""

    dropped: float = 0.2
    added: float = 0.1
    noise_px: float = 0.5


@dataclass(slots=True)
class MotionTally:
    """Motion of the reference catheter beside the truth, over many sequences."""

    square_errors: list[float] = field(default_factory=list)
    respiratory: list[float] = field(default_factory=list)
    cardiac: list[float] = field(default_factory=list)
    frames: int = 0

    def add(
        self, motions: list[Motion], truth: Points, respiratory: Points, cardiac: Points, rate: float
    ) -> None:
        """One sequence: ``(T, 2)`` true positions of the catheter's centre, and true parts, in px."""
        self.frames += len(motions)
        valid = np.flatnonzero([m.valid for m in motions])
        if len(valid) < 2:
            return
        start = round(motions[valid[0]].reference_time_s * rate)
        found = np.array([motions[i].translation for i in valid])
        off = found - (truth[valid] - truth[start])
        self.square_errors += np.square(off).sum(axis=1).tolist()
        settled = valid[valid >= start + SETTLING_S * rate]
        if len(settled) > SETTLING_S * rate:
            parts = np.array([(motions[i].respiratory, motions[i].cardiac) for i in settled])
            self.respiratory.append(correlation(parts[:, 0], respiratory[settled]))
            self.cardiac.append(correlation(parts[:, 1], cardiac[settled]))

    def figures(self) -> dict[str, float]:
        """RMS error in px, share of frames answered, median correlations of the parts over sequences."""
        nothing = [float("nan")]
        return {
            "motion answered": len(self.square_errors) / max(1, self.frames),
            "motion rms px": float(np.sqrt(np.mean(self.square_errors or nothing))),
            "respiratory correlation, median": float(np.median(self.respiratory or nothing)),
            "respiratory correlation, worst": float(np.min(self.respiratory or nothing)),
            "cardiac correlation, median": float(np.median(self.cardiac or nothing)),
            "cardiac correlation, worst": float(np.min(self.cardiac or nothing)),
        }


def correlation(first: Points, second: Points) -> float:
    """Correlation of two ``(T, 2)`` motions, both axes together, means taken off."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    return float((a * b).sum() / max(np.sqrt(np.square(a).sum() * np.square(b).sum()), 1e-12))


def damaged(
    truth: tuple[Catheter, ...], size: int, damage: Damage, rng: np.random.Generator
) -> tuple[list[Electrode], list[Trace]]:
    """Detections as a network might give them, in random order, and centrelines of random direction."""
    found = []
    noise = damage.noise_px * size / 512
    for electrode in (e for catheter in truth for e in catheter.electrodes):
        if rng.random() >= damage.dropped:
            seen = np.array((electrode.x, electrode.y, electrode.width, electrode.height))
            x, y, width, height = (seen + rng.normal(0, noise, 4)).tolist()
            score = rng.uniform(0.5, 1.0)
            found.append(Electrode(x, y, max(width, 2.0), max(height, 2.0), score))
        if rng.random() < damage.added:
            x, y = rng.uniform(0, size, 2)
            if rng.random() < 0.5 and truth:  # false electrodes like shafts
                line = truth[rng.integers(len(truth))].centerline
                if line is not None and len(line.points):
                    x, y = line.points[rng.integers(len(line.points))] + rng.normal(0, 2, 2)
            found.append(Electrode(float(x), float(y), 8.0, 8.0, rng.uniform(0.4, 0.8)))
    traces = []
    for line in (c.centerline for c in truth if c.centerline is not None and len(c.centerline.points) > 1):
        points = line.points.astype(np.float64)[:: rng.choice((-1, 1))]
        traces.append(Trace(points, line.width * rng.uniform(0.9, 1.1), 0.9))
    return [found[i] for i in rng.permutation(len(found))], traces


def _frames(sequence: SyntheticSequence) -> Iterator[tuple[float, tuple[Catheter, ...], Points, Points]]:
    for index in range(sequence.frames):
        yield index / sequence.rate, *sequence.truth(index)


def on_sequences(
    first_seed: int, count: int, damage: Damage, seconds: float = 60.0, size: int = 512, rate: float = 15.0
) -> dict[str, float]:
    """Figures over ``count`` sequences with 1 to 4 catheters in turn, from ``first_seed`` on."""
    recognizer, catheters, motion = Recognizer.load(), CatheterTally(), MotionTally()
    times: list[float] = []
    for number in track(range(count), "sequences"):
        sequence = SyntheticSequence(seconds, rate, size, first_seed + number, catheters=1 + number % 4)
        rng = np.random.default_rng([first_seed + number, 23])
        tracker, estimator, motions, centres, parts = (
            CatheterTracker(recognizer),
            MotionEstimator(),
            [],
            [],
            [],
        )
        catheters.begin()
        for t, truth, respiratory, cardiac in _frames(sequence):
            electrodes, traces = damaged(truth, size, damage, rng)
            begun = thread_time()
            result = PerceptionResult(size, size, *group(electrodes, traces, size, size), None)
            result = tracker.update(result, t)
            motions.append(estimator.update(tracker, result.catheters or (), t))
            times.append((thread_time() - begun) * 1e3)
            catheters.add(result.catheters or (), truth, size)
            reference = [(e.x, e.y) for e in truth[0].electrodes] if truth and truth[0].id == 0 else []
            centres.append(np.mean(reference, axis=0) if reference else np.full(2, np.nan))
            parts.append((respiratory, cardiac))
        both = np.array(parts)
        motion.add(motions, np.array(centres), both[:, 0], both[:, 1], rate)
    return {
        **catheters.figures(),
        **motion.figures(),
        "CPU ms a frame, median": float(np.median(times)),
        "CPU ms a frame, p99": float(np.percentile(times, 99)),
    }
