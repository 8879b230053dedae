"""Two tracks for one catheter, one of which is seen and the other thought to be where that is. Positions are image px."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cath_perception.alignment import squared_distances
from cath_perception.naming import Naming
from cath_perception.track import Track
from cath_perception.types import CatheterStatus

_SHARED = 0.6
"""Tracks with so many of their electrodes at the same places are one."""


def doubles(
    tracks: Sequence[Track], names: Mapping[int, Naming], time_s: float
) -> Iterator[tuple[Track, Track]]:
    """Tracks that are one: the one to go on with and the one to drop. ``names`` are by the tracks' ids.

    Of two whose electrodes were picked up twice each frame's go to one or the other. That one goes on which is seen, unless
    only the other's type is settled.
    """
    seen = [track for track in tracks if track.status is CatheterStatus.DETECTED and track.seen.sum() >= 2]
    dropped: set[int] = set()
    for missed in tracks:
        settled = names[missed.id].settled
        if missed.status is not CatheterStatus.PREDICTED or len(missed.keys) < 2:
            continue
        for track in seen:
            both = settled and names[track.id].settled
            if not both and track.id not in dropped and _are_one(missed, track, time_s):
                kept, other = (missed, track) if settled else (track, missed)
                dropped.add(other.id)
                yield kept, other
                break


def _are_one(missed: Track, track: Track, time_s: float) -> bool:
    expected = missed.places[missed.guiding] + missed.drift(time_s)
    believed = track.places[track.guiding]
    if not min(len(expected), len(believed)) >= max(2.0, _SHARED * max(len(expected), len(believed))):
        return False
    near = squared_distances(expected, believed).min(axis=1) <= missed.reach**2
    return bool(near.mean() >= _SHARED)
