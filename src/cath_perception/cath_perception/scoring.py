"""Answers against truth, frame by frame: which electrodes were found, missed or invented, and how far off."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from cath_perception.types import Catheter, CatheterStatus

_SAME = 1e-3
"""What it counts beside an electrode that an answer has the id that found a catheter before."""
REFERENCE_PX = 256  # limits and errors are given in px of a frame scaled to this side


def match(
    found: NDArray[np.floating], truth: NDArray[np.floating], limit: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pair found and true positions one to one, none farther apart than ``limit`` px: as many as can be, then nearest.

    Args:
        found, truth: ``(N, 2)`` and ``(M, 2)``.

    Returns:
        ``(P, 2)`` index pairs (found, truth) and their ``(P,)`` distances in px.
    """
    if len(found) == 0 or len(truth) == 0:
        return np.empty((0, 2), np.intp), np.empty(0)
    distance = cdist(found, truth)
    apart = limit * (
        min(distance.shape) + 1
    )  # so much that a pair within the limit is never given up for a nearer one
    rows, columns = linear_sum_assignment(np.where(distance <= limit, distance, apart))
    near = distance[rows, columns] <= limit
    return np.column_stack([rows, columns])[near], distance[rows, columns][near]


@dataclass(slots=True)
class Tally:
    """Running counts over frames; ``limit`` and errors in px of a frame scaled to 256."""

    limit: float = 2.0
    frames: int = 0
    truths: int = 0
    answers: int = 0
    found: int = 0
    errors: list[float] = field(default_factory=list)
    kinds: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, found: ArrayLike, truth: ArrayLike, side: int, kinds: Sequence[str] = ()) -> None:
        """Count one frame: found and true centres in px of a frame whose longer side is ``side`` px.

        ``kinds`` names what each true electrode belongs to, for ``recall_by_kind``.
        """
        scale = REFERENCE_PX / side
        points, targets = (np.asarray(p, float).reshape(-1, 2) * scale for p in (found, truth))
        pairs, distance = match(points, targets, self.limit)
        self.frames += 1
        self.truths += len(targets)
        self.answers += len(points)
        self.found += len(pairs)
        self.errors += distance.tolist()
        hit = set(pairs[:, 1].tolist())
        for index, kind in enumerate(kinds):
            self.kinds.setdefault(kind, []).append(index in hit)

    def recall_by_kind(self) -> dict[str, float]:
        """Recall of each kind of electrode."""
        return {kind: float(np.mean(hits)) for kind, hits in sorted(self.kinds.items())}

    def figures(self) -> dict[str, float]:
        """Recall and precision (0..1), median and 95th percentile error in px of 256."""
        errors = self.errors or [float("nan")]
        return {
            "frames": self.frames,
            "electrodes": self.truths,
            "recall": self.found / max(1, self.truths),
            "precision": self.found / max(1, self.answers),
            "median_error_px256": float(np.median(errors)),
            "p95_error_px256": float(np.percentile(errors, 95)),
        }


def _in_order(pairs: NDArray[np.intp], real: Catheter, limit: float) -> bool:
    """Whether true electrodes farther apart than ``limit`` px are found in their order."""
    order = pairs[np.argsort(pairs[:, 0]), 1]
    places = _places(real)[order]
    swapped = np.triu(order[:, None] > order[None, :], 1)
    return not bool((swapped & (cdist(places, places) > limit)).any())


def _behind(answer: Catheter, hidden: NDArray[np.floating] | None, limit: float) -> int:
    """How many electrodes of an answer, seen or bridged, lie where hidden ones are."""
    return 0 if hidden is None else len(match(_places(answer), hidden, limit)[0])


def answered_by(
    answers: Sequence[Catheter], reals: Sequence[Catheter], limit: float, before: Mapping[int, int]
) -> list[tuple[Catheter, Catheter, NDArray[np.intp]]]:
    """True catheters, each with the answer that found it and the ``(P, 2)`` pairs of that one's electrodes and its own.

    Each answer finds one catheter at most, of which it must have half of the electrodes within ``limit`` px: so that as many
    electrodes as possible are found in all, and where that leaves a choice by the same answer as ``before``, whose id
    that has by the true one's.
    """
    pairs = [[match(_places(answer), _places(real), limit)[0] for answer in answers] for real in reals]
    worth = np.zeros((len(reals), len(answers)))
    for n, real in enumerate(reals):
        for k, answer in enumerate(answers):
            if 2 * len(pairs[n][k]) >= len(real.electrodes):
                worth[n, k] = len(pairs[n][k]) + _SAME * (before.get(real.id) == answer.id)
    chosen = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return [(reals[n], answers[k], pairs[n][k]) for n, k in chosen if worth[n, k]]


def _places(catheter: Catheter) -> NDArray[np.float64]:
    return np.array([(e.x, e.y) for e in catheter.electrodes], float).reshape(-1, 2)


class Verdict(IntEnum):
    """What became of a true catheter in a frame: the first of these that holds."""

    LOST = 0
    PART = 1
    UNTYPED = 2
    MISTYPED = 3
    DISORDERED = 4
    RIGHT = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """A true catheter in a frame: its verdict, and whether its answer has another id than when it was last found."""

    verdict: Verdict
    switched: bool = False


@dataclass(slots=True)
class CatheterTally:
    """Catheters against the truth through sequences; the truth's ids last through each."""

    limit: float = 2.0
    frames: int = 0
    truths: int = 0
    found: int = 0
    whole: int = 0
    typed: int = 0
    mistyped: int = 0
    ordered: int = 0
    extra: int = 0
    bare: int = 0
    switches: int = 0
    _ids: dict[int, int] = field(default_factory=dict)

    def begin(self) -> None:
        """A new sequence: its ids have nothing to do with earlier ones."""
        self._ids.clear()

    def add(
        self,
        found: Iterable[Catheter],
        truth: Iterable[Catheter],
        side: int,
        hidden: Mapping[int, NDArray[np.floating]] | None = None,
    ) -> dict[int, Judgement]:
        """Count one frame whose longer side is ``side`` px. Only DETECTED catheters and true ones with electrodes count.

        Answers and true catheters are paired one to one, see ``answered_by``. Type and order
        are judged where it is seen whole: where nine tenths of its electrodes are in the answer, seen or bridged.
        The order is right if there are as many electrodes as in truth and all that lie farther apart than the limit, as
        those of a catheter seen end-on do not, come in the true order. An electrode at the place of one of the
        ``hidden``, by true id ``(M, 2)`` px of those that a shutter covers, is not one too many. Extra catheters are
        those of two electrodes or more that are no true one's, nor half of them hidden ones of one catheter; shafts
        without electrodes are counted on their own, whatever they are.

        Returns what became of each true catheter with electrodes, by its id.
        """
        limit = self.limit * side / REFERENCE_PX
        there = [c for c in found if c.status is CatheterStatus.DETECTED]
        answers = [c for c in there if c.electrodes]
        self.bare += len(there) - len(answers)
        self.frames += 1
        reals = [catheter for catheter in truth if catheter.electrodes]
        self.truths += len(reals)
        answered = answered_by(answers, reals, limit, self._ids)
        judged = {real.id: Judgement(Verdict.LOST) for real in reals}
        for real, answer, pairs in answered:
            behind = _behind(answer, (hidden or {}).get(real.id), limit)
            switched = self._ids.get(real.id, answer.id) != answer.id
            self._ids[real.id] = answer.id
            judged[real.id] = Judgement(self._count(real, answer, pairs, behind, limit), switched)
            self.switches += switched
        used = {answer.id for _, answer, _ in answered}
        rest = [c for c in answers if c.id not in used and len(c.electrodes) >= 2]
        covered = [] if hidden is None else list(hidden.values())
        self.extra += sum(all(2 * _behind(c, of, limit) < len(c.electrodes) for of in covered) for c in rest)
        return judged

    def _count(
        self, real: Catheter, answer: Catheter, pairs: NDArray[np.intp], behind: int, limit: float
    ) -> Verdict:
        """Count a catheter that was found; ``behind``: how many of the answer's electrodes are hidden ones."""
        self.found += 1
        if len(pairs) < 0.9 * len(real.electrodes):
            return Verdict.PART
        exact = len(answer.electrodes) - behind == len(real.electrodes)
        ordered = exact and _in_order(pairs, real, limit)
        self.whole += 1
        self.typed += answer.type == real.type
        self.mistyped += answer.type not in (None, real.type)
        self.ordered += ordered
        if answer.type != real.type:
            return Verdict.UNTYPED if answer.type is None else Verdict.MISTYPED
        return Verdict.RIGHT if ordered else Verdict.DISORDERED

    def figures(self) -> dict[str, float]:
        """Shares 0..1 of true catheters found and, of those seen whole, typed and ordered right; counts."""
        whole = max(1, self.whole)
        return {
            "catheters found": self.found / max(1, self.truths),
            "seen whole": self.whole / max(1, self.truths),
            "type right": self.typed / whole,
            "type wrong": self.mistyped / whole,
            "order right": self.ordered / whole,
            "identity switches": self.switches,
            "extra catheters a frame": self.extra / max(1, self.frames),
            "shafts without electrodes a frame": self.bare / max(1, self.frames),
        }
