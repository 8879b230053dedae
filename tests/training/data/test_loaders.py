"""Each loader on small files written in its real format."""

import json
import zlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from cath_training.data import crops
from cath_training.data.batches import BatchRule
from cath_training.data.hdf5 import dataset
from cath_training.data.labelled import DataError, split
from cath_training.data.oct import OctSource
from cath_training.data.sources import open_labelled
from cath_training.data.ucl import Pair, UclSource

RNG = np.random.default_rng(5)


def write_ucl(folder: Path, name: str, key: str, top: float, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    image = RNG.uniform(0, 1, (count, 24, 32, 1)).repeat(3, axis=3)
    image[:, 0, 0] = 1.0
    mask = np.zeros((count, 24, 32, 2))
    mask[1:, 5:9, 3:20, 0] = 1  # the first frame shows no catheter
    mask[..., 1] = 1 - mask[..., 0]
    kind = np.uint8 if top == 255 else np.float32
    with h5py.File(folder / f"{name}.hdf5", "w") as file:
        file[key] = np.round(image * top).astype(kind) if top == 255 else image.astype(kind)
    with h5py.File(folder / f"{name}_label.hdf5", "w") as file:
        file["label"] = (mask * top).astype(kind)
    return image[..., 0], mask[..., 0] > 0


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_ucl(tmp_path: Path, top: float) -> None:
    image, mask = write_ucl(tmp_path, "T3-T6", "test", top)
    write_ucl(tmp_path, "Phantom", "test", 256.0 - top)
    source = open_labelled("ucl", tmp_path)
    assert len(source) == 10
    assert set(source.groups) == {"T3-T6", "Phantom"}
    for i in range(5):
        sample = source[i]
        assert sample.boxes is None
        assert sample.identity == i
        np.testing.assert_allclose(sample.image, image[i], atol=0.003)
        assert np.array_equal(sample.mask, mask[i])
    training, validation = split(source, 0.5, 0)
    assert len(training) == len(validation) == 5


def test_ucl_of_other_names_and_batches(tmp_path: Path) -> None:
    image, _ = write_ucl(tmp_path, "mine", "pictures", 255.0)
    pair = ("mine.hdf5", "pictures", "mine_label.hdf5", "label")
    source = open_labelled("ucl", tmp_path, (pair,))
    assert source[3].image == pytest.approx(image[3], abs=0.003)
    batch = crops.draw(source, BatchRule(crop=32), 6, (1,), torch.device("cpu"))
    assert batch.labelled.tolist() == [[False, True]] * 6
    assert batch.mask.sum() > 0
    assert batch.centre.sum() == 0


def test_ucl_says_what_is_wrong(tmp_path: Path) -> None:
    write_ucl(tmp_path, "T3-T6", "images", 1.0)
    with pytest.raises(DataError, match="'test', it holds images"):
        open_labelled("ucl", tmp_path)
    write_ucl(tmp_path, "other", "test", 1.0, count=4)
    with pytest.raises(DataError, match="do not fit"):
        UclSource(tmp_path, [Pair("T3-T6.hdf5", "images", "other_label.hdf5", "label")])
    (tmp_path / "T3-T6.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        open_labelled("ucl", tmp_path)
    with h5py.File(tmp_path / "T3-T6.hdf5", "w") as file:
        file["test"] = np.full((5, 24, 32), 4000.0)
    with pytest.raises(DataError, match="0 to 1 or 0 to 255"):
        open_labelled("ucl", tmp_path)
    with pytest.raises(DataError, match="none of T1T2"):
        open_labelled("ucl", tmp_path.parent)


def oct_volume(newer: bool, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A subject 20 x 30 x 9 with labels on B-scans 2, 5 and 7; the second grader left 7 out."""
    images = RNG.integers(0, 256, (20, 30, 9)).astype(np.uint8 if newer else np.float64)
    first, second = np.full((2, 20, 30, 9), np.nan)
    first[:, :, [2, 5, 7]] = second[:, :, [2, 5]] = 0
    first[3:6, 4:9, 5], second[5:8, 4:9, 5], first[1, 1, 7] = 1, 2, 3
    content = {"images": images, "manualFluid1": first, "manualFluid2": second}
    if newer:
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, values in content.items():
                file[name] = values.T  # MATLAB's order is that of columns
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + b"\0" * 8 + b"\x00\x02IM")
    else:
        savemat(path, content, do_compression=True)
    union = np.zeros((20, 30), bool)
    union[3:8, 4:9] = True
    return images, union


@pytest.mark.parametrize("newer", [False, True])
def test_oct(tmp_path: Path, newer: bool) -> None:
    images, union = oct_volume(newer, tmp_path / "Subject_01.mat")
    oct_volume(newer, tmp_path / "Subject_02.mat")
    source = open_labelled("oct", tmp_path)
    assert source.groups == ["Subject_01"] * 3 + ["Subject_02"] * 3
    assert [source[i].name for i in range(3)] == ["Subject_01 2", "Subject_01 5", "Subject_01 7"]
    np.testing.assert_allclose(source[1].image, images[:, :, 5] / 255, atol=1e-6)
    assert source[1].boxes is None
    assert np.array_equal(source[1].mask, union)
    assert not source[0].mask.any()
    assert source[2].mask.sum() == 1


def test_oct_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.mat"):
        OctSource(tmp_path)
    path = tmp_path / "Subject_01.mat"
    savemat(path, {"images": np.zeros((4, 4, 2))})
    with pytest.raises(DataError, match="'manualFluid1', it holds images"):
        OctSource(tmp_path)
    nothing = np.full((4, 4, 2), np.nan)
    savemat(path, {"images": np.zeros((4, 4, 2)), "manualFluid1": nothing, "manualFluid2": nothing})
    with pytest.raises(DataError, match="NaN throughout"):
        OctSource(tmp_path)
    path.write_bytes(b"rubbish" * 40)
    with pytest.raises(DataError, match="MATLAB"):
        OctSource(tmp_path)


def write_coco(folder: Path) -> dict[str, list[dict[str, object]]]:
    (folder / "images" / "run").mkdir(parents=True)
    (folder / "masks").mkdir()
    picture = RNG.integers(0, 65536, (40, 60)).astype(np.uint16)
    for name in ("run/a.png", "run/b.png", "c.png"):
        cv2.imwrite(str(folder / "images" / name), picture)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 10:30] = 1
    cv2.imwrite(str(folder / "masks" / "a.png"), mask)
    size = {"width": 60, "height": 40}
    electrode = {"category_id": 7, "attributes": {"catheter": "ablation"}}
    content = {
        "images": [
            {"id": 1, "file_name": "run/a.png", **size},
            {"id": 2, "file_name": "run/b.png", **size},
            {"id": 3, "file_name": "c.png", "electrodes": False, **size},
        ],
        "categories": [{"id": 7, "name": "electrode"}, {"id": 8, "name": "sheath"}],
        "annotations": [
            {"id": 1, "image_id": 1, "bbox": [10, 20, 4, 6], **electrode},
            {"id": 2, "image_id": 1, "bbox": [0, 0, 60, 40], "category_id": 8},
            {
                "id": 3,
                "image_id": 1,
                "keypoints": [30, 12, 2, 5, 5, 0, 8, 8, 1],
                "num_keypoints": 1,
                **electrode,
            },
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return content


def test_coco(tmp_path: Path) -> None:
    write_coco(tmp_path)
    source = open_labelled("coco", tmp_path)
    assert source.groups == ["c", "run", "run"]
    unlabelled, first, second = (source[i] for i in range(3))
    # the box spans px 10..13 and 20..25, so its middle is 11.5, 22.5; the other key points are hidden
    np.testing.assert_allclose(first.boxes, [[11.5, 22.5, 4, 6], [30, 12, 60 / 64, 60 / 64]])
    assert first.kinds == ("ablation", "ablation")
    assert first.mask is not None
    assert first.mask.sum() == 200
    assert first.image.max() > 0.99
    assert second.boxes.shape == (0, 4)
    assert second.mask is None
    assert unlabelled.boxes is None


def test_coco_masks_of_images_with_the_same_name_in_two_folders(tmp_path: Path) -> None:
    content = write_coco(tmp_path)
    (tmp_path / "images" / "other").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "other" / "a.png"), np.zeros((40, 60), np.uint8))
    content["images"][2]["file_name"] = "other/a.png"
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    source = open_labelled("coco", tmp_path)
    assert all(source[i].mask is None for i in range(3))  # a.png could be either's
    (tmp_path / "masks" / "other").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "other" / "a.png"), np.ones((40, 60), np.uint8))
    masks = {sample.name: sample.mask for sample in (open_labelled("coco", tmp_path)[i] for i in range(3))}
    assert masks["run/a.png"] is None
    assert masks["other/a.png"].all()


def test_coco_picture_is_refused_by_its_header_before_it_is_decoded(tmp_path: Path) -> None:
    write_coco(tmp_path)
    path = tmp_path / "images" / "c.png"
    whole = path.read_bytes()
    header = whole[12:16] + (8000).to_bytes(4, "big") * 2 + whole[24:29]
    path.write_bytes(whole[:12] + header + zlib.crc32(header).to_bytes(4, "big") + whole[33:])
    with pytest.raises(DataError, match="8000 x 8000 px, the annotations say 60 x 40"):
        open_labelled("coco", tmp_path)[0]


@pytest.mark.parametrize("shape", [(1000, 1000, 32768, 4), (3, 1_000_000, 64), (3, 64, 64, 4000)])
def test_hdf5_sizes_are_refused_before_anything_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with h5py.File(tmp_path / "large.hdf5", "w") as file:
        file.create_dataset("test", shape, np.float32, chunks=True)  # takes no room until it is written
    with (
        h5py.File(tmp_path / "large.hdf5") as file,
        pytest.raises(DataError, match="must have 3 or 4 dimensions"),
    ):
        dataset(file, "test", (3, 4))


def test_coco_says_what_is_wrong(tmp_path: Path) -> None:
    content = write_coco(tmp_path)
    path = tmp_path / "annotations.json"
    content["images"][0]["width"] = 61
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="60 x 40 px, the annotations say 61 x 40"):
        open_labelled("coco", tmp_path)[1]
    content["images"][0]["file_name"] = "../../secret.png"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="no image"):
        open_labelled("coco", path)[0]
    content["annotations"][0]["bbox"] = [1, 2, 0, 4]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="has no size"):
        open_labelled("coco", tmp_path)
    path.write_text('{"images": [{"id": 1}]}')
    with pytest.raises(DataError, match="file_name"):
        open_labelled("coco", tmp_path)
    path.write_text("[]")
    with pytest.raises(DataError, match="with images"):
        open_labelled("coco", tmp_path)
    with pytest.raises(DataError, match="expected one of coco"):
        open_labelled("voc", tmp_path)
