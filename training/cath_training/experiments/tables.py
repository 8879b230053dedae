"""Results of a plan as means and spreads, and as tables in a text."""

import math
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

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
        there = [name for name in names if name in results]
        published = " paper: AP, J |" if plan.published else ""
        head = [
            f"| {title} | " + " | ".join(FIGURES.values()) + " |" + published,
            "|---" * (len(FIGURES) + 1 + bool(published)) + "|",
        ]
        parts.append("\n".join(head + [_row(name, results[name], plan) for name in there]))
        parts += [verdict({name: results[name] for name in there}, plan.published)] if published else []
    return "\n\n".join(parts)


def _row(name: str, figures: dict[str, Any], plan: Plan) -> str:
    runs, seeds = len(figures["seconds"]["runs"]), len(plan.seeds)
    title = name if runs == seeds else f"{name} ({runs} of {seeds} seeds)"
    cells = [_cell(figures, key) for key in FIGURES]
    if plan.published:
        cells.append(", ".join("–" if x is None else f"{x:.2f}" for x in plan.published[name]))
    return f"| {title} | " + " | ".join(cells) + " |"


def verdict(results: Summary, published: dict[str, tuple[float | None, float | None]]) -> str:
    """How many pairs of variants differ in the mean of AP and J by more than chance, and in which order.

    A pair differs if its means are more than two standard errors apart. The standard error is that of a block design:
    what a seed does to all variants alike is taken out. Variants without both figures or a seed do not count.
    """
    runs = max((len(row["seconds"]["runs"]) for row in results.values()), default=0)
    names = [
        name
        for name, row in results.items()
        if {"ap", "j"} <= row.keys() and len(row["seconds"]["runs"]) == runs
    ]
    if runs < 2 or len(names) < 2:
        return "Too few runs to compare."
    values = np.array([[results[name][key]["runs"] for key in ("ap", "j")] for name in names]).mean(axis=1)
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    deviation = math.sqrt(float((rest**2).sum()) / ((len(names) - 1) * (runs - 1)))
    means = dict(zip(names, values.mean(axis=1), strict=True))
    same = other = 0
    pairs = list(combinations(names, 2))
    for one, two in pairs:
        apart = means[one] - means[two]
        if abs(apart) > 2 * deviation * math.sqrt(2 / runs):
            agrees = apart * (_mean_published(published[one]) - _mean_published(published[two])) > 0
            same, other = same + agrees, other + (not agrees)
    return (
        f"Mean of AP and J: standard error of a difference {deviation * math.sqrt(2 / runs):.4f}. Of {len(pairs)} pair(s) "
        f"with all seeds, {same + other} differ by more than twice that: {same} in the paper's order, {other} the other "
        "way round."
    )


def _mean_published(figures: tuple[float | None, float | None]) -> float:
    return sum(x for x in figures if x is not None) / 2


def write(doc: Path, name: str, plan: Plan, results: Summary) -> None:
    """Put the tables between ``<!-- NAME begin -->`` and ``<!-- NAME end -->`` of ``doc``. Raises CathError without them."""
    text = doc.read_text()
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise CathError(f"{doc}: expected one line {begin} and, after it, one line {end}")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    doc.write_text(f"{before}{begin}\n{markdown(plan, results)}\n{end}{after}")
