"""One catheter through time: where it is, how it moves, and which of its electrodes are believed in."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, Pairs, carried
from cath_perception.compiled import compiled
from cath_perception.counting import LATE, MATURE, counted
from cath_perception.sightings import Sightings
from cath_perception.slots import Slots
from cath_perception.types import CatheterStatus, Centerline

_BESIDE = 0.8
"""A slot within this part of the reach of another that was seen is in its shadow."""
_DAMPING_S, _LEAST_S = 0.15, 0.02
"""How long a velocity lasts that is not seen anew, and the shortest time over which one is told, as stamps may bunch."""
_SMOOTHING = 0.2
_LAST = 20
"""The frames in which it counts how often a track was seen."""
_FLIP, _SETTLED = -6.0, 30.0
"""The balance of frames that showed the tip at this end at which it is changed to the other, and its greatest value."""


class Track(Slots):
    """A catheter that is followed. Times are in s, positions in image px.

    Attributes:
        id: never used again.
        turns: how often it was turned round.
        early: whether it began with its scene, and is reported before it is ``mature``.
        seen_at, hits: when it was last seen, and in how many frames.
        frequency: 0..1, the part of the last frames in which it was seen.
    """

    def __init__(
        self,
        identity: int,
        rows: NDArray[np.intp],
        seen: Sightings,
        line: Centerline | None,
        score: float,
        time_s: float,
        early: bool = False,
    ) -> None:
        super().__init__(rows, seen, line)
        self.early = early
        self.id, self.score, self.seen_at, self.hits = identity, score, time_s, 1
        self.status = CatheterStatus.DETECTED
        self.frequency, self._frames = 1.0, 1
        self.velocity = np.zeros(2)
        self.facing, self.turns = 1.0, 0

    @property
    def mature(self) -> bool:
        """Whether it was seen often enough to be predicted when it is not."""
        return self.hits >= MATURE

    @property
    def believed(self) -> NDArray[np.bool_]:
        """``(N,)`` the slots believed in; until that is decided, those of a young track that are seen most of the time.

        An electrode that was missed in the first frame of a scene is decided upon later than the others (``LATE``).
        """
        if self.hits >= (MATURE + LATE if self.early else MATURE):
            return self.confirmed
        young = (self.hits - self.frames < MATURE) & (self.frames < LATE)
        return self.confirmed | (young & (self.share >= 0.5))

    @property
    def guiding(self) -> NDArray[np.bool_]:
        """``(N,)`` the slots by which the track is found again: those believed in, or all where there are none."""
        believed = self.believed
        return believed if believed.any() else np.ones(len(self.keys), bool)

    @property
    def believed_keys(self) -> tuple[int, ...]:
        """The keys of the slots believed in, from the tip."""
        return tuple(self.keys[self.believed].tolist())

    def follow(self, before: Track) -> None:
        """Take the place of a track whose electrodes are not known again; their keys are not used again."""
        self.keys = self.keys + before.next_key
        self.next_key += before.next_key
        self.hits, self.turns, self.velocity = before.hits + 1, before.turns, before.velocity

    def drift(self, time_s: float) -> Floats:
        """``(2,)`` shift expected since it was last seen: its velocity, soon spent."""
        since = max(time_s - self.seen_at, 0.0)
        return self.velocity * (_DAMPING_S * (1.0 - math.exp(-since / _DAMPING_S)))

    def see(self, pairs: Pairs, expected: Floats, seen: Sightings, time_s: float) -> Floats:
        """Take in a frame in which the track was seen; returns its ``(2,)`` shift since it was last seen.

        Args:
            pairs: of slots and sightings.
            expected: ``(N, 2)`` where the slots should be; those not seen move from there with their neighbours.
        """
        self.seen = np.zeros(len(self.keys), bool)
        if not len(pairs):
            return self._see_shaft(expected, time_s)
        own = self.boxes, self.scores, self.sigmas, self.seen
        newest = seen.positions, seen.boxes, seen.scores, seen.sigmas
        alike = np.zeros(len(expected), np.intp)
        before, self.places = self.places, carried(expected, alike, pairs, seen.positions)
        found, every = _taken_in(pairs, *newest, before, self.places, *own)
        since = time_s - self.seen_at
        if since > 0:
            self.velocity = 0.4 * self.velocity + 0.6 / max(since, _LEAST_S) * found
        self._note_seen(time_s)
        return every

    def _see_shaft(self, expected: Floats, time_s: float) -> Floats:
        """Take in a frame that shows the track's shaft alone, which does not tell a velocity; returns the ``(2,)`` shift."""
        shift = (expected - self.places).mean(axis=0) if len(expected) else np.zeros(2)
        self.places = expected
        self.velocity = self.velocity * math.exp(-max(time_s - self.seen_at, 0.0) / _DAMPING_S)
        self._note_seen(time_s)
        return shift

    def _note_seen(self, time_s: float) -> None:
        self.seen_at, self.status = time_s, CatheterStatus.DETECTED
        self.hits += 1
        self._count_frame(1.0)

    def miss(self, time_s: float, predict_s: float) -> None:
        """The track was not seen in this frame."""
        self.seen = np.zeros(len(self.keys), bool)
        self._count_frame(0.0)
        recent = time_s - self.seen_at <= predict_s
        self.status = CatheterStatus.PREDICTED if recent else CatheterStatus.LOST

    def _count_frame(self, seen: float) -> None:
        self._frames = min(self._frames + 1, _LAST)
        self.frequency += (seen - self.frequency) / self._frames

    def count(self, host: NDArray[np.intp], aside: NDArray[np.bool_]) -> list[int]:
        """End a frame in which the track was seen: count what was, and forget slots without hope; the keys of these.

        ``host``: ``(N,)`` id of the other track on whose shaft a slot, if seen, lay; -1 for none. ``aside``: ``(N,)``
        whether it lay on a shaft of the track's own other than its main one.
        """
        if not len(self.keys):
            return []
        beside = np.square(self.extents(_BESIDE))
        shares = self.share, self.elsewhere, self.host, self.aside, self.shadow
        own = self.keys, self.born_with, self.places, beside, self.frames
        kept = counted(self.seen, host, aside, *own, *shares, self.confirmed)
        if kept.all():
            return []
        forgotten: list[int] = self.keys[~kept].tolist()
        self.select(np.flatnonzero(kept))
        return forgotten

    def note_facing(self, weight: float) -> None:
        """Count evidence for (above 0) or against (below) the tip being at this end; turn round once it is too much."""
        self.facing = min(self.facing + weight, _SETTLED)
        if self.facing < _FLIP:
            self.facing, self.turns = -self.facing, self.turns + 1
            self.select(np.arange(len(self.keys))[::-1])
            self.earlier = -self.earlier
            if self.line is not None:
                self.line = turned(self.line)


@compiled(
    "(i8[:, :], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], b1[::1])"
)
def _taken_in(
    pairs: Pairs,
    positions: Floats,
    boxes: Floats,
    scores: Floats,
    sigmas: Floats,
    before: Floats,
    places: Floats,
    own_boxes: Floats,
    own_scores: Floats,
    own_sigmas: Floats,
    own_seen: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Put what was seen into a track's columns, in place.

    Returns the mean ``(2,)`` shift from the places ``before``: of the slots seen, and of all.
    """
    found, every = np.zeros(2), np.zeros(2)
    for k in range(len(pairs)):
        slot, row = pairs[k]
        own_seen[slot] = True
        own_scores[slot], own_sigmas[slot] = scores[row], sigmas[row]
        for axis in range(2):
            own_boxes[slot, axis] += _SMOOTHING * (boxes[row, axis] - own_boxes[slot, axis])
            places[slot, axis] = positions[row, axis]
            found[axis] += (positions[row, axis] - before[slot, axis]) / len(pairs)
    for n in range(len(places)):
        for axis in range(2):
            every[axis] += (places[n, axis] - before[n, axis]) / len(places)
    return found, every


def turned(line: Centerline) -> Centerline:
    """The line from its other end."""
    return replace(line, points=np.ascontiguousarray(line.points[::-1]))
