"""Catheters with labels and the unlabelled things that look like them, as tubes along 3-D courses."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cath_training.synthetic import curves, designs
from cath_training.synthetic.designs import Design, Ring

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tube:
    """Part of an instrument: arc-length ``span`` and inner/outer ``radii`` in mm, attenuation per mm."""

    span: tuple[float, float]
    radii: tuple[float, float]
    coefficient: float


@dataclass(slots=True)
class Instrument:
    """Something that lies in the beam.

    Attributes:
        course: ``(N, 3)`` axis in mm, distal tip first.
        tubes: what it is made of.
        rings: its electrodes; empty for what is not a labelled catheter.
        type: catheter type, "" for clutter.
        radius: shaft radius in mm.
        shaft_end: arc length in mm up to which the shaft is labelled.
        group: catheters that are one device (splines of one catheter) share it.
    """

    course: Points
    tubes: list[Tube] = field(default_factory=list)
    rings: tuple[Ring, ...] = ()
    type: str = ""
    radius: float = 1.0
    shaft_end: float = 0.0
    group: int = -1


def _metal(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.9, 3.2))


def dress(rng: np.random.Generator, design: Design, course: Points, shaft: float, metal: float) -> Instrument:
    """Put shaft and electrodes of ``design`` on ``course``; ``shaft`` and ``metal`` are attenuations per mm."""
    radius = design.diameter / 2
    length = float(curves.arc_length(course)[-1])
    lumen = radius * rng.uniform(0.45, 0.75)
    tubes = [Tube((0.0, length), (lumen, radius), shaft)]
    if rng.random() < 0.5:  # a core wire or pull wire
        tubes.append(Tube((0.0, length), (0.0, 0.22), shaft * rng.uniform(1.0, 6.0)))
    thickness = rng.uniform(0.12, 0.3)
    for ring in design.rings:
        span = (ring.centre - ring.length / 2, ring.centre + ring.length / 2)
        outer = radius * rng.uniform(1.0, 1.06)
        inner = 0.0 if ring.solid else max(0.0, outer - thickness)
        tubes.append(Tube(span, (inner, outer), metal * (0.8 if ring.solid else 1.0)))
    return Instrument(course, tubes, design.rings, design.type, radius, length)


def _heart_point(rng: np.random.Generator, spread: float = 32.0) -> Points:
    return rng.normal(0, 1, 3) * np.array([spread, spread, 20.0])


def _direction(rng: np.random.Generator) -> Points:
    d = rng.normal(size=3) * np.array([1.0, 1.0, 0.45])
    return np.asarray(d / np.linalg.norm(d))


def _course(rng: np.random.Generator, design: Design) -> Points:
    if design.loop_mm > 0:
        return curves.circle_then_shaft(rng, _heart_point(rng), design.loop_mm, curves.spread_exit(rng))
    wide = design.type == "halo"
    return curves.grow(
        rng,
        _heart_point(rng),
        _direction(rng),
        curves.spread_exit(rng),
        radius_mm=rng.uniform(18, 70),
        flat=rng.uniform(0.2, 1.0),
        loop_mm=rng.uniform(8, 26) if rng.random() < (0.5 if wide else 0.16) else 0.0,
    )


MAKERS = {
    "coronary_sinus": (designs.coronary_sinus, 0.38),
    "ablation": (designs.ablation, 0.30),
    "quadripolar": (designs.quadripolar, 0.14),
    "circular_mapping": (designs.circular_mapping, 0.10),
    "halo": (designs.halo, 0.04),
    "multi_spline": (designs.spline_shaft, 0.04),
}


def catheter(rng: np.random.Generator, kind: str | None = None) -> list[Instrument]:
    """One labelled catheter of a type drawn by its frequency (or of ``kind``), with its sheath now and then."""
    if kind is None:
        kind = str(rng.choice(list(MAKERS), p=[p for _, p in MAKERS.values()]))
    shaft, metal = float(rng.uniform(0.1, 0.5)), _metal(rng)
    design = MAKERS[kind][0](rng)
    course = _course(rng, design)
    made = [dress(rng, design, course, shaft, metal)]
    if kind == "multi_spline":
        made += _splines(rng, course, shaft, metal)
    if rng.random() < 0.35:
        made.append(sheath(rng, course, made[0].radius, shaft, design.rings[-1].centre))
    return made


def _splines(rng: np.random.Generator, shaft_course: Points, shaft: float, metal: float) -> list[Instrument]:
    tip = shaft_course[0]
    axis = shaft_course[0] - shaft_course[4]
    arms = []
    for _ in range(5):
        out = _direction(rng) + 0.6 * axis / np.linalg.norm(axis)
        out /= np.linalg.norm(out)
        bend = rng.normal(0, 0.02, 3)
        t = np.arange(0, rng.uniform(18, 25), 0.5)[:, None]
        course = (tip + t * out + t**2 * bend)[::-1]
        arms.append(dress(rng, designs.spline_arm(rng), course, shaft * 1.5, metal))
    return arms


def sheath(
    rng: np.random.Generator, course: Points, radius: float, shaft: float, last_ring: float
) -> Instrument:
    """A long sheath around the proximal part of a catheter, with the marker ring that is no electrode."""
    start = last_ring + rng.uniform(4, 60)
    length = float(curves.arc_length(course)[-1])
    inner, outer = radius + rng.uniform(0.1, 0.35), radius + rng.uniform(0.5, 0.8)
    tubes = [Tube((start, length), (inner, outer), shaft * rng.uniform(0.5, 1.3))]
    if rng.random() < 0.85:
        at = start + rng.uniform(0.3, 3.0)
        tubes.append(Tube((at, at + rng.uniform(0.4, 1.0)), (outer - 0.12, outer + 0.02), _metal(rng)))
    return Instrument(course, tubes)


def guide_wire(rng: np.random.Generator) -> Instrument:
    """A 0.014-0.035 inch wire: thin, dark, without electrodes."""
    course = _long_course(rng)
    return Instrument(
        course, [Tube((0, _end(course)), (0.0, rng.uniform(0.18, 0.45)), rng.uniform(0.5, 2.5))]
    )


def bare_catheter(rng: np.random.Generator) -> Instrument:
    """A guiding or pigtail catheter: a shaft as an electrophysiology catheter has, but no electrode."""
    radius = rng.uniform(0.7, 1.4)
    course = _long_course(rng)
    tubes = [Tube((0, _end(course)), (radius * rng.uniform(0.5, 0.8), radius), rng.uniform(0.1, 0.5))]
    if rng.random() < 0.4:
        tubes.append(Tube((0.3, rng.uniform(0.9, 1.5)), (radius - 0.12, radius), _metal(rng)))
    return Instrument(course, tubes)


def pacing_lead(rng: np.random.Generator) -> Instrument:
    """A pacing or defibrillator lead: a coiled conductor, a tip, perhaps a ring and a shock coil."""
    course = _long_course(rng)
    end, radius = _end(course), rng.uniform(0.6, 1.0)
    tubes = [Tube((0, end), (radius * 0.5, radius), rng.uniform(0.3, 1.0))]
    tubes.append(Tube((0, rng.uniform(1.5, 3.0)), (0.0, radius * 0.8), _metal(rng)))
    if rng.random() < 0.6:
        at = rng.uniform(9, 14)
        tubes.append(Tube((at, at + rng.uniform(2.5, 4.5)), (radius - 0.2, radius + 0.1), _metal(rng)))
    if rng.random() < 0.35:
        at = rng.uniform(14, 25)
        tubes.append(
            Tube((at, at + rng.uniform(35, 60)), (radius * 0.5, radius * 1.35), rng.uniform(0.8, 2.0))
        )
    return Instrument(course, tubes)


def echo_probe(rng: np.random.Generator) -> Instrument:
    """A transoesophageal echo probe: a large black body with sharp internal structure."""
    tip = np.array([rng.normal(0, 35), rng.normal(0, 35), 40.0])
    course = curves.grow(
        rng, tip, np.array([rng.normal(0, 0.3), -1.0, 0.0]), np.array([tip[0], -170.0, 40.0]), radius_mm=90
    )
    body, radius = rng.uniform(28, 45), rng.uniform(4.5, 7.0)
    tubes = [Tube((0, body), (0.0, radius), rng.uniform(0.12, 0.4))]
    tubes.append(Tube((body, _end(course)), (radius * 0.62, radius * 0.8), rng.uniform(0.2, 0.5)))
    for _ in range(rng.integers(3, 9)):
        at = rng.uniform(0, body - 3)
        inner = rng.uniform(0, radius * 0.8)
        tubes.append(
            Tube(
                (at, at + rng.uniform(0.8, 8)),
                (inner, rng.uniform(inner + 0.3, radius)),
                rng.uniform(0.3, 1.5),
            )
        )
    pitch = rng.uniform(2.0, 4.0)
    for at in np.arange(body, body + rng.uniform(20, 60), pitch):  # the bending section's links
        tubes.append(Tube((at, at + pitch * 0.4), (radius * 0.5, radius * 0.8), rng.uniform(0.4, 0.9)))
    return Instrument(course, tubes)


def ecg_lead(rng: np.random.Generator) -> Instrument:
    """An ECG lead on the skin: a wire that ends in a stud."""
    start = np.array([rng.uniform(-70, 70), rng.uniform(-70, 70), rng.choice([-100.0, 100.0])])
    away = np.array([rng.normal(0, 200), rng.choice([-200.0, 200.0]), start[2]])
    course = curves.grow(rng, start, _direction(rng) * [1, 1, 0], away, radius_mm=45, flat=0.0)
    radius = rng.uniform(1.5, 4.0)
    across = np.array([[0, 0, -1.0], [0, 0, 1.0]]) * rng.uniform(0.5, 1.5) + start
    tubes = [Tube((radius * 0.5, _end(course)), (0.0, rng.uniform(0.25, 0.6)), rng.uniform(0.4, 1.6))]
    lead = Instrument(course, tubes)
    lead.course = course
    return _with_disc(lead, across, radius, rng.uniform(0.3, 1.2))


def _with_disc(lead: Instrument, axis: Points, radius: float, coefficient: float) -> Instrument:
    # the stud is a short tube along the beam, set before the wire on one course
    joined = np.concatenate([axis, lead.course])
    gap = float(np.linalg.norm(axis[1] - axis[0]))
    shift = gap + float(np.linalg.norm(lead.course[0] - axis[1]))
    tubes = [Tube((t.span[0] + shift, t.span[1] + shift), t.radii, t.coefficient) for t in lead.tubes]
    return Instrument(joined, [Tube((0.0, gap), (0.0, radius), coefficient), *tubes])


def sternal_wire(rng: np.random.Generator) -> Instrument:
    """A twisted sternal wire: a small irregular loop of dense wire with a tail."""
    t = np.linspace(0, 2 * np.pi * rng.uniform(0.8, 1.15), 80)
    size, a, b = rng.uniform(6, 14), *rng.uniform(0, 2 * np.pi, 2)
    radius = size * (1 + 0.12 * np.sin(2 * t + a) + 0.1 * np.sin(3 * t + b))
    loop = np.stack(
        [np.cos(t) * radius, np.sin(t) * radius * rng.uniform(0.3, 0.7), np.full_like(t, -70.0)], axis=1
    )
    loop = loop @ curves.random_rotation(rng, rng.uniform(0, 0.6)).T
    loop[:, :2] += rng.uniform(-60, 60, 2)
    return Instrument(loop, [Tube((0, _end(loop)), (0.0, rng.uniform(0.3, 0.5)), rng.uniform(1.5, 4.0))])


def clip(rng: np.random.Generator) -> Instrument:
    """A surgical clip: a short dense bar, alone, off any shaft."""
    start = rng.uniform(-65, 65, 3) * [1, 1, 0.8]
    course = start + np.linspace(0, rng.uniform(2.5, 7.0), 12)[:, None] * _direction(rng)
    return Instrument(course, [Tube((0, _end(course)), (0.0, rng.uniform(0.3, 0.7)), rng.uniform(1.5, 4.0))])


def valve_ring(rng: np.random.Generator) -> Instrument:
    """A prosthetic valve or annuloplasty ring."""
    t = np.linspace(0, 2 * np.pi * rng.uniform(0.7, 1.0), 160)
    ring = np.stack([np.cos(t), np.sin(t), np.zeros_like(t)], axis=1) * rng.uniform(10, 16)
    ring = ring @ curves.random_rotation(rng, rng.uniform(0.2, 1.5)).T + _heart_point(rng)
    return Instrument(ring, [Tube((0, _end(ring)), (0.0, rng.uniform(0.5, 1.4)), rng.uniform(0.4, 2.0))])


def vessel(rng: np.random.Generator) -> Instrument:
    """A contrast-filled vessel: soft, tapering, without a lumen."""
    course = _long_course(rng)
    end, radius, depth = _end(course), rng.uniform(0.6, 2.4), rng.uniform(0.05, 0.35)
    marks = np.linspace(rng.uniform(0, 40), end, 14)
    widths = np.linspace(radius * 0.3, radius, 13)
    return Instrument(
        course, [Tube((a, b), (0.0, w), depth) for a, b, w in zip(marks, marks[1:], widths, strict=False)]
    )


def _end(course: Points) -> float:
    return float(curves.arc_length(course)[-1])


def _long_course(rng: np.random.Generator) -> Points:
    return curves.grow(
        rng,
        _heart_point(rng, 40.0),
        _direction(rng),
        curves.spread_exit(rng),
        radius_mm=rng.uniform(15, 80),
        flat=rng.uniform(0.1, 1.0),
        loop_mm=rng.uniform(6, 25) if rng.random() < 0.2 else 0.0,
    )


CLUTTER = (
    (guide_wire, 0.17),
    (bare_catheter, 0.16),
    (pacing_lead, 0.13),
    (echo_probe, 0.11),
    (ecg_lead, 0.13),
    (sternal_wire, 0.09),
    (clip, 0.09),
    (valve_ring, 0.04),
    (vessel, 0.08),
)


def clutter(rng: np.random.Generator) -> Instrument:
    """One thing that is no electrophysiology catheter, drawn by its frequency."""
    makers, shares = zip(*CLUTTER, strict=False)
    maker = makers[rng.choice(len(makers), p=shares)]
    return maker(rng)
