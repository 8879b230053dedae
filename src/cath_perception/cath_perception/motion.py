"""How a reference catheter (the stationary coronary sinus catheter) moved since a reference frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cath_perception.alignment import Floats, rigid, rotation
from cath_perception.separation import RespiratoryCardiacFilter
from cath_perception.track import MATURE
from cath_perception.tracking import CatheterTracker
from cath_perception.types import Catheter, CatheterStatus

_FEWEST = 3
_GOOD_RESIDUAL_PX = 3.0
_LEAST_QUALITY = 0.5
"""Below it there is no answer: half of the catheter, or a track that another catheter's electrodes have pulled away, can
be wrong by tens of px."""


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
    identity: int
    time_s: float
    places: dict[int, tuple[float, float]]
    scene: int


class MotionEstimator:
    """Follows one catheter against a reference frame.

    The first frame in which a catheter of ``reference_type`` is well known becomes the reference, until
    ``set_reference`` chooses another. A new scene drops it. The parts are told apart from past frames only.
    """

    def __init__(self, reference_type: str = "coronary_sinus") -> None:
        self.reference_type = reference_type
        self._reference: _Reference | None = None
        self._seen: tuple[int, float, dict[int, tuple[float, float]]] | None = None
        self._frames = 0
        self._filter = RespiratoryCardiacFilter()

    def reset(self) -> None:
        """Forget the reference."""
        self._reference = self._seen = None
        self._frames = 0
        self._filter.reset()

    def set_reference(self) -> float | None:
        """Make the newest frame the reference; its time in s, or None if the catheter is not seen in it."""
        if self._seen is None or self._reference is None:
            return None
        identity, time_s, places = self._seen
        self._reference = _Reference(identity, time_s, places, self._reference.scene)
        self._filter.reset()
        return time_s

    def update(self, tracker: CatheterTracker, catheters: tuple[Catheter, ...], time_s: float) -> Motion:
        """The motion in the frame that the tracker has just been given."""
        if self._reference is not None and self._reference.scene != tracker.scene:
            self.reset()
        catheter = self._chosen(catheters)
        places = {} if catheter is None else tracker.landmarks(catheter.id)
        self._seen = None
        if catheter is None or len(places) < _FEWEST:
            return self._nothing()
        if self._reference is None:
            self._frames += 1
            if self._frames < 2 * MATURE or len(places) < len(catheter.electrodes):
                return self._nothing()
            self._reference = _Reference(catheter.id, time_s, places, tracker.scene)
        self._seen = (catheter.id, time_s, places)
        return self._measured(self._reference, places, time_s)

    def _chosen(self, catheters: tuple[Catheter, ...]) -> Catheter | None:
        """The reference catheter where it is seen; before there is a reference, the surest of its type."""
        seen = [catheter for catheter in catheters if catheter.status is CatheterStatus.DETECTED]
        if self._reference is not None:
            return next((c for c in seen if c.id == self._reference.identity), None)
        fitting = [catheter for catheter in seen if catheter.type == self.reference_type]
        return max(fitting, key=lambda c: (c.type_confidence, -c.id), default=None)

    def _nothing(self) -> Motion:
        nothing = np.zeros(2)
        since = math.nan if self._reference is None else self._reference.time_s
        return Motion(False, since, nothing, 0.0, nothing, nothing, nothing, 0.0, 0.0)

    def _measured(
        self, reference: _Reference, places: dict[int, tuple[float, float]], time_s: float
    ) -> Motion:
        common = sorted(reference.places.keys() & places.keys())
        if len(common) < _FEWEST:
            return self._nothing()
        before = np.array([reference.places[key] for key in common])
        now = np.array([places[key] for key in common])
        angle, shift = rigid(before, now)
        turn = rotation(angle)
        off = now - before @ turn.T - shift
        residual = float(np.sqrt(np.square(off).sum(axis=1).mean()))
        share = len(common) / len(reference.places)
        quality = share * math.exp(-0.5 * (residual / _GOOD_RESIDUAL_PX) ** 2)
        if quality < _LEAST_QUALITY:
            return self._nothing()
        centre = np.array(list(reference.places.values())).mean(axis=0)
        translation = turn @ centre + shift - centre
        respiratory, cardiac = self._filter.update(translation, time_s)
        return Motion(
            True, reference.time_s, translation, angle, centre, respiratory, cardiac, residual, quality
        )
