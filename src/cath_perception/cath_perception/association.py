"""Which electrode of a frame is which electrode of which track. All positions and lengths are image px."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import (
    Floats,
    Pairs,
    best_pairs,
    best_shift,
    carried,
    mutual_pairs,
)
from cath_perception.compiled import compiled
from cath_perception.sightings import Sightings
from cath_perception.track import Track

_CLOSE = 0.4
"""A pattern found so near its expected place, in parts of the reach, on the average, needs no search."""
_ALL, _ENOUGH, _FEW = 0.8, 0.5, 0.3
"""Part of the electrodes usually seen of a track that must be found at the expected place so as not to search (a catheter
with pairs of rings that went on by a gap finds every other one at its neighbour's place); part of all electrodes for the
track to be there though a search finds nothing better, and for it to be seen."""
_USUAL = 0.7
"""The electrode seen most counts as seen in so much of the frames at least, and the others with it: for a while their shaft
alone may have been seen."""
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
    tracks: Sequence[Track],
    seen: Sightings,
    free: NDArray[np.bool_],
    time_s: float,
    gates: Sequence[float],
    claimed: Sequence[NDArray[np.bool_]],
) -> Association:
    """Find the electrodes of tracks among the ``free`` ones of a frame; none goes to two.

    Each track's pattern is expected where it was going; where it is not there, it is searched for within its gate. Then
    it may bend. The slots that a settled type has ``claimed`` choose first, then those of electrodes believed in: what else
    a track picked up, and new tracks of its pieces, get what these leave.
    """
    if not tracks:
        return Association([], [])
    places = [track.places + track.drift(time_s) for track in tracks]
    which = np.flatnonzero(free & ~seen.faint)
    if not free.any() or not sum(map(len, places)):
        return Association([np.empty((0, 2), np.intp) for _ in tracks], places)
    found, every = seen.positions[which], seen.positions[free]
    owner = np.repeat(np.arange(len(tracks)), [len(p) for p in places])
    known = np.concatenate([track.guiding for track in tracks])
    reach = np.array([track.reach for track in tracks])
    shares = np.concatenate([track.share for track in tracks])
    there = _searched(places, owner, known, shares, found, every, reach, gates)
    together = np.concatenate(places)
    limit = np.where(there, reach, 0.0)[owner]
    first = np.concatenate(claimed)
    pairs = np.empty((0, 2), np.intp)
    sure = ~first & np.concatenate([track.confirmed for track in tracks])
    for mine in (first, sure, ~first & ~sure):
        pairs, together = _assigned(
            together, owner, found, seen.shafts[which], np.where(mine, limit, 0.0), pairs
        )
    pairs = pairs[pairs[:, 0].argsort(kind="stable")]
    pairs[:, 1] = which[pairs[:, 1]]
    pairs = _with_faint(pairs, together, seen, np.flatnonzero(free & seen.faint), limit)
    return _by_track(places, together, owner, known, pairs)


def _assigned(
    places: Floats,
    owner: NDArray[np.intp],
    found: Floats,
    shafts: NDArray[np.intp],
    limit: Floats,
    taken: Pairs,
) -> tuple[Pairs, Floats]:
    """The pairs ``taken`` and those of slots whose limit is not 0 with what is left; and where all slots are then."""
    if not limit.any():
        return taken, places
    squares = _squares(places, found, limit)
    squares[:, taken[:, 1]] = np.inf
    pairs = mutual_pairs(squares, limit)
    if not len(pairs):
        return taken, places
    places = carried(places, owner, pairs, found)
    squares = _squares(places, found, limit)
    squares[:, taken[:, 1]] = np.inf
    _prefer_main(squares, owner, shafts, limit, pairs)
    return np.concatenate((taken, best_pairs(squares, limit))), places


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
    places: list[Floats], together: Floats, owner: NDArray[np.intp], known: NDArray[np.bool_], pairs: Pairs
) -> Association:
    """Part what was found of all tracks together; ``pairs`` rise with the slots."""
    starts, firsts, seen = _parts(owner, known, pairs, len(places))
    association = Association([], [])
    parts = zip(
        places, starts.tolist(), firsts[:-1].tolist(), firsts[1:].tolist(), seen.tolist(), strict=True
    )
    for place, start, first, last, there in parts:
        mine = pairs[first : last if there else first]
        mine[:, 0] -= start
        association.pairs.append(mine)
        association.expected.append(together[start : start + len(place)])
    return association


@compiled("(i8[::1], b1[::1], i8[:, :], i8)")
def _parts(
    owner: NDArray[np.intp], known: NDArray[np.bool_], pairs: Pairs, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Of ``count`` tracks the first slot of each, its first pair (and the end of all), and whether enough of those that it
    is found again by are among its pairs to say that it is there."""
    starts, firsts = np.zeros(count, np.int64), np.zeros(count + 1, np.int64)
    guiding, guided = np.zeros(count), np.zeros(count)
    for i in range(len(owner)):
        guiding[owner[i]] += known[i]
        for n in range(owner[i] + 1, count):
            starts[n] += 1
    for k in range(len(pairs)):
        n = owner[pairs[k, 0]]
        guided[n] += known[pairs[k, 0]]
        firsts[n + 1 :] += 1
    least = np.where(guiding >= 3.0, 2.0, 1.0)
    return starts, firsts, guided >= np.maximum(_FEW * guiding, least)


@compiled("(f8[:, ::1], f8[:, ::1], f8[::1])")
def _squares(places: Floats, found: Floats, limit: Floats) -> Floats:
    """Squared distances; those of tracks that are not there (limit 0) are out of reach."""
    squares = np.full((len(places), len(found)), np.inf)
    for i in range(len(places)):
        if limit[i] > 0.0:
            for j in range(len(found)):
                x, y = places[i, 0] - found[j, 0], places[i, 1] - found[j, 1]
                squares[i, j] = x * x + y * y
    return squares


@compiled("(f8[:, ::1], i8[::1], i8[::1], f8[::1], i8[:, ::1])")
def _prefer_main(
    squares: Floats, owner: NDArray[np.intp], shafts: NDArray[np.intp], limit: Floats, pairs: Pairs
) -> None:
    """What lies on another shaft than most of the track's ``pairs`` counts as farther away, in place."""
    main = _main_shafts(owner, shafts, pairs)
    for i in range(len(squares)):
        for j in range(len(shafts)):
            if shafts[j] != main[owner[i]]:
                squares[i, j] += _OTHER_SHAFT * limit[i] * limit[i]


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
    there, sure = _is_there(np.concatenate(places), owner, known, shares, every, reach)
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


@compiled("(f8[:, ::1], i8[::1], b1[::1], f8[::1], f8[:, ::1], f8[::1])")
def _is_there(
    places: Floats,
    owner: NDArray[np.intp],
    known: NDArray[np.bool_],
    shares: Floats,
    every: Floats,
    reach: Floats,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tracks may be where they were expected, and which are so surely that no search is needed."""
    count = len(reach)
    hits, total, off = np.zeros(count), np.zeros(count), np.zeros(count)
    usual, most = np.zeros(count), np.full(count, 1e-9)
    for i in range(len(places)):
        if known[i]:
            n, missed = owner[i], np.inf
            for j in range(len(every)):
                missed = min(missed, (places[i, 0] - every[j, 0]) ** 2 + (places[i, 1] - every[j, 1]) ** 2)
            total[n] += 1.0
            usual[n] += shares[i]
            most[n] = max(most[n], shares[i])
            if missed <= reach[n] ** 2:
                hits[n] += 1.0
                off[n] += missed
    close = np.sqrt(off / np.maximum(hits, 1.0)) <= _CLOSE * reach
    there = (hits >= np.maximum(_ENOUGH * total, 1.0)) & close
    return there, there & (hits >= _ALL * usual * np.maximum(_USUAL / most, 1.0))


@compiled()
def _main_shafts(owner: NDArray[np.intp], shafts: NDArray[np.intp], pairs: Pairs) -> NDArray[np.intp]:
    """The shaft on which most of each track's sightings lie; -1 if on none."""
    count, most = owner.max() + 1, shafts.max() + 1
    votes, main = np.zeros((count, max(most, 1)), np.int64), np.full(count, -1)
    for k in range(len(pairs)):
        slot, row = pairs[k]
        if shafts[row] >= 0:
            votes[owner[slot], shafts[row]] += 1
    for n in range(count):
        if votes[n].max() > 0:
            main[n] = votes[n].argmax()
    return main
