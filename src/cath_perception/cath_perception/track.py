"""One catheter through time: its electrodes as lasting slots, its motion, and what has been said of its type."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from cath_perception.alignment import Floats, Pairs, aligned, bent, nearest_pairs
from cath_perception.catheters import project
from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode

MATURE = 6
"""Frames after which an electrode, or a catheter, is known well enough to be believed or not."""
_MEMORY = 20
_CONFIRMED, _CANDIDATE, _DROPPED = 0.6, 0.35, 0.25
_DAMPING_S = 0.15
_VOTE_DECAY = 0.9
_SAMPLES = 24


@dataclass(slots=True)
class Slot:
    """One electrode of a track: ``key`` lasts as long as the track; ``share`` of frames in which it was seen."""

    key: int
    electrode: Electrode
    frames: int = 1
    share: float = 1.0
    confirmed: bool = False

    def note(self, seen: bool) -> None:
        """Count one frame."""
        self.frames += 1
        self.share += (float(seen) - self.share) / min(self.frames, _MEMORY)
        if self.frames >= MATURE:
            self.confirmed = self.share >= (_DROPPED if self.confirmed else _CONFIRMED)

    @property
    def hopeless(self) -> bool:
        """Whether it should be forgotten."""
        return not self.confirmed and self.frames >= 3 and self.share < _CANDIDATE


@dataclass(slots=True)
class Match:
    """How a detection lies over a track: index pairs (slot, electrode), their common shift, mean line distance in px."""

    pairs: Pairs
    shift: Floats
    line_distance: float


@dataclass(slots=True)
class Track:
    """A catheter that is followed. Times are in s, positions in image px."""

    id: int
    slots: list[Slot]
    line: Centerline | None
    score: float
    seen_at: float
    hits: int = 1
    status: CatheterStatus = CatheterStatus.DETECTED
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    votes: dict[str | None, float] = field(default_factory=dict)
    turned: float = 0.0
    next_key: int = 0
    recognized: int = 0

    @classmethod
    def of(cls, identity: int, catheter: Catheter, time_s: float) -> Track:
        """A new track of a detected catheter."""
        slots = [Slot(key, electrode) for key, electrode in enumerate(catheter.electrodes)]
        return cls(identity, slots, catheter.centerline, catheter.score, time_s, next_key=len(slots))

    @property
    def positions(self) -> Floats:
        """``(slots, 2)`` where the electrodes are thought to be."""
        return np.array([(s.electrode.x, s.electrode.y) for s in self.slots], np.float64).reshape(-1, 2)

    @property
    def mature(self) -> bool:
        """Whether it was seen often enough to be predicted when it is not."""
        return self.hits >= MATURE

    @property
    def type(self) -> tuple[str | None, float]:
        """The type most often recognized, and its share of the votes 0..1; None without a majority."""
        total = sum(self.votes.values())
        named = {kind: votes for kind, votes in self.votes.items() if kind is not None}
        if not named or total <= 0:
            return None, 0.0
        best = max(named, key=lambda kind: named[kind])
        share = named[best] / total
        return (best, share) if share > 0.5 else (None, 0.0)

    def vote(self, kind: str | None, confidence: float) -> None:
        """Take note of what this frame's pattern looks like."""
        self.votes = {name: votes * _VOTE_DECAY for name, votes in self.votes.items()}
        self.votes[kind] = self.votes.get(kind, 0.0) + (1.0 - _VOTE_DECAY) * (confidence if kind else 0.5)

    def drift(self, time_s: float) -> Floats:
        """``(2,)`` shift expected since it was last seen: its velocity, soon spent."""
        since = max(time_s - self.seen_at, 0.0)
        return self.velocity * _DAMPING_S * (1.0 - np.exp(-since / _DAMPING_S))

    def match(self, catheter: Catheter, positions: Floats, time_s: float, gate: float) -> Match:
        """Lay a detection over the track; ``gate`` px bounds the shift."""
        drift = self.drift(time_s)
        width = self.line.width if self.line is not None else 8.0
        pairs, shift = aligned(self.positions, positions, drift, gate, max(0.6 * width, 4.0))
        return Match(pairs, shift, _line_distance(self.line, catheter.centerline, shift))

    def update(self, catheter: Catheter, match: Match, time_s: float) -> dict[int, int]:
        """Take in a matched detection; returns the key of the slot of each of its electrodes that has one."""
        since = time_s - self.seen_at
        if since > 0:
            self.velocity = 0.5 * self.velocity + 0.5 * match.shift / since
        self.seen_at, self.status = time_s, CatheterStatus.DETECTED
        self.hits += 1
        self.score = catheter.score
        reverse = self._is_reversed(match.pairs)
        self._move(catheter, match)
        owners = {int(electrode): self.slots[slot].key for slot, electrode in match.pairs.tolist()}
        line = catheter.centerline
        if line is not None and reverse:
            line = Centerline(np.ascontiguousarray(line.points[::-1]), line.width)
        self.line = line
        return owners

    def fill(self, loose: list[Electrode]) -> dict[int, int]:
        """Put loose electrodes (of other pieces, or taken for another catheter's) into slots believed in that are empty.

        Returns the slot's key for each place in ``loose`` that was used.
        """
        empty = [slot for slot in self.slots if slot.confirmed and not slot.electrode.visible]
        if not empty or not loose:
            return {}
        places = np.array([(s.electrode.x, s.electrode.y) for s in empty])
        width = self.line.width if self.line is not None else 8.0
        pairs = nearest_pairs(places, np.array([(e.x, e.y) for e in loose]), max(0.6 * width, 4.0))
        for slot, electrode in pairs.tolist():
            empty[slot].electrode = loose[electrode]
        return {electrode: empty[slot].key for slot, electrode in pairs.tolist()}

    def miss(self, time_s: float, predict_s: float) -> None:
        """The track was not seen in this frame."""
        for slot in self.slots:
            slot.electrode = replace(slot.electrode, visible=False)
        recent = time_s - self.seen_at <= predict_s
        self.status = CatheterStatus.PREDICTED if recent else CatheterStatus.LOST

    def catheter(self, time_s: float, fading_s: float) -> Catheter:
        """What is to be reported of the track now; ``fading_s`` is when an unseen one's score reaches 0."""
        electrodes = [replace(s.electrode, catheter=self.id, index=i) for i, s in enumerate(self.shown)]
        line, score = self.line, self.score
        if self.status is not CatheterStatus.DETECTED:
            dx, dy = self.drift(time_s).tolist()
            electrodes = [replace(e, x=e.x + dx, y=e.y + dy) for e in electrodes]
            if line is not None:
                line = Centerline(line.points + np.array((dx, dy), np.float32), line.width)
            score *= max(0.0, 1.0 - (time_s - self.seen_at) / fading_s)
        kind, confidence = self.type if len(electrodes) >= 3 else (None, 0.0)
        return Catheter(self.id, tuple(electrodes), line, score, kind, confidence, self.status)

    @property
    def shown(self) -> list[Slot]:
        """The slots believed in, from the tip; while the track is young, those seen most of the time."""
        young = not self.mature
        return [slot for slot in self.slots if slot.confirmed or (young and slot.share >= 0.5)]

    def ranks(self) -> dict[int, int]:
        """The electrode index of each slot that is shown, by key."""
        return {slot.key: index for index, slot in enumerate(self.shown)}

    def _move(self, catheter: Catheter, match: Match) -> None:
        """Seen electrodes to where they are, the others along with their neighbours."""
        before = self.positions
        now = np.array([(e.x, e.y) for e in catheter.electrodes], np.float64).reshape(-1, 2)
        shifts = now[match.pairs[:, 1]] - before[match.pairs[:, 0]]
        moved = before + bent(before, match.pairs, shifts, match.shift)
        for slot, (x, y) in zip(self.slots, moved.tolist(), strict=True):
            slot.electrode = replace(slot.electrode, x=x, y=y, visible=False)
        for index, electrode in match.pairs.tolist():
            self.slots[index].electrode = catheter.electrodes[electrode]

    def settle(self, new: list[Electrode]) -> list[int]:
        """End a frame: count what was seen, and give ``new`` electrodes slots. Returns the keys of these."""
        for slot in self.slots:
            slot.note(slot.electrode.visible)
        self.slots = [slot for slot in self.slots if not slot.hopeless]
        keys = self._adopt(new)
        self._settle_direction()
        return keys

    def _adopt(self, new: list[Electrode]) -> list[int]:
        """New slots in their places along the shaft."""
        if not new or self.line is None:
            return []
        added = [Slot(self.next_key + n, electrode) for n, electrode in enumerate(new)]
        self.next_key += len(added)
        everything = self.slots + added
        places = np.array([(s.electrode.x, s.electrode.y) for s in everything], np.float64)
        along = project(places, self.line.points.astype(np.float64)).along
        for slot, place in zip(added, along[len(everything) - len(added) :], strict=True):
            before = [n for n, s in enumerate(self.slots) if along[everything.index(s)] < place]
            self.slots.insert(before[-1] + 1 if before else 0, slot)
        return [slot.key for slot in added]

    def _is_reversed(self, pairs: Pairs) -> bool:
        """Whether the detection runs the other way; the balance of all that did is kept."""
        if len(pairs) < 2:
            return False
        trend = float(np.sign(np.diff(pairs[np.argsort(pairs[:, 0]), 1])).sum())
        self.turned = float(np.clip(0.95 * self.turned + (1.0 if trend < 0 else -1.0), -10.0, 10.0))
        return trend < 0

    def _settle_direction(self) -> None:
        """Turn round once most detections say so."""
        if self.turned > 5.0:
            self.turned = -self.turned
            self.slots.reverse()
            if self.line is not None:
                self.line = Centerline(np.ascontiguousarray(self.line.points[::-1]), self.line.width)


def _line_distance(first: Centerline | None, second: Centerline | None, shift: Floats) -> float:
    """Mean distance in px of the shorter of two curves from the other, the first shifted; infinite without one."""
    if first is None or second is None:
        return float("inf")
    a = first.points[:: max(1, len(first.points) // _SAMPLES)] + shift
    b = second.points[:: max(1, len(second.points) // (2 * _SAMPLES))]
    apart = np.square(a[:, None, :] - b[None, :, :]).sum(axis=2)
    return float(min(np.sqrt(apart.min(axis=1)).mean(), np.sqrt(apart.min(axis=0)).mean()))
