"""Results of a plan as means and spreads, and as tables in a text."""

import math
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from cath_perception.errors import CathError
from cath_training.experiments.plans import Plan

FIGURES = {"ap": "AP", "j": "J", "recall": "recall", "precision": "precision", "seconds": "s"}
"""Figure -> heading."""

Summary = dict[str, dict[str, Any]]


def summary(rows: dict[str, list[dict[str, float]]]) -> Summary:
    """For each variant the seeds' figures, their mean and their standard deviation (NaN with one seed)."""
    return {
        name: {
            key: {
                "mean": mean(run[key] for run in runs),
                "spread": stdev(run[key] for run in runs) if len(runs) > 1 else math.nan,
                "runs": [run[key] for run in runs],
            }
            for key in runs[0]
        }
        for name, runs in rows.items()
    }


def line(name: str, figures: dict[str, Any]) -> str:
    """One variant on one line."""
    return f"{name}: " + ", ".join(f"{title} {_cell(figures, key)}" for key, title in FIGURES.items())


def _cell(figures: dict[str, Any], key: str) -> str:
    if key not in figures:
        return "–"
    digits = 0 if key == "seconds" else 3
    value, spread = figures[key]["mean"], figures[key]["spread"]
    return f"{value:.{digits}f} ± {spread:.{digits}f}"


def markdown(plan: Plan, results: Summary) -> str:
    """The plan's tables; variants without results are left out, those that lack seeds say so."""
    parts = []
    for title, names in plan.tables.items():
        head = [f"| {title} | " + " | ".join(FIGURES.values()) + " |", "|---" * (len(FIGURES) + 1) + "|"]
        parts.append("\n".join(head + [_row(n, results[n], plan) for n in names if n in results]))
    return "\n\n".join(parts)


def _row(name: str, figures: dict[str, Any], plan: Plan) -> str:
    runs, seeds = len(figures["seconds"]["runs"]), len(plan.seeds)
    title = name if runs == seeds else f"{name} ({runs} of {seeds} seeds)"
    return f"| {title} | " + " | ".join(_cell(figures, key) for key in FIGURES) + " |"


def write(doc: Path, name: str, plan: Plan, results: Summary) -> None:
    """Put the tables between ``<!-- NAME begin -->`` and ``<!-- NAME end -->`` of ``doc``. Raises CathError without them."""
    text = doc.read_text()
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise CathError(f"{doc}: expected one line {begin} and, after it, one line {end}")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    doc.write_text(f"{before}{begin}\n{markdown(plan, results)}\n{end}{after}")
