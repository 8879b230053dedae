"""Electrodes that go from one track to another, or to none. All positions and lengths are image px."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cath_perception.alignment import Floats, mutual_pairs, squared_distances
from cath_perception.compiled import compiled
from cath_perception.counting import MATURE
from cath_perception.naming import Naming
from cath_perception.sightings import Sightings
from cath_perception.track import Track
from cath_perception.types import CatheterStatus

_STRANGE, _PIECE, _STRANGE_PIECE = 0.6, 3, 0.4
"""An electrode that was on another catheter's shaft in so much of the frames is that one's; sooner where there are few."""
_UNTOLD = 1.0
"""What may be left of the evidence for a track's tip when its shaft turns out to be another's, too, or it was but a part."""
_FILL = 0.8
"""An electrode that is missing is looked for within this part of the track's reach."""


def exchange(tracks: Sequence[Track], names: Mapping[int, Naming], seen: Sightings) -> None:
    """Give electrodes to the tracks that they belong to; ``names`` are by the tracks' ids, ``seen`` follows them."""
    known = {track.id: track for track in tracks}
    tracks = [track for track in tracks if len(track.keys)]
    for track in tracks:
        _give_back(track, known, names, seen)
    for track in tracks:
        _fill(track, known, names, seen)
        _gather(track, known, names, seen)
    for track in tracks:
        _free(track, names[track.id], seen)
    for track in tracks:
        _part(track, names[track.id], seen)


def _give_back(
    track: Track, known: Mapping[int, Track], names: Mapping[int, Naming], seen: Sightings
) -> None:
    """Electrodes that have been on another catheter's shaft for long become that one's, unless the type claims them."""
    if not _lasting(track.elsewhere, track.frames, _STRANGE_PIECE, MATURE):
        return
    strange = (track.elsewhere > _STRANGE_PIECE) & (track.frames >= MATURE)
    strange &= ~names[track.id].claims(track.keys)
    if not strange.any():
        return
    hosts = [known.get(host) for host in track.host.tolist()]
    closed = [
        h is not None and (names[h.id].closed or h.status is not CatheterStatus.DETECTED) for h in hosts
    ]
    strange &= ~np.array(closed)
    nameless = names[track.id].nameless and np.array(
        [h is not None and names[h.id].type[0] is not None for h in hosts]
    )
    strange &= (track.believed.sum() <= _PIECE) | (track.elsewhere > _STRANGE) | nameless
    for key, host in zip(track.keys[strange].tolist(), track.host[strange].tolist(), strict=True):
        _hand_over(track, key, known.get(host), seen)


def _fill(track: Track, known: Mapping[int, Track], names: Mapping[int, Naming], seen: Sightings) -> None:
    """Sightings where a type says that an electrode is missing are its track's, if no other type claims them."""
    name = names[track.id]
    if track.status is not CatheterStatus.DETECTED or not (name.fillers and name.settled):
        return
    slot = {key: n for n, key in enumerate(track.keys.tolist())}
    missing = [track.places[slot[f.key]] + f.offset for f in name.fillers if f.key in slot]
    if not missing or not len(seen.positions):
        return
    reach = np.full(len(missing), _FILL * track.reach)
    for _, row in mutual_pairs(squared_distances(np.array(missing), seen.positions), reach).tolist():
        owner = known.get(int(seen.track[row]))
        if owner is None or seen.key[row] < 0:
            seen.track[row], seen.key[row] = track.id, track.add(seen, row)
        elif owner is not track and seen.key[row] not in names[owner.id].claimed:
            _hand_over(owner, int(seen.key[row]), track, seen)


def _gather(track: Track, known: Mapping[int, Track], names: Mapping[int, Naming], seen: Sightings) -> None:
    """Other tracks' electrodes that make it a catheter of some type."""
    name = names[track.id]
    wanted = name.wanting.take()
    for identity, key in wanted:
        owner = known.get(identity)
        if owner is not None and key in owner.keys:
            if key in names[identity].claimed:
                names[identity].unsettle()
            _hand_over(owner, key, track, seen)
            track.facing = min(track.facing, _UNTOLD)  # told by part of its electrodes alone
    if wanted and name.crowded(len(track.keys)):
        name.unsettle()


def _free(track: Track, name: Naming, seen: Sightings) -> None:
    """Electrodes for which a type has no place are left to others: all of a full one's, else those on other shafts."""
    if not name.settled or len(track.keys) == len(name.claimed):
        return
    if name.full:
        strange = track.keys[track.believed & ~name.claims(track.keys)].tolist()
    else:
        mine = np.flatnonzero(seen.track == track.id)
        rows = list(zip(seen.key[mine].tolist(), seen.shafts[mine].tolist(), strict=True))
        own = {shaft for key, shaft in rows if key in name.claimed}
        away = {key for key, shaft in rows if shaft >= 0 and shaft not in own}
        strange = [key for key in track.keys.tolist() if key in away] if own else []
    _leave(track, strange, seen)


def _part(track: Track, name: Naming, seen: Sightings) -> None:
    """Electrodes that read as a second catheter on the shaft are left to it; so are those that have a shaft of their own
    most of the time, unless the type claims them."""
    if name.strangers:
        _leave(track, [key for key in track.keys.tolist() if key in name.strangers], seen)
    if _lasting(track.aside, track.frames, _STRANGE, MATURE) <= _PIECE:
        return
    other = (track.aside > _STRANGE) & (track.frames >= MATURE) & track.believed & ~name.claims(track.keys)
    if np.count_nonzero(other) > _PIECE:
        _leave(track, track.keys[other].tolist(), seen)


@compiled("(f8[::1], f8[::1], f8, i8)")
def _lasting(share: Floats, frames: Floats, least: float, mature: int) -> int:
    """How many slots, known for so many frames, were somewhere in more than this part of the last ones."""
    count = 0
    for n in range(len(share)):
        count += share[n] > least and frames[n] >= mature
    return count


def _leave(track: Track, keys: Sequence[int], seen: Sightings) -> None:
    """Leave slots to others. As many as a catheter's may have been why the tip was thought to be where it is."""
    for key in keys:
        _hand_over(track, key, None, seen)
    if len(keys) >= _PIECE:
        track.facing = min(track.facing, _UNTOLD)


def _hand_over(owner: Track, key: int, track: Track | None, seen: Sightings) -> None:
    """Make one track's slot another's, with all that is known of it; only dropped where that has one there."""
    slot = int(np.flatnonzero(owner.keys == key)[0])
    taken = -1 if track is None else track.take(owner, slot)
    mine = (seen.key == key) & (seen.track == owner.id)
    seen.track[mine], seen.key[mine] = (-1, -1) if track is None or taken < 0 else (track.id, taken)
    owner.select(np.flatnonzero(owner.keys != key))
