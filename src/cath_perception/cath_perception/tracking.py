"""Catheters through a sequence: lasting ids and electrode indices, prediction of short losses, types voted on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from cath_perception.alignment import Floats
from cath_perception.recognition import Recognizer
from cath_perception.track import Match, Track
from cath_perception.types import Catheter, CatheterStatus, Electrode, PerceptionResult

_NEVER = 1e3
_SHARE_OF_PATTERN = 0.4
"""A catheter is the same if so much of the smaller pattern of electrodes is found again."""
_SHARE_OF_PIECE = 0.6
"""A detection so much of whose electrodes belong to tracked catheters is a piece of these and no catheter of its own."""
_SETTLED_VOTES = 10
_VOTES_EVERY = 5


@dataclass(frozen=True, slots=True)
class TrackingLimits:
    """What a tracker goes by.

    Attributes:
        predict_s: a catheter not seen is PREDICTED for so long, then LOST.
        forget_s: a lost one is known again for so long after it was last seen, then dropped.
        gap_s: a longer pause between frames begins a new scene.
        jump: largest shift between frames, in parts of the image's longer side ...
        jump_per_s: ... and how much more for every second a catheter was not seen, up to ``largest_jump``.
    """

    predict_s: float = 0.5
    forget_s: float = 5.0
    gap_s: float = 1.5
    jump: float = 0.05
    jump_per_s: float = 0.05
    largest_jump: float = 0.15


class CatheterTracker:
    """Gives the catheters of successive frames ids and electrode indices that last.

    Attributes:
        scene: counts up when everything known was dropped: at a pause, a size that changes, time that goes back, or a
            jump of all catheters at once. Ids are never used again.
    """

    def __init__(self, recognizer: Recognizer, limits: TrackingLimits | None = None) -> None:
        self.scene = 0
        self._recognizer, self._limits = recognizer, limits or TrackingLimits()
        self._tracks: list[Track] = []
        self._next_id = 0
        self._frame = 0
        self._time: float | None = None
        self._size = (0, 0)

    def reset(self) -> None:
        """Drop everything known; the next frame begins a new scene."""
        self._tracks.clear()
        self._time = None
        self.scene += 1

    def landmarks(self, identity: int) -> dict[int, tuple[float, float]]:
        """Electrodes of a catheter seen in the newest frame and believed in, px, by a key that lasts with its track."""
        for track in self._tracks:
            if track.id == identity and track.status is CatheterStatus.DETECTED:
                seen = [slot for slot in track.slots if slot.electrode.visible and slot.confirmed]
                return {slot.key: (slot.electrode.x, slot.electrode.y) for slot in seen}
        return {}

    def update(self, result: PerceptionResult, time_s: float) -> PerceptionResult:
        """The same result with lasting ids, indices and types, and with catheters that are only predicted or lost.

        ``electrodes`` stay those seen in this frame; a catheter also has those that were bridged, not ``visible``. One that
        was seen on a shaft but is not believed in (yet) has the catheter's id and index -1. A result without
        catheters (not computed) is returned as it is.
        """
        if result.catheters is None:
            return result
        self._begin(result, time_s)
        places = [_positions(catheter) for catheter in result.catheters]
        matches = self._assign(result.catheters, places, time_s)
        if self._jumped(result.catheters, matches):
            self.reset()
            matches = {}
        self._time, self._size = time_s, (result.width, result.height)
        owners = self._update_tracks(result.catheters, matches, time_s)
        self._identify(time_s)
        reported = [track for track in self._tracks if track.seen_at == time_s or track.mature]
        catheters = tuple(track.catheter(time_s, self._limits.forget_s) for track in reported)
        return replace(result, electrodes=self._named(result, owners), catheters=catheters)

    def _begin(self, result: PerceptionResult, time_s: float) -> None:
        if self._time is None:
            return
        pause = time_s - self._time
        if pause < 0 or pause > self._limits.gap_s or (result.width, result.height) != self._size:
            self.reset()

    def _assign(
        self, found: tuple[Catheter, ...], places: list[Floats], time_s: float
    ) -> dict[int, tuple[Track, Match]]:
        """The track of each detected catheter that has one, by its place in ``found``."""
        if not found or not self._tracks:
            return {}
        costs = np.full((len(self._tracks), len(found)), _NEVER)
        matches: dict[tuple[int, int], Match] = {}
        for row, track in enumerate(self._tracks):
            for column, catheter in enumerate(found):
                match = track.match(catheter, places[column], time_s, self._gate(track, time_s))
                cost = _cost(track, catheter, match)
                if cost is not None:
                    costs[row, column], matches[row, column] = cost, match
        rows, columns = linear_sum_assignment(costs)
        return {
            int(column): (self._tracks[row], matches[row, column])
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if (row, column) in matches
        }

    def _gate(self, track: Track, time_s: float) -> float:
        """How far the track may have gone, px."""
        limits, side = self._limits, max(self._size)
        share = limits.jump + limits.jump_per_s * max(time_s - track.seen_at, 0.0)
        return side * min(share, limits.largest_jump)

    def _jumped(self, found: tuple[Catheter, ...], matches: dict[int, tuple[Track, Match]]) -> bool:
        """Whether catheters were there, none of them is, and as many others are: another view."""
        there = [
            t for t in self._tracks if t.status is CatheterStatus.DETECTED and t.mature and len(t.slots) >= 3
        ]
        still = any(track in there for track, _ in matches.values())
        new = sum(len(catheter.electrodes) >= 3 and i not in matches for i, catheter in enumerate(found))
        return bool(there) and not still and new >= len(there)

    def _update_tracks(
        self,
        found: tuple[Catheter, ...],
        matches: dict[int, tuple[Track, Match]],
        time_s: float,
    ) -> dict[tuple[int, int], tuple[Track, int]]:
        """Bring all tracks up to date; returns track and slot key of each electrode (catheter, index) that has one."""
        owners: dict[tuple[int, int], tuple[Track, int]] = {}
        for column, (track, match) in matches.items():
            keys = track.update(found[column], match, time_s)
            owners |= {(found[column].id, index): (track, key) for index, key in keys.items()}
        for track, _ in matches.values():
            loose = _unowned(found, owners)
            keys = track.fill(loose)
            owners |= {(loose[i].catheter, loose[i].index): (track, key) for i, key in keys.items()}
        for column, catheter in enumerate(found):
            new = _unowned((catheter,), owners)
            if column in matches:
                home = matches[column][0]
                added = home.settle(new)
            elif len(catheter.electrodes) - len(new) >= max(2.0, _SHARE_OF_PIECE * len(catheter.electrodes)):
                continue  # a piece of a catheter that is known
            else:
                home = Track.of(self._next_id, replace(catheter, electrodes=tuple(new)), time_s)
                added = [slot.key for slot in home.slots]
                self._next_id += 1
                self._tracks.append(home)
            owners |= {(e.catheter, e.index): (home, key) for e, key in zip(new, added, strict=False)}
        for track in self._tracks:
            if track.seen_at != time_s:
                track.miss(time_s, self._limits.predict_s)
        self._tracks = [t for t in self._tracks if self._is_kept(t, time_s)]
        return owners

    def _is_kept(self, track: Track, time_s: float) -> bool:
        limit = self._limits.forget_s if track.mature else self._limits.predict_s
        return time_s - track.seen_at <= limit

    def _identify(self, time_s: float) -> None:
        """Recognize one catheter a frame, the one with the fewest votes; more seldom once all have many."""
        seen = [t for t in self._tracks if t.status is CatheterStatus.DETECTED and len(t.slots) >= 3]
        track = min(seen, key=lambda t: t.recognized, default=None)
        self._frame += 1
        if track is None or (track.recognized >= _SETTLED_VOTES and self._frame % _VOTES_EVERY):
            return
        track.recognized += 1
        now = track.catheter(time_s, self._limits.forget_s)
        track.vote(*self._recognizer.identify(now, allow_false=False))

    def _named(
        self, result: PerceptionResult, owners: dict[tuple[int, int], tuple[Track, int]]
    ) -> tuple[Electrode, ...]:
        """This frame's electrodes with the ids and indices of their tracks."""
        ranks = {track.id: track.ranks() for track, _ in owners.values()}
        named = []
        for electrode in result.electrodes:
            track, key = owners.get((electrode.catheter, electrode.index), (None, -1))
            identity, index = (-1, -1) if track is None else (track.id, ranks[track.id].get(key, -1))
            named.append(replace(electrode, catheter=identity, index=index))
        return tuple(named)


def _unowned(
    found: tuple[Catheter, ...], owners: dict[tuple[int, int], tuple[Track, int]]
) -> list[Electrode]:
    """Electrodes of these detections that no slot has."""
    return [e for c in found for e in c.electrodes if (e.catheter, e.index) not in owners]


def _positions(catheter: Catheter) -> Floats:
    return np.array([(e.x, e.y) for e in catheter.electrodes], np.float64).reshape(-1, 2)


def _cost(track: Track, catheter: Catheter, match: Match) -> float | None:
    """How unlike a detection is to a track, 0 (the same) to 2; None if it cannot be the same."""
    width = catheter.centerline.width if catheter.centerline is not None else 8.0
    believed = sum(slot.confirmed or not track.mature for slot in track.slots)
    smaller, larger = sorted((believed, len(catheter.electrodes)))
    off = min(match.line_distance / (4.0 * width), 1.0)
    share = len(match.pairs) / max(smaller, 1)
    if smaller == 0 or share < _SHARE_OF_PATTERN or (smaller >= 3 and len(match.pairs) < 2):
        return 1.0 + off if match.line_distance <= width else None  # by the shaft alone
    if smaller < 3 and match.line_distance > 3.0 * width:
        return None
    return 1.0 - len(match.pairs) / larger + 0.5 * off
