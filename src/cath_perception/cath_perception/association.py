"""Which electrode of a frame is which electrode of which track. All positions and lengths are image px."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import (
    Floats,
    Pairs,
    bent,
    best_pairs,
    best_shift,
    mutual_pairs,
    squared_distances,
)
from cath_perception.sightings import Sightings
from cath_perception.track import Track

_CLOSE = 0.4
"""A pattern found so near its expected place, in parts of the reach, on the average, needs no search."""
_ALL, _ENOUGH, _FEW = 0.8, 0.5, 0.3
"""Part of the electrodes usually seen of a track that must be found at the expected place so as not to search (a catheter
with pairs of rings that went on by a gap finds every other one at its neighbour's place); part of all electrodes for the
track to be there though a search finds nothing better, and for it to be seen."""
_FAINT = 0.8
"""A faint electrode is looked for within this part of the reach."""
_OTHER_SHAFT = 0.25
"""An electrode on another shaft than most of the track's counts as farther away, by so much of the reach squared."""


@dataclass(frozen=True, slots=True)
class Association:
    """What was found of several tracks.

    Attributes:
        pairs: for each track ``(P, 2)`` pairs of its slots and sightings.
        expected: for each track ``(slots, 2)`` places of all of its slots.
    """

    pairs: list[Pairs]
    expected: list[Floats]


def associate(
    tracks: Sequence[Track], seen: Sightings, free: NDArray[np.bool_], time_s: float, gates: Sequence[float]
) -> Association:
    """Find the electrodes of tracks among the ``free`` ones of a frame; none goes to two.

    Each track's pattern is expected where it was going; where it is not there, it is searched for within its gate. Then
    it may bend.
    """
    if not tracks:
        return Association([], [])
    places = [track.places + track.drift(time_s) for track in tracks]
    which = np.flatnonzero(free & ~seen.faint)
    if not free.any() or not sum(map(len, places)):
        return Association([np.empty((0, 2), np.intp) for _ in tracks], places)
    found = seen.positions[which]
    owner = np.repeat(np.arange(len(tracks)), [len(p) for p in places])
    known = np.concatenate([track.guiding for track in tracks])
    reach = np.array([track.reach for track in tracks])
    shares = np.concatenate([track.share for track in tracks])
    there = _searched(places, owner, known, shares, found, seen.positions[free], reach, gates)
    together = np.concatenate(places)
    limit = np.where(there, reach, 0.0)[owner]
    pairs = mutual_pairs(_squares(together, found, limit), limit)
    if len(pairs):
        related = owner[:, None] == owner[pairs[:, 0]][None, :]
        together = together + bent(together, pairs[:, 0], found[pairs[:, 1]] - together[pairs[:, 0]], related)
        squares = _squares(together, found, limit)
        shafts = seen.shafts[which]
        main = _main_shafts(owner[pairs[:, 0]], shafts[pairs[:, 1]], len(tracks))
        squares += (shafts[None, :] != main[owner][:, None]) * (_OTHER_SHAFT * limit * limit)[:, None]
        pairs = best_pairs(squares, limit)
    pairs[:, 1] = which[pairs[:, 1]]
    pairs = _with_faint(pairs, together, seen, np.flatnonzero(free & seen.faint), limit)
    return _by_track(places, together, known, pairs)


def _with_faint(
    pairs: Pairs, together: Floats, seen: Sightings, faint: NDArray[np.intp], limit: Floats
) -> Pairs:
    """The pairs and those of slots not found yet with faint sightings that lie where they should."""
    if not len(faint):
        return pairs
    free = np.ones(len(together), bool)
    free[pairs[:, 0]] = False
    missed = np.flatnonzero(free)
    if not len(missed):
        return pairs
    near = _FAINT * limit[missed]
    more = mutual_pairs(_squares(together[missed], seen.positions[faint], near), near)
    more = np.column_stack((missed[more[:, 0]], faint[more[:, 1]]))
    both = np.concatenate((pairs, more))
    return both[both[:, 0].argsort(kind="stable")]


def _by_track(
    places: list[Floats],
    together: Floats,
    known: NDArray[np.bool_],
    pairs: Pairs,
) -> Association:
    """Part what was found of all tracks together; ``pairs`` rise with the slots."""
    association = Association([], [])
    rows, columns = pairs[:, 0], pairs[:, 1]
    start = first = 0
    for place in places:
        stop = start + len(place)
        last = first + int((rows[first:] < stop).sum())
        guiding = known[start:stop]
        mine = np.column_stack((rows[first:last] - start, columns[first:last]))
        enough = _is_seen(int(guiding[mine[:, 0]].sum()), int(guiding.sum()))
        association.pairs.append(mine if enough else mine[:0])
        association.expected.append(together[start:stop])
        start, first = stop, last
    return association


def _squares(places: Floats, found: Floats, limit: Floats) -> Floats:
    """Squared distances; those of tracks that are not there (limit 0) are out of reach."""
    squares = squared_distances(places, found)
    squares[limit <= 0] = np.inf
    return squares


def _is_seen(pairs: int, electrodes: int) -> bool:
    """Whether so many of a track's electrodes are enough to say that it is there."""
    return pairs >= max(_FEW * electrodes, 2 if electrodes >= 3 else 1)


def _searched(
    places: list[Floats],
    owner: NDArray[np.intp],
    known: NDArray[np.bool_],
    shares: Floats,
    found: Floats,
    every: Floats,
    reach: Floats,
    gates: Sequence[float],
) -> NDArray[np.bool_]:
    """Shift the places of those tracks that are not where they were expected, in place. Returns which tracks are there.

    ``found``: the clear sightings, ``every``: the faint ones, too.
    """
    count = len(places)
    missed = squared_distances(np.concatenate(places), every).min(axis=1)
    hit = known & (missed <= np.square(reach)[owner])
    hits = np.bincount(owner, hit, count)
    off = np.sqrt(np.bincount(owner, missed * hit, count) / np.maximum(hits, 1))
    close = off <= _CLOSE * reach
    usual, total = np.bincount(owner, known * shares, count), np.bincount(owner, known, count)
    there = (hits >= np.maximum(_ENOUGH * total, 1)) & close
    sure = there & (hits >= _ALL * usual)
    for n in np.flatnonzero(~sure).tolist():
        mine = known[owner == n]
        if not mine.any() or not len(found):
            continue
        gate = gates[n] if mine.sum() >= 3 else 2.0 * reach[n]
        seen = every if there[n] else found
        shift, explained = best_shift(places[n][mine], seen, gate, float(reach[n]))
        if explained >= 0.7 * max(_FEW * mine.sum(), 2.0 if mine.sum() >= 3 else 1.0):
            places[n] = places[n] + shift
            there[n] = True
    return there


def _main_shafts(owner: NDArray[np.intp], shafts: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The shaft on which most of each track's sightings lie; -1 if on none."""
    if shafts.max(initial=-1) < 0:
        return np.full(count, -1)
    most = int(shafts.max()) + 2  # the last place is that of electrodes on none
    votes = np.bincount(owner * most + shafts % most, minlength=count * most).reshape(count, most)[:, :-1]
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
