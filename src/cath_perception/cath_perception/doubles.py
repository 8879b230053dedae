"""Two tracks for one catheter: one is not seen and thought to be where the other is, or each has some of the electrodes.

Positions are image px.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

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
    only the other's type is settled; of two settled ones of one pattern the older.
    """
    there = [t for t in tracks if t.status is not CatheterStatus.LOST and len(t.keys) >= 2]
    seen = [track.status is CatheterStatus.DETECTED and track.seen.sum() >= 2 for track in there]
    telling = [_telling(track) for track in there]
    dropped: set[int] = set()
    for n, k in combinations(range(len(there)), 2):
        fewer, more = sorted((len(telling[n]), len(telling[k])))
        if not (seen[n] or seen[k]) or fewer < max(2.0, _SHARED * more):
            continue
        first, second = (n, k) if seen[k] else (k, n)
        missed, track = there[first], there[second]
        if not dropped.isdisjoint((track.id, missed.id)) or not _may_be_one(
            names[missed.id], names[track.id]
        ):
            continue
        if _are_one(missed, track, telling[first], telling[second], time_s):
            kept, other = _order(missed, track, names)
            dropped.add(other.id)
            yield kept, other


def _may_be_one(first: Naming, second: Naming) -> bool:
    """Whether their types, where both are settled, are one pattern's."""
    return not (first.settled and second.settled) or first.template is second.template


def _order(missed: Track, track: Track, names: Mapping[int, Naming]) -> tuple[Track, Track]:
    """The one to go on with first."""
    if names[missed.id].settled and names[track.id].settled:
        return (missed, track) if missed.id < track.id else (track, missed)
    return (missed, track) if names[missed.id].settled else (track, missed)


def _are_one(
    missed: Track, track: Track, first: NDArray[np.intp], second: NDArray[np.intp], time_s: float
) -> bool:
    """Whether most of the slots that tell where they are (``first``, ``second``) are at the same places, where not both are
    seen."""
    expected = missed.places[first] + missed.drift(time_s)
    near = squared_distances(expected, track.places[second]) <= missed.reach**2
    both = near & missed.seen[first][:, None] & track.seen[second]
    if both.any():
        return False
    shared = min(near.any(axis=1).sum(), near.any(axis=0).sum())
    return bool(shared >= _SHARED * max(len(first), len(second)))


def _telling(track: Track) -> NDArray[np.intp]:
    """The slots that tell where a track is: those it is found again by, or all where that is a single one."""
    guiding = np.flatnonzero(track.guiding)
    return guiding if len(guiding) > 1 else np.arange(len(track.keys))
