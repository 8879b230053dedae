"""How a reference catheter (the stationary coronary sinus catheter) moved since a reference frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cath_perception.alignment import Floats, consensus, deviations, rigid, rotation
from cath_perception.counting import MATURE
from cath_perception.separation import RespiratoryCardiacFilter
from cath_perception.tracking import CatheterTracker
from cath_perception.types import Catheter, CatheterStatus

_FEWEST = 3
_GOOD_RESIDUAL_PX, _OFF_PX = 3.0, 6.0
"""Residual at which the quality is 0.6, and how far an electrode may be off before it is thought to be another's."""
_LEAST_QUALITY = 0.5
"""Below it there is no answer: half of the catheter, or a track that another catheter's electrodes have pulled away, can
be wrong by tens of px."""
_SURE, _PATIENCE_S = 0.95, 1.0
"""Confidence in the type from which on a catheter may be the reference, and how long the reference must have been without
an answer before another takes its place."""
_WHOLE, _LONG, _MOST = 2 * MATURE, 4 * MATURE, 0.8
"""Frames for which a catheter must have been known to become the reference: if all of its electrodes are seen in the newest,
and if only this part of them is."""
_OF_TYPE = 0.6
"""Of its type's electrodes it must show this part: a few look alike wherever they are counted from."""
_MOST_TURN = 1.0
"""A catheter known again cannot have turned by more than this, rad: the heart does not turn round."""

Places = Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Motion:
    """Displacement of the reference catheter; only meaningful where ``valid``.

    Attributes:
        valid: False where there is no reference, or its catheter is not seen in this frame well enough.
        reference_time_s: time of the reference frame; NaN without one.
        translation: ``(2,)`` x, y in px, of the centre of the catheter's electrodes.
        rotation: rad about that centre, from the x axis towards the y axis.
        centre: ``(2,)`` x, y in px of that centre in the reference frame.
        respiratory, cardiac: ``(2,)`` parts of the translation in px.
        residual: root mean square distance of the electrodes in px after the motion is undone.
        quality: 0.5 to 1, from the share of electrodes seen and the residual; what would be less is not valid.
    """

    valid: bool
    reference_time_s: float
    translation: Floats
    rotation: float
    centre: Floats
    respiratory: Floats
    cardiac: Floats
    residual: float
    quality: float


@dataclass(frozen=True, slots=True)
class _Reference:
    """``places`` in the reference frame and ``numbers`` on the catheter, from the tip, of the electrodes by their keys."""

    identity: int
    time_s: float
    places: Places
    numbers: Mapping[int, int]
    scene: int


class MotionEstimator:
    """Follows one catheter against a reference frame.

    The first frame in which a catheter of ``reference_type`` is well known becomes the reference, until
    ``set_reference`` chooses another. A new scene drops it. Where it gives no answer for a second and a catheter of the
    type is well known (another track of it, or itself, if it was not what it seemed), that one goes on: against the same
    reference frame if its electrodes fit what was seen there, else from a new one. The parts are told apart from past
    frames only.
    """

    def __init__(self, reference_type: str = "coronary_sinus") -> None:
        self.reference_type = reference_type
        self._filter = RespiratoryCardiacFilter()
        self.reset()

    def reset(self) -> None:
        """Forget the reference."""
        self._reference: _Reference | None = None
        self._seen: tuple[int, float, Places] | None = None
        self._candidate, self._frames, self._answered = -1, 0, -math.inf
        self._filter.reset()

    def set_reference(self) -> float | None:
        """Make the newest frame the reference; its time in s, or None if the catheter is not seen in it."""
        if self._seen is None or self._reference is None:
            return None
        identity, time_s, places = self._seen
        self._reference = replace(self._reference, identity=identity, time_s=time_s, places=places)
        self._filter.reset()
        return time_s

    def update(self, tracker: CatheterTracker, catheters: tuple[Catheter, ...], time_s: float) -> Motion:
        """The motion in the frame that the tracker has just been given."""
        if self._reference is not None and self._reference.scene != tracker.scene:
            self.reset()
        motion = self._answer(tracker, catheters, time_s)
        if motion.valid:
            self._answered, self._frames = time_s, 0
        elif self._chosen(tracker, catheters, time_s):
            motion = self._answer(tracker, catheters, time_s)
        return motion

    def _answer(self, tracker: CatheterTracker, catheters: tuple[Catheter, ...], time_s: float) -> Motion:
        self._seen, reference = None, self._reference
        if reference is None or not any(self._may_be(reference, catheter) for catheter in catheters):
            return self._nothing()
        places = tracker.landmarks(reference.identity)
        if len(places) < _FEWEST or tracker.slipped(reference.identity):
            return self._nothing()
        reference = self._reference = _renumbered(reference, places, tracker.numbers(reference.identity))
        self._seen = (reference.identity, time_s, places)
        return self._measured(reference, places, time_s)

    def _may_be(self, reference: _Reference, catheter: Catheter) -> bool:
        """Whether that is the reference catheter, is seen, and has not turned out to be of another type."""
        kind = catheter.type in (None, self.reference_type)
        return catheter.id == reference.identity and kind and _seen(catheter)

    def _chosen(self, tracker: CatheterTracker, catheters: tuple[Catheter, ...], time_s: float) -> bool:
        """Whether a catheter is known so well that it is the reference from this frame on."""
        fitting = [c for c in catheters if _seen(c) and c.type == self.reference_type]
        best = max(fitting, key=lambda c: (c.type_confidence, -c.id), default=None)
        if best is None or best.type_confidence < _SURE:
            return False
        self._frames = self._frames + 1 if best.id == self._candidate else 1
        self._candidate = best.id
        places, numbers = tracker.landmarks(best.id), tracker.numbers(best.id)
        least = _WHOLE if len(places) >= len(best.electrodes) else _LONG
        enough = max(_MOST * len(best.electrodes), _OF_TYPE * tracker.complete(best.id), _FEWEST)
        waiting = self._reference is not None and time_s - self._answered < _PATIENCE_S
        if waiting or len(places) < enough or self._frames < least:
            return False
        again = None if self._reference is None else _known_again(self._reference, best.id, places, numbers)
        if again is None:
            self._filter.reset()
            again = _Reference(best.id, time_s, places, numbers, tracker.scene)
        self._reference = again
        return True

    def _nothing(self) -> Motion:
        nothing = np.zeros(2)
        since = math.nan if self._reference is None else self._reference.time_s
        return Motion(False, since, nothing, 0.0, nothing, nothing, nothing, 0.0, 0.0)

    def _measured(self, reference: _Reference, places: Places, time_s: float) -> Motion:
        fit = _fitted(reference.places, places)
        if fit is None or fit.quality < _LEAST_QUALITY:
            return self._nothing()
        centre = np.array(list(reference.places.values())).mean(axis=0)
        translation = rotation(fit.angle) @ centre + fit.shift - centre
        parts = self._filter.update(translation, time_s)
        return Motion(
            True, reference.time_s, translation, fit.angle, centre, *parts, fit.residual, fit.quality
        )


def _seen(catheter: Catheter) -> bool:
    return catheter.status is CatheterStatus.DETECTED


@dataclass(frozen=True, slots=True)
class _Fit:
    """A rigid motion of electrodes: see ``rigid`` and ``Motion``."""

    angle: float
    shift: Floats
    residual: float
    quality: float


def _fitted(before: Places, now: Places) -> _Fit | None:
    """The rigid motion of the electrodes seen in both frames, without those that most others show to be wrong."""
    common = sorted(before.keys() & now.keys())
    if len(common) < _FEWEST:
        return None
    first, second = np.array([before[key] for key in common]), np.array([now[key] for key in common])
    kept = consensus(first, second, _OFF_PX)
    if kept.sum() < _FEWEST:
        return None
    first, second = first[kept], second[kept]
    angle, shift = rigid(first, second)
    off = deviations(first, second)
    residual = math.sqrt(float(off @ off) / len(off))
    share = (2 * len(first) - len(common)) / len(before)  # one that is wrong speaks against one that fits
    return _Fit(angle, shift, residual, share * math.exp(-0.5 * (residual / _GOOD_RESIDUAL_PX) ** 2))


def _renumbered(reference: _Reference, places: Places, numbers: Mapping[int, int]) -> _Reference:
    """The reference with the numbers its catheter has now, if these fit better: it may have slipped by an electrode."""
    if not reference.numbers:
        return replace(reference, numbers=numbers)
    if all(reference.numbers.get(key, n) == n for key, n in numbers.items()):
        return reference
    again = _known_again(reference, reference.identity, places, numbers)
    if again is None:
        return reference
    fit, before = _fitted(again.places, places), _fitted(reference.places, places)
    return again if fit is not None and (before is None or fit.quality > before.quality) else reference


def _known_again(
    reference: _Reference, identity: int, places: Places, numbers: Mapping[int, int]
) -> _Reference | None:
    """The reference with the keys of another track of the same catheter; None where its electrodes do not fit, or are too
    few of the reference's.

    The pattern may look alike from both ends, so both are tried.
    """
    old = {number: key for key, number in reference.numbers.items() if key in reference.places}
    if not old:
        return None
    fits = []
    last = max((*reference.numbers.values(), *numbers.values()), default=0)
    for backwards in (False, True):
        turned = {key: last - n if backwards else n for key, n in numbers.items()}
        before = {key: reference.places[old[n]] for key, n in turned.items() if n in old}
        fit = _fitted(before, places)
        share = len(before) / len(reference.places)
        if fit is not None and share * fit.quality >= _LEAST_QUALITY and abs(fit.angle) < _MOST_TURN:
            fits.append(
                (fit.quality, _Reference(identity, reference.time_s, before, turned, reference.scene))
            )
    return max(fits, key=lambda pair: pair[0])[1] if fits else None
