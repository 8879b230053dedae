import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cath_perception.cli import COMMANDS, main
from cath_perception.commands.predict import motion_of, record_of
from cath_perception.motion import Motion
from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode, PerceptionResult


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 4000, (90, 120)).astype(np.uint16))
    return folder


@pytest.fixture
def predict(bundle, cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return lambda *arguments: main(
        ["predict", *map(str, arguments), "--model", str(bundle.path), "--backend", "openvino"]
    )


def test_everything_asked_for_is_written(predict, images, tmp_path):
    out = tmp_path / "new" / "out.json"
    code = predict(
        images, images / "1.png", "--json", out, "--overlay", tmp_path / "o", "--masks", tmp_path / "m"
    )
    assert code == 0
    report = json.loads(out.read_text())
    assert list(report) == ["model", "frames"]
    assert report["model"] == "random"
    assert [(f["index"], f["width"], f["height"]) for f in report["frames"]] == [
        (0, 120, 90), (1, 120, 90), (2, 120, 90), (0, 120, 90)
    ]  # fmt: skip
    keys = ["source", "index", "width", "height", "time_ms", "electrodes", "catheters"]
    for frame in report["frames"]:
        assert list(frame) == keys
        assert frame["source"].startswith(str(images))
        assert frame["time_ms"] > 0
        assert frame["electrodes"]
        for e in frame["electrodes"]:
            assert list(e) == ["x", "y", "width", "height", "score", "catheter", "index"]
            assert -0.5 <= e["x"] <= 119.5
            assert (e["catheter"] is None) == (e["index"] is None)
    for folder, channels in (("o", 3), ("m", 1)):
        pictures = sorted((tmp_path / folder).iterdir())
        assert len(pictures) == 4
        for path in pictures:
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert picture.shape[:2] == (90, 120)
            assert picture.ndim == (3 if channels == 3 else 2)


def test_frames_of_a_sequence_have_their_time_and_the_motion(predict, tmp_path):
    out = tmp_path / "out.json"
    run = "synthetic:seconds=0.4,rate=10,size=128,seed=1"
    assert predict(run, "--json", out, "--overlay", tmp_path / "o") == 0
    frames = json.loads(out.read_text())["frames"]
    assert [frame["time_s"] for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [frame["motion"] for frame in frames] == [
        None
    ] * 4  # random weights know no coronary sinus catheter
    assert len(list((tmp_path / "o").iterdir())) == 4


def test_motion_is_written_as_in_the_message():
    down, none = np.array((0.5, 2.0)), np.zeros(2)
    known = Motion(True, 1.25, down, 0.1, none, down, none, 0.3, 0.9)
    assert motion_of(known) == {
        "reference_time_s": 1.25, "translation_px": [0.5, 2.0], "rotation_rad": 0.1, "respiratory_px": [0.5, 2.0],
        "cardiac_px": [0.0, 0.0], "residual_px": 0.3, "quality": 0.9,
    }  # fmt: skip
    assert motion_of(replace(known, valid=False)) is None


def test_catheter_is_written_with_its_type_status_and_centreline():
    line = Centerline(np.float32([[1, 2], [3, 4.5], [6, 7]]), 2.0)
    rings = (Electrode(1, 2, 3, 3, 0.9, index=0), Electrode(3, 4.5, 3, 3, 0.4, index=1, visible=False))
    known = Catheter(3, rings, line, 0.8, "halo", 0.71239, CatheterStatus.PREDICTED)
    record = record_of("a.png", 4, PerceptionResult(40, 30, (), (known, Catheter(5, (), None, 0.5)), None))
    assert record["catheters"] == [
        {
            "id": 3, "type": "halo", "type_confidence": 0.7124, "status": "predicted", "score": 0.8,
            "bridged": [{"x": 3, "y": 4.5, "index": 1}],
            "centerline": [[1.0, 2.0], [3.0, 4.5], [6.0, 7.0]],
        },
        {
            "id": 5, "type": None, "type_confidence": 0.0, "status": "detected", "score": 0.5,
            "bridged": [], "centerline": [],
        },
    ]  # fmt: skip


def test_json_on_standard_output(predict, images, capsys):
    assert predict(images / "0.png", "--json", "-") == 0
    assert len(json.loads(capsys.readouterr().out)["frames"]) == 1


def test_threshold(predict, images, tmp_path):
    def scores(threshold):
        assert predict(images / "0.png", "--json", tmp_path / "t.json", "--threshold", threshold) == 0
        (frame,) = json.loads((tmp_path / "t.json").read_text())["frames"]
        return [e["score"] for e in frame["electrodes"]]

    low, high = scores(0.1), scores(0.5)
    assert min(high) >= 0.5 > min(low)
    assert high == [s for s in low if s >= 0.5]


def test_bad_frame_is_named_and_the_others_answered(predict, images, tmp_path, capsys):
    broken = images / "broken.png"
    broken.write_bytes((images / "0.png").read_bytes()[:200])
    out = tmp_path / "out.json"
    assert predict(images / "0.png", broken, images / "2.png", "--json", out) == 1
    frames = json.loads(out.read_text())["frames"]
    assert ["error" in f for f in frames] == [False, True, False]
    assert frames[1]["electrodes"] == frames[1]["catheters"] == []
    assert "broken.png" in frames[1]["source"]
    assert "broken.png" in capsys.readouterr().err


def test_nothing_answered_is_a_failure(predict, tmp_path):
    out = tmp_path / "out.json"
    assert predict(tmp_path / "none.png", "--json", out) == 2
    (frame,) = json.loads(out.read_text())["frames"]
    assert "none.png" in frame["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "x.png"], "nothing would be kept"),
        (["predict", "x.png", "--json", "out.json", "--model", "nonesuch"], "nonesuch"),
        (["predict", "x.png", "--json", "/proc/no/out.json"], "cannot be made"),
        (["frobnicate"], "expected one of demo, predict"),
    ],
)
def test_errors_are_one_line_and_exit_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("cath: ")
    assert error.count("\n") == 1
    assert words in error


def test_usage_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert main([]) == 2
    assert main(["--version"]) == 0
