"""Catheters through a sequence: lasting ids and electrode indices, prediction of short losses, types from all frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, Pairs
from cath_perception.association import associate
from cath_perception.counting import MATURE, lying
from cath_perception.doubles import doubles
from cath_perception.examination import examine_one
from cath_perception.exchange import exchange
from cath_perception.naming import Naming
from cath_perception.recognition import Recognizer
from cath_perception.reporting import reported
from cath_perception.scene import Course, jumped
from cath_perception.shafts import Shafts, slipped
from cath_perception.shape import mend
from cath_perception.sightings import Sightings
from cath_perception.track import Track
from cath_perception.types import Catheter, CatheterStatus, PerceptionResult

_SHARE_OF_PIECE = 0.6
"""A detection so much of whose electrodes belong to tracked catheters is a piece of these and no catheter of its own."""
_FEWEST = 3
"""So many electrodes on a full catheter's shaft that are not its own are another's."""
_ALIKE = 0.6
"""Tracks are the same only if one has so many of the other's electrodes."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a track lies in a frame: ``(P, 2)`` pairs of its slots and sightings, ``(slots, 2)`` expected places in px."""

    pairs: Pairs
    expected: Floats


@dataclass(frozen=True, slots=True)
class TrackingLimits:
    """What a tracker goes by.

    Attributes:
        predict_s: a catheter not seen is PREDICTED for so long, then LOST.
        forget_s: a lost one is known again for so long after it was last seen, then dropped.
        gap_s: a longer pause between frames begins a new scene.
        jump: largest shift between frames, in parts of the image's longer side ...
        jump_per_s: ... and how much more for every second a catheter was not seen, up to ``largest_jump``.
        pan, pan_s: where all catheters go so far (in the same parts) within so many seconds, the view itself moves.
    """

    predict_s: float = 0.5
    forget_s: float = 5.0
    gap_s: float = 1.5
    jump: float = 0.05
    jump_per_s: float = 0.05
    largest_jump: float = 0.15
    pan: float = 0.12
    pan_s: float = 0.5


class CatheterTracker:
    """Gives the catheters of successive frames ids and electrode indices that last.

    Electrodes are followed one by one, whatever shaft each frame counts them to; the shafts tell which belong together
    when a track begins.

    Attributes:
        limits: may be changed between frames.
        scene: counts up when everything known was dropped: at a pause, a size that changes, time that goes back, or a
            jump or a common drift of all catheters at once. Ids are never used again.
    """

    def __init__(self, recognizer: Recognizer, limits: TrackingLimits | None = None) -> None:
        self.scene = 0
        self.limits = limits or TrackingLimits()
        self._recognizer = recognizer
        self._tracks: list[Track] = []
        self._names: dict[int, Naming] = {}
        self._next_id = 0
        self._frame = self._began = 0
        self._time: float | None = None
        self._seen: Sightings | None = None
        self._size = (0, 0)
        self._course = Course()

    def reset(self) -> None:
        """Drop everything known; the next frame begins a new scene."""
        self._tracks.clear()
        self._names.clear()
        self._course.clear()
        self._time = self._seen = None
        self.scene += 1
        self._began = self._frame

    def landmarks(self, identity: int) -> dict[int, tuple[float, float]]:
        """Electrodes of a catheter seen in the newest frame and believed in, px, by a key that lasts with its track.

        Without those that its type, once settled, has no place for.
        """
        for track in self._tracks:
            if track.id == identity and track.status is CatheterStatus.DETECTED:
                there = track.seen & track.confirmed
                places = map(tuple, track.places[there].tolist())
                found = dict(zip(track.keys[there].tolist(), places, strict=True))
                name = self._names[identity]
                return {key: found[key] for key in name.claimed if key in found} if name.settled else found
        return {}

    def slipped(self, identity: int) -> bool:
        """Whether a catheter's electrodes may have been taken for their neighbours in the newest frame; see ``slipped``."""
        numbers = self.numbers(identity)
        if self._seen is None or not numbers:
            return False
        told = numbers.values()
        ends = min(told) == 0, max(told) == self.complete(identity) - 1
        return slipped(self._seen, identity, tuple(numbers), ends)

    def numbers(self, identity: int) -> dict[int, int]:
        """Which electrode of its type, from the tip, each landmark of a catheter is; none before the type is settled."""
        name = self._names.get(identity)
        if name is None or name.layout is None or not name.settled:
            return {}
        pairs = zip(name.layout.keys, name.layout.indices, strict=True)
        return {key: index for key, index in pairs if index >= 0}

    def complete(self, identity: int) -> int:
        """How many electrodes a catheter of its type has; 0 where that is not settled."""
        name = self._names.get(identity)
        return 0 if name is None or name.layout is None or not name.settled else name.layout.count

    def update(self, result: PerceptionResult, time_s: float) -> PerceptionResult:
        """The same result with lasting ids, indices and types, and with catheters that are only predicted or lost.

        ``electrodes`` stay those seen in this frame; a catheter also has those that were bridged, not ``visible``. One that
        was seen on a shaft but is not believed in (yet) has the catheter's id and index -1. A result without
        catheters (not computed) is returned as it is.
        """
        if result.catheters is None:
            return result
        self._begin(result, time_s)
        seen = Sightings.of(result)
        shafts = Shafts(result.catheters)
        found = self._find(seen, shafts, time_s)
        if jumped(self._tracks, found, shafts) or self._panned(found, time_s):
            self.reset()
            found = {}
            shafts, seen = Shafts(result.catheters), Sightings.of(result)
        self._time, self._size = time_s, (result.width, result.height)
        self._follow(found, seen, shafts, time_s)
        self._begin_tracks(seen, shafts, time_s)
        self._count_rest(seen, shafts)
        self._drop_doubles(seen, time_s)
        self._forget(time_s)
        self._frame += 1
        examine_one(self._tracks, self._names, shafts.lines, self._frame)
        self._seen = seen
        return reported(result, self._tracks, self._names, seen, time_s, self.limits.forget_s)

    def _begin(self, result: PerceptionResult, time_s: float) -> None:
        if self._time is None:
            return
        pause = time_s - self._time
        if pause < 0 or pause > self.limits.gap_s or (result.width, result.height) != self._size:
            self.reset()

    def _find(self, seen: Sightings, shafts: Shafts, time_s: float) -> dict[int, Found]:
        """Where each track that is there lies, by its place; those that are lost take what others leave."""
        found: dict[int, Found] = {}
        free = np.ones(len(seen.positions), bool)
        known = [n for n, track in enumerate(self._tracks) if len(track.keys)]
        lost = [n for n in known if self._tracks[n].status is CatheterStatus.LOST]
        for group in ([n for n in known if n not in lost], lost):
            tracks = [self._tracks[n] for n in group]
            gates = [self._gate(track, time_s) for track in tracks]
            claimed = [self._names[track.id].claims(track.keys) for track in tracks]
            association = associate(tracks, seen, free, time_s, gates, claimed)
            for n, pairs, expected in zip(group, association.pairs, association.expected, strict=True):
                if len(pairs):
                    found[n] = Found(pairs, expected)
                    free[pairs[:, 1]] = False
        shafts.give({n: place.pairs for n, place in found.items()}, self._tracks, seen)
        unseen = [(n, t, t.drift(time_s)) for n, t in enumerate(self._tracks) if n not in found]
        for n, shaft, drift in shafts.alike(unseen):
            found[n] = Found(np.empty((0, 2), np.intp), self._tracks[n].places + drift)
            shafts.owner[shaft] = n
        return found

    def _gate(self, track: Track, time_s: float) -> float:
        """How far the track may have gone, px."""
        limits, side = self.limits, max(self._size)
        share = limits.jump + limits.jump_per_s * max(time_s - track.seen_at, 0.0)
        return side * min(share, limits.largest_jump)

    def _panned(self, found: dict[int, Found], time_s: float) -> bool:
        """Whether the view moves: all catheters together, in one direction, farther than hearts and lungs move them."""
        since = 0.0 if self._time is None else time_s - self._time
        gone = self._course.gone(self._tracks, found, since, time_s, self.limits.pan_s)
        return gone > self.limits.pan * max(self._size)

    def _follow(self, found: dict[int, Found], seen: Sightings, shafts: Shafts, time_s: float) -> None:
        """Bring all tracks up to date."""
        ids = np.array([track.id for track in self._tracks], np.intp)
        owners = np.array(shafts.owner, np.intp)
        for n, place in found.items():
            rows, slots = place.pairs[:, 1], place.pairs[:, 0]
            seen.key[rows], seen.track[rows] = self._tracks[n].keys[slots], self._tracks[n].id
        for n, track in enumerate(self._tracks):
            if n not in found:
                track.miss(time_s, self.limits.predict_s)
                continue
            pairs = found[n].pairs
            shift = track.see(pairs, found[n].expected, seen, time_s)
            main = shafts.main.get(n, -1)
            for key in track.count(*lying(pairs, seen.shafts, owners, ids, len(track.keys), n, main)):
                seen.key[(seen.track == track.id) & (seen.key == key)] = -1
            self._names[track.id].forget_lost(track.keys.tolist())
            side = shafts.line_for(n, track, pairs, seen, shift)
            if not self._names[track.id].circular:  # which a ring's looks tell better
                track.note_facing(side)
            self._names[track.id].turn(track)
        exchange(self._tracks, self._names, seen)
        mend(self._frame, [t for t in self._tracks if t.seen.any()], self._names, seen)
        for new in np.flatnonzero((seen.track < 0) & (seen.shafts >= 0)).tolist():
            owner = shafts.owner[seen.shafts[new]]
            if owner >= 0 and not self._names[self._tracks[owner].id].closed:
                track = self._tracks[owner]
                seen.track[new], seen.key[new] = track.id, track.add(seen, new)

    def _begin_tracks(self, seen: Sightings, shafts: Shafts, time_s: float) -> None:
        """A track for every shaft that is no known catheter's and no piece of one, and for what a closed one leaves."""
        for shaft, catheter in enumerate(shafts.catheters):
            owner = shafts.owner[shaft]
            if owner >= 0 and not self._names[self._tracks[owner].id].closed:
                continue
            mine = seen.shafts == shaft
            new = np.flatnonzero(mine & (seen.track < 0))
            if owner >= 0:
                if len(new) < _FEWEST:
                    continue
            elif mine.sum() - len(new) >= max(2.0, _SHARE_OF_PIECE * mine.sum()):
                continue
            self._add_track(new[seen.ranks[new].argsort()], catheter, seen, time_s)

    def _drop_doubles(self, seen: Sightings, time_s: float) -> None:
        """Make one of two tracks for one catheter; the older one's id lasts, unless the type of the other is settled."""
        for kept, other in list(doubles(self._tracks, self._names, time_s)):
            gone, mine = seen.track == other.id, seen.track == kept.id
            seen.key[gone], seen.track[gone] = -1, -1
            self._tracks.remove(other)
            del self._names[other.id]
            if other.id < kept.id and not self._names[kept.id].settled:
                del self._names[kept.id]
                kept.id, self._names[other.id] = other.id, Naming(self._recognizer)
                kept.follow(other)
                seen.track[mine] = kept.id
                seen.key[mine & (seen.key >= 0)] += other.next_key

    def _count_rest(self, seen: Sightings, shafts: Shafts) -> None:
        """What lies on a track's shaft and is no electrode of any is counted to it all the same."""
        owners = np.array([*(self._tracks[n].id if n >= 0 else -1 for n in shafts.owner), -1])
        rest = (seen.track < 0) & (seen.shafts >= 0)
        seen.track[rest] = owners[seen.shafts[rest]]

    def _add_track(self, rows: NDArray[np.intp], catheter: Catheter, seen: Sightings, time_s: float) -> None:
        before = self._missed(rows, seen, time_s)
        identity = self._next_id if before is None else before.id
        early = self._frame - self._began < MATURE
        track = Track(identity, rows, seen, catheter.centerline, catheter.score, time_s, early)
        if before is None:
            self._next_id += 1
            self._tracks.append(track)
        else:
            track.follow(before)
            self._tracks[self._tracks.index(before)] = track
        seen.track[rows], seen.key[rows] = track.id, track.keys
        self._names[track.id] = Naming(self._recognizer)

    def _missed(self, rows: NDArray[np.intp], seen: Sightings, time_s: float) -> Track | None:
        """The track that these sightings are, though their pattern is not known again: one without a settled type that was
        just there and has as many electrodes."""
        nearest, least = None, math.inf
        for track in self._tracks:
            if (
                track.status is not CatheterStatus.PREDICTED
                or self._names[track.id].settled
                or not len(track.keys) >= 2
                or not _ALIKE * len(rows) <= len(track.keys) <= len(rows) / _ALIKE
            ):
                continue
            moved = seen.positions[rows].mean(axis=0) - track.places.mean(axis=0) - track.drift(time_s)
            away = float(np.hypot(*moved)) / self._gate(track, time_s)
            if away < min(1.0, least):
                nearest, least = track, away
        return nearest

    def _forget(self, time_s: float) -> None:
        kept = [
            t
            for t in self._tracks
            if time_s - t.seen_at <= self._memory(t) and (len(t.keys) or not t.born_with)
        ]
        if len(kept) < len(self._tracks):
            self._tracks = kept
            self._names = {track.id: self._names[track.id] for track in kept}

    def _memory(self, track: Track) -> float:
        """How long the track is known though not seen, s."""
        return self.limits.forget_s if track.mature else self.limits.predict_s
