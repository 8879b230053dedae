"""The type of a catheter by its electrode pattern. Observed lengths are image px, those of templates mm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from cath_perception.catheters import project
from cath_perception.errors import CathError
from cath_perception.types import Catheter

Floats = NDArray[np.float64]

_SHAFT_MM = 2.0
"""A shaft's usual diameter: its width in px gives a rough idea of px per mm."""
_FREE_SCALE = 1.5
_SCALE_SPREAD, _SCALE_REACH_MM = 0.4, 12.0
"""Foreshortening: the logarithm of px per mm is free as a whole, and wanders by so much over so many mm."""
_DESIGN_SPREAD, _POSITION_PX = 0.10, 0.8
"""What a gap's logarithm may be off for its maker's tolerances, and a position for the detector's."""
_ANY_SPREAD = 0.6
"""Spread of the logarithms of gaps in a pattern that no template describes."""
_MISSING, _FALSE = 1.5, 3.0
"""Costs, in natural logarithms of odds, of an electrode that was not seen, and of one that is none."""
_MOST_MISSING = 2
_ON_CIRCLE, _OFF_CIRCLE = 3.0, -8.0
_FEWEST_ON_CIRCLE = 6
_SURE = 2.0
_LARGEST_FILE = 1 << 20


class TemplateError(CathError):
    """A templates file that is missing or not as described in ``templates.yaml``."""


@dataclass(frozen=True, slots=True)
class Template:
    """One pattern: ``centres`` ``(N,)`` and ``lengths`` ``(N,)`` of its electrodes along the shaft in mm."""

    type: str
    centres: Floats
    lengths: Floats
    circle: bool = False


@dataclass(frozen=True, slots=True)
class _Variants:
    """All templates as they look with so many electrodes seen: ``(K, m - 1)`` log gaps, ``(K,)`` others."""

    log_gaps: Floats
    tip_excess: Floats
    penalty: Floats
    kind: NDArray[np.intp]
    circle: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What is seen of a catheter: places along its shaft and positions, length of the tip beyond that of the rings."""

    along: Floats
    positions: Floats
    tip_excess: float
    px_per_mm: float


def default_templates() -> Path:
    """The templates that come with the package."""
    return Path(__file__).parent / "templates.yaml"


def load_templates(path: str | Path | None = None) -> tuple[Template, ...]:
    """Templates of a YAML file (None: those of the package). Raises TemplateError with the reason."""
    path = default_templates() if path is None else Path(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise TemplateError(f"{path}: expected at most {_LARGEST_FILE} bytes of templates")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TemplateError(f"{path}: templates cannot be read: {error}") from error
    if (
        not isinstance(data, dict)
        or data.get("schema_version") != 1
        or not isinstance(data.get("templates"), list)
    ):
        raise TemplateError(f"{path}: expected 'schema_version: 1' and a list 'templates'")
    return tuple(_template(entry, f"{path}, template {i + 1}") for i, entry in enumerate(data["templates"]))


def _template(entry: Any, where: str) -> Template:
    needed = {"type", "electrodes", "gaps_mm", "tip_mm", "ring_mm"}
    if not isinstance(entry, dict) or not needed <= set(entry) <= needed | {"circle"}:
        raise TemplateError(f"{where}: expected {', '.join(sorted(needed))} and, if need be, circle")
    count, gaps = entry["electrodes"], entry["gaps_mm"]
    if not isinstance(count, int) or not 2 <= count <= 64:
        raise TemplateError(f"{where}: electrodes: expected 2 to 64, got {count!r}")
    lengths_mm = [entry["tip_mm"], entry["ring_mm"], *(gaps if isinstance(gaps, list) and gaps else [None])]
    if not all(isinstance(value, (int, float)) and 0 < value <= 100 for value in lengths_mm):
        raise TemplateError(f"{where}: gaps_mm (a list), tip_mm, ring_mm: expected mm in (0, 100]")
    if not isinstance(entry["type"], str) or not entry["type"]:
        raise TemplateError(f"{where}: type: expected a name, got {entry['type']!r}")
    lengths = np.array([entry["tip_mm"]] + [entry["ring_mm"]] * (count - 1), dtype=np.float64)
    between = np.array([gaps[i % len(gaps)] for i in range(count - 1)], dtype=np.float64)
    centres = np.concatenate(([0.0], np.cumsum(between + (lengths[:-1] + lengths[1:]) / 2.0)))
    return Template(entry["type"], centres, lengths, bool(entry.get("circle", False)))


class Recognizer:
    """Tells a catheter's type; the same answer for the same catheter, whatever came before.

    The gaps between its electrodes are compared with each template's, up to a scale that varies smoothly along
    the shaft, as foreshortening does; a few electrodes may be missing, one may be false. The tip's length beside the rings'
    and whether the electrodes lie on an ellipse decide between patterns alike.
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

    def identify(self, catheter: Catheter, allow_false: bool = True) -> tuple[str | None, float]:
        """Type and confidence 0..1; (None, 0) without electrodes or where nothing fits.

        Needs three electrodes in order from the tip, seen or bridged. ``allow_false``: where nothing fits, try
        without each electrode in turn, which takes as many times longer.
        """
        if len(catheter.electrodes) < 3 or not self.types:
            return None, 0.0
        pattern = _pattern(catheter)
        scores = self._scores(pattern)
        if allow_false and scores.max() < _SURE:
            for left_out in range(len(pattern.along)):
                reduced = _without(pattern, left_out)
                if reduced is not None:
                    scores = np.maximum(scores, self._scores(reduced) - _FALSE)
        best = int(scores.argmax())
        top = max(float(scores[best]), 0.0)
        odds = np.exp(scores - top)
        confidence = float(odds[best] / (odds.sum() + math.exp(-top)))  # 0 is the score of 'something else'
        return (self.types[best], confidence) if confidence > 0.5 else (None, 0.0)

    def _scores(self, pattern: _Pattern) -> Floats:
        """``(types,)`` logarithms of the odds of each type against an unknown pattern; -inf where it cannot be."""
        scores = np.full(len(self.types), -np.inf)
        variants = self._variants_of(len(pattern.along))
        if variants is None:
            return scores
        log_gaps = np.log(np.maximum(np.diff(pattern.along), 0.5))
        apart = log_gaps - variants.log_gaps
        fit = _log_density(apart, pattern, smooth=True) - _log_density(log_gaps[None], pattern, smooth=False)
        scale = np.exp(apart[:, :2].mean(axis=1))
        tip = _tip_density(pattern.tip_excess, variants.tip_excess * scale)
        circle = _on_circle(pattern.positions)
        shape = np.where(
            variants.circle, _ON_CIRCLE if circle else _OFF_CIRCLE, -_ON_CIRCLE if circle else 0.0
        )
        np.maximum.at(scores, variants.kind, fit + tip + shape - variants.penalty)
        return scores

    def _variants_of(self, seen: int) -> _Variants | None:
        if seen not in self._variants:
            self._variants[seen] = _variants(self.templates, self.types, seen)
        return self._variants[seen]


def _variants(templates: tuple[Template, ...], types: tuple[str, ...], seen: int) -> _Variants | None:
    rows = []
    for template in templates:
        missing = len(template.centres) - seen
        if seen >= 3 and 0 <= missing <= min(_MOST_MISSING, seen - 3):
            for kept in combinations(range(len(template.centres)), seen):
                excess = template.lengths[kept[0]] - template.lengths[-1]
                gaps = np.log(np.diff(template.centres[list(kept)]))
                rows.append((gaps, excess, missing * _MISSING, types.index(template.type), template.circle))
    if not rows:
        return None
    log_gaps, excess, penalty, kind, circle = zip(*rows, strict=True)
    return _Variants(
        np.array(log_gaps), np.array(excess), np.array(penalty), np.array(kind), np.array(circle)
    )


def _pattern(catheter: Catheter) -> _Pattern:
    positions = np.array([(e.x, e.y) for e in catheter.electrodes], dtype=np.float64)
    boxes = np.array([e.width + e.height for e in catheter.electrodes], dtype=np.float64)
    chords = np.diff(positions, axis=0)
    along = np.concatenate(([0.0], np.cumsum(np.hypot(chords[:, 0], chords[:, 1]))))
    width = float(np.median(boxes)) / 2.0
    if catheter.centerline is not None:
        width = max(catheter.centerline.width, 1.0)
        onto = project(positions, catheter.centerline.points.astype(np.float64))
        if (np.diff(onto.along) > 0).all() and onto.distance.max() <= 1.5 * width:
            along = onto.along
    direction = np.abs(np.gradient(positions, axis=0))
    # a box of a bar (a, b) at an angle measures |c| a + |s| b by |s| a + |c| b
    lengths = boxes * np.hypot(direction[:, 0], direction[:, 1]) / np.maximum(direction.sum(axis=1), 1e-6)
    return _Pattern(along, positions, float(lengths[0] - np.median(lengths[1:])), width / _SHAFT_MM)


def _without(pattern: _Pattern, index: int) -> _Pattern | None:
    """The pattern with one electrode left out; None if too few are left."""
    if len(pattern.along) < 4:
        return None
    excess = pattern.tip_excess if index else 0.0
    return replace(
        pattern,
        along=np.delete(pattern.along, index),
        positions=np.delete(pattern.positions, index, axis=0),
        tip_excess=excess,
    )


def _log_density(values: Floats, pattern: _Pattern, smooth: bool) -> Floats:
    """Log density of each row of log gaps ``(K, m - 1)`` but for a constant: smooth in place, or of any pattern."""
    values = values - values.mean(axis=1, keepdims=True)
    gaps = np.maximum(np.diff(pattern.along), 0.5)
    middle = (pattern.along[:-1] + pattern.along[1:]) / 2.0 / pattern.px_per_mm
    covariance = np.full((len(gaps), len(gaps)), _FREE_SCALE**2)
    noise = _DESIGN_SPREAD**2 + (_POSITION_PX / gaps) ** 2
    if smooth:
        far = (middle[:, None] - middle[None, :]) / _SCALE_REACH_MM
        covariance += _SCALE_SPREAD**2 * np.exp(-0.5 * far**2)
    else:
        noise = noise + _ANY_SPREAD**2
    factor = cho_factor(covariance + np.diag(noise), lower=True)
    weighed = cho_solve(factor, values.T).T
    return np.asarray(-0.5 * (values * weighed).sum(axis=1) - np.log(np.diag(factor[0])).sum())


def _tip_density(seen: float, expected: Floats) -> Floats:
    """Log odds of the tip electrode being so much longer than the rings (px), against any length."""
    spread = np.hypot(1.5, 0.25 * np.maximum(expected, 0.0))
    known = -0.5 * np.square((seen - expected) / spread) - np.log(spread)
    anything = -0.5 * (seen / 12.0) ** 2 - math.log(12.0)
    return np.maximum(known - anything, -8.0)


def _on_circle(positions: Floats) -> bool:
    """Whether the electrodes turn one way round, come back near their beginning, and lie on an ellipse."""
    if len(positions) < _FEWEST_ON_CIRCLE:
        return False
    chords = np.diff(positions, axis=0)
    heading = np.unwrap(np.arctan2(chords[:, 1], chords[:, 0]))
    path = np.hypot(chords[:, 0], chords[:, 1]).sum()
    ends = float(np.hypot(*(positions[-1] - positions[0])))
    if abs(heading[-1] - heading[0]) < math.radians(160.0) or ends > 0.5 * path:
        return False
    centre, (first, second), angle = cv2.fitEllipse(positions.astype(np.float32)[:, None])
    if not (math.isfinite(first) and math.isfinite(second) and min(first, second) > 1e-3):
        return False
    turn = math.radians(angle)
    away = (positions - np.array(centre)) @ np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    radius = np.hypot(away[:, 0], away[:, 1])
    off = radius - radius / np.maximum(np.hypot(2 * away[:, 0] / first, 2 * away[:, 1] / second), 1e-6)
    return bool(np.sqrt(np.square(off).mean()) < 0.12 * max(first, second) / 2.0)
