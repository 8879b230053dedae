"""Frames in order in, results with lasting identities and the reference catheter's motion out."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from cath_perception import compiled
from cath_perception.motion import Motion, MotionEstimator
from cath_perception.perceptor import Perceptor
from cath_perception.tracking import CatheterTracker
from cath_perception.types import PerceptionResult


@dataclass(frozen=True, slots=True)
class SequenceResult:
    """One frame of a sequence; ``motion`` is None where catheters were not computed or not followed."""

    result: PerceptionResult
    motion: Motion | None


class SequencePerceptor:
    """A perceptor for the frames of one run: perception of the frame, then tracking and motion.

    Args:
        perceptor: not closed with this one; it names types and may be used for single frames as well.
        reference_type: type of the catheter whose motion is followed.

    Attributes:
        tracking: False answers each frame alone; may be changed between frames, and then begins a new scene.
    """

    def __init__(self, perceptor: Perceptor, reference_type: str = "coronary_sinus") -> None:
        self.perceptor, self._tracking = perceptor, True
        self.tracker = CatheterTracker(perceptor.recognizer)
        self.motion = MotionEstimator(reference_type)
        compiled.load()

    @property
    def tracking(self) -> bool:
        """Whether catheters are followed from frame to frame."""
        return self._tracking

    @tracking.setter
    def tracking(self, follow: bool) -> None:
        if follow != self._tracking:
            self._tracking = follow
            self.reset()

    def __call__(self, pixels: NDArray[Any], time_s: float) -> SequenceResult:
        """Everything known after one more frame; raises what the perceptor raises.

        ``time_s`` may begin anywhere; where it goes back, or pauses, a new scene begins. The time that tracking takes
        is part of ``times.grouping``.
        """
        result = self.perceptor(pixels, recognize=not self._tracking)  # else types are the tracker's
        if result.catheters is None or not self._tracking:
            return SequenceResult(result, None)
        begun = perf_counter()
        tracked = self.tracker.update(result, time_s)
        motion = self.motion.update(self.tracker, tracked.catheters or (), time_s)
        spent = (perf_counter() - begun) * 1e3
        tracked.times.grouping += spent
        tracked.times.total += spent
        return SequenceResult(tracked, motion)

    def reset(self) -> None:
        """Begin a new scene with the next frame."""
        self.tracker.reset()
        self.motion.reset()
