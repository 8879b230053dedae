"""What became of every catheter of a sequence, frame by frame: as figures, and as a picture."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from cath_perception.scoring import Judgement, Verdict
from cath_perception.types import Catheter

_COLOURS = {
    Verdict.LOST: ("not found", "#3b3b3b"),
    Verdict.PART: ("in part", "#9a9a9a"),
    Verdict.UNTYPED: ("no type", "#f2d45c"),
    Verdict.MISTYPED: ("wrong type", "#d1332e"),
    Verdict.DISORDERED: ("wrong order", "#ee8a2a"),
    Verdict.RIGHT: ("right", "#79b97c"),
}
_MOTION = ((1.0, "motion within 1 px", "#a9cde8"), (3.0, "3 px", "#4a90c8"), (math.inf, "beyond", "#a0148c"))
"""Errors of the motion up to so many px, what they are called and their colour."""
_ROW_IN, _WIDTH_IN = 0.17, 11.0


@dataclass(slots=True)
class Timeline:
    """One sequence, frame by frame.

    Attributes:
        name: what it is called in the picture.
        times: of each frame, s.
        types: the type of each true catheter, by its id.
        judged: of each frame, what became of the true catheters in view, by their id.
        motion: of each frame, the error of the reference's displacement in px, NaN where it was not answered; empty where
            it is not known.
    """

    name: str
    times: list[float] = field(default_factory=list)
    types: dict[int, str] = field(default_factory=dict)
    judged: list[dict[int, Judgement]] = field(default_factory=list)
    motion: list[float] = field(default_factory=list)

    def add(self, time_s: float, truth: Iterable[Catheter], judged: Mapping[int, Judgement]) -> None:
        """A frame: its true catheters, and what became of those with electrodes."""
        self.times.append(time_s)
        self.types.update({c.id: str(c.type) for c in truth if c.electrodes})
        self.judged.append(dict(judged))

    @property
    def seconds(self) -> float:
        """How long it is, its last frame as long as the others on the average."""
        steps = max(1, len(self.times) - 1)
        return (self.times[-1] - self.times[0]) * len(self.times) / steps if self.times else 0.0

    def figures(self) -> dict[str, float]:
        """Shares 0..1 of true catheters found and, of those seen whole, right in type and in all; counts; px."""
        every = [judgement for frame in self.judged for judgement in frame.values()]
        verdicts = np.array([judgement.verdict for judgement in every], int)
        whole = max(1, int((verdicts >= Verdict.UNTYPED).sum()))
        answered = [error for error in self.motion if not math.isnan(error)]
        return {
            "catheters": len(self.types),
            "found": float((verdicts > Verdict.LOST).sum()) / max(1, len(verdicts)),
            "seen whole": float((verdicts >= Verdict.UNTYPED).sum()) / max(1, len(verdicts)),
            "type right": float((verdicts >= Verdict.DISORDERED).sum()) / whole,
            "type and order right": float((verdicts == Verdict.RIGHT).sum()) / whole,
            "identity switches": sum(judgement.switched for judgement in every),
            "motion answered": len(answered) / max(1, len(self.motion)),
            "motion worst px": max(answered, default=math.nan),
        }


def draw(timelines: Sequence[Timeline]) -> Figure:
    """A row for each catheter and one for the reference's motion, a column for each frame; identity switches are ticks."""
    names: list[str] = []
    rows: list[list[str | None]] = []
    switches: list[tuple[int, int]] = []
    for timeline in timelines:
        for identity, kind in timeline.types.items():
            seen = [frame.get(identity) for frame in timeline.judged]
            switches += [(n, len(rows)) for n, one in enumerate(seen) if one is not None and one.switched]
            names.append(f"{timeline.name} {kind}".strip())
            rows.append([None if one is None else _COLOURS[one.verdict][1] for one in seen])
        if timeline.motion:
            names.append("motion")
            rows.append([_motion_colour(error) for error in timeline.motion])
    frames = max((len(row) for row in rows), default=1)
    step = max((timeline.seconds / max(1, len(timeline.times)) for timeline in timelines), default=0.0) or 1.0
    figure = Figure(figsize=(_WIDTH_IN, _ROW_IN * len(rows) + 1.4), layout="constrained")
    axes = figure.subplots()
    extent = (0.0, frames * step, len(rows) - 0.5, -0.5)
    axes.imshow(_painted(rows, frames), aspect="auto", interpolation="nearest", extent=extent)
    at = [(n + 0.5) * step for n, _ in switches]
    axes.plot(at, [row for _, row in switches], "k|", markersize=9, markeredgewidth=1.6)
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set_xlabel("s")
    legend = [Patch(color=colour, label=label) for label, colour in _COLOURS.values()]
    legend += [Patch(color=colour, label=label) for _, label, colour in _MOTION]
    figure.legend(handles=legend, loc="outside upper center", ncols=9, fontsize=7, frameon=False)
    return figure


def _motion_colour(error: float) -> str | None:
    return next((colour for limit, _, colour in _MOTION if error <= limit), None)


def _painted(rows: Sequence[Sequence[str | None]], frames: int) -> NDArray[np.uint8]:
    """``(rows, frames, 3)`` RGB; white where there is nothing."""
    image = np.full((len(rows), frames, 3), 255, np.uint8)
    for n, row in enumerate(rows):
        for at, colour in enumerate(row):
            if colour is not None:
                image[n, at] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return image
