"""The report of catheters through sequences: a picture, a line for each, and JSON without NaN."""

import json
import math
from pathlib import Path

from cath_perception.scoring import Judgement, Verdict
from cath_training import sequence_report
from cath_training.timelines import Timeline


def test_report_has_a_picture_and_a_line_for_each_sequence(tmp_path: Path) -> None:
    judged = [{0: Judgement(Verdict.RIGHT)}, {0: Judgement(Verdict.LOST)}]
    one = Timeline("7", [0.0, 0.1], {0: "ablation"}, judged, [0.5, 40.0])
    empty = Timeline("8", [0.0], {}, [{}], [math.nan])
    groups = {"traced, damaged": ({"type right": 0.5}, [one, empty])}
    sequence_report.write(tmp_path, "Sequences", groups, {"first seed": 7})
    text = (tmp_path / "report.md").read_text()
    assert "| type right | 0.5 |" in text
    assert "| 7 | 1 | 0.5 |" in text
    assert "| 8 | 0 | 0 |" in text
    assert "![timeline](traced-damaged-timeline.png)" in text
    assert (tmp_path / "traced-damaged-timeline.png").stat().st_size > 1000
    content = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert content["groups"]["traced, damaged"]["sequences"]["8"]["motion worst px"] is None
