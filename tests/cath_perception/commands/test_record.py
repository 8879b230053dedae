"""``record`` as a user calls it."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

from cath_perception.commands import record
from cath_perception.errors import SourceError
from cath_perception.sources import open_source


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    return record.run(parser.parse_args(arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "frames").mkdir()
    for index in range(4):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), np.full((30, 60), 10 * index, np.uint8))
    return tmp_path / "frames"


def test_the_closing_line_says_what_there_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(str(folder), str(tmp_path / "new" / "bag")) == 0
    line = capsys.readouterr().out
    for part in ("4 frames of 60 x 30 px", "8 bits", "15 Hz assumed", "0.20 s", "MB", "spacing unknown"):
        assert part in line


def test_options(folder: Path, tmp_path: Path) -> None:
    bag = str(tmp_path / "bag")
    call(str(folder), bag, "--rate", "5", "--seconds", "0.5", "--size", "30")
    with open_source(bag) as source:
        assert (source.info.width, source.info.height, source.info.rate_hz) == (30, 15, 5)
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.2, 0.4])
    with pytest.raises(SourceError, match="exists"):
        call(str(folder), bag)
    assert call(str(folder), bag, "--force", "--frames", "1") == 0
    assert open_source(bag).info.frames == 1


def test_a_bag_can_be_recorded_again(folder: Path, tmp_path: Path) -> None:
    call(str(folder), str(tmp_path / "one"))
    call(str(tmp_path / "one"), str(tmp_path / "two"), "--frames", "2")
    assert [int(frame.pixels[0, 0]) for frame in open_source(str(tmp_path / "two"))] == [0, 10]


def test_the_generator_is_asked_for_what_is_wanted(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    call(
        "synthetic:seed=3,seconds=9",
        str(tmp_path / "bag"),
        "--seconds",
        "0.3",
        "--rate",
        "10",
        "--size",
        "128",
    )
    with open_source(str(tmp_path / "bag")) as source:
        assert (source.info.width, source.info.frames, source.info.rate_hz) == (128, 3, 10)
        assert "resized_from" not in source.info.metadata
        assert all(frame.truth for frame in source)
