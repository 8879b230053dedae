"""Electrodes that two catheters took for each other's while they crossed, told by the shapes that both had before.

All positions and lengths are image px.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, consensus, rigid
from cath_perception.compiled import compiled
from cath_perception.naming import Naming
from cath_perception.sightings import Sightings
from cath_perception.track import Track

_RATE, _OFF_RATE = 0.03, 0.01
"""How much of a look the shape that is remembered takes in, and of an electrode that is off."""
_OFF, _THERE = 1.5, 0.8
"""An electrode farther than so many reaches from where its catheter's shape has it is off; what lies within so many of
there may be it."""
_FEWEST = 3
_SOFT = 100.0
"""Electrodes nearer to each other than the root of this (px) bend alike."""


def mend(turn: int, tracks: Sequence[Track], names: Mapping[int, Naming], seen: Sightings) -> None:
    """Compare one of the tracks, each in its ``turn``, with its shape, and bring electrodes back that are off.

    Each goes to the sighting that lies where it should be, if that is no settled catheter's, or if it is off there as well.
    """
    if not tracks:
        return
    track = tracks[turn % len(tracks)]
    if (pose := _pose(track)) is None:
        _begin(track)
        return
    expected = _bent(track.shape, track.places, *pose)
    off = np.hypot(*(track.places - expected).T) > _OFF * track.reach
    if off.any() and names[track.id].settled:
        for slot in np.flatnonzero(off & names[track.id].claims(track.keys)).tolist():
            _bring_back(track, slot, expected[slot], tracks, names, seen)
        pose = _pose(track) or pose
    _remember(track.shape, track.places, track.seen & track.believed, off, *pose[1:])


def _begin(track: Track) -> None:
    """The shape is what is seen, where nothing is known of it yet."""
    fresh = track.seen & track.believed
    if fresh.sum() >= _FEWEST and np.isfinite(track.shape[:, 0]).sum() < _FEWEST:
        track.shape[fresh] = track.places[fresh]


def _pose(track: Track) -> tuple[NDArray[np.intp], float, float, float] | None:
    """The slots whose places fit the shape, its rotation (rad) and shift (px); None if too few do."""
    known = np.flatnonzero(track.seen & np.isfinite(track.shape[:, 0]))
    if len(known) < _FEWEST:
        return None
    kept = known[consensus(track.shape[known], track.places[known], _OFF * track.reach)]
    if len(kept) < _FEWEST:
        return None
    angle, (x, y) = rigid(track.shape[kept], track.places[kept])
    return kept, angle, x, y


def _expected(track: Track) -> Floats | None:
    """``(N, 2)`` where the shape has the slots, see ``_bent``; None if that is not known."""
    pose = _pose(track)
    return None if pose is None else _bent(track.shape, track.places, *pose)


@compiled("(f8[:, ::1], f8[:, ::1], i8[::1], f8, f8, f8)")
def _bent(shape: Floats, places: Floats, kept: NDArray[np.intp], angle: float, x: float, y: float) -> Floats:
    """``(N, 2)`` where the shape has the slots, bent as its ``kept`` neighbours are; new ones where they are."""
    c, s = math.cos(angle), math.sin(angle)
    placed = places.copy()
    for n in range(len(shape)):
        if not math.isnan(shape[n, 0]):
            placed[n, 0] = c * shape[n, 0] - s * shape[n, 1] + x
            placed[n, 1] = s * shape[n, 0] + c * shape[n, 1] + y
    bent = placed.copy()
    for n in range(len(shape)):
        total, right, down = 1e-12, 0.0, 0.0
        for k in kept:
            if k != n and not math.isnan(shape[n, 0]):
                away = (placed[n, 0] - placed[k, 0]) ** 2 + (placed[n, 1] - placed[k, 1]) ** 2
                near = 1.0 / (away + _SOFT)
                total += near
                right += near * (places[k, 0] - placed[k, 0])
                down += near * (places[k, 1] - placed[k, 1])
        bent[n, 0] += right / total
        bent[n, 1] += down / total
    return bent


@compiled("(f8[:, ::1], f8[:, ::1], b1[::1], b1[::1], f8, f8, f8)")
def _remember(
    shape: Floats,
    places: Floats,
    told: NDArray[np.bool_],
    off: NDArray[np.bool_],
    angle: float,
    x: float,
    y: float,
) -> None:
    """Take what is seen of the slots that are ``told`` into the shape, in place."""
    c, s = math.cos(angle), math.sin(angle)
    for n in range(len(shape)):
        if told[n]:
            u, v = places[n, 0] - x, places[n, 1] - y
            back = c * u + s * v, c * v - s * u
            rate = _OFF_RATE if off[n] else _RATE
            for axis in range(2):
                known = back[axis] if math.isnan(shape[n, axis]) else shape[n, axis]
                shape[n, axis] = known + rate * (back[axis] - known)


def _bring_back(
    track: Track,
    slot: int,
    expected: Floats,
    tracks: Sequence[Track],
    names: Mapping[int, Naming],
    seen: Sightings,
) -> None:
    """Give a slot the sighting that lies where it is expected, unless that is another settled catheter's with right."""
    away = np.hypot(*(seen.positions - expected).T) + np.where(seen.faint, np.inf, 0.0)
    row = int(away.argmin())
    if away[row] > _THERE * track.reach or seen.track[row] == track.id:
        return
    wrong = np.flatnonzero((seen.track == track.id) & (seen.key == track.keys[slot]))
    owner = next((t for t in tracks if t.id == seen.track[row] and seen.key[row] >= 0), None)
    if owner is not None:
        theirs = int(np.flatnonzero(owner.keys == seen.key[row])[0])
        wanted = _expected(owner)
        place = owner.places[theirs] if wanted is None else wanted[theirs]
        near = _OFF * owner.reach
        if names[owner.id].claims(owner.keys)[theirs] and math.dist(seen.positions[row], place) <= near:
            return
        theirs_now = next((int(w) for w in wrong if math.dist(seen.positions[w], place) <= near), None)
        _put(owner, theirs, theirs_now, place, seen)
    left = wrong[seen.track[wrong] == track.id]
    seen.track[left], seen.key[left] = -1, -1
    _put(track, slot, row, expected, seen)


def _put(track: Track, slot: int, row: int | None, place: Floats, seen: Sightings) -> None:
    """A slot lies where a sighting is, or, if it was not seen, where it is thought to be."""
    track.seen[slot] = row is not None
    track.places[slot] = place if row is None else seen.positions[row]
    if row is not None:
        seen.track[row], seen.key[row] = track.id, track.keys[slot]
        track.scores[slot], track.sigmas[slot] = seen.scores[row], seen.sigmas[row]
