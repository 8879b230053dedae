"""Evaluation of one who knows the truth, and of one who is a little off."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cath_perception.bags import TRUTH_TOPIC, BagWriter, typestore
from cath_perception.recognition import Recognizer
from cath_perception.recording import record
from cath_perception.sources.synthetic import SyntheticSource
from cath_perception.types import Catheter, Centerline, Electrode, PerceptionResult
from cath_training import cases
from cath_training.data.labelled import DataError
from cath_training.evaluate import Answer, Evaluation, evaluate, evaluate_sequence
from cath_training.recorded import judge_recorded

SEED, FRAMES, SIZE = 9_500_000, 2, 128


@pytest.fixture(scope="module")
def frames() -> list[cases.Frame]:
    return list(cases.synthetic(SEED, FRAMES, [], SIZE))


@dataclass
class Oracle:
    """Answers as a perceptor does, from the truth, ``shift`` px to the right; invents one electrode of score 0.1.

    Asked for low scores, it loses its centrelines, as grouping does among false electrodes.
    """

    frames: list[cases.Frame]
    shift: float = 0.0
    electrode_threshold: float = 0.5
    want_mask: bool = True
    want_centerlines: bool = True

    def __call__(self, pixels: NDArray[np.uint8]) -> PerceptionResult:
        frame = next(frame for frame in self.frames if np.array_equal(pixels, frame.pixels))
        rows = [(x + self.shift, y, w, h, 0.9, 0.5) for x, y, w, h in frame.electrodes.tolist()]
        rows += [(1.0, 1.0, 3.0, 3.0, 0.1, 0.5)]
        electrodes = tuple(Electrode(*row) for row in rows if row[4] >= self.electrode_threshold)
        catheters = tuple(
            Catheter(i, (), Centerline(curve + np.float32([self.shift, 0]), 3.0), 1.0)
            for i, curve in enumerate(frame.centerlines if self.electrode_threshold >= 0.5 else ())
        )
        mask = np.where(frame.mask, 255, 0).astype(np.uint8)
        return PerceptionResult(SIZE, SIZE, electrodes, catheters, mask)


def test_the_truth_has_the_best_figures(frames: list[cases.Frame]) -> None:
    oracle = Oracle(frames)
    figures = evaluate(oracle, frames).figures()  # type: ignore[arg-type]
    assert figures["electrodes"] > 3
    best = {"recall": 1.0, "precision": 1.0, "ap": 1.0, "ap50": 1.0, "j": 1.0, "median_error_px256": 0.0}
    best |= {"recall_1px": 1.0, "precision_5px": 1.0, "false_a_frame": 0.0, "within_1_sigma": 1.0}
    assert {name: figures[name] for name in best} == pytest.approx(best)
    assert figures["centerline_covered"] == 1.0
    assert figures["centerline_px256"] == pytest.approx(0.0, abs=1e-4)
    assert (oracle.electrode_threshold, oracle.want_mask, oracle.want_centerlines) == (0.5, True, True)


def test_answers_beside_the_truth_are_measured_so(frames: list[cases.Frame]) -> None:
    figures = evaluate(Oracle(frames, shift=0.75), frames).figures()  # type: ignore[arg-type]
    assert figures["median_error_px256"] == pytest.approx(1.5, abs=1e-3)
    assert (figures["recall_1px"], figures["recall_2px"]) == (0.0, 1.0)
    assert figures["ap"] < 1.0
    assert figures["within_1_sigma"] == 0.0  # 0.75 px off at a sigma of 0.5 px
    assert figures["within_2_sigma"] == 1.0
    assert 0.1 < figures["centerline_px256"] <= 1.5  # what lies along the shift does not count


@dataclass
class Fading:
    """One catheter; from its tenth frame on the third electrode's score is below the threshold."""

    electrode_threshold: float = 0.5
    want_mask: bool = False
    want_centerlines: bool = True
    recognizer: Recognizer = field(default_factory=Recognizer.load)

    def __call__(self, pixels: NDArray[np.uint8], recognize: bool = True) -> PerceptionResult:
        weak = pixels[0, 0] >= 10
        line = np.column_stack((np.arange(20.0, 120.0), np.full(100, 60.0))).astype(np.float32)
        rings = [
            Electrode(30.0 + 12.0 * n, 60.0, 5.0, 5.0, 0.3 if weak and n == 2 else 0.9, 0.5) for n in range(6)
        ]
        clear = [e for e in rings if e.score >= self.electrode_threshold]
        named = tuple(e._replace(catheter=0, index=n) for n, e in enumerate(clear))
        faint = tuple(e for e in rings if e.score < self.electrode_threshold)
        return PerceptionResult(
            128, 128, named, (Catheter(0, named, Centerline(line, 4.0), 0.9),), None, faint=faint
        )


def test_of_a_sequence_what_tracking_answers_is_judged() -> None:
    """A faint electrode that tracking expects is an answer; in a frame alone it is not."""
    truth = np.array([(30.0 + 12.0 * n, 60.0, 5.0, 5.0) for n in range(6)])
    shown = []
    for n in range(20):
        pixels = np.zeros((128, 128), np.uint8)
        pixels[0, 0] = n
        shown.append(cases.Frame(str(n), pixels, truth, stamp_ns=n * 66_000_000))
    assert evaluate(Fading(), shown).figures()["recall"] == pytest.approx(110 / 120)  # type: ignore[arg-type]
    assert evaluate_sequence(Fading(), shown).figures()["recall"] == 1.0  # type: ignore[arg-type]


def test_curves_and_worst_cases(frames: list[cases.Frame]) -> None:
    evaluation = Evaluation()
    truth = frames[0].electrodes
    half = np.column_stack([truth, np.full(len(truth), 0.85), np.full(len(truth), 0.3)])[: len(truth) // 2]
    false = np.array([[2.0, 2.0, 4.0, 4.0, 0.95, 0.3]])
    evaluation.add(frames[0], Answer(np.vstack([half, false]), 0.5, None, None))
    evaluation.add(frames[1], Answer(np.empty((0, 6)), 0.5, None, None))
    total = len(truth) + len(frames[1].electrodes)
    drawn = evaluation.curves()
    assert drawn["point"]["recall"] == pytest.approx(len(half) / total)
    assert drawn["precision_recall"]["precision"].tolist() == [
        0.0,
        pytest.approx(len(half) / (len(half) + 1)),
    ]
    assert [row["value"] for row in drawn["score"].rows()] == [1.0, 0.0]
    assert sum(drawn["spacing"].count) == total
    wrong = {case.frame.name: case.wrong for case in evaluation.worst}
    assert wrong[frames[0].name] == len(truth) - len(half) + 1
    assert [case.wrong for case in evaluation.worst] == sorted(wrong.values(), reverse=True)


def test_frames_without_electrodes_count_what_was_invented(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 32), 90, np.uint8))
    paths = [tmp_path / "a.png"] * 4
    evaluation = Evaluation()
    for index, frame in enumerate(cases.without_electrodes(paths)):
        evaluation.add(frame, Answer(np.full((index, 6), 0.9), 0.5, None, None))
    assert evaluation.figures() == {"frames": 4, "electrodes_a_frame": 1.5, "clean": 0.25}
    assert evaluation.curves() == {}
    (tmp_path / "b.jpg").write_bytes(b"none")
    with pytest.raises(DataError, match="expected an image"):
        next(cases.without_electrodes([tmp_path / "b.jpg"]))


def test_processed_frames_lack_what_graphics_hide(frames: list[cases.Frame]) -> None:
    changed = list(cases.processed(frames))
    again = list(cases.processed(frames))
    assert len(changed) == len(frames)
    for before, frame, same in zip(frames, changed, again, strict=True):
        assert not np.array_equal(frame.pixels, before.pixels)
        assert np.array_equal(frame.pixels, same.pixels)
        assert frame.pixels.shape == before.pixels.shape
        assert before.electrodes is not None
        assert frame.electrodes is not None
        assert len(frame.kinds) == len(frame.electrodes)
        kept = {tuple(row) for row in before.electrodes.tolist()}
        assert {tuple(row) for row in frame.electrodes.tolist()} <= kept
        assert not (frame.mask & ~before.mask).any()


def test_drawn_frames_are_kept(
    tmp_path: Path, frames: list[cases.Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = list(cases.synthetic(SEED, FRAMES, [], SIZE, tmp_path))
    monkeypatch.setattr(cases, "draw_still", None)  # nothing is drawn again
    again = list(cases.synthetic(SEED, FRAMES, [], SIZE, tmp_path))
    for fresh, one, two in zip(frames, first, again, strict=True):
        for name in ("pixels", "mask", "electrodes"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
            assert np.array_equal(getattr(one, name), getattr(fresh, name))
        assert one.kinds == two.kinds
        assert len(one.centerlines) == len(two.centerlines)
        assert all(np.array_equal(a, b) for a, b in zip(one.centerlines, two.centerlines, strict=True))
    with pytest.raises(TypeError):  # other settings, other frames
        next(cases.synthetic(SEED, 1, [], 64, tmp_path))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "run"
    with SyntheticSource(seconds=0.4, rate=10, size=96, seed=4) as source:
        record(source, path, start_ns=5_000_000_000)
    return path


def test_bags_with_truth_are_frames(bag: Path) -> None:
    held = list(cases.recording(bag))
    assert [frame.stamp_ns for frame in held] == [5_000_000_000 + i * 100_000_000 for i in range(4)]
    assert held[0].electrodes.shape[1] == 4
    assert len(held[0].kinds) == len(held[0].electrodes) > 0
    assert held[0].catheters


def test_recorded_answers_are_judged(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave --recorded out"):
        judge_recorded(bag)
    answered = tmp_path / "answered"
    with SyntheticSource(seconds=0.4, rate=10, size=96, seed=4) as source:
        frames = list(source)
    truths = cases.catheters_by_stamp(bag, {TRUTH_TOPIC})
    stamps = sorted(truths)[:3]  # the node missed the last frame
    copy_with_answers(bag, answered, {stamp: truths[stamp] for stamp in stamps})
    figures = judge_recorded(answered).figures()
    assert figures["answered"] == 0.75
    assert (figures["recall"], figures["precision"], figures["type right"]) == (1.0, 1.0, 1.0)
    assert figures["identity switches"] == 0
    assert len(frames) == 4


def copy_with_answers(bag: Path, path: Path, answers: dict[int, tuple[Catheter, ...]]) -> None:
    """The bag's images, the truth after them (as a live recording may have it), and ``answers`` as a node's."""
    from cath_perception.bags import IMAGE_TOPIC, BagReader
    from cath_perception.recording import _catheter, _electrode, _header

    types = typestore().types
    with BagReader(bag) as reader, BagWriter(path) as writer:
        names = {
            "/node/electrodes": "ElectrodeArray",
            "/node/catheters": "CatheterArray",
            TRUTH_TOPIC: "CatheterArray",
        }
        for name, kind in names.items():
            writer.add_topic(name, f"cath_msgs/msg/{kind}")
        writer.add_topic(IMAGE_TOPIC, "sensor_msgs/msg/Image")
        for topic in (IMAGE_TOPIC, TRUTH_TOPIC):
            for item in reader.messages({topic}):
                writer.write_raw(topic, item.time_ns + 10**9 * (topic == TRUTH_TOPIC), item.data)
        for stamp, catheters in answers.items():
            moved = [replace(c, id=c.id + 7) for c in catheters]
            found = [_electrode(e) for c in moved for e in c.electrodes if e.visible]
            array = types["cath_msgs/msg/ElectrodeArray"](header=_header(stamp), electrodes=found)
            writer.write("/node/electrodes", stamp, array)
            group = types["cath_msgs/msg/CatheterArray"](
                header=_header(stamp), computed=True, catheters=[_catheter(c) for c in moved]
            )
            writer.write("/node/catheters", stamp, group)
