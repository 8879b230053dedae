"""Type, tracking and motion measured on true electrodes made worse, so without any network, or through a model."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import process_time

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.motion import Motion, MotionEstimator
from cath_perception.perceptor import Perceptor
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


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is known of one frame: the truth and the displacements of the reference catheter, px."""

    truth: tuple[Catheter, ...]
    respiratory: Points
    cardiac: Points

    @property
    def centre(self) -> Points:
        """Of the reference catheter's electrodes; NaN where it is not there."""
        places = [(e.x, e.y) for c in self.truth[:1] if c.id == 0 for e in c.electrodes]
        return np.mean(places, axis=0) if places else np.full(2, np.nan)


def _damaged_results(
    sequence: SyntheticSequence, damage: Damage
) -> Iterator[tuple[PerceptionResult, _Frame]]:
    """The true electrodes and centrelines made worse, grouped."""
    rng = np.random.default_rng([sequence.seed, 23])
    size = sequence.size
    for index in range(sequence.frames):
        frame = _Frame(*sequence.truth(index))
        grouped = group(*damaged(frame.truth, size, damage, rng), size, size)
        yield PerceptionResult(size, size, *grouped, None), frame


def _perceived(
    sequence: SyntheticSequence, perceptor: Perceptor
) -> Iterator[tuple[PerceptionResult, _Frame]]:
    """What a model sees of the sequence's pictures."""
    for seen in sequence:
        frame = _Frame(seen.catheters, seen.respiratory_px, seen.cardiac_px)
        yield perceptor(seen.pixels, recognize=False), frame


def on_sequences(
    first_seed: int,
    count: int,
    eyes: Damage | Perceptor,
    seconds: float = 60.0,
    size: int = 512,
    rate: float = 15.0,
) -> dict[str, float]:
    """Figures over ``count`` sequences with 1 to 4 catheters in turn, from ``first_seed`` on.

    ``eyes``: what is done to the true detections, or the perceptor that looks at the pictures, which then have up to four
    distractors and any dose from low to cine.
    """
    recognizer, catheters, motion, spent = Recognizer.load(), CatheterTally(), MotionTally(), 0.0
    for seed in track(range(first_seed, first_seed + count), "sequences"):
        sequence = SyntheticSequence(
            seconds, rate, size, seed, 1 + (seed - first_seed) % 4, seed % 5, quanta=0
        )
        given = _damaged_results(sequence, eyes) if isinstance(eyes, Damage) else _perceived(sequence, eyes)
        results, frames = zip(*given, strict=True)
        tracker, estimator, motions, answers = CatheterTracker(recognizer), MotionEstimator(), [], []
        begun = process_time()
        for index, result in enumerate(results):
            answers.append(tracker.update(result, index / rate).catheters or ())
            motions.append(estimator.update(tracker, answers[-1], index / rate))
        spent += process_time() - begun
        catheters.begin()
        for answer, frame in zip(answers, frames, strict=True):
            catheters.add(answer, frame.truth, size)
        centres = np.array([frame.centre for frame in frames])
        parts = np.array([(frame.respiratory, frame.cardiac) for frame in frames])
        motion.add(motions, centres, parts[:, 0], parts[:, 1], rate)
    return {
        **catheters.figures(),
        **motion.figures(),
        "CPU ms a frame for tracking, types and motion": spent * 1e3 / max(1, catheters.frames),
    }
