"""The catheter that motion is measured by, as it lay in the reference frame. Positions are image px, angles rad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cath_perception.alignment import Floats, consensus, deviations, rigid, rotation

FEWEST = 3
"""A rigid motion is told by so many electrodes at least."""
_GOOD_RESIDUAL_PX, _OFF_PX = 3.0, 6.0
"""Residual at which the quality is 0.6, and how far an electrode may be off before it is thought to be another's."""
LEAST_QUALITY = 0.5
"""Below it there is no answer: half of the catheter, or a track that another catheter's electrodes have pulled away, can
be wrong by tens of px."""
_MOST_TURN = 1.0
"""A catheter known again cannot have turned by more than this: the heart does not turn round."""
_LEARNT, _NEAR_PX = 30, 3.0
"""An electrode's place in the reference frame is the mean over so many frames, laid back over it by those electrodes that
are no farther off: one that strays would take the others along."""
_SLIPPED = 0.5
"""A track that slipped has other numbers for more than this part of its electrodes; fewer were mistaken."""

Places = Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference catheter.

    Attributes:
        identity: its track's id.
        time_s: time of the reference frame, whose ``scene`` it is of.
        places: where its electrodes were in that frame, by their keys ...
        counts: ... and from how many frames that is known.
        numbers: which electrode of the catheter, from the tip, each is, by the keys.
        centre: ``(2,)`` the point that answers are about, in that frame.
    """

    identity: int
    time_s: float
    places: Places
    counts: Mapping[int, int]
    numbers: Mapping[int, int]
    centre: Floats
    scene: int

    @classmethod
    def of(
        cls, identity: int, time_s: float, places: Places, numbers: Mapping[int, int], scene: int
    ) -> Reference:
        """A catheter as it is seen in this frame."""
        centre = np.array(list(places.values())).mean(axis=0)
        return cls(identity, time_s, places, dict.fromkeys(places, 1), numbers, centre, scene)


@dataclass(frozen=True, slots=True)
class Fit:
    """A rigid motion of electrodes, ``now ~ R before + shift``; residual and quality as in ``Motion``."""

    angle: float
    shift: Floats
    residual: float
    quality: float


def fitted(before: Places, now: Places, off_px: float = _OFF_PX) -> Fit | None:
    """The rigid motion of the electrodes seen in both frames, without those that most others show to be ``off_px`` off."""
    common = sorted(before.keys() & now.keys())
    if len(common) < FEWEST:
        return None
    first, second = np.array([before[key] for key in common]), np.array([now[key] for key in common])
    kept = consensus(first, second, off_px)
    if kept.sum() < FEWEST:
        return None
    first, second = first[kept], second[kept]
    angle, shift = rigid(first, second)
    off = deviations(first, second)
    residual = math.sqrt(float(off @ off) / len(off))
    share = (2 * len(first) - len(common)) / len(before)  # one that is wrong speaks against one that fits
    return Fit(angle, shift, residual, share * math.exp(-0.5 * (residual / _GOOD_RESIDUAL_PX) ** 2))


def learnt(reference: Reference, places: Places) -> Reference:
    """The reference with what a frame, laid back over it, shows of its electrodes, also of those not seen until then.

    One frame's places are some 0.5 px off, and single ones much more: whatever they are off in the reference frame, all
    answers are off.
    """
    fresh = [key for key in places if reference.counts.get(key, 0) < _LEARNT and key in reference.numbers]
    fit = fitted(reference.places, places, _NEAR_PX) if fresh else None
    if fit is None:
        return reference
    back = rotation(-fit.angle)
    known, counts = dict(reference.places), dict(reference.counts)
    for key in fresh:
        x, y = (back @ (np.array(places[key]) - fit.shift)).tolist()
        u, v = known.setdefault(key, (x, y))
        if math.hypot(x - u, y - v) <= _OFF_PX:
            counts[key] = counts.get(key, 0) + 1
            known[key] = u + (x - u) / counts[key], v + (y - v) / counts[key]
    return replace(reference, places=known, counts=counts)


def renumbered(reference: Reference, places: Places, numbers: Mapping[int, int]) -> Reference:
    """The reference with the numbers that its catheter has now.

    Where most are others and these fit better, the track has slipped by an electrode, and places go with the numbers.
    """
    known = reference.numbers
    if not known:
        return replace(reference, numbers=numbers)
    others = {key: n for key, n in numbers.items() if known.get(key) != n}
    if not others:
        return reference
    if sum(key in known for key in others) <= _SLIPPED * len(numbers):
        return _put_right(reference, places, numbers, others)
    again = known_again(reference, reference.identity, places, numbers)
    if again is None:
        return reference
    fit, before = fitted(again.places, places), fitted(reference.places, places)
    return again if fit is not None and (before is None or fit.quality > before.quality) else reference


def _put_right(
    reference: Reference, places: Places, numbers: Mapping[int, int], others: Mapping[int, int]
) -> Reference:
    """The reference where some electrodes are new, or turn out to have ``others`` of the ``numbers``.

    Those were numbered wrongly, and are where they were by their keys, or their slots were lost or moved on to a neighbour,
    and they are where that number was: whatever fits the rest better.
    """
    taken = set(numbers.values())
    told = {key: n for key, n in reference.numbers.items() if n not in taken} | dict(numbers)
    old = {n: key for key, n in reference.numbers.items() if key in reference.places}
    known = {key: place for key, place in reference.places.items() if key in told and key not in others}
    counts = {key: reference.counts[key] for key in known}
    fit = fitted(known, places)
    if fit is None:
        return reference
    back = rotation(-fit.angle)
    for key in others.keys() & places.keys():
        here = back @ (np.array(places[key]) - fit.shift)
        might = [k for k in (key, old.get(others[key], key)) if k in reference.places]
        off = [math.dist(here, reference.places[k]) for k in might]
        if off and min(off) <= _OFF_PX:
            best = might[off.index(min(off))]
            known[key], counts[key] = reference.places[best], reference.counts[best]
    return replace(reference, places=known, counts=counts, numbers=told)


def known_again(
    reference: Reference, identity: int, places: Places, numbers: Mapping[int, int]
) -> Reference | None:
    """The reference with the keys of another track of the same catheter; None where its electrodes do not fit, or are too
    few of the reference's.

    The pattern may look alike from both ends, so both are tried.
    """
    old = {number: key for key, number in reference.numbers.items() if key in reference.places}
    if not old:
        return None
    fits = []
    last = max((*reference.numbers.values(), *numbers.values()), default=0)
    for backwards in (False, True):
        turned = {key: last - n if backwards else n for key, n in numbers.items()}
        pairs = {key: old[n] for key, n in turned.items() if n in old}
        before = {key: reference.places[other] for key, other in pairs.items()}
        fit = fitted(before, places)
        share = len(before) / len(reference.places)
        if fit is not None and share * fit.quality >= LEAST_QUALITY and abs(fit.angle) < _MOST_TURN:
            counts = {key: reference.counts[other] for key, other in pairs.items()}
            again = replace(reference, identity=identity, places=before, counts=counts, numbers=turned)
            fits.append((fit.quality, again))
    return max(fits, key=lambda pair: pair[0])[1] if fits else None
