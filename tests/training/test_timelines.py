"""What became of catheters, frame by frame: figures and picture."""

import io
import math

import cv2
import numpy as np
import pytest

from cath_perception.scoring import Judgement, Verdict
from cath_perception.types import Catheter, Electrode
from cath_training.timelines import Timeline, draw


@pytest.fixture
def timeline() -> Timeline:
    right, lost = Judgement(Verdict.RIGHT), Judgement(Verdict.LOST)
    made = Timeline("7", [n / 15 for n in range(8)], {0: "coronary_sinus", 2: "ablation"})
    made.judged = [{0: right, 2: lost}] * 6 + [{0: Judgement(Verdict.DISORDERED, switched=True)}] * 2
    made.motion = [math.nan] * 4 + [0.5, 0.5, 2.0, 40.0]
    return made


def test_figures_of_a_sequence(timeline: Timeline) -> None:
    figures = timeline.figures()
    assert figures["found"] == figures["seen whole"] == pytest.approx(8 / 14)
    assert (figures["type right"], figures["type and order right"]) == (1.0, 0.75)
    assert figures["identity switches"] == 2
    assert (figures["motion answered"], figures["motion worst px"]) == (0.5, 40.0)


def test_frames_are_added_by_what_became_of_their_catheters() -> None:
    truth = Catheter(4, (Electrode(1.0, 2.0, 6.0, 6.0, 1.0),), None, 1.0, "ablation")
    timeline = Timeline("run")
    for n in range(3):
        timeline.add(20.0 + n / 15, [truth], {4: Judgement(Verdict.PART)})
    assert timeline.types == {4: "ablation"}
    assert timeline.seconds == pytest.approx(0.2)


def test_each_verdict_and_error_is_a_colour(timeline: Timeline) -> None:
    figure = draw([timeline])
    figure.savefig(stream := io.BytesIO())
    picture = cv2.imdecode(np.frombuffer(stream.getbuffer(), np.uint8), cv2.IMREAD_COLOR)
    for colour in ("79b97c", "3b3b3b", "ee8a2a", "a9cde8", "4a90c8", "a0148c"):
        blue_green_red = [int(colour[k : k + 2], 16) for k in (4, 2, 0)]
        assert (picture == blue_green_red).all(axis=2).sum() > 100
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "7 coronary_sinus",
        "7 ablation",
        "motion",
    ]
