"""Catheters made by hand: electrodes of a known pattern along a known curve."""

import numpy as np

from cath_perception.types import Catheter, Centerline, Electrode, PerceptionResult

PX_PER_MM = 3.5


def centres(gaps, tip, ring):
    """Places of the electrodes' centres and their lengths in mm from the tip, for edge-to-edge ``gaps``."""
    lengths = [tip] + [ring] * len(gaps)
    places = np.cumsum(
        [tip / 2] + [g + (a + b) / 2 for g, a, b in zip(gaps, lengths, lengths[1:], strict=False)]
    )
    return places, np.array(lengths)


def straight(gaps, tip=1.25, ring=1.25, *, at=(100.0, 200.0), angle=0.3, squeeze=1.0, identity=0, keep=None):
    """A catheter along a straight line; ``squeeze`` is how much shorter it looks at its far end than at its tip."""
    places, lengths = centres(gaps, tip, ring)
    shorter = np.linspace(1.0, squeeze, len(places))
    along = PX_PER_MM * np.concatenate(([places[0]], places[0] + np.cumsum(np.diff(places) * shorter[1:])))
    direction = np.array((np.cos(angle), np.sin(angle)))
    points = np.array(at) + along[:, None] * direction
    rings = []
    for (x, y), length, scale in zip(points, lengths * PX_PER_MM, shorter, strict=True):
        box = np.abs(direction) * length * scale + np.abs(direction[::-1]) * 8.0
        rings.append(Electrode(x, y, *box, 0.9))
    kept = [rings[i] for i in (range(len(rings)) if keep is None else keep)]
    shaft = np.array(at) + np.arange(0.0, along[-1] + 60.0, 3.0)[:, None] * direction
    return catheter(kept, shaft, identity)


def catheter(electrodes, points, identity=0):
    """A catheter as ``group`` makes it: electrodes numbered from the tip."""
    named = tuple(
        Electrode(e.x, e.y, e.width, e.height, e.score, e.sigma, identity, i)
        for i, e in enumerate(electrodes)
    )
    return Catheter(identity, named, Centerline(np.asarray(points, np.float32), 8.0, tip_odds=3.0), 0.9)


def moved(original, dx, dy, *, identity=None, keep=None):
    """A catheter shifted, with only the electrodes ``keep``."""
    rings = [original.electrodes[i] for i in (range(len(original.electrodes)) if keep is None else keep)]
    shifted = [Electrode(e.x + dx, e.y + dy, e.width, e.height, e.score) for e in rings]
    points = original.centerline.points + np.array((dx, dy), np.float32)
    return catheter(shifted, points, original.id if identity is None else identity)


def seen(*catheters, size=512):
    """A frame's result with these catheters, renumbered in the order given as ``group`` does."""
    numbered = tuple(moved(c, 0.0, 0.0, identity=i) for i, c in enumerate(catheters))
    return PerceptionResult(size, size, tuple(e for c in numbered for e in c.electrodes), numbered, None)


CS = straight([2, 5] * 4 + [2], at=(100, 150))
ABLATION = straight([2, 5, 2], 4.0, at=(300, 330), angle=1.2)
DT = 1 / 15
"""Between two frames, s."""


def settle(tracker, frames=20):
    """Both catheters at rest; the ids they were given (coronary sinus, ablation) and the next frame's number."""
    for i in range(frames):
        result = tracker.update(seen(CS, ABLATION), i * DT)
    return [c.id for c in result.catheters], frames


def by_id(result):
    return {c.id: c for c in result.catheters}
