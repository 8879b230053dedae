"""The type of a catheter by its electrode pattern. Observed lengths are image px, those of templates mm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cath_perception.likelihood import best_of_kinds, log_odds
from cath_perception.pattern import Pattern, patterns_of
from cath_perception.sifting import Patterns
from cath_perception.templates import Floats, Template, load_templates
from cath_perception.types import Catheter

_MISSING, _TIP_MISSING, _FALSE = 3.0, 0.5, 3.0
"""Costs, in natural logarithms of odds, of an electrode that was not seen, of its being the tip's, and of one that is
none."""
_TIP_SEEN = 2.5
"""What speaks besides against a tip's missing where the shaft is seen to end."""
_MOST_MISSING, _MOST_MISSING_OF_SOME, _FEW = 2, 3, 10
"""So many electrodes may be missing; of a pattern of few, or on a loop, which its shape tells besides, one more."""
_MANY = 8
"""Patterns of fewer electrodes are found anywhere."""
WORST = -4.0
"""The least that a score counts."""
SURE = 2.0
"""A score that needs no second thought."""
_NONE = np.empty(0)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a pattern looks like.

    Attributes:
        scores: ``(types,)`` logarithms of the odds of each type against some other pattern; -inf where it cannot be.
        places: ``(types, N)`` which electrode of its best template each one is, from the tip; -1 for one that is none.
        templates: ``(types,)`` the index of that template; -1 where there is none.
        margins: ``(types,)`` by how much its score is above those with other electrodes of that template.
    """

    scores: Floats
    places: NDArray[np.intp]
    templates: NDArray[np.intp]
    margins: Floats

    @property
    def best(self) -> float:
        """The score of the likeliest type, -4 at least."""
        return float(self.scores.max(initial=WORST))


@dataclass(frozen=True, slots=True)
class _Variants:
    """All templates as they look with so many electrodes seen: ``(K, m - 1)`` log gaps, ``(K, m)`` kept, ``(K,)`` others."""

    log_gaps: Floats
    kept: NDArray[np.intp]
    tip_excess: Floats
    penalty: Floats
    kind: NDArray[np.intp]
    template: NDArray[np.intp]
    circle: NDArray[np.bool_]
    log_diameter: Floats


class Recognizer:
    """Tells a catheter's type; the same answer for the same catheter, whatever came before.

    The gaps between its electrodes are compared with each template's, up to a scale that varies smoothly along
    the shaft, as foreshortening does; a few electrodes may be missing, one may be false. Those on a loop are compared by
    their angles on it. The tip's length beside the rings' decides between patterns alike.

    Attributes:
        templates: all patterns.
        types: their names, each once.
        many: the patterns of many electrodes on no loop, which are looked for among others.
    """

    def __init__(self, templates: tuple[Template, ...]) -> None:
        self.templates = templates
        self.many = Patterns.of([t for t in templates if len(t.centres) >= _MANY and not t.circle])
        self.types = tuple(dict.fromkeys(template.type for template in templates))
        self._variants: dict[int, _Variants | None] = {}

    @classmethod
    def load(cls, path: str | Path | None = None) -> Recognizer:
        """With the templates of a file (None: the package's). Raises TemplateError."""
        return cls(load_templates(path))

    def __call__(self, catheter: Catheter) -> Catheter:
        """The catheter with type and type_confidence filled in; None and the best guess's odds where in doubt."""
        kind, confidence = self.identify(catheter)
        return replace(catheter, type=kind, type_confidence=confidence)

    def identify(self, catheter: Catheter) -> tuple[str | None, float]:
        """Type and confidence 0..1; (None, 0) without electrodes or where nothing fits.

        Needs three electrodes in order from the tip, seen or bridged.
        """
        if len(catheter.electrodes) < 3 or not self.types:
            return None, 0.0
        readings = [self.read(pattern, allow_false=True).scores for pattern in patterns_of(catheter)]
        return self.verdict(np.max(readings, axis=0))

    def verdict(self, scores: Floats) -> tuple[str | None, float]:
        """The type of the best of ``(types,)`` log odds and its confidence; None and 0 below one half."""
        best = int(scores.argmax())
        top = max(float(scores[best]), 0.0)
        odds = np.exp(scores - top)
        confidence = float(odds[best] / (odds.sum() + math.exp(-top)))  # 0 is the score of 'something else'
        return (self.types[best], confidence) if confidence > 0.5 else (None, 0.0)

    def read(self, pattern: Pattern, allow_false: bool = False) -> Reading:
        """Compare a pattern of three electrodes or more with all templates.

        ``allow_false``: where nothing fits, try without each electrode in turn, which takes as many times longer.
        """
        reading = self._read(pattern)
        count = len(pattern.along)
        nothing = allow_false and count >= 4 and len(reading.scores) and reading.scores.max() < SURE
        if nothing and self._variants_of(count - 1) is not None:
            for left_out in range(count):
                other = self._read(pattern.without(left_out))
                better = other.scores - _FALSE > reading.scores
                if not better.any():
                    continue
                reading.scores[better] = other.scores[better] - _FALSE
                reading.templates[better] = other.templates[better]
                reading.margins[better] = other.margins[better]
                reading.places[better] = np.insert(other.places, left_out, -1, axis=1)[better]
        return reading

    def lacking(self, reading: Reading) -> bool:
        """Whether the template that a pattern looks most like has electrodes that it does not."""
        kind = int(reading.scores.argmax())
        seen = np.count_nonzero(reading.places[kind] >= 0)
        return bool(seen < len(self.templates[reading.templates[kind]].centres))

    def _read(self, pattern: Pattern) -> Reading:
        count = len(pattern.along)
        scores = np.full(len(self.types), -np.inf)
        places = np.full((len(self.types), count), -1)
        templates = np.full(len(self.types), -1)
        margins = np.zeros(len(self.types))
        variants = self._variants_of(count)
        if variants is not None:
            angles = _NONE if pattern.angles is None else np.ascontiguousarray(pattern.angles)
            along, lengths = np.ascontiguousarray(pattern.along), np.ascontiguousarray(pattern.lengths)
            expected = variants.log_gaps, variants.tip_excess, variants.log_diameter, variants.circle
            every = log_odds(along, lengths, angles, pattern.width, pattern.scale, *expected)
            every -= variants.penalty + pattern.cost
            if pattern.ends[0]:
                every -= _TIP_SEEN * (variants.kept[:, 0] > 0)
            best, margins = best_of_kinds(every, variants.kind, variants.template, len(self.types))
            there = np.flatnonzero(best >= 0)
            best = best[there]
            scores[there], places[there] = every[best], variants.kept[best]
            templates[there] = variants.template[best]
        return Reading(scores, places, templates, margins)

    def _variants_of(self, seen: int) -> _Variants | None:
        if seen not in self._variants:
            self._variants[seen] = _variants(self.templates, self.types, seen)
        return self._variants[seen]


def _variants(templates: tuple[Template, ...], types: tuple[str, ...], seen: int) -> _Variants | None:
    rows = []
    for number, template in enumerate(templates):
        missing = len(template.centres) - seen
        most = _MOST_MISSING_OF_SOME if len(template.centres) <= _FEW or template.circle else _MOST_MISSING
        if seen >= 3 and 0 <= missing <= min(most, seen - 3):
            for kept in combinations(range(len(template.centres)), seen):
                excess = template.lengths[kept[0]] - template.lengths[-1]
                gaps = np.log(np.diff(template.centres[list(kept)]))
                penalty = missing * _MISSING + (_TIP_MISSING if kept[0] else 0.0)
                rows.append(
                    (
                        gaps,
                        kept,
                        excess,
                        penalty,
                        types.index(template.type),
                        number,
                        template.circle,
                        math.log(template.diameter),
                    )
                )
    if not rows:
        return None
    return _Variants(*(np.array(column) for column in zip(*rows, strict=True)))
