"""Whether a track is two catheters one after the other on a shaft, from all looks so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cath_perception.alignment import Floats
from cath_perception.recognition import SURE

_FEWEST = 3
"""The fewest electrodes that tell a catheter."""
_AT_ONCE = 3
"""So many cuts are tried in one look."""
_RARE = 7.0
"""What speaks against two catheters on one shaft before looking, natural logarithm of odds."""
_RARE_APART, _WIDER = 3.0, 3.5
"""The same where the gap between them is so many times the widest in either, as in no pattern."""
_LEAST, _MOST = 1.5, 8.0
"""What each part must score, and the most of it that counts."""
_LOOKS, _PATIENCE = 3, 5
"""A cut is made after so many looks, and tried no more after so many if they spoke against it."""

Cut = tuple[int, int]
"""The keys of the two neighbouring slots that a track may be cut between."""


class Parting:
    """Evidence for cutting a track: both parts look like some type, and much more so than the whole does."""

    def __init__(self) -> None:
        self._gains: dict[Cut, tuple[int, float]] = {}

    def next_cuts(self, keys: Sequence[int], loop: Sequence[int]) -> list[tuple[int, Cut]]:
        """What to try in this look, with the number of slots before each: promising ones, then those tried least.

        ``loop``: which of the slots lie on a loop, which is not cut.
        """
        for at, cut in _cuts(keys):
            before = sum(place < at for place in loop)
            if _FEWEST <= before <= len(loop) - _FEWEST:
                self._gains[cut] = _PATIENCE, -_RARE
        cuts = [cut for cut in _cuts(keys) if self._looks(cut[1]) < _PATIENCE or self._gain(cut[1]) > 0.0]
        cuts.sort(key=lambda cut: (-max(self._gain(cut[1]), 0.0), self._looks(cut[1])))
        return cuts[:_AT_ONCE]

    def note(self, cut: Cut, first: float, second: float, whole: float, apart: bool) -> None:
        """What a look says: the scores of both parts and of the whole, natural logarithms of odds; ``apart``: see there."""
        gain = min(first, _MOST) + min(second, _MOST) - max(whole, 0.0) - (_RARE_APART if apart else _RARE)
        if min(first, second) < (SURE if apart else _LEAST):
            gain = -_RARE
        looks = self._looks(cut) + 1
        self._gains[cut] = looks, self._gain(cut) + (gain - self._gain(cut)) / looks

    def undecided(self, keys: Sequence[int]) -> bool:
        """Whether some cut speaks for itself and was not made."""
        return any(self._gain(cut) > 0.0 for _, cut in _cuts(keys))

    def strangers(self, keys: Sequence[int]) -> tuple[int, ...]:
        """The keys of the smaller part if there is a cut to be made, else none."""
        ripe = [(self._gain(cut), at) for at, cut in _cuts(keys) if self._looks(cut) >= _LOOKS]
        gain, at = max(ripe, default=(0.0, 0))
        if gain <= 0.0:
            return ()
        return tuple(keys[:at] if 2 * at < len(keys) else keys[at:])

    def _looks(self, cut: Cut) -> int:
        return self._gains.get(cut, (0, 0.0))[0]

    def _gain(self, cut: Cut) -> float:
        return self._gains.get(cut, (0, 0.0))[1]


def _cuts(keys: Sequence[int]) -> list[tuple[int, Cut]]:
    return [(at, (keys[at - 1], keys[at])) for at in range(_FEWEST, len(keys) - _FEWEST + 1)]


def apart(places: Floats, at: int) -> bool:
    """Whether the gap between ``(N, 2)`` electrodes before number ``at`` is far wider than all others."""
    gaps = np.hypot(*np.diff(places, axis=0).T)
    return bool(gaps[at - 1] > _WIDER * np.delete(gaps, at - 1).max())
