"""Evidence of a catheter's type from all looks at it so far, in natural logarithms of odds against some other pattern."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cath_perception.recognition import WORST, Reading, Recognizer

_MEMORY = 20.0
"""The looks that count."""
BEST = 8.0
"""The most that one look at a track counts; ``WORST`` is the least."""
_STAYS = 1.5
"""A type is changed only for one that is so much likelier."""
_KNOWN = 1.0
"""What speaks for some template before looking: most catheters are catalogued ones."""
_SETTLED, SETTLED_LOOKS = 0.8, 5.0
"""Confidence and looks from which on the type says how many electrodes there are ..."""
_ENOUGH = 12.0
"""... or, in place of so many looks, the sum of what fewer say: two at ten electrodes, three at four."""


class Evidence:
    """What looks at a catheter say together.

    Attributes:
        kind: the index of its type among the recognizer's; None where it is not known.
        type: the type and its confidence 0.5..1; None and 0 where it is not known or another is as likely.
        weight: how many looks at the electrodes that it has now this is worth.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._scores = np.zeros(len(recognizer.types))
        self._fits = 0.0
        self.kind: int | None = None
        self.type: tuple[str | None, float] = (None, 0.0)
        self.weight = 0.0

    @property
    def worth(self) -> float:
        """What speaks for its being of its type, natural logarithm of odds; 0 where that is not known."""
        return 0.0 if self.kind is None else max(float(self._scores[self.kind]), 0.0)

    @property
    def settled(self) -> bool:
        """Whether it is known how many electrodes there are and where, be it of which type."""
        enough = self.weight >= SETTLED_LOOKS or self.weight * self.worth >= _ENOUGH
        return self._fits > _SETTLED and enough

    def glance(self, patterns: NDArray[np.float64]) -> None:
        """Tell the type from the scores ``(N, types)`` of one frame's patterns alone, without keeping them."""
        self.type = self._recognizer.verdict(np.max(patterns, axis=0) + _KNOWN)

    def lessen(self, weight: float) -> None:
        """Let what was read count no more than so many looks."""
        self.weight = min(self.weight, weight)

    def note(self, reading: Reading) -> bool:
        """Take in a look; whether it is another type now, or none."""
        self.weight = min(self.weight + 1.0, _MEMORY)
        told = reading.scores + _KNOWN
        told = told - max(float(told.max()) - BEST, 0.0)  # as far apart as before
        self._scores += (np.maximum(told, WORST) - self._scores) / self.weight
        best = int(self._scores.argmax())
        changed = self.kind is None or max(float(self._scores[best]), 0.0) > self._scores[self.kind] + _STAYS
        if changed:
            self.kind = best if self._scores[best] > 0.0 else None
        self.type, self._fits = (None, 0.0), 0.0
        if self.kind is not None:
            odds = np.exp(np.append(self._scores, 0.0) - max(float(self._scores.max()), 0.0))
            odds /= odds.sum()
            confidence = float(odds[self.kind])
            self._fits = float(odds[:-1][self._alike(reading, self.kind)].sum())
            if confidence > 0.5:
                self.type = self._recognizer.types[self.kind], confidence
        return changed

    def _alike(self, reading: Reading, kind: int) -> NDArray[np.bool_]:
        """``(types,)`` those that have the same electrodes in the same places as what it is thought to be."""
        counts = np.array([len(t.centres) for t in self._recognizer.templates])[reading.templates]
        same = (reading.places == reading.places[kind]).all(axis=1) & (counts == counts[kind])
        same &= reading.templates >= 0
        same[kind] = True
        return same
