"""How a reference catheter (the stationary coronary sinus catheter) moved since a reference frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cath_perception.alignment import Floats, rotation
from cath_perception.counting import MATURE
from cath_perception.reference import (
    FEWEST,
    LEAST_QUALITY,
    Places,
    Reference,
    fitted,
    known_again,
    learnt,
    renumbered,
)
from cath_perception.separation import RespiratoryCardiacFilter
from cath_perception.tracking import CatheterTracker
from cath_perception.types import Catheter, CatheterStatus

_SURE, _PATIENCE_S = 0.95, 1.0
"""Confidence in the type from which on a catheter may be the reference, and how long the reference must have been without
an answer before another takes its place."""
_WHOLE, _LONG, _MOST = 2 * MATURE, 4 * MATURE, 0.8
"""Frames for which a catheter must have been known to become the reference: if all of its electrodes are seen in the newest,
and if only this part of them is."""
_OF_TYPE = 0.6
"""Of its type's electrodes it must show this part: a few look alike wherever they are counted from."""


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
        self._reference: Reference | None = None
        self._seen: tuple[int, float, Places] | None = None
        self._candidate, self._frames, self._answered = -1, 0, -math.inf
        self._filter.reset()

    def set_reference(self) -> float | None:
        """Make the newest frame the reference; its time in s, or None if the catheter is not seen in it."""
        if self._seen is None or self._reference is None:
            return None
        identity, time_s, places = self._seen
        numbers, scene = self._reference.numbers, self._reference.scene
        self._reference = Reference.of(identity, time_s, places, numbers, scene)
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
        if len(places) < FEWEST or tracker.slipped(reference.identity):
            return self._nothing()
        reference = self._reference = renumbered(reference, places, tracker.numbers(reference.identity))
        self._seen = (reference.identity, time_s, places)
        return self._measured(reference, places, time_s)

    def _may_be(self, reference: Reference, catheter: Catheter) -> bool:
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
        enough = max(_MOST * len(best.electrodes), _OF_TYPE * tracker.complete(best.id), FEWEST)
        waiting = self._reference is not None and time_s - self._answered < _PATIENCE_S
        if waiting or len(places) < enough or self._frames < least or tracker.slipped(best.id):
            return False
        again = None if self._reference is None else known_again(self._reference, best.id, places, numbers)
        if again is None:
            self._filter.reset()
            again = Reference.of(best.id, time_s, places, numbers, tracker.scene)
        self._reference = again
        return True

    def _nothing(self) -> Motion:
        nothing = np.zeros(2)
        since = math.nan if self._reference is None else self._reference.time_s
        return Motion(False, since, nothing, 0.0, nothing, nothing, nothing, 0.0, 0.0)

    def _measured(self, reference: Reference, places: Places, time_s: float) -> Motion:
        fit = fitted(reference.places, places)
        if fit is None or fit.quality < LEAST_QUALITY:
            return self._nothing()
        self._reference = learnt(reference, places)
        centre = reference.centre
        translation = rotation(fit.angle) @ centre + fit.shift - centre
        parts = self._filter.update(translation, time_s)
        return Motion(
            True, reference.time_s, translation, fit.angle, centre, *parts, fit.residual, fit.quality
        )


def _seen(catheter: Catheter) -> bool:
    return catheter.status is CatheterStatus.DETECTED
