"""Folders of images, single images and videos."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cath_perception.errors import SourceError
from cath_perception.sources import open_source

from .conftest import pattern, smooth


def save(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".pgm"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_folder_is_read_exactly_and_in_natural_order(tmp_path: Path, suffix: str, bits: int) -> None:
    pixels = pattern(3, 11, 17, bits)
    for number, image in zip((10, 9, 100), pixels, strict=True):
        save(tmp_path / f"Frame{number}{suffix}", image)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / f".hidden{suffix}").write_text("not an image")
    with open_source(str(tmp_path)) as source:
        frames = list(source)
        assert (source.info.width, source.info.height, source.info.bits) == (17, 11, bits)
    assert [frame.name for frame in frames] == [f"Frame{number}{suffix}" for number in (9, 10, 100)]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 1 / 15, 2 / 15])
    np.testing.assert_array_equal(np.stack([frame.pixels for frame in frames]), pixels[[1, 0, 2]])


def test_jpeg_and_colour_become_gray(tmp_path: Path) -> None:
    gray = smooth(1, 40, 50)[0]
    save(tmp_path / "a.jpg", gray)
    save(tmp_path / "b.png", cv2.merge([gray, gray, gray]))
    frames = list(open_source(str(tmp_path)))
    assert np.abs(frames[0].pixels.astype(int) - gray).mean() < 4
    np.testing.assert_array_equal(frames[1].pixels, gray)


def test_a_single_image(tmp_path: Path) -> None:
    save(tmp_path / "one.png", pattern(1, 6, 5, 8)[0])
    source = open_source(str(tmp_path / "one.png"))
    assert (source.info.name, source.info.frames, len(list(source))) == ("one", 1, 1)


@pytest.mark.parametrize("odd", [pattern(1, 8, 9, 8)[0], pattern(1, 8, 8, 16)[0]])
def test_images_that_differ_in_kind_are_named(tmp_path: Path, odd: np.ndarray) -> None:
    save(tmp_path / "a1.png", pattern(1, 8, 8, 8)[0])
    save(tmp_path / "a2.png", odd)
    with pytest.raises(SourceError, match=r"a2\.png: .* but a1\.png has 8 x 8 px with 8 bits"):
        list(open_source(str(tmp_path)))


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(SourceError, match=r"bad\.png"):
        open_source(str(tmp_path / "bad.png"))


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tiff", np.ones((4, 4), np.float32))
    with pytest.raises(SourceError, match="float32"):
        open_source(str(tmp_path))


def test_a_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    assert cv2.imwritemulti(str(tmp_path / "stack.tiff"), list(pattern(3, 8, 8, 8)))
    with pytest.raises(SourceError, match="3 pages"):
        open_source(str(tmp_path))


def test_an_empty_folder_and_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images"):
        open_source(str(tmp_path))
    with pytest.raises(SourceError, match="no such file"):
        open_source(str(tmp_path / "missing"))


def test_a_video(tmp_path: Path) -> None:
    path = tmp_path / "run.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (56, 40))
    for image in smooth(5, 40, 56):
        writer.write(cv2.merge([image] * 3))
    writer.release()
    with open_source(str(path)) as source:
        frames = list(source)
        assert (source.info.width, source.info.height, source.info.rate_hz) == (56, 40, 25)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert [int(frame.pixels[20].argmin()) for frame in frames] == pytest.approx([10, 14, 18, 22, 26], abs=2)


def test_a_file_of_no_known_kind(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b,c\n1,2,3\n" * 20)
    with pytest.raises(SourceError, match="neither DICOM, bag, image nor a video"):
        open_source(str(path))
