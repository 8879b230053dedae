"""The type of a catheter by its electrode pattern. Observed lengths are image px, those of templates mm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cath_perception.pattern import Pattern, patterns_of
from cath_perception.templates import Floats, Template, load_templates
from cath_perception.types import Catheter

_SHAFT_MM = 2.0
_STRETCHED, _STRETCH_SPREAD, _MOST_STRETCHED = 0.2, 0.15, 12.0
_SHORTENED, _SHORT_SPREAD = -0.9, 0.3
"""The logarithm of px per mm along the shaft beside that across it, the width: nowhere much above 0, and on the average not
far below."""
_FREE_SCALE = 1.5
_SCALE_SPREAD, _SCALE_REACH_MM = 0.5, 12.0
"""Foreshortening: the logarithm of px per mm is free as a whole, and wanders by so much over so many mm."""
_DESIGN_SPREAD, _RING_SPREAD, _POSITION_PX = 0.10, 0.16, 0.8
"""What a gap's logarithm may be off for its maker's tolerances (round a loop: for its shape), and a position for the
detector's."""
_TIP_PX, _TIP_SPREAD_MM, _TIP_SPREAD, _MOST_SLANT = 1.5, 0.4, 0.25, 0.25
"""How much longer a tip electrode is than the rings: what that may be off in px, in mm, and as a part of it."""
_ANY_SPREAD = 0.6
"""Spread of the logarithms of gaps in a pattern that no template describes."""
_MISSING, _TIP_MISSING, _FALSE = 3.0, 0.5, 3.0
"""Costs, in natural logarithms of odds, of an electrode that was not seen, of its being the tip's, and of one that is
none."""
_MOST_MISSING, _MOST_MISSING_OF_FEW, _FEW = 2, 3, 10
_ON_RING, _LEAST_ANGLE = 3.0, 0.02
_WORST = -99.0
SURE = 2.0
"""A score that needs no second thought."""


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
    diameter: Floats


class Recognizer:
    """Tells a catheter's type; the same answer for the same catheter, whatever came before.

    The gaps between its electrodes are compared with each template's, up to a scale that varies smoothly along
    the shaft, as foreshortening does; a few electrodes may be missing, one may be false. Those on a loop are compared by
    their angles on it. The tip's length beside the rings' decides between patterns alike.

    Attributes:
        templates: all patterns.
        types: their names, each once.
    """

    def __init__(self, templates: tuple[Template, ...]) -> None:
        self.templates = templates
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
        if allow_false and count >= 4 and len(reading.scores) and reading.scores.max() < SURE:
            for left_out in range(count):
                other = self._read(pattern.without(left_out))
                better = other.scores - _FALSE > reading.scores
                reading.scores[better] = other.scores[better] - _FALSE
                reading.templates[better] = other.templates[better]
                reading.margins[better] = other.margins[better]
                reading.places[better] = np.insert(other.places, left_out, -1, axis=1)[better]
        return reading

    def _read(self, pattern: Pattern) -> Reading:
        count = len(pattern.along)
        scores = np.full(len(self.types), -np.inf)
        places = np.full((len(self.types), count), -1)
        templates = np.full(len(self.types), -1)
        margins = np.zeros(len(self.types))
        variants = self._variants_of(count)
        if variants is not None:
            every = self._compared(pattern, variants)
            for best in _best_of_each(variants.kind, every):
                kind = variants.kind[best]
                others = np.where(variants.template == variants.template[best], every, -np.inf)
                others[best] = -np.inf
                margins[kind] = every[best] - max(float(others.max()), _WORST)
                scores[kind], places[kind], templates[kind] = (
                    every[best],
                    variants.kept[best],
                    variants.template[best],
                )
        return Reading(scores, places, templates, margins)

    def _compared(self, pattern: Pattern, variants: _Variants) -> Floats:
        """``(K,)`` log odds of each variant."""
        gaps = np.maximum(np.diff(pattern.along), 0.5)
        middle = (pattern.along[:-1] + pattern.along[1:]) / 2.0 * (_SHAFT_MM / pattern.width)
        off = (_POSITION_PX / gaps) ** 2
        apart = np.log(gaps) - variants.log_gaps
        fit = _smooth_density(apart, middle, off + _DESIGN_SPREAD**2) - _any_density(np.log(gaps), off)
        excess = float(pattern.lengths[0] - np.sort(pattern.lengths[1:])[(len(gaps) - 1) // 2])
        stretch = apart - np.log(pattern.width / variants.diameter)[:, None]
        fit -= _too_long(stretch, off)
        scores = fit + _tip_density(
            excess,
            variants.tip_excess,
            np.exp(apart[:, :2].mean(axis=1)),
            pattern.lengths[0] * min(_POSITION_PX / gaps[0], _MOST_SLANT),
        )
        if pattern.angles is None:
            scores[variants.circle] = -np.inf
        elif variants.circle.any():
            round_it = np.log(np.maximum(np.diff(pattern.angles), _LEAST_ANGLE))
            apart = round_it - variants.log_gaps[variants.circle]
            ring = _smooth_density(apart, middle, off + _RING_SPREAD**2) - _any_density(round_it, off)
            scores -= _ON_RING
            scores[variants.circle] = ring + _ON_RING
        return scores - variants.penalty - pattern.cost

    def _variants_of(self, seen: int) -> _Variants | None:
        if seen not in self._variants:
            self._variants[seen] = _variants(self.templates, self.types, seen)
        return self._variants[seen]


def _variants(templates: tuple[Template, ...], types: tuple[str, ...], seen: int) -> _Variants | None:
    rows = []
    for number, template in enumerate(templates):
        missing = len(template.centres) - seen
        most = _MOST_MISSING_OF_FEW if len(template.centres) <= _FEW else _MOST_MISSING
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
                        template.diameter,
                    )
                )
    if not rows:
        return None
    return _Variants(*(np.array(column) for column in zip(*rows, strict=True)))


def _best_of_each(kind: NDArray[np.intp], scores: Floats) -> list[int]:
    """The index of the best score of each kind that is there."""
    order = scores.argsort()
    best = dict(zip(kind[order].tolist(), order.tolist(), strict=True))  # the last of a kind stays
    return list(best.values())


def _smooth_density(values: Floats, middle: Floats, noise: Floats) -> Floats:
    """Log density but for a constant of each row of log scales ``(K, n)``, smooth along the shaft (``middle`` in mm)."""
    far = np.abs(middle[:, None] - middle[None, :]) * (math.sqrt(3.0) / _SCALE_REACH_MM)
    covariance = _FREE_SCALE**2 + _SCALE_SPREAD**2 * ((1.0 + far) * np.exp(-far))  # Matern, 3/2
    covariance.flat[:: len(middle) + 1] += noise
    values = values - values.mean(axis=1, keepdims=True)
    _, log_determinant = np.linalg.slogdet(covariance)
    quadratic = ((values @ np.linalg.inv(covariance)) * values).sum(axis=1)
    return np.asarray(-0.5 * (quadratic + log_determinant))


def _any_density(values: Floats, noise: Floats) -> float:
    """The same of one row ``(n,)`` of log gaps of any pattern."""
    values = values - values.mean()
    weight = 1.0 / (noise + _DESIGN_SPREAD**2 + _ANY_SPREAD**2)
    total, common = float(weight.sum()), float(weight @ values)
    free = 1.0 + _FREE_SCALE**2 * total
    quadratic = float(weight @ (values * values)) - _FREE_SCALE**2 * common * common / free
    return -0.5 * (quadratic + math.log(free) - float(np.log(weight).sum()))


def _too_long(stretch: Floats, noise: Floats) -> Floats:
    """``(K,)`` what speaks against gaps that look longer than no foreshortening allows, or far shorter on the average."""
    longer = np.square(np.maximum(stretch - _STRETCHED, 0.0)) / (2.0 * (_STRETCH_SPREAD**2 + noise))
    shorter = np.minimum(stretch.mean(axis=1) - _SHORTENED, 0.0) / _SHORT_SPREAD
    return np.minimum(longer.sum(axis=1), _MOST_STRETCHED) + 0.5 * shorter * shorter


def _tip_density(seen: float, expected_mm: Floats, scale: Floats, slant: float) -> Floats:
    """Log odds of the tip electrode being so much longer (px) than the rings, at so many px per mm, against any length.

    ``slant``: what not knowing the shaft's direction may make of it, px.
    """
    expected = expected_mm * scale
    spread = np.sqrt(
        _TIP_PX**2 + slant * slant + np.square(_TIP_SPREAD_MM * scale) + np.square(_TIP_SPREAD * expected)
    )
    known = -0.5 * np.square((seen - expected) / spread) - np.log(spread)
    anything = -0.5 * (seen / 12.0) ** 2 - math.log(12.0)
    return np.maximum(known - anything, -8.0)
