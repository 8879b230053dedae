"""What a track is thought to be: its type, and which electrode of its template each slot is, from all frames so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cath_perception.arrangement import Arrangement
from cath_perception.ellipses import on_ring
from cath_perception.evidence import SETTLED_LOOKS, Evidence
from cath_perception.layout import Filler, Layout, fillers_of
from cath_perception.looks import Look, Points, View, chains, loop_among
from cath_perception.loops import Ways, going_round
from cath_perception.ordering import ON_LOOP
from cath_perception.parting import Parting, apart
from cath_perception.pattern import Pattern, pattern
from cath_perception.recognition import SURE, Reading, Recognizer
from cath_perception.templates import Template
from cath_perception.track import Track
from cath_perception.wanting import Wanting

_REMEMBERED, _FORGOTTEN, _DOUBTED = 3.0, 0.5, 1.0
"""The looks that still count after the electrodes have changed, with and without a type, and where they were at a part of
the catheter or from the wrong end."""
_RETRY, _FIRST = 4, 3
_MANY = 8
_PART = 4.0
"""What some of the electrodes must score where all of them fit nothing."""
_ROUND = 0.1
"""What a look counts among those at which way round a loop the electrodes go."""
_CLEAR = 1.0
"""Which electrodes are missing is only told where nothing else is nearly as likely."""
_FITS, _FADING, _ORDER, _FIRST_ORDER = -0.5, 0.8, 0.2, 0.5


class Naming:
    """What is known of a track's type and electrodes.

    Attributes:
        evidence: of its type.
        looks, looked_at: how often the track was looked at, and the newest frame in which it was.
        examined: the slots that were believed in then, by key.
        layout, fillers: None and empty as long as the slots are numbered one by one.
        strangers: the keys of slots that are another catheter's on the same shaft.
        wanting: which of other tracks' slots would make it a catheter of some type.
        shared: whether the shaft turned out to be another's as well.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.evidence = Evidence(recognizer)
        self._votes: dict[Layout, float] = {}
        self.looks = self.looked_at = 0
        self.examined: tuple[int, ...] = ()
        self.layout: Layout | None = None
        self.fillers: tuple[Filler, ...] = ()
        self._turns = 0
        self._ways = Ways()
        self._parting = Parting()
        self.strangers: tuple[int, ...] = ()
        self.wanting = Wanting()
        self.shared = self._lost = self._reduced = False

    @property
    def type(self) -> tuple[str | None, float]:
        """The type and its confidence, see ``Evidence``."""
        return self.evidence.type

    @property
    def settled(self) -> bool:
        """Whether the type says how many electrodes there are and where."""
        return self.layout is not None and self.evidence.settled

    @property
    def template(self) -> Template | None:
        """The pattern that it is thought to be; None where that is not known."""
        return None if self.layout is None else self._recognizer.templates[self.layout.template]

    @property
    def circular(self) -> bool:
        """Whether the electrodes of what it is thought to be lie on a loop."""
        return self.template is not None and self.template.circle

    @property
    def diameter(self) -> float:
        """The shaft's in mm; 0 where the type is not known."""
        return 0.0 if self.template is None else self.template.diameter

    @property
    def nameless(self) -> bool:
        """Whether it was looked at for long and nothing fits."""
        return self.evidence.kind is None and self.evidence.weight >= SETTLED_LOOKS

    @property
    def full(self) -> bool:
        """Whether the type has no place for another electrode; those of few may still be the beginning of one of many."""
        return (
            self.layout is not None
            and self.layout.count >= _MANY
            and len(self.claimed) == self.layout.count
            and not self._lost
            and self.settled
        )

    def crowded(self, count: int) -> bool:
        """Whether the settled type has no place for so many electrodes."""
        return self.layout is not None and self.settled and count > self.layout.count

    @property
    def closed(self) -> bool:
        """Whether what else appears on the shaft is another catheter's."""
        return self.shared or self.full

    @property
    def claimed(self) -> tuple[int, ...]:
        """The keys of the slots that the type has a place for, if it is settled."""
        return self._own if self.settled else ()

    def claims(self, keys: NDArray[np.intp]) -> NDArray[np.bool_]:
        """``(N,)`` which of the slots the settled type has a place for."""
        return _among(keys, self.claimed)

    @property
    def _own(self) -> tuple[int, ...]:
        return () if self.layout is None else self.layout.own

    def numbering(self, keys: tuple[int, ...]) -> tuple[Sequence[int], tuple[Filler, ...]]:
        """The index of each of these slots, and the electrodes that are missing between them."""
        if self.layout is None or not (self.layout.keys == keys or self.settled):
            return range(len(keys)), ()
        index = self.layout.index
        return [index.get(key, -1) for key in keys], tuple(f for f in self.fillers if f.key in keys)

    def forget_lost(self, keys: Collection[int]) -> None:
        """A layout is given up once fewer than half of its slots are left among the track's ``keys``."""
        own = self._own
        left = sum(key in keys for key in own)
        self._lost = left < len(own)
        if 2 * left < len(own):
            self._forget_layout()

    def unsettle(self) -> None:
        """Forget what it was thought to be: a part of another catheter, or with a part of one."""
        self._forget_layout()
        self.evidence = Evidence(self._recognizer)

    def _forget_layout(self) -> None:
        self._votes.clear()
        self.layout, self.fillers = None, ()

    def glance(self, track: Track, lines: Sequence[Points]) -> None:
        """Tell the type from one frame alone, without keeping any evidence: until the track is examined."""
        shown = np.flatnonzero(track.believed)
        view = View.of(track, lines)
        patterns = [self._pattern(view, shown, arranged) for arranged in view.arrangements(shown)]
        scores = [self._recognizer.read(pattern, allow_false=True).scores for pattern in patterns]
        self.evidence.glance(np.array(scores))

    def examine(self, view: View, frame: int) -> None:
        """Look at the track as it is now: its order, its type, and which electrodes are missing."""
        track = view.track
        self.looked_at, self.looks = frame, self.looks + 1
        if self.examined != track.believed_keys:
            self.examined = track.believed_keys
            if not self.settled:
                self.evidence.lessen(_FORGOTTEN if self.evidence.kind is None else _REMEMBERED)
        shown = np.flatnonzero(track.believed)
        look = self._look(view, shown)
        loop = loop_among(track, shown) if look.best < SURE else shown[:0]
        cutting = not self.settled and look.best < SURE and self._cut(view, shown, loop, look)
        own = np.flatnonzero(track.believed & _among(track.keys, self._own))
        if 3 <= len(own) < track.believed.sum():
            look = max(self._look(view, own), look, key=lambda one: one.best)
        if look.best < SURE and 0 < len(loop) < len(shown):
            look = self._better(view, look, self._look(view, loop))
        incomplete = self.layout is not None and len(own) < min(self.layout.count, int(track.believed.sum()))
        if not cutting and (look.best < SURE or incomplete):
            look = self._part(view, look)
        if not cutting:
            self.wanting.note(view, look, self._recognizer, self.evidence.kind if self.settled else None)
        slots, order, seen, reading = look
        ranks = np.empty(len(slots))
        ranks[order] = np.arange(len(slots))
        there = track.seen[slots]
        keys = tuple(track.keys[slots[order]].tolist())
        before = tuple(track.keys[slots].tolist())
        if seen.angles is not None:
            track.note_order(slots, ranks, 1.0)
        else:
            weight = max(_ORDER if self.evidence.kind is not None else _FIRST_ORDER, 1.0 / self.looks)
            track.note_order(slots[there], ranks[there], weight)
        if keys != before and self.looks > _FIRST:
            return  # this frame's order is not the track's
        if self.evidence.note(reading):
            self._forget_layout()
        if self.looks % _RETRY == 1 and seen.angles is None:
            self._note_facing(track, seen, reading)
        elif (kind := self.evidence.kind) is not None and (
            reading.scores[kind] > _FITS and reading.margins[kind] > _CLEAR
        ):
            self._note_layout(view, keys, reading, kind)

    def _cut(self, view: View, shown: NDArray[np.intp], loop: NDArray[np.intp], look: Look) -> bool:
        """Try to read the track as two catheters, one after the other; whether that is still open."""
        keys = view.track.keys[shown].tolist()
        for at, cut in self._parting.next_cuts(keys, np.searchsorted(shown, loop).tolist()):
            first, second = (self._either_way(view, part) for part in (shown[:at], shown[at:]))
            self._parting.note(cut, first, second, look.best, apart(view.track.places[shown], at))
        self.strangers = self._parting.strangers(keys)
        self.shared = self.shared or bool(self.strangers)
        return self._parting.undecided(keys)

    def _either_way(self, view: View, slots: NDArray[np.intp]) -> float:
        """The best score of these slots, whichever end the tip is at."""
        look = self._look(view, slots, trying=True)
        back = self._recognizer.read(look.pattern.reversed())
        return max(look.best, back.best)

    def _part(self, view: View, look: Look) -> Look:
        """Those electrodes that may be the catheter if the others are another's, or false; the look if there are none."""
        best = look
        for chain in chains(view, self._recognizer):
            best = self._better(view, best, chain.look, ON_LOOP * chain.looped)
        return best

    def _better(self, view: View, look: Look, part: Look, cost: float = 0.0) -> Look:
        """The look at a part of the electrodes if it says much more, else that at all of them."""
        if part.best - cost <= max(_PART, look.best + _CLEAR):
            return look
        if set(view.track.keys[part.slots].tolist()) != set(self._own):
            self.evidence.lessen(_DOUBTED)
        return part

    def turn(self, track: Track) -> None:
        """Number from the other end where the track was turned round."""
        if self._turns != track.turns:
            self._turns = track.turns
            self._votes.clear()
            self.evidence.lessen(_DOUBTED)
            self._ways = Ways()
            self.fillers = ()
            if self.layout is not None:
                last = self.layout.count - 1
                indices = tuple(last - i if i >= 0 else -1 for i in self.layout.indices[::-1])
                self.layout = replace(self.layout, keys=self.layout.keys[::-1], indices=indices)

    def _look(self, view: View, shown: NDArray[np.intp], trying: bool = False) -> Look:
        """The likeliest order and the reading of these slots.

        ``trying`` a part of the catheter leaves no evidence, and none of its electrodes may be false.
        """
        track, choices = view.track, view.arrangements(shown, self.circular or not self.settled)
        if (rounds := choices[0].rounds) is not None:
            best = self._ways.likeliest(track.keys[shown], rounds, max(_ROUND, 1.0 / self.looks), not trying)
            angles = on_ring(track.places[shown])
            assert angles is not None
            choices[0] = going_round(track.places[shown], angles, rounds, best)
        patterns = [self._pattern(view, shown, arranged) for arranged in choices]
        readings = [self._recognizer.read(pattern) for pattern in patterns]
        best = max(range(len(choices)), key=lambda n: readings[n].best)
        reading = readings[best]
        if not trying and reading.best < SURE:
            reading = self._recognizer.read(patterns[best], allow_false=True)
        return Look(shown, choices[best].order, patterns[best], reading)

    @staticmethod
    def _pattern(view: View, shown: NDArray[np.intp], arranged: Arrangement) -> Pattern:
        track, slots = view.track, shown[arranged.order]
        return pattern(
            track.places[slots], track.boxes[slots].sum(axis=1), arranged, track.thickness, view.scale
        )

    def _note_facing(self, track: Track, seen: Pattern, reading: Reading) -> None:
        """Compare with the pattern from the other end."""
        best = reading.best
        other = self._recognizer.read(seen.reversed()).best
        track.note_facing(float(np.clip(best - other, -3.0, 3.0)))
        self.turn(track)

    def _note_layout(self, view: View, keys: tuple[int, ...], reading: Reading, kind: int) -> None:
        number = int(reading.templates[kind])
        indices = tuple(reading.places[kind].tolist())
        layout = Layout(keys, indices, len(self._recognizer.templates[number].centres), number)
        if (self._lost or self._reduced) and len(layout.own) == layout.count:
            self._votes.clear()  # what the others counted is gone, and nothing is missing from this one
        self._votes = {old: votes * _FADING for old, votes in self._votes.items() if votes > 0.1}
        self._votes[layout] = self._votes.get(layout, 0.0) + 1.0
        self.layout = max(self._votes, key=lambda key: self._votes[key])
        slot = set(view.track.keys.tolist())
        self._reduced = not slot.issuperset(self.layout.keys)
        if self._reduced:
            kept = [(k, i) for k, i in zip(self.layout.keys, self.layout.indices, strict=True) if k in slot]
            self.layout = replace(
                self.layout, keys=tuple(k for k, _ in kept), indices=tuple(i for _, i in kept)
            )
        template = self._recognizer.templates[self.layout.template]
        self.fillers = fillers_of(view.track, self.layout, template, view.line)


def _among(keys: NDArray[np.intp], some: tuple[int, ...]) -> NDArray[np.bool_]:
    """``(N,)`` which keys are some of these; for a dozen far faster than ``np.isin``."""
    return np.array([key in some for key in keys.tolist()], bool)
