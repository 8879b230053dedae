"""Which catheter is looked at in a frame, and with what is known of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cath_perception.looks import Other, Points, View
from cath_perception.naming import Naming
from cath_perception.track import Track
from cath_perception.types import CatheterStatus

_SETTLED_LOOKS, _LOOK_EVERY, _LOOK_AT_UNKNOWN = 8, 15, 3
"""Looks from which on a track is looked at once in so many frames, and once in so many if its type is not known or it wants
others' electrodes."""
_FEWEST = 2


def examine_one(
    tracks: Sequence[Track], names: Mapping[int, Naming], lines: Sequence[Points], frame: int
) -> None:
    """Examine one catheter a frame: one that changed, one that is little known, or now and then any.

    Those that have just appeared and must wait for their turn are named by this frame alone meanwhile. ``names`` are by the
    tracks' ids; ``lines``: all centrelines of the frame, px.
    """
    there = [track for track in tracks if track.status is CatheterStatus.DETECTED]
    due = [
        (_due(track, names[track.id]), track.id, track) for track in there if track.believed.sum() >= _FEWEST
    ]
    soonest, chosen, track = min(due, default=(np.inf, -1, None))
    if track is not None and soonest <= frame:
        others = [_lent(other, names[other.id]) for other in there if other is not track]
        names[chosen].examine(View.of(track, lines, others, _scale(track, there, names)), frame)
    for _, identity, track in due:
        if track.hits == 1 and identity != chosen:
            names[identity].glance(track, lines)


def _lent(track: Track, name: Naming) -> Other:
    """What a track has that may be another's: nothing as long as it was not looked at, and no more of a loop than its type
    does not claim."""
    claimed = name.claims(track.keys)
    slots = np.flatnonzero(track.believed & ~(claimed & name.circular))
    if len(slots) >= _FEWEST and not name.looks:
        slots = slots[:0]
    return Other(track, slots, name.evidence.worth, claimed)


def _scale(track: Track, there: Sequence[Track], names: Mapping[int, Naming]) -> float:
    """Px per mm by the widths of the other catheters whose patterns leave no doubt; 0 where there are none.

    Loops are left out, whose masks are wide where they touch themselves.
    """
    known = [
        other.thickness / names[other.id].diameter
        for other in there
        if other is not track and names[other.id].full and not names[other.id].circular
    ]
    return sorted(known)[len(known) // 2] if known else 0.0


def _due(track: Track, name: Naming) -> int:
    """The frame in which the track should be examined again."""
    if name.evidence.weight < _SETTLED_LOOKS or name.examined != track.believed_keys:
        return name.looked_at + 1
    if name.type[0] is None or name.wanting.any:
        return name.looked_at + _LOOK_AT_UNKNOWN
    return name.looked_at + _LOOK_EVERY
