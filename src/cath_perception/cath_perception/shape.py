"""Electrodes that two catheters took for each other's while they crossed, told by the shapes that both had before.

All positions and lengths are image px.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cath_perception.alignment import Floats, consensus, rigid, rotation, squared_distances
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
    expected = _expected(track)
    if expected is None:
        _begin(track)
        return
    off = np.hypot(*(track.places - expected).T) > _OFF * track.reach
    if names[track.id].settled:
        for slot in np.flatnonzero(off & names[track.id].claims(track.keys)).tolist():
            _bring_back(track, slot, expected[slot], tracks, names, seen)
    _remember(track, off)


def _begin(track: Track) -> None:
    """The shape is what is seen, where nothing is known of it yet."""
    fresh = track.seen & track.believed
    if fresh.sum() >= _FEWEST and np.isfinite(track.shape[:, 0]).sum() < _FEWEST:
        track.shape[fresh] = track.places[fresh]


def _pose(track: Track) -> tuple[float, Floats, NDArray[np.intp]] | None:
    """Rotation and shift from the remembered shape to what is seen, and which slots fit it; None if too few do."""
    known = np.flatnonzero(track.seen & np.isfinite(track.shape[:, 0]))
    if len(known) < _FEWEST:
        return None
    kept = known[consensus(track.shape[known], track.places[known], _OFF * track.reach)]
    if len(kept) < _FEWEST:
        return None
    return *rigid(track.shape[kept], track.places[kept]), kept


def _expected(track: Track) -> Floats | None:
    """``(N, 2)`` where the shape has the slots, bent as their neighbours are; new ones where they are. None if unknown."""
    if (pose := _pose(track)) is None:
        return None
    angle, shift, kept = pose
    new = np.isnan(track.shape[:, :1])
    placed = np.where(new, track.places, track.shape @ rotation(angle).T + shift)
    near = 1.0 / (squared_distances(placed, placed[kept]) + _SOFT)
    near[kept, np.arange(len(kept))] = 0.0
    near /= np.maximum(near.sum(axis=1, keepdims=True), 1e-12)
    return np.where(new, placed, placed + near @ (track.places[kept] - placed[kept]))


def _remember(track: Track, off: NDArray[np.bool_]) -> None:
    """Bring the shape up to date."""
    if (pose := _pose(track)) is None:
        return
    angle, shift, _ = pose
    back = (track.places - shift) @ rotation(angle)
    new = np.isnan(track.shape[:, 0])
    rate = np.where(new, 1.0, np.where(off, _OFF_RATE, _RATE)) * (track.seen & track.believed)
    known = np.where(new[:, None], back, track.shape)
    shape = known + rate[:, None] * (back - known)
    shape[new & (rate == 0.0)] = np.nan
    track.shape = shape


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
