"""Type, tracking and motion measured on true electrodes made worse, so without any network, or through a model."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import process_time

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from cath_perception.alignment import rigid, rotation
from cath_perception.catheters import group
from cath_perception.centerline import Trace, trace_centerlines
from cath_perception.image import Letterbox
from cath_perception.motion import Motion, MotionEstimator
from cath_perception.perceptor import Perceptor
from cath_perception.recognition import Recognizer
from cath_perception.scoring import CatheterTally
from cath_perception.tracking import CatheterTracker
from cath_perception.types import Catheter, CatheterStatus, Electrode, PerceptionResult
from cath_training.metrics import CenterlineTally
from cath_training.synthetic.sequence import SyntheticSequence
from cath_training.timelines import Timeline

Points = NDArray[np.float64]
SETTLING_S = 5.0  # motion's parts are judged from then on
_MASK_INPUT = 512  # side of the network input whose mask, of half that size, is traced; that of `light`


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to the truth: part of electrodes ``dropped``, part ``added``, noise in px of 512.

    With ``traced`` centrelines are not given but traced in the true mask, into which ``holes`` a catheter are cut.
    """

    dropped: float = 0.2
    added: float = 0.1
    noise_px: float = 0.5
    traced: bool = False
    holes: float = 0.0


@dataclass(slots=True)
class MotionTally:
    """Motion of the reference catheter beside the truth, over many sequences.

    Whoever compensates motion asks where the tissue that the catheter lies in has gone, not where the electrodes that
    happen to be in view are on the average. The truth is therefore the rigid motion that fits *all* electrodes of the
    catheter best, in view or not, from the reference frame of an answer to its own, applied to the point that the
    answer is about (``Motion.centre``). It has no jumps where electrodes leave the picture. That the catheter bends
    while only a part of it is seen counts as an error of the answer.
    """

    errors: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    respiratory: list[float] = field(default_factory=list)
    cardiac: list[float] = field(default_factory=list)
    frames: int = 0

    def add(
        self, motions: Sequence[Motion], electrodes: Points, respiratory: Points, cardiac: Points, rate: float
    ) -> list[float]:
        """One sequence: ``(T, N, 2)`` true electrodes of the catheter, ``(T, 2)`` true parts of its motion, in px.

        Returns the error of each frame's displacement in px, NaN where it was not answered.
        """
        self.frames += len(motions)
        errors = [math.nan] * len(motions)
        starts = np.array([round(m.reference_time_s * rate) if m.valid else -1 for m in motions])
        for start in sorted(set(starts[starts >= 0].tolist())):
            valid = np.flatnonzero(starts == start)
            for i in valid.tolist():
                errors[i] = self._judge(motions[i], electrodes[start], electrodes[i])
            settled = valid[valid >= start + SETTLING_S * rate]
            if len(settled) > SETTLING_S * rate:
                parts = np.array([(motions[i].respiratory, motions[i].cardiac) for i in settled])
                self.respiratory.append(correlation(parts[:, 0], respiratory[settled]))
                self.cardiac.append(correlation(parts[:, 1], cardiac[settled]))
        return errors

    def _judge(self, motion: Motion, before: Points, now: Points) -> float:
        angle, shift = rigid(before, now)
        truth = rotation(angle) @ motion.centre + shift - motion.centre
        error = float(np.hypot(*(motion.translation - truth)))
        self.errors.append(error)
        self.turns.append(math.remainder(motion.rotation - angle, math.tau))
        return error

    def figures(self) -> dict[str, float]:
        """Share of frames answered, errors, correlations of the parts over sequences (those 5 s after the reference)."""
        nothing = [float("nan")]
        respiratory, cardiac = self.respiratory or nothing, self.cardiac or nothing
        return {
            "motion answered": len(self.errors) / max(1, self.frames),
            "motion rms px": float(np.sqrt(np.mean(np.square(self.errors or nothing)))),
            "motion worst px": float(np.max(self.errors or nothing)),
            "rotation rms degrees": math.degrees(float(np.sqrt(np.mean(np.square(self.turns or nothing))))),
            "respiratory correlation, median": float(np.median(respiratory)),
            "respiratory correlation, worst": float(np.min(respiratory)),
            "cardiac correlation, median": float(np.median(cardiac)),
            "cardiac correlation, worst": float(np.min(cardiac)),
            "cardiac correlation of 0.95 or better": float(np.mean(np.array(cardiac) >= 0.95))
            if self.cardiac
            else float("nan"),
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


def traced(
    mask: NDArray[np.uint8], truth: tuple[Catheter, ...], holes: float, rng: np.random.Generator
) -> list[Trace]:
    """Centrelines as the node traces them in a perfect network's mask with ``holes`` a catheter, each a shaft's width long.

    ``mask`` is ``(S, S)``, 0..255, in the frame's size.
    """
    torn = mask.copy()
    for line in (c.centerline for c in truth if c.centerline is not None and len(c.centerline.points)):
        for x, y in line.points[rng.integers(len(line.points), size=rng.poisson(holes))].tolist():
            cv2.circle(torn, (round(x), round(y)), max(1, round(line.width)), 0, -1)
    letterbox = Letterbox.fit(mask.shape[1], mask.shape[0], _MASK_INPUT)
    probability = np.zeros((_MASK_INPUT // 2, _MASK_INPUT // 2), np.float32)
    inner = letterbox.inner_mask(probability)
    inner[:] = cv2.resize(torn, inner.shape[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)
    return trace_centerlines(probability, 0.5, letterbox)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame's truth: catheters in view, their electrodes behind shutters by id, all electrodes of the reference catheter,
    and the parts of its motion; px."""

    truth: tuple[Catheter, ...]
    hidden: dict[int, Points]
    reference: Points
    respiratory: Points
    cardiac: Points


def _damaged_results(
    sequence: SyntheticSequence, damage: Damage
) -> Iterator[tuple[PerceptionResult, _Frame]]:
    """The true electrodes and centrelines made worse, grouped."""
    rng = np.random.default_rng([sequence.seed, 23])
    size = sequence.size
    for index in range(sequence.frames):
        truth, respiratory, cardiac = sequence.truth(index)
        found, traces = damaged(truth, size, damage, rng)
        if damage.traced:
            traces = traced(sequence.mask(index), truth, damage.holes, rng)
        grouped = group(found, traces, size, size)
        frame = _Frame(truth, {}, sequence.reference(index), respiratory, cardiac)
        yield PerceptionResult(size, size, *grouped, None), frame


def _perceived(
    sequence: SyntheticSequence, perceptor: Perceptor
) -> Iterator[tuple[PerceptionResult, _Frame]]:
    """What a model sees of the sequence's pictures."""
    for index, seen in enumerate(sequence):
        motion = seen.respiratory_px, seen.cardiac_px
        frame = _Frame(seen.catheters, seen.hidden, sequence.reference(index), *motion)
        yield perceptor(seen.pixels, recognize=False), frame


class _Figures:
    """Catheters and motion over sequences, and the CPU time in s that following them took."""

    def __init__(self) -> None:
        self.catheters, self.motion, self.spent = CatheterTally(), MotionTally(), 0.0
        self.lines, self.timelines = CenterlineTally(), list[Timeline]()
        self._recognizer = Recognizer.load()

    def follow(
        self, given: Iterable[tuple[PerceptionResult, _Frame]], size: int, rate: float, name: str
    ) -> Iterator[int]:
        """Follow the catheters of one sequence; yields the index of every frame done. Keeps no frame's pictures."""
        tracker, estimator, motions, truths = CatheterTracker(self._recognizer), MotionEstimator(), [], []
        timeline = Timeline(name)
        self.catheters.begin()
        for index, (result, frame) in enumerate(given):
            begun = process_time()
            answer = tracker.update(result, index / rate).catheters or ()
            motions.append(estimator.update(tracker, answer, index / rate))
            self.spent += process_time() - begun
            judged = self.catheters.add(answer, frame.truth, size, frame.hidden)
            timeline.add(index / rate, frame.truth, judged)
            if index % round(rate) == 0:  # once a second, as it takes as long as all the rest
                self.lines.add(_lines(answer), _lines(frame.truth), size)
            truths.append((frame.reference, frame.respiratory, frame.cardiac))
            yield index
        electrodes, respiratory, cardiac = (np.array(of) for of in zip(*truths, strict=True))
        timeline.motion = self.motion.add(motions, electrodes, respiratory, cardiac, rate)
        self.timelines.append(timeline)

    def all(self) -> dict[str, float]:
        """The figures over all sequences."""
        spent = self.spent * 1e3 / max(1, self.catheters.frames)
        return {
            **self.catheters.figures(),
            **self.motion.figures(),
            **self.lines.figures(),
            "CPU ms a frame for tracking, types and motion": spent,
        }


def _lines(catheters: Iterable[Catheter]) -> list[NDArray[np.float32]]:
    """Centrelines of catheters with electrodes that are seen."""
    seen = (c for c in catheters if c.electrodes and c.status is CatheterStatus.DETECTED)
    return [c.centerline.points for c in seen if c.centerline is not None]


def on_sequences(
    first_seed: int,
    count: int,
    eyes: Damage | Perceptor,
    seconds: float = 60.0,
    size: int = 512,
    rate: float = 15.0,
) -> tuple[dict[str, float], list[Timeline]]:
    """Figures over ``count`` sequences with 1 to 4 catheters in turn, from ``first_seed`` on.

    ``eyes``: what is done to the true detections, or the perceptor that looks at the pictures, which then have up to four
    distractors and any dose from low to cine.

    Returns the figures of all, and every sequence frame by frame.
    """
    figures = _Figures()
    with Progress() as progress:
        bar = progress.add_task("frames", total=count * max(1, round(seconds * rate)))
        for seed in range(first_seed, first_seed + count):
            number = 1 + (seed - first_seed) % 4
            sequence = SyntheticSequence(seconds, rate, size, seed, number, seed % 5, quanta=0)
            given = (
                _damaged_results(sequence, eyes) if isinstance(eyes, Damage) else _perceived(sequence, eyes)
            )
            for _ in figures.follow(given, size, rate, str(seed)):
                progress.advance(bar)
    return figures.all(), figures.timelines
