"""How often a track's electrodes are seen, and where: what decides whether they are believed in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float64]

MATURE = 6
"""Frames after which an electrode, or a catheter, is known well enough to be believed or not."""
LATE = 10
"""The same for an electrode that was not there when the track began."""
_MEMORY = 20
_CONFIRMED, _CANDIDATE, _DROPPED = 0.6, 0.35, 0.25
_DOUBLE = 0.4
"""A slot that was in another's shadow in so much of the frames is no electrode."""


@compiled(
    "(b1[::1], i8[::1], b1[::1], i8[::1], i8, f8[:, :], f8[::1], "
    "f8[::1], f8[::1], f8[::1], i8[::1], f8[::1], f8[::1], b1[::1])"
)
def counted(
    seen: NDArray[np.bool_],
    host_now: NDArray[np.int64],
    aside_now: NDArray[np.bool_],
    keys: NDArray[np.int64],
    born_with: int,
    places: Floats,
    beside: Floats,
    frames: Floats,
    share: Floats,
    elsewhere: Floats,
    host: NDArray[np.int64],
    aside: Floats,
    shadow: Floats,
    confirmed: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Count a frame in the columns of a ``Track``, in place; returns ``(N,)`` the slots that there is hope for.

    Args:
        seen, frames, share, elsewhere, host, aside, shadow, confirmed: the track's.
        host_now, aside_now: as ``Track.count`` takes them.
        keys, born_with: the slots' names, and how many were there from the beginning.
        places, beside: ``(N, 2)``, and ``(N,)`` the square of the distance within which another is in one's shadow, px.
    """
    kept, double = np.ones(len(seen), np.bool_), 0
    for n in range(len(seen)):
        frames[n] += 1.0
        weight = 1.0 / min(frames[n], _MEMORY)
        share[n] += weight * (seen[n] - share[n])
        away = host_now[n] >= 0
        elsewhere[n] += seen[n] * weight * (away - elsewhere[n])
        host[n] = host_now[n] if away else host[n]
        aside[n] += seen[n] * weight * (aside_now[n] - aside[n])
        shadow[n] += weight * (_in_shadow(n, seen, places, beside) - shadow[n])
        needed = MATURE if keys[n] < born_with else LATE
        confirmed[n] = frames[n] >= needed and share[n] >= (_DROPPED if confirmed[n] else _CONFIRMED)
        kept[n] = confirmed[n] or frames[n] < 3 or share[n] >= _CANDIDATE
        double = n if shadow[n] > shadow[double] else double
    if len(seen) and shadow[double] > _DOUBLE:
        kept[double] &= frames[double] < (MATURE if keys[double] < born_with else LATE)
    return kept


@compiled()
def _in_shadow(slot: int, seen: NDArray[np.bool_], places: Floats, beside: Floats) -> bool:
    """Whether a slot was not seen, and lies where another was (the square of their distance at most ``beside``)."""
    if seen[slot]:
        return False
    for n in range(len(seen)):
        if seen[n]:
            x, y = places[slot, 0] - places[n, 0], places[slot, 1] - places[n, 1]
            if x * x + y * y <= beside[n]:
                return True
    return False


@compiled("(i8[:, :], i8[::1], i8[::1], i8[::1], i8, i8, i8)")
def lying(
    pairs: NDArray[np.int64],
    shafts: NDArray[np.int64],
    owners: NDArray[np.int64],
    ids: NDArray[np.int64],
    count: int,
    mine: int,
    main: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where the ``count`` slots of a track lie, as ``Track.count`` takes it.

    Args:
        pairs: ``(P, 2)`` of slots and sightings.
        shafts: of each sighting, -1 for none.
        owners, ids: the place of the track that each shaft belongs to, -1 for none, and the id of the track at each place.
        mine, main: the place of this track, and its main shaft.
    """
    host, aside = np.full(count, -1), np.zeros(count, np.bool_)
    for k in range(len(pairs)):
        slot, on = pairs[k, 0], shafts[pairs[k, 1]]
        if on >= 0:
            if owners[on] >= 0 and owners[on] != mine:
                host[slot] = ids[owners[on]]
            else:
                aside[slot] = on != main
    return host, aside
