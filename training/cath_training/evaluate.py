"""Figures and curves of a model through the node's own path on frames training never saw."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.bags import NANOSECONDS
from cath_perception.perceptor import Perceptor
from cath_perception.scoring import REFERENCE_PX, CatheterTally, Tally, match
from cath_perception.sequence import SequencePerceptor
from cath_perception.types import Catheter, Electrode, PerceptionResult
from cath_training import curves
from cath_training.cases import Frame
from cath_training.metrics import CenterlineTally, average_precision, region_similarity
from cath_training.timelines import Timeline

LOWEST_SCORE = 0.05
LIMITS = (1.0, 2.0, 3.0, 5.0)
LIMIT = 2.0
WORST = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one frame.

    Attributes:
        every: ``(N, 6)`` electrodes x, y, width, height in px, score, sigma in px (NaN unknown), those of low score too.
        threshold: the score from which on they count.
        mask: ``(H, W)`` bool. catheters: None where not computed.
        said: ``(M, 6)`` those that were answered, where these are others: tracking finds faint ones where it expects them.
    """

    every: NDArray[np.float64]
    threshold: float
    mask: NDArray[np.bool_] | None
    catheters: tuple[Catheter, ...] | None
    said: NDArray[np.float64] | None = None

    @property
    def counted(self) -> NDArray[np.float64]:
        """The electrodes that were answered: ``said``, or those from the threshold on."""
        return self.said if self.said is not None else self.every[self.every[:, 4] >= self.threshold]


@dataclass(slots=True)
class Case:
    """A frame and what was said of it, kept to be looked at. ``wrong``: electrodes missed and invented."""

    wrong: int
    frame: Frame
    answer: Answer


@dataclass(slots=True)
class Evaluation:
    """What adds up over frames; distances in px of a frame scaled to 256."""

    tallies: dict[float, Tally] = field(default_factory=lambda: {limit: Tally(limit) for limit in LIMITS})
    lines: CenterlineTally = field(default_factory=CenterlineTally)
    catheters: CatheterTally = field(default_factory=CatheterTally)
    timeline: Timeline = field(default_factory=lambda: Timeline(""))
    similarity: list[float] = field(default_factory=list)
    worst: list[Case] = field(default_factory=list)
    frames: int = 0
    asked: int = 0  # where it differs from frames: those that should have been answered
    clean: int = 0
    _precision: dict[str, float] | None = None  # takes seconds, so once
    _answers: list[NDArray[np.float64]] = field(default_factory=list)
    _truths: list[NDArray[np.floating]] = field(default_factory=list)
    _said: list[NDArray[np.float64]] = field(default_factory=list)  # score, whether right
    _missed: list[NDArray[np.float64]] = field(default_factory=list)  # found, spacing, contrast, noise
    _off: list[NDArray[np.float64]] = field(default_factory=list)  # error, sigma

    def add(self, frame: Frame, answer: Answer) -> None:
        """Count one frame, by whatever is known of it."""
        self.frames += 1
        self._precision = None
        if frame.electrodes is not None:
            self._add_electrodes(frame, answer, np.asarray(frame.electrodes, float))
        if frame.mask is not None and answer.mask is not None:
            self.similarity.append(region_similarity(answer.mask, frame.mask))
        if frame.centerlines is not None and answer.catheters is not None:
            found = [c.centerline.points for c in answer.catheters if c.centerline is not None]
            self.lines.add(found, frame.centerlines, frame.side)
        if frame.catheters is not None and answer.catheters is not None:
            judged = self.catheters.add(answer.catheters, frame.catheters, frame.side)
            self.timeline.add(frame.stamp_ns / NANOSECONDS, frame.catheters, judged)

    def _add_electrodes(self, frame: Frame, answer: Answer, truth: NDArray[np.float64]) -> None:
        scale, counted = REFERENCE_PX / frame.side, answer.counted
        for tally in self.tallies.values():
            tally.add(counted[:, :2], truth[:, :2], frame.side, frame.kinds)
        self._answers.append(answer.every[:, :5])
        self._truths.append(truth)
        places = np.column_stack([answer.every[:, :2] * scale, answer.every[:, 4]])
        self._said.append(np.column_stack([places[:, 2], curves.hits(places, truth[:, :2] * scale, LIMIT)]))
        pairs, distance = match(counted[:, :2] * scale, truth[:, :2] * scale, LIMIT)
        found = np.isin(np.arange(len(truth)), pairs[:, 1])
        self._off.append(np.column_stack([distance, counted[pairs[:, 0], 5] * scale]))
        hard = curves.spacing(truth[:, :2] * scale), curves.contrast(frame.pixels, truth)
        self._missed.append(np.column_stack([found, *hard, np.full(len(truth), curves.noise(frame.pixels))]))
        self.clean += not len(counted)
        wrong = len(truth) + len(counted) - 2 * len(pairs)
        if wrong:
            self.worst.append(Case(wrong, frame, answer))
            self.worst = sorted(self.worst, key=lambda case: -case.wrong)[:WORST]

    def figures(self) -> dict[str, float]:
        """Everything that is one number; see docs/evaluation.md for each."""
        figures: dict[str, float] = {"frames": self.frames}
        if self.asked:
            figures["answered"] = self.frames / self.asked
        if self._truths:
            figures |= self._electrode_figures()
        if self.similarity:
            figures["j"] = float(np.mean(self.similarity))
        if self.lines.covered:
            figures |= self.lines.figures()
        if self.catheters.truths:
            figures |= self.catheters.figures()
        return figures

    def _electrode_figures(self) -> dict[str, float]:
        frames, main = max(1, len(self._truths)), self.tallies[LIMIT]
        figures = main.figures() | {"false_a_frame": (main.answers - main.found) / frames}
        if not main.truths:  # nothing can be found: what is left is what was invented
            return {
                "frames": len(self._truths),
                "electrodes_a_frame": main.answers / frames,
                "clean": self.clean / frames,
            }
        for limit, tally in self.tallies.items():
            at = tally.figures()
            figures |= {f"{name}_{limit:g}px": at[name] for name in ("recall", "precision")}
        off = np.concatenate(self._off)
        for times in (1, 2) if len(off) and np.isfinite(off[:, 1]).all() else ():
            figures[f"within_{times}_sigma"] = float((off[:, 0] <= times * off[:, 1]).mean())
        if self._precision is None:
            self._precision = average_precision(self._answers, self._truths)
        figures |= self._precision
        return figures | {f"recall_{kind}": recall for kind, recall in main.recall_by_kind().items()}

    def curves(self) -> dict[str, Any]:
        """What is drawn: arrays and ``curves.Binned``; empty where no electrode is known."""
        main = self.tallies[LIMIT]
        if not main.truths:
            return {}
        said, missed, off = (np.concatenate(rows) for rows in (self._said, self._missed, self._off))
        recall, precision, threshold = curves.precision_recall(said[:, 0], said[:, 1] > 0, main.truths)
        distances = np.sort(self.tallies[max(LIMITS)].errors)
        found = missed[:, 0]
        sigma = off[np.isfinite(off[:, 1])]
        return {
            "precision_recall": {"recall": recall, "precision": precision, "threshold": threshold},
            "point": {"recall": main.found / main.truths, "precision": main.found / max(1, main.answers)},
            "error": {"px256": distances, "found": np.arange(1, len(distances) + 1) / main.truths},
            "spacing": curves.binned(missed[:, 1], found, [0, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30]),
            "contrast": curves.binned(
                missed[:, 2], found, [-0.6, -0.3, -0.1, 0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6]
            ),
            "noise": curves.binned(missed[:, 3], found, [0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2]),
            "score": curves.binned(said[:, 0], said[:, 1], np.linspace(0, 1, 11).tolist()),
            "sigma": curves.binned(sigma[:, 1], np.square(sigma[:, 0]) / 2, np.linspace(0, 1, 11).tolist()),
            "types": main.recall_by_kind(),
        }


def evaluate(perceptor: Perceptor, frames: Iterable[Frame]) -> Evaluation:
    """Judge a perceptor on single frames."""
    evaluation = Evaluation()
    for frame in frames:
        every = _every(perceptor, frame)
        evaluation.add(frame, _answer(every, perceptor.electrode_threshold, perceptor(frame.pixels)))
    return evaluation


def evaluate_sequence(perceptor: Perceptor, frames: Iterable[Frame]) -> Evaluation:
    """Judge a perceptor on the frames of one sequence in order, catheters' types, order and identities among it."""
    evaluation, sequence = Evaluation(), SequencePerceptor(perceptor)
    for frame in frames:
        every = _every(perceptor, frame)
        result = sequence(frame.pixels, frame.stamp_ns / NANOSECONDS).result
        answer = _answer(every, perceptor.electrode_threshold, result)
        evaluation.add(frame, replace(answer, said=table(result.electrodes)))
    return evaluation


def _every(perceptor: Perceptor, frame: Frame) -> tuple[Electrode, ...]:
    """All electrodes of low score, too; in a look of their own, since they would join centrelines."""
    with _all_scores(perceptor):
        return perceptor(frame.pixels).electrodes


def _answer(every: tuple[Electrode, ...], threshold: float, result: PerceptionResult) -> Answer:
    mask = None if result.mask is None else result.mask > 0
    return Answer(table(every), threshold, mask, result.catheters)


def table(electrodes: Iterable[Electrode]) -> NDArray[np.float64]:
    """``(N, 6)`` x, y, width, height, score, sigma."""
    return np.array([(e.x, e.y, e.width, e.height, e.score, e.sigma) for e in electrodes], float).reshape(
        -1, 6
    )


@contextlib.contextmanager
def _all_scores(perceptor: Perceptor) -> Iterator[None]:
    """Electrodes alone, and a lower threshold, for a while."""
    names = ("electrode_threshold", "want_mask", "want_centerlines")
    before = {name: getattr(perceptor, name) for name in names}
    perceptor.electrode_threshold = min(perceptor.electrode_threshold, LOWEST_SCORE)
    perceptor.want_mask = perceptor.want_centerlines = False
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(perceptor, name, value)
