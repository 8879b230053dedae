"""The report a user reads: complete, with pictures that can be opened, and JSON without NaN."""

import json
from pathlib import Path

import cv2
import numpy as np

from cath_perception.types import Catheter, Electrode
from cath_training import report
from cath_training.cases import Frame
from cath_training.evaluate import Answer, Case, Evaluation

TRUTH = np.array([[30.0, 30.0, 6.0, 6.0], [60.0, 30.0, 6.0, 6.0], [60.0, 33.0, 6.0, 6.0]])
SAID = np.array([[30.5, 30.0, 6.0, 6.0, 0.9, 0.4], [90.0, 90.0, 6.0, 6.0, 0.7, 0.4]])


def case() -> Case:
    frame = Frame("a frame", np.full((128, 128), 100, np.uint8), TRUTH, ("halo", "ablation", "ablation"))
    return Case(3, frame, Answer(SAID, 0.5, None, None))


def test_report(tmp_path: Path) -> None:
    one, empty = Evaluation(), Evaluation()
    one.add(case().frame, case().answer)
    empty.add(
        Frame("nothing", np.zeros((64, 64), np.uint8), np.empty((0, 4))), Answer(SAID[:0], 0.5, None, None)
    )
    report.write(tmp_path, "A model", {"my run/1": one, "empty": empty}, {"seed": 3})
    text = (tmp_path / "report.md").read_text()
    assert "| recall | 0.3333 |" in text
    assert "a frame, 3 wrong" in text
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == ["my-run-1-curves.png", "my-run-1-worst-01.png"]
    assert all(name in text for name in pictures)
    assert cv2.imread(str(tmp_path / pictures[0])).std() > 10
    content = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert content["seed"] == 3
    assert content["groups"]["my run/1"]["curves"]["types"] == {"ablation": 0.0, "halo": 1.0}
    assert content["groups"]["empty"]["curves"] == {}


def test_worst_case_shows_what_was_found_missed_and_invented() -> None:
    image = report.picture(case())
    zoom = len(image) / 128
    for (x, y), colour in (((30, 30), report.FOUND), ((60, 33), report.MISSED), ((90, 90), report.INVENTED)):
        u, v = round((x + 0.5) * zoom), round((y + 0.5) * zoom)
        near = image[v - 10 : v + 11, u - 10 : u + 11].reshape(-1, 3).astype(int)
        assert np.abs(near - colour).sum(axis=1).min() < 60
    assert np.abs(image.astype(int) - report.MISSED).sum(axis=2)[:150].min() > 60  # none where nothing is


def test_catheters_of_a_recording_are_shown_frame_by_frame(tmp_path: Path) -> None:
    ablation = Catheter(4, (Electrode(30.0, 30.0, 6.0, 6.0, 1.0),), None, 1.0, "ablation")
    one = Evaluation()
    for number in range(3):
        frame = Frame(
            "a frame", np.full((128, 128), 100, np.uint8), None, catheters=(ablation,), stamp_ns=number
        )
        one.add(frame, Answer(SAID[:0], 0.5, None, (ablation,)))
    report.write(tmp_path, "A model", {"run": one}, {})
    assert "![timeline](run-timeline.png)" in (tmp_path / "report.md").read_text()
    assert cv2.imread(str(tmp_path / "run-timeline.png")).std() > 10
