"""What is seen of a track's electrodes, or of some of them, when it is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats
from cath_perception.arrangement import Arrangement
from cath_perception.ellipses import on_ring
from cath_perception.ordering import arrangements
from cath_perception.pattern import Pattern, pattern
from cath_perception.recognition import Reading, Recognizer
from cath_perception.rings import find_ring
from cath_perception.sifting import sifted
from cath_perception.track import Track

Points = NDArray[np.float32]
Member: TypeAlias = tuple[Track, int]
"""A track and one of its slots."""

_FEWEST = 3
"""Tracks of fewer electrodes may be no catheters."""
_REST = 2
"""No pattern is looked for among electrodes on a loop of which it leaves more."""


class Other(NamedTuple):
    """Another track, those of its slots that may be this one's, and what speaks for its being of its type.

    ``claimed``: ``(N,)`` which of all its slots that type has a place for, once it is settled.
    """

    track: Track
    slots: NDArray[np.intp]
    worth: float
    claimed: NDArray[np.bool_]


class View(NamedTuple):
    """A track in a frame: its own centreline, from the tip, and all that the frame has, px.

    ``scale``: px per mm by the widths of other catheters that are known; 0 where none is.
    """

    track: Track
    line: Floats | None
    lines: Sequence[Points]
    others: Sequence[Other]
    scale: float

    @classmethod
    def of(
        cls,
        track: Track,
        lines: Sequence[Points],
        others: Sequence[Other] = (),
        scale: float = 0.0,
    ) -> View:
        """That of a track as it is now."""
        line = None if track.line is None else track.line.points.astype(np.float64)
        return cls(track, line, lines, others, scale)

    def arrangements(self, slots: NDArray[np.intp], looped: bool = True) -> list[Arrangement]:
        """The orders that some of the track's slots may have; ``looped``: whether it may be round a loop."""
        places = self.track.places[slots]
        return arrangements(places, self.line, self.track.width, self.lines, self._strangers(), looped)

    def _strangers(self) -> Floats:
        """``(K, 2)`` places of the electrodes of other catheters."""
        believed = [other.track.places[other.track.believed] for other in self.others]
        return np.concatenate([np.empty((0, 2)), *(places for places in believed if len(places) >= _FEWEST)])


class Look(NamedTuple):
    """Some of a track's slots: which, their likeliest order (indices into ``slots``), their pattern and how it reads."""

    slots: NDArray[np.intp]
    order: NDArray[np.intp]
    pattern: Pattern
    reading: Reading

    @property
    def best(self) -> float:
        """The score of the likeliest type."""
        return self.reading.best


def loop_among(track: Track, shown: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the slots ``shown`` that lie on a loop; none where there is no loop."""
    ring = find_ring(track.places[shown], track.width)
    return shown[:0] if ring is None else shown[ring[0]]


class Chain(NamedTuple):
    """Electrodes that look like some pattern's, in an order that no centreline tells.

    Attributes:
        look: at those that are the track's own; its reading is that of all.
        others: id and key of those that are other tracks'.
        looped: whether they lie on a loop.
    """

    look: Look
    others: tuple[tuple[int, int], ...]
    looped: bool


def chains(view: View, recognizer: Recognizer, wider: bool = False) -> list[Chain]:
    """The chains of electrodes that look most like each pattern of many.

    ``wider``: with some of other tracks' electrodes, of none of which there are more than of the track's own.
    """
    names = [(view.track, slot) for slot in np.flatnonzero(view.track.believed).tolist()]
    names += [
        (other.track, slot) for other in (view.others if wider else ()) for slot in other.slots.tolist()
    ]
    places = np.array([track.places[slot] for track, slot in names]).reshape(-1, 2)
    every = [chain.tolist() for chain in sifted(places, recognizer.many, view.track.width)]
    found = {tuple(chain if chain[:1] < chain[-1:] else chain[::-1]) for chain in every}
    own = view.track.places[view.track.believed]
    least = len(own) - _REST if on_ring(own) is not None else 3
    made = [chain_of(view, [names[n] for n in chain], recognizer) for chain in found if len(chain) >= least]
    if wider:
        return [chain for chain in made if chain.others and _most(chain) <= len(chain.look.slots)]
    return [chain for chain in made if not chain.others]


def _most(chain: Chain) -> int:
    """How many electrodes it has of the other track that it has most of."""
    return max(Counter(identity for identity, _ in chain.others).values())


def chain_of(view: View, members: Sequence[Member], recognizer: Recognizer) -> Chain:
    """The chain of these slots, in this order, and how it reads."""
    track = view.track
    places = np.array([other.places[slot] for other, slot in members])
    boxes = np.array([other.boxes[slot].sum() for other, slot in members])
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))))
    seen = pattern(places, boxes, Arrangement(np.arange(len(members)), along), track.thickness, view.scale)
    own = np.array([slot for other, slot in members if other is track], np.intp)
    others = tuple((other.id, int(other.keys[slot])) for other, slot in members if other is not track)
    look = Look(np.sort(own), own.argsort().argsort(), seen, recognizer.read(seen))
    return Chain(look, others, on_ring(places) is not None)
