"""Catheters through sequences as a folder: report.md to read, report.json to compute with, every frame in pictures."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cath_training.report import save
from cath_training.timelines import Timeline, draw


def write(
    folder: Path,
    title: str,
    groups: Mapping[str, tuple[dict[str, float], list[Timeline]]],
    facts: dict[str, Any],
) -> None:
    """Write report.md, report.json and a picture of each group of sequences; ``facts`` say how to repeat it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    content: dict[str, Any] = {}
    for name, (figures, timelines) in groups.items():
        file = re.sub(r"[^\w-]+", "-", name) + "-timeline.png"
        draw(timelines).savefig(folder / file, dpi=110)
        each = {timeline.name: timeline.figures() for timeline in timelines}
        content[name] = {"figures": figures, "sequences": each}
        rows = [f"| {key} | {value:.4g} |" for key, value in figures.items()]
        lines += [f"## {name}", "", "| figure | value |", "|---|---|", *rows, "", f"![timeline]({file})", ""]
        lines += [*_table(each), ""]
    save(folder, title, facts, lines, content)


def _table(each: Mapping[str, dict[str, float]]) -> list[str]:
    """Markdown with a line for each sequence."""
    keys = list(next(iter(each.values())))
    head = ["| sequence | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    return head + [
        f"| {name} | " + " | ".join(f"{values[key]:.3g}" for key in keys) + " |"
        for name, values in each.items()
    ]
