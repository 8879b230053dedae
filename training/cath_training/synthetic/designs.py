"""Electrophysiology catheters as their makers build them: electrode patterns, diameters and shapes.

Patterns follow the electrode and spacing table of the clinical catalogues (2-5-2, 2-8-2, 5-5-5 mm and so on).
Lengths are in mm along the catheter from the distal tip; 1 F (French) is 1/3 mm.
"""

from dataclasses import dataclass

import numpy as np

FRENCH_MM = 1.0 / 3.0


@dataclass(frozen=True, slots=True)
class Ring:
    """One electrode: its ``centre`` and ``length`` along the shaft in mm; ``solid`` for a tip electrode."""

    centre: float
    length: float
    solid: bool = False


@dataclass(frozen=True, slots=True)
class Design:
    """One catheter: ``type`` name, shaft ``diameter`` in mm, ``rings`` from the tip, loop diameter of a circular one."""

    type: str
    diameter: float
    rings: tuple[Ring, ...]
    loop_mm: float = 0.0


def pattern(tip_mm: float, ring_mm: float, gaps: list[float]) -> tuple[Ring, ...]:
    """Electrodes from the tip: a tip electrode (hollow ring if ``tip_mm`` <= 2) and edge-to-edge ``gaps`` in mm."""
    rings = [Ring(tip_mm / 2, tip_mm, solid=tip_mm > 2.0)]
    end = tip_mm
    for gap in gaps:
        rings.append(Ring(end + gap + ring_mm / 2, ring_mm))
        end += gap + ring_mm
    return tuple(rings)


def _pairs(inner: float, outer: float, count: int) -> list[float]:
    return [inner if i % 2 == 0 else outer for i in range(count - 1)]


def coronary_sinus(rng: np.random.Generator) -> Design:
    """Decapolar reference catheter, 5-7 F, 2-5-2 or 2-8-2 mm (now and then evenly spaced)."""
    inner, outer = [(2.0, 5.0), (2.0, 8.0), (1.5, 5.0), (2.0, 2.0), (4.0, 4.0)][
        rng.choice(5, p=[0.5, 0.22, 0.14, 0.07, 0.07])
    ]
    ring = rng.uniform(1.0, 1.5)
    return Design(
        "coronary_sinus", rng.uniform(5, 7) * FRENCH_MM, pattern(ring, ring, _pairs(inner, outer, 10))
    )


def ablation(rng: np.random.Generator) -> Design:
    """Ablation catheter, 7-8 F: tip electrode of 3.5, 4 or 8 mm and three rings, 2-5-2 mm."""
    tip = float(rng.choice([3.5, 4.0, 8.0], p=[0.45, 0.4, 0.15]))
    gaps = [[2.0, 5.0, 2.0], [1.0, 6.0, 2.0], [2.0, 2.0, 2.0]][rng.choice(3, p=[0.7, 0.2, 0.1])]
    return Design("ablation", rng.uniform(7, 8.5) * FRENCH_MM, pattern(tip, rng.uniform(1.0, 1.4), gaps))


def quadripolar(rng: np.random.Generator) -> Design:
    """Diagnostic quadripolar, 5-6 F, 5-5-5 or 2-5-2 mm."""
    gaps = [[5.0, 5.0, 5.0], [2.0, 5.0, 2.0], [10.0, 10.0, 10.0]][rng.choice(3, p=[0.5, 0.42, 0.08])]
    tip = rng.uniform(1.2, 2.4)
    return Design("quadripolar", rng.uniform(5, 6) * FRENCH_MM, pattern(tip, rng.uniform(1.0, 1.5), gaps))


def circular_mapping(rng: np.random.Generator) -> Design:
    """Circular mapping catheter: 10 or 20 rings on a loop of 15, 20 or 25 mm (4-5 F loop)."""
    loop = float(rng.choice([15.0, 20.0, 25.0]))
    count = 10 if rng.random() < 0.6 else 20
    ring = rng.uniform(0.8, 1.1)
    pitch = 0.92 * np.pi * loop / count
    if count == 20 and rng.random() < 0.4:
        gaps = [max(0.3, g - ring) for g in _pairs(0.6 * pitch, 1.4 * pitch, count)]
    else:
        gaps = [pitch - ring] * (count - 1)
    return Design(
        "circular_mapping", rng.uniform(4, 5.5) * FRENCH_MM, pattern(ring, ring, gaps), loop_mm=loop
    )


def halo(rng: np.random.Generator) -> Design:
    """Halo catheter, 7 F, 20 rings in pairs, 2-8-2 mm."""
    ring = rng.uniform(1.0, 1.3)
    return Design("halo", 7 * FRENCH_MM, pattern(ring, ring, _pairs(2.0, 8.0, 20)))


def spline_arm(rng: np.random.Generator) -> Design:
    """One of the five splines of a multi-spline mapping catheter: four small rings, 4-4-4 or 2-6-2 mm."""
    ring = rng.uniform(0.8, 1.0)
    gaps = [4.0, 4.0, 4.0] if rng.random() < 0.5 else [2.0, 6.0, 2.0]
    return Design("multi_spline", 3 * FRENCH_MM, pattern(ring, ring, gaps))


def spline_shaft(rng: np.random.Generator) -> Design:
    """The shaft of a multi-spline mapping catheter, 7 F with two rings."""
    return Design("multi_spline", 7 * FRENCH_MM, (Ring(5.0, 1.2), Ring(9.0, 1.2)))
