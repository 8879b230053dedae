"""An evaluation as a folder: report.md to read, report.json to compute with, curves and the worst cases as pictures."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cath_perception.overlay import Picture, windowed
from cath_perception.scoring import REFERENCE_PX, match
from cath_training.curves import Binned
from cath_training.evaluate import LIMIT, Case, Evaluation
from cath_training.timelines import draw

FOUND, MISSED, INVENTED = (120, 220, 96), (60, 60, 255), (60, 200, 255)  # BGR
LARGEST_PX = 768


def write(folder: Path, title: str, groups: dict[str, Evaluation], facts: dict[str, Any]) -> None:
    """Write the report of several groups of frames; ``facts``: model, seeds and whatever makes it repeatable."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    content: dict[str, Any] = {}
    for name, evaluation in groups.items():
        figures, drawn = evaluation.figures(), evaluation.curves()
        lines += _group(folder, name, evaluation, figures, drawn)
        content[name] = {
            "figures": figures,
            "curves": {key: plain(value) for key, value in drawn.items()},
            "worst": [{"frame": case.frame.name, "wrong": case.wrong} for case in evaluation.worst],
        }
    save(folder, title, facts, lines, content)


def save(
    folder: Path, title: str, facts: dict[str, Any], lines: Sequence[str], groups: dict[str, Any]
) -> None:
    """Write report.md, of these lines, and report.json, of these groups, both with title and facts before them."""
    head = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    (folder / "report.md").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    content = _without_nan({"title": title, **facts, "groups": groups})
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _group(
    folder: Path, name: str, evaluation: Evaluation, figures: dict[str, float], drawn: dict[str, Any]
) -> list[str]:
    """Pictures of one group, and its part of the Markdown."""
    slug = re.sub(r"[^\w-]+", "-", name)
    rows = [f"| {key} | {value:.4g} |" for key, value in figures.items()]
    lines = [f"## {name}", "", "| figure | value |", "|---|---|", *rows, ""]
    if drawn:
        _plot(drawn).savefig(folder / f"{slug}-curves.png", dpi=90)
        lines += [f"![curves]({slug}-curves.png)", ""]
    if evaluation.timeline.types:
        draw([evaluation.timeline]).savefig(folder / f"{slug}-timeline.png", dpi=110)
        lines += [f"![timeline]({slug}-timeline.png)", ""]
    if evaluation.worst:
        lines += ["Worst frames: found green, missed red (crosses), invented yellow (squares).", ""]
    for number, case in enumerate(evaluation.worst, 1):
        file = f"{slug}-worst-{number:02d}.png"
        cv2.imwrite(str(folder / file), picture(case))
        lines += [
            f"{number}. {case.frame.name}, {case.wrong} wrong",
            "",
            f"   ![{case.frame.name}]({file})",
            "",
        ]
    return lines


def picture(case: Case) -> Picture:
    """The frame with its electrodes: found, missed and invented, a true centre where there is one."""
    frame, counted = case.frame, case.answer.counted[:, :2]
    zoom = LARGEST_PX / frame.side
    pixels = frame.pixels if frame.pixels.dtype == np.uint8 else windowed(frame.pixels)
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    image = cv2.cvtColor(cv2.resize(pixels, None, fx=zoom, fy=zoom, interpolation=how), cv2.COLOR_GRAY2BGR)
    truth = np.empty((0, 2)) if frame.electrodes is None else np.asarray(frame.electrodes, float)[:, :2]
    pairs, _ = match(counted, truth, LIMIT * frame.side / REFERENCE_PX)
    for index, point in enumerate(truth):
        at = _place(point, zoom)
        if index in pairs[:, 1]:
            cv2.circle(image, at, 6, FOUND, 1, cv2.LINE_AA)
        else:
            cv2.drawMarker(image, at, MISSED, cv2.MARKER_TILTED_CROSS, 11, 1, cv2.LINE_AA)
    for index, point in enumerate(counted):
        if index not in pairs[:, 0]:
            x, y = _place(point, zoom)
            cv2.rectangle(image, (x - 6, y - 6), (x + 6, y + 6), INVENTED, 1, cv2.LINE_AA)
    return np.asarray(image, np.uint8)


def _place(point: Any, zoom: float) -> tuple[int, int]:
    x, y = (round((float(value) + 0.5) * zoom - 0.5) for value in point)
    return x, y


def _plot(drawn: dict[str, Any]) -> Figure:
    """Eight small diagrams, two rows of four."""
    figure = Figure(figsize=(17, 8), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    curve, point = drawn["precision_recall"], drawn["point"]
    axes[0].plot(curve["recall"], curve["precision"])
    axes[0].plot(point["recall"], point["precision"], "o", label="at the threshold")
    axes[0].legend()
    _label(axes[0], "electrodes at 2 px of 256", "recall", "precision", (0, 1), (0, 1))
    axes[1].plot(drawn["error"]["px256"], drawn["error"]["found"])
    _label(axes[1], "found within a distance", "px of 256", "share of true electrodes", (0, None), (0, 1))
    _bars(axes[2], drawn["spacing"], "recall over spacing", "px of 256 to the next electrode", "recall")
    _bars(
        axes[3],
        drawn["contrast"],
        "recall over contrast (white below 0)",
        "difference / range of grey",
        "recall",
    )
    _bars(axes[4], drawn["noise"], "recall over noise (dose)", "noise / range of grey", "recall")
    _bars(axes[5], drawn["score"], "is the score right?", "score", "share that is right")
    axes[5].plot([0, 1], [0, 1], "k:")
    sigma = drawn["sigma"]
    _bars(
        axes[6],
        Binned(sigma.edges, np.sqrt(sigma.value), sigma.count),
        "is sigma right?",
        "sigma, px of 256",
        "found",
    )
    axes[6].plot([0, 1], [0, 1], "k:")
    axes[7].barh(list(drawn["types"]), list(drawn["types"].values()))
    _label(axes[7], "recall by catheter", "recall", "", (0, 1), (None, None))
    return figure


def _bars(axes: Axes, data: Binned, title: str, x: str, y: str) -> None:
    """Bars side by side, with how many are in each below."""
    shown = data.count > 0
    width = np.diff(data.edges)[shown]
    axes.bar(data.edges[:-1][shown], data.value[shown], width, align="edge", edgecolor="white")
    for at, wide, count in zip(data.edges[:-1][shown], width, data.count[shown], strict=True):
        axes.text(at + wide / 2, 0.01, f"{count}", ha="center", va="bottom", rotation=90, fontsize=7)
    _label(axes, title, x, y, (None, None), (0, 1))


def _label(axes: Axes, title: str, x: str, y: str, across: tuple[Any, Any], up: tuple[Any, Any]) -> None:
    axes.set(title=title, xlabel=x, ylabel=y, xlim=across, ylim=up)
    axes.grid(alpha=0.3)


def plain(value: Any) -> Any:
    """A curve as JSON has it; long ones thinned to 200 points."""
    if isinstance(value, Binned):
        return value.rows()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        step = max(1, len(value) // 200)
        return [round(float(item), 5) for item in value[::step]]
    return value


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
