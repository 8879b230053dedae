"""What became of catheters, frame by frame: figures, picture and report."""

import json
import math
from pathlib import Path

import cv2
import pytest

from cath_perception.scoring import Judgement, Verdict
from cath_training import timelines
from cath_training.timelines import Timeline


@pytest.fixture
def timeline() -> Timeline:
    right, lost = Judgement(Verdict.RIGHT), Judgement(Verdict.LOST)
    made = Timeline(7, 15.0, {0: "coronary_sinus", 2: "ablation"})
    made.judged = [{0: right, 2: lost}] * 6 + [{0: Judgement(Verdict.DISORDERED, switched=True)}] * 2
    made.motion = [math.nan] * 4 + [0.5, 0.5, 2.0, 40.0]
    return made


def test_figures_of_a_sequence(timeline: Timeline) -> None:
    figures = timeline.figures()
    assert figures["found"] == figures["seen whole"] == pytest.approx(8 / 14)
    assert (figures["type right"], figures["type and order right"]) == (1.0, 0.75)
    assert figures["identity switches"] == 2
    assert (figures["motion answered"], figures["motion worst px"]) == (0.5, 40.0)


def test_report_has_a_picture_and_a_line_for_each_sequence(timeline: Timeline, tmp_path: Path) -> None:
    empty = Timeline(8, 15.0, {}, [{}], [math.nan])
    groups = {"traced, damaged": ({"type right": 0.5}, [timeline, empty])}
    timelines.write(tmp_path, "Sequences", groups, {"first seed": 7})
    text = (tmp_path / "report.md").read_text()
    assert "| 7 | 2 | 0.571 |" in text
    assert "| 8 | 0 | 0 |" in text
    assert "traced-damaged-timeline.png" in text
    picture = cv2.imread(str(tmp_path / "traced-damaged-timeline.png"))
    for colour in ("79b97c", "3b3b3b", "ee8a2a", "a9cde8", "4a90c8", "a0148c"):
        blue_green_red = [int(colour[k : k + 2], 16) for k in (4, 2, 0)]
        assert ((picture == blue_green_red).all(axis=2)).sum() > 100
    content = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert content["groups"]["traced, damaged"]["sequences"]["8"]["motion worst px"] is None
