"""What a run leaves for the eye: the log after a resume, and the pictures."""

import json
from pathlib import Path

import numpy as np
import torch

from cath_training.data.batches import Batch
from cath_training.progress import Display, sheet


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_rows_after_the_resumed_step_and_a_torn_one_are_dropped(tmp_path: Path) -> None:
    with Display(tmp_path, "run", 0, 10) as display:
        for step in (1, 2, 3):
            display.advance(step)
            display.figures("train", {"loss": float(step)})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with Display(tmp_path, "run", 2, 10) as display:
        display.advance(3)
        display.figures("train", {"loss": 7.0})
    assert rows(tmp_path) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 2.0}, {"step": 3, "loss": 7.0}]


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    with Display(tmp_path, "run", 0, 10, quiet=True) as display:
        display.advance(1)
        display.figures("train", {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_sheet_shows_image_truth_answer_and_mask() -> None:
    plane = torch.zeros(1, 1, 4, 4)
    truth = plane.clone()
    truth[..., 0, 0] = 1.0
    boxes = [np.array([[12.0, 12.0, 4.0, 4.0]], np.float32)]
    image = torch.full((1, 1, 32, 32), 0.5)
    batch = Batch(
        image, plane, plane, plane, plane, truth, boxes, np.zeros(1, np.int64), np.ones((1, 2), bool)
    )
    picture = sheet(batch, [np.array([[24.0, 8.0]])], plane)
    assert picture.shape == (128, 64, 3)
    assert picture[2, 2].tolist() == [128, 128, 128]
    green, red = (
        picture[25, 20].astype(int),
        picture[16, 48].astype(int),
    )  # rim of the circle, middle of the cross
    assert green[1] > green[0] + 50
    assert red[0] > red[1] + 50
    assert picture[70, 5].tolist() == [0, 255, 0]  # mask in truth only
    assert picture[120, 60].tolist() == [0, 0, 0]
