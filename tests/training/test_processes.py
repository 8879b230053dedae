"""Two real processes: one memory of the KPIs, and the gradients of one process that has the whole batch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.modules.batchnorm import _BatchNorm

from cath_training import processes
from cath_training.config import ConfigError
from cath_training.data.batches import Batch

from .settings import PRIORITIES, SMALL, hold_batch_norm, trainer, written
from .two_processes import STEPS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def start(*command: str) -> None:
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(str(ROOT / p) for p in (".", "src/cath_perception", "training")),
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Folder of what two processes under torchrun left."""
    folder = tmp_path_factory.mktemp("two")
    trainer(SMALL, folder / "bank", cache)  # so that the bank is there
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    start(*torchrun, "tests.training.two_processes", str(folder), str(cache))
    return folder


def joined(parts: list[Batch]) -> Batch:
    values: dict[str, object] = {}
    for name in Batch.__slots__:
        each = [getattr(part, name) for part in parts]
        join = {
            torch.Tensor: torch.cat,
            np.ndarray: np.concatenate,
            list: lambda lists: [x for rows in lists for x in rows],
        }
        values[name] = join[type(each[0])](each)
    return Batch(**values)  # type: ignore[arg-type]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PRIORITIES)
def test_two_processes_learn_as_one_with_the_whole_batch(
    two: Path, tmp_path: Path, cache: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_BatchNorm, "train", _BatchNorm.train)  # taken back after the test
    hold_batch_norm()
    states = [load_file(two / f"{name}-{rank}-state.safetensors") for rank in (0, 1)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(value.nan_to_num(-1), states[1][key].nan_to_num(-1)), key

    run = trainer(replace(SMALL, batch=4, priority=PRIORITIES[name]), tmp_path, cache)
    for step in range(STEPS):
        shares = [run.source.draw(2, (SMALL.seed, 10, step, rank), run.device) for rank in (0, 1)]
        run.train_step(joined(shares))
        if step == 0:
            expected = {key: p.grad.clone() for key, p in run.network.named_parameters()}  # type: ignore[union-attr]
    for rank in (0, 1):
        for key, value in load_file(two / f"{name}-{rank}-gradients.safetensors").items():
            torch.testing.assert_close(
                value, expected[key], rtol=1e-3, atol=1e-5, msg=lambda m, k=key: f"{k}: {m}"
            )
    alone = run.priority.state() if run.priority else {}
    for key, value in alone.items():
        torch.testing.assert_close(states[0][key], value, rtol=1e-2, atol=1e-3, equal_nan=True)


@pytest.mark.timeout(600)
def test_processes_that_do_not_find_the_same_checkpoint_refuse_to_go_on(two: Path) -> None:
    for rank in (0, 1):
        assert "checkpoints of steps 3, 0: the folder must be" in (two / f"refusal-{rank}.txt").read_text()


@pytest.mark.timeout(600)
def test_processes_of_fabric_train_to_the_end_with_one_log(tmp_path: Path, cache: Path) -> None:
    config = replace(SMALL, devices=2, log_every=1, priority=PRIORITIES["paper"])
    path = written(config, tmp_path / "two.yaml")
    command = ("-m", "cath_perception.cli", "train", str(path))
    start(*command, "--out", str(tmp_path / "run"), "--cache", str(cache))
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert int(load_file(tmp_path / "run" / "state.safetensors")["step"]) == SMALL.steps


def test_batch_must_be_dealt_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "count", lambda: 3)
    assert processes.share(6) == 2
    with pytest.raises(ConfigError, match="multiple of the 3 processes, got 16"):
        processes.share(16)
