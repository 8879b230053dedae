"""Which of other tracks' electrodes would make a track a catheter of some type, or a whole one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.evidence import BEST
from cath_perception.looks import Chain, Look, Member, Other, View, chain_of, chains, loop_among
from cath_perception.ordering import ON_LOOP
from cath_perception.recognition import SURE, Recognizer
from cath_perception.track import Track

_LOOKS = 3
"""Electrodes are taken over if they were wanted in so many looks running."""
_CLEAR, _MANY, _FEW = 1.0, 6.0, 1.0
"""With them it must read so much better than both that have them now, and so well: as a catheter of many electrodes, or as
one of few."""
_ONE_SHAFT, _MOSTLY = 7.0, 0.5
"""What speaks for one catheter where all lie on one shaft, in more than this part of the frames."""
_CLAIMED_EVERY = 3
"""What others' types claim is tried in one of so many looks."""
_BEND = math.cos(math.radians(60.0))
"""A way through few electrodes bends less than that at each."""
_SMALLEST, _FEWEST = 4, 3
_WHOLE = 10
"""So many electrodes that fit a type, with none missing, are no piece of another catheter."""


class Wanting:
    """What a track wants of others, by the ids and keys of their slots, and in how many looks running it did."""

    def __init__(self) -> None:
        self._looks: dict[tuple[int, int], int] = {}
        self._turn = 0

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
        self._turn += 1
        offers = list(self._offers(view, look, recognizer)) if view.others else []
        gains = [(_gain(view, look, score, chain, recognizer), chain) for score, chain in offers]
        good = [(gain, chain.others) for gain, chain in gains if gain > 0.0 and _fits(chain, look, kind)]
        _, best = max(good, default=(0.0, ()))
        self._looks = {name: self._looks.get(name, 0) + 1 for name in best}

    def _offers(self, view: View, look: Look, recognizer: Recognizer) -> Iterator[tuple[float, Chain]]:
        """What may be had, and how it reads; what others' types claim now and then, as that is seldom wanted."""
        left_out = len(look.slots) < np.count_nonzero(view.track.believed)
        incomplete = look.best < SURE or left_out or recognizer.lacking(look.reading)
        if not incomplete and len(look.slots) >= _WHOLE:
            return
        if incomplete:
            free = [other._replace(slots=other.slots[~other.claimed[other.slots]]) for other in view.others]
            left = view._replace(others=free)
            yield from _of_many(left, look, recognizer)
            yield from ((c.look.best, c) for c in _completed(left, recognizer) if c.look.best > _FEW)
        if (self._looks or self._turn % _CLAIMED_EVERY == 0) and any(o.claimed.any() for o in view.others):
            yield from _of_many(view, look, recognizer)


def _of_many(view: View, look: Look, recognizer: Recognizer) -> Iterator[tuple[float, Chain]]:
    """Chains that look like a catheter of many electrodes, and what speaks for each.

    That is no more than looks at the known catheters that it would be made of may say together. That a loop and
    another shaft are one line of the mask says nothing, for shafts often cross loops.
    """
    loop = len(loop_among(view.track, np.flatnonzero(view.track.believed))) > 0
    for chain in chains(view, recognizer, wider=True):
        known = (look.best >= SURE) + sum((_taken(o, chain) & o.claimed).any() for o in view.others)
        score = min(chain.look.best, BEST * max(known, 1)) - ON_LOOP * (loop or chain.looped)
        score += _ONE_SHAFT * (not loop and _on_one_shaft(view, chain))
        if score > _MANY:
            yield score, chain


def _taken(other: Other, chain: Chain) -> NDArray[np.bool_]:
    """``(N,)`` which of another track's slots a chain has."""
    return np.array([(other.track.id, key) in chain.others for key in other.track.keys.tolist()], bool)


def _on_one_shaft(view: View, chain: Chain) -> bool:
    """Whether the own electrodes and most of another known catheter's lie on one shaft most of the time."""
    own, slots = view.track, chain.look.slots
    for other in view.others:
        taken = np.flatnonzero(_taken(other, chain) & other.claimed)
        if len(taken) >= _FEWEST:
            there = np.mean(_hosted(other.track, taken, own))
            if max(there, np.mean(_hosted(own, slots, other.track))) > _MOSTLY:
                return True
    return False


def _hosted(track: Track, slots: NDArray[np.intp], host: Track) -> NDArray[np.bool_]:
    """Which of these slots were mostly on another track's shaft."""
    hosted: NDArray[np.bool_] = (track.host[slots] == host.id) & (track.elsewhere[slots] > _MOSTLY)
    return hosted


def _gain(view: View, look: Look, score: float, chain: Chain, recognizer: Recognizer) -> float:
    """By how much more a chain says, and what it leaves to the others, than all as they are; natural logarithm of odds."""
    gain = score - max(look.best, 0.0) - _CLEAR
    for other in view.others:
        taken = _taken(other, chain)
        if not other.claimed.any():
            gain -= other.worth * taken.any()
        elif (taken & other.claimed).any():
            gain -= other.worth - _left(view._replace(track=other.track), ~taken, recognizer)
    return gain


def _left(view: View, kept: NDArray[np.bool_], recognizer: Recognizer) -> float:
    """What these slots of the track would say."""
    members: list[Member] = [(view.track, n) for n in np.flatnonzero(view.track.believed & kept).tolist()]
    return max(chain_of(view, members, recognizer).look.best, 0.0) if len(members) >= _FEWEST else 0.0


def _fits(chain: Chain, look: Look, kind: int | None) -> bool:
    """Whether nothing that is sure is given up for a chain."""
    whole = len(chain.look.slots) >= len(look.slots)
    piece = whole and len(look.slots) <= _SMALLEST
    alike = kind is None or piece or int(chain.look.reading.scores.argmax()) == kind
    return alike and (whole or look.best < SURE)


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
