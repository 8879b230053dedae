"""A bank is whole or not there, whoever else makes the same one."""

import threading
from pathlib import Path

import numpy as np
import pytest

from cath_training.data import bank

SIZE = bank.BankSize(2, 1, 1)


def test_two_runs_that_make_the_same_bank_both_get_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes, clutter = bank._write_scenes, bank._write_clutter
    halfway, begun = threading.Event(), threading.Event()
    made: list[bank.Bank] = []
    first = threading.Thread(target=lambda: made.append(bank.make(tmp_path, SIZE, 1, [])))

    def _write_scenes(folder: Path, count: int, seed: int) -> None:
        if threading.current_thread() is not first:
            begun.set()
            first.join(60)
        scenes(folder, count, seed)

    def _write_clutter(folder: Path, count: int, seed: int) -> None:
        if threading.current_thread() is first:
            halfway.set()
            begun.wait(60)
        clutter(folder, count, seed)

    monkeypatch.setattr(bank, "_write_scenes", _write_scenes)
    monkeypatch.setattr(bank, "_write_clutter", _write_clutter)
    first.start()
    assert halfway.wait(60)
    made.append(bank.make(tmp_path, SIZE, 1, []))
    assert len(made) == 2
    for one in made:
        assert one.mask.any(axis=(1, 2)).all()
        np.testing.assert_array_equal(one.attenuation, made[0].attenuation)
    assert [path.is_dir() for path in tmp_path.iterdir()] == [True]


def test_what_a_killed_run_left_is_made_anew(tmp_path: Path) -> None:
    made = bank.make(tmp_path, SIZE, 1, [])
    (folder,) = tmp_path.iterdir()
    (folder / "complete.json").unlink()
    (folder / "mask.npy").unlink()
    np.testing.assert_array_equal(bank.make(tmp_path, SIZE, 1, []).mask, made.mask)
