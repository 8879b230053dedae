"""Tracks as the catheters and electrodes of a frame's result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from cath_perception.naming import Naming
from cath_perception.sightings import Sightings
from cath_perception.track import Track
from cath_perception.trimming import from_tip, without_others
from cath_perception.types import Catheter, CatheterStatus, Electrode, PerceptionResult

_FILLED_SCORE = 0.5
_FEWEST = 2
"""A shaft with fewer electrodes is no electrode catheter: one alone is a lead's, or false."""
_OFTEN = 0.9
"""A catheter without a type is shown if it was seen in so much of the last frames."""


def reported(
    result: PerceptionResult,
    tracks: Sequence[Track],
    names: Mapping[int, Naming],
    seen: Sightings,
    time_s: float,
    fading_s: float,
) -> PerceptionResult:
    """The result with what is known of its catheters and electrodes; ``fading_s`` is when an unseen one's score is 0."""
    electrodes: dict[tuple[int, int], Electrode] = {}
    shown = [track for track in tracks if _is_shown(track, names[track.id], time_s)]
    every = [_catheter(track, names[track.id], electrodes, time_s, fading_s) for track in shown]
    catheters = tuple(c for c in every if c.electrodes or c.centerline is not None)
    owners = list(zip(seen.track.tolist(), seen.key.tolist(), strict=True))
    ids = {catheter.id for catheter in catheters}
    named = [
        electrodes.get(owner) or _loose(e, owner[0] if owner[0] in ids else -1)
        for e, owner in zip(result.electrodes, owners, strict=False)
    ]
    faint = owners[len(result.electrodes) :]
    named += [electrodes[owner] for owner in faint if owner in electrodes]
    return replace(result, electrodes=tuple(named), catheters=without_others(catheters), faint=())


def _is_shown(track: Track, name: Naming, time_s: float) -> bool:
    """Whether a track is told of: not what has just appeared, nor electrodes without a type that come and go."""
    lasting = track.mature or (track.early and track.seen_at == time_s)
    known = name.settled or name.type[0] is not None
    return lasting and (known or track.frequency >= _OFTEN or not track.believed.any())


def _loose(e: Electrode, catheter: int) -> Electrode:
    """One that lies on a catheter's shaft, or on none (-1), and is not counted among its electrodes."""
    return Electrode(e.x, e.y, e.width, e.height, e.score, e.sigma, catheter, -1)


def _catheter(
    track: Track, name: Naming, electrodes: dict[tuple[int, int], Electrode], time_s: float, fading_s: float
) -> Catheter:
    """One track; its electrodes that are seen are put into ``electrodes`` by track and key, too."""
    places, line, score = track.places, track.line, track.score
    if track.status is not CatheterStatus.DETECTED:
        drift = track.drift(time_s)
        places = places + drift
        line = None if line is None else replace(line, points=line.points + drift.astype(np.float32))
        score *= max(0.0, 1.0 - (time_s - track.seen_at) / fading_s)
    if not any(believed := track.believed.tolist()):
        return Catheter(track.id, (), line, score, None, 0.0, track.status)
    keys = list(compress(track.keys.tolist(), believed))
    indices, fillers = name.numbering(tuple(keys))
    columns = (places, track.boxes, track.scores, track.sigmas, track.seen)
    table = list(compress(zip(*(column.tolist() for column in columns), strict=True), believed))
    made, own = [], {}
    for row, key, index in zip(table, keys, indices, strict=True):
        if index >= 0:
            (x, y), (width, height), sureness, sigma, visible = row
            electrode = Electrode(x, y, width, height, sureness, sigma, track.id, index, visible)
            made.append(electrode)
            if visible:
                own[track.id, key] = electrode
    for filler in fillers:
        (x, y), (width, height), sureness, sigma, _ = table[keys.index(filler.key)]
        x, y, sureness = x + filler.offset[0], y + filler.offset[1], _FILLED_SCORE * sureness
        made.append(Electrode(x, y, width, height, sureness, sigma, track.id, filler.index, False))
    if len(made) < _FEWEST:
        return Catheter(track.id, (), line, score, None, 0.0, track.status)
    electrodes |= own
    if fillers or not isinstance(indices, range):
        made.sort(key=lambda electrode: electrode.index)
    if line is not None and name.settled and not name.circular and len(made) >= 3 and made[0].index == 0:
        line = from_tip(line, made[0], made[-1])
    kind, confidence = name.type if len(made) >= 3 else (None, 0.0)
    return Catheter(track.id, tuple(made), line, score, kind, confidence, track.status)
