"""``cath eval`` as a user calls it."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from cath_perception import cli
from cath_perception.bundle import resolve_bundle
from cath_perception.perceptor import Perceptor
from cath_training import cases
from cath_training.metrics import CenterlineTally

SEED = 9_600_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped model, to keep figures in."""
    return Path(shutil.copytree(resolve_bundle("light"), tmp_path_factory.mktemp("models") / "light"))


def test_kept_centreline_figures_are_those_at_the_models_threshold(model: Path, tmp_path: Path) -> None:
    arguments = f"--model {model} --backend torch --frames 2 --first-seed {SEED} --angiograms none --keep"
    assert cli.main(["eval", *arguments.split(), "--cache", str(tmp_path)]) == 0
    kept = yaml.safe_load((model / "model.yaml").read_text())["training"]["figures"]["synthetic"]
    tally = CenterlineTally()
    with Perceptor.open(model, "torch") as perceptor:
        for frame in cases.synthetic(SEED, 2, [], cache=tmp_path):
            catheters = perceptor(frame.pixels).catheters or ()
            curves = [c.centerline.points for c in catheters if c.centerline is not None]
            tally.add(curves, frame.centerlines, 512)
    assert tally.off
    for name, value in tally.figures().items():
        assert kept[name] == pytest.approx(value, abs=1e-4)


def test_processed_frames_are_a_group_of_their_own_and_no_model_keeps_their_figures(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = f"--model {model} --backend torch --frames 1 --first-seed {SEED} --processed".split()
    options += ["--cache", str(tmp_path), "--json", str(tmp_path / "figures.json")]
    assert cli.main(["eval", *options]) == 0
    assert list(json.loads((tmp_path / "figures.json").read_text())) == ["synthetic, processed"]
    assert cli.main(["eval", *options, "--keep"]) != 0
    assert "leave out --processed" in capsys.readouterr().err


def test_own_labels_are_judged_and_reported(model: Path, tmp_path: Path) -> None:
    frame = next(cases.synthetic(SEED, 1, [], 256))
    (tmp_path / "mine" / "images").mkdir(parents=True)
    (tmp_path / "mine" / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "mine" / "images" / "a.png"), frame.pixels)
    cv2.imwrite(str(tmp_path / "mine" / "masks" / "a.png"), frame.mask.astype(np.uint8))
    notes = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": [x - w / 2 + 0.5, y - h / 2 + 0.5, w, h]}
        for i, (x, y, w, h) in enumerate(frame.electrodes.tolist())
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 256, "height": 256}],
        "categories": [{"id": 1, "name": "electrode"}],
        "annotations": notes,
    }
    (tmp_path / "mine" / "annotations.json").write_text(json.dumps(content))
    out = tmp_path / "report"
    arguments = ["--model", str(model), "--backend", "torch", "--report", str(out)]
    assert cli.main(["eval", str(tmp_path / "mine"), *arguments]) == 0
    figures = json.loads((out / "report.json").read_text())["groups"]["mine"]["figures"]
    assert figures["frames"] == 1
    assert figures["electrodes"] == len(notes)
    assert 0.0 <= figures["j"] <= 1.0
    assert (out / "mine-curves.png").exists()


def test_two_data_sets_of_one_name_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["eval", str(tmp_path / "monday" / "run"), str(tmp_path / "tuesday" / "run")]) != 0
    assert "several are called run" in capsys.readouterr().err


def test_refusals_say_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments, reason in (
        (["--frames", "0"], "--frames of 1 or more"),
        (["--recorded"], "name the bags"),
        ([str(tmp_path), "--keep"], "leave it out"),
        ([str(tmp_path / "missing"), "--recorded"], "missing"),
    ):
        assert cli.main(["eval", *arguments]) == 2
        assert reason in capsys.readouterr().err
