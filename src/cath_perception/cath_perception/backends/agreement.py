"""Whether a backend of lower precision answers as the reference does: the check it must pass before it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.base import Answer

STRONG = 0.2
"""Candidates of the reference from this score on must be found again."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest differences seen: positions in network-input px, scores and mask as probabilities.

    Attributes:
        candidates: how many of the reference's candidates were looked for.
    """

    frames: int
    candidates: int
    position_px: float
    score: float
    mask: float

    def refusal(self, position_px: float = 0.25, probability: float = 0.1) -> str | None:
        """Why these differences are too large, or None. NaN anywhere is too large."""
        if self.position_px <= position_px and max(self.score, self.mask) <= probability:
            return None
        return (
            f"differs from float32: positions by {self.position_px:.3g} px (at most {position_px:g}), scores by "
            f"{self.score:.3g} and mask by {self.mask:.3g} (at most {probability:g})"
        )

    def facts(self) -> dict[str, float]:
        """For a manifest."""
        return asdict(self)


def compare(
    reference: Callable[[NDArray[np.float32]], Answer],
    other: Callable[[NDArray[np.float32]], Answer],
    frames: list[NDArray[np.float32]],
) -> Agreement:
    """The largest differences of ``other`` from ``reference`` on ``frames``, each ``(S, S)`` float32."""
    count, worst = 0, np.zeros(3)
    for frame in frames:
        candidates, mask = (part.copy() for part in reference(frame))
        others, other_mask = (part.copy() for part in other(frame))
        strong = candidates[candidates[:, 4] >= STRONG]
        count += len(strong)
        finite = np.isfinite(others).all() and np.isfinite(other_mask).all()
        differences = np.array([*_apart(strong, others), np.abs(mask - other_mask).max()])
        worst = np.maximum(worst, differences) if finite else np.full(3, np.nan)
    return Agreement(len(frames), count, *worst.tolist())


def _apart(strong: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[float, float]:
    """How far in position and score the most alike of ``others`` is from each of ``strong``, at most."""
    if not len(strong):
        return 0.0, 0.0
    apart = np.abs(strong[:, None, :2] - others[None, :, :2]).max(axis=2)
    score = np.abs(strong[:, None, 4] - others[None, :, 4])
    rows, alike = np.arange(len(strong)), (apart + score).argmin(axis=1)
    return float(apart[rows, alike].max()), float(score[rows, alike].max())


def made_frames(size: int, count: int = 1) -> list[NDArray[np.float32]]:
    """Noisy 12-bit ramps crossed by a dark line with darker bars, as a shaft with electrodes looks."""
    return [_made_frame(size, seed) for seed in range(1, count + 1)]


def _made_frame(size: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    frame = 2400.0 + np.linspace(-400.0, 400.0, size, dtype=np.float32)[None, :].repeat(size, axis=0)
    frame += rng.normal(0.0, 40.0, frame.shape).astype(np.float32)
    middle = size * seed // (seed + 1)
    frame[middle - 3 : middle + 3] *= 0.75
    for start in range(size // 4, size // 2, 10):
        frame[middle - 4 : middle + 4, start : start + 4] *= 0.5
    return frame
