"""Answers against truth, frame by frame: which electrodes were found, missed or invented, and how far off."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from cath_perception.types import Catheter, CatheterStatus

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
    places = np.array([(e.x, e.y) for e in real.electrodes])[order]
    swapped = np.triu(order[:, None] > order[None, :], 1)
    return not bool((swapped & (cdist(places, places) > limit)).any())


def _behind(answer: Catheter, hidden: NDArray[np.floating] | None, limit: float) -> int:
    """How many electrodes of an answer, seen or bridged, lie where hidden ones are."""
    places = np.array([(e.x, e.y) for e in answer.electrodes]).reshape(-1, 2)
    return 0 if hidden is None else len(match(places, hidden, limit)[0])


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
    ) -> None:
        """Count one frame whose longer side is ``side`` px. Only DETECTED catheters and true ones with electrodes count.

        A true catheter is found by the answer that has most of its electrodes, half of them at least. Type and order
        are judged where it is seen whole: where nine tenths of its electrodes are in the answer, seen or bridged.
        The order is right if there are as many electrodes as in truth and all that lie farther apart than the limit, as
        those of a catheter seen end-on do not, come in the true order. An electrode at the place of one of the
        ``hidden``, by true id ``(M, 2)`` px of those that a shutter covers, is not one too many. Extra catheters are
        those of two electrodes or more that are no true one's; shafts without electrodes are counted on their own,
        whatever they are.
        """
        limit = self.limit * side / REFERENCE_PX
        there = [c for c in found if c.status is CatheterStatus.DETECTED]
        answers = [c for c in there if c.electrodes]
        self.bare += len(there) - len(answers)
        self.frames += 1
        used = set()
        for real in (catheter for catheter in truth if catheter.electrodes):
            self.truths += 1
            best, pairs = self._best(answers, real, limit)
            if best is None:
                continue
            self.found += 1
            used.add(best.id)
            self.switches += self._ids.get(real.id, best.id) != best.id
            self._ids[real.id] = best.id
            if len(pairs) >= 0.9 * len(real.electrodes):
                self.whole += 1
                self.typed += best.type == real.type
                self.mistyped += best.type not in (None, real.type)
                behind = _behind(best, (hidden or {}).get(real.id), limit)
                exact = len(best.electrodes) - behind == len(real.electrodes)
                self.ordered += exact and _in_order(pairs, real, limit)
        self.extra += len([c for c in answers if c.id not in used and len(c.electrodes) >= 2])

    @staticmethod
    def _best(
        answers: list[Catheter], real: Catheter, limit: float
    ) -> tuple[Catheter | None, NDArray[np.intp]]:
        places = np.array([(e.x, e.y) for e in real.electrodes])
        best, most = None, np.empty((0, 2), np.intp)
        for answer in answers:
            pairs, _ = match(np.array([(e.x, e.y) for e in answer.electrodes]), places, limit)
            if len(pairs) > len(most) and 2 * len(pairs) >= len(places):
                best, most = answer, pairs
        return best, most

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
