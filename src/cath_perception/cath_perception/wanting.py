"""Which of other tracks' electrodes would make a track a catheter of some type, or a whole one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from cath_perception.alignment import Floats
from cath_perception.looks import ON_LOOP, Chain, Look, Member, View, chain_of, chains
from cath_perception.recognition import SURE, Recognizer

_LOOKS = 3
"""Electrodes are taken over if they were wanted in so many looks running."""
_CLEAR, _MANY, _FEW = 1.0, 6.0, 1.0
"""With them it must read so much better than both that have them now, and so well: as a catheter of many electrodes, or as
one of few."""
_BEND = math.cos(math.radians(60.0))
"""A way through few electrodes bends less than that at each."""
_SMALLEST = 4


class Wanting:
    """What a track wants of others, by the ids and keys of their slots, and in how many looks running it did."""

    def __init__(self) -> None:
        self._looks: dict[tuple[int, int], int] = {}

    @property
    def any(self) -> bool:
        """Whether it wants something."""
        return bool(self._looks)

    def take(self) -> list[tuple[int, int]]:
        """What it has wanted long enough, which is then forgotten with all else."""
        sure = [name for name, looks in self._looks.items() if looks >= _LOOKS]
        if sure:
            self._looks.clear()
        return sure

    def note(self, view: View, look: Look, recognizer: Recognizer, kind: int | None) -> None:
        """Count what is wanted in this look; ``kind``: the type, where it is settled."""
        if not view.others:
            self._looks.clear()
            return
        free = [other._replace(slots=other.slots[~other.claimed[other.slots]]) for other in view.others]
        wanted: list[tuple[float, float, Chain]] = []
        if look.best < SURE or recognizer.lacking(look.reading):
            few = view._replace(others=free)
            wanted += [(c.look.best - ON_LOOP * c.looped, _MANY, c) for c in chains(few, recognizer, True)]
            wanted += [(c.look.best, _FEW, c) for c in _completed(few, recognizer)]
        if any(other.claimed.any() for other in view.others):
            wanted += [(c.look.best - ON_LOOP * c.looped, _MANY, c) for c in chains(view, recognizer, True)]
        good = []
        for score, least, chain in wanted:
            gain = score - max(least, max(look.best, 0.0) + self._loss(view, chain, recognizer) + _CLEAR)
            whole = len(chain.look.slots) >= len(look.slots)
            if (
                gain > 0.0
                and (look.best < SURE or whole)
                and (kind is None or chain.look.reading.scores.argmax() == kind or (whole and len(look.slots) <= _SMALLEST))
            ):
                good.append((gain, chain.others))
        _, best = max(good, default=(0.0, ()))
        self._looks = {name: self._looks.get(name, 0) + 1 for name in best}

    def _loss(self, view: View, chain: Chain, recognizer: Recognizer) -> float:
        """What speaks for leaving the others' electrodes where they are, and no more for what would be left of them."""
        loss = 0.0
        for other in view.others:
            taken = np.array([(other.track.id, key) in chain.others for key in other.track.keys.tolist()])
            if not taken.any():
                continue
            settled = bool(other.claimed.any())
            if settled and not (taken & other.claimed).any():
                continue
            loss += other.worth
            rest = np.flatnonzero(other.track.believed & ~taken)
            if settled and len(rest) >= 3:
                members: list[Member] = [(other.track, n) for n in rest.tolist()]
                loss -= max(chain_of(view._replace(track=other.track), members, recognizer).look.best, 0.0)
        return loss


def _completed(view: View, recognizer: Recognizer) -> Iterator[Chain]:
    """A track of few electrodes with the few of another put before, between or behind them."""
    own: list[Member] = [(view.track, n) for n in np.flatnonzero(view.track.believed).tolist()]
    for other in view.others if 2 <= len(own) < _SMALLEST else ():
        piece: list[Member] = [(other.track, n) for n in other.slots.tolist()]
        if not 0 < len(piece) <= _SMALLEST - len(own):
            continue
        for at in range(len(own) + 1):
            for way in (piece, piece[::-1]) if len(piece) > 1 else (piece,):
                members = [*own[:at], *way, *own[at:]]
                if _smooth(np.array([track.places[slot] for track, slot in members])):
                    yield chain_of(view, members, recognizer)


def _smooth(places: Floats) -> bool:
    """Whether the way through ``(N, 2)`` places bends nowhere much."""
    steps = np.diff(places, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    ahead = (steps[1:] * steps[:-1]).sum(axis=1)
    return bool((ahead >= _BEND * lengths[1:] * lengths[:-1]).all())
