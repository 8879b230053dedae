"""A run that was killed and resumed ends with the weights of one that was not; a run learns, and shows what it does."""

import json
import math
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cath_training.config import ConfigError, LossConfig, PriorityConfig

from .settings import PRIORITIES, SMALL, trainer, written


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", PRIORITIES)
def test_resumed_run_ends_with_the_same_weights(tmp_path: Path, cache: Path, name: str) -> None:
    config = replace(SMALL, priority=PRIORITIES[name])
    whole = trainer(config, tmp_path / "whole", cache)
    for _ in range(4):
        whole.train_step()
    whole.save()
    first = trainer(config, tmp_path / "killed", cache)
    for _ in range(2):
        first.train_step()
    first.save()
    first.train_step()  # lost with the kill
    second = trainer(config, tmp_path / "killed", cache)
    assert second.step == 2
    for _ in range(2):
        second.train_step()
    second.save()
    expected, got = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "killed"))
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key]), key

    assert any(key.startswith("priority.") for key in expected) == (name != "none")


@pytest.mark.timeout(600)
def test_run_ended_by_sigkill_at_any_step_and_resumed_ends_with_the_same_weights(
    tmp_path: Path, cache: Path
) -> None:
    config = replace(SMALL, steps=14, save_every=5, log_every=1, priority=PRIORITIES["paper"])
    trainer(config, tmp_path / "whole", cache).run()
    path, folder = written(config, tmp_path / "killed.yaml"), tmp_path / "killed"
    last = random.randrange(1, 13)
    process = started(path, folder, cache)
    while last_step(folder) < last:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.wait()
    reached = last_step(folder)
    assert started(path, folder, cache).wait() == 0
    expected, got = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "killed"))
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key]), f"{key}, killed at step {reached}"
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 15))


def test_a_run_killed_between_the_two_files_of_its_last_checkpoint_ends_with_the_last_mean(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SMALL, save_every=2)
    trainer(config, tmp_path / "whole", cache).run()
    replaced: list[Path] = []

    def _until_the_fourth(part: Path, target: Path) -> Path:
        replaced.append(target)
        if len(replaced) == 4:  # the second file of the second checkpoint
            raise KeyboardInterrupt
        return Path(os.replace(part, target) or target)  # noqa: PTH105 - Path.replace is what this stands for

    monkeypatch.setattr(Path, "replace", _until_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        trainer(config, tmp_path / "killed", cache).run()
    assert {path.name for path in replaced} == {"state.safetensors", "mean.safetensors"}
    trainer(config, tmp_path / "killed", cache).run()
    expected, got = (load_file(tmp_path / name / "mean.safetensors") for name in ("whole", "killed"))
    for key, value in expected.items():
        assert torch.equal(value, got[key]), key


def test_the_first_row_of_the_log_after_a_resume_is_of_the_steps_since(tmp_path: Path, cache: Path) -> None:
    config = replace(SMALL, steps=3, log_every=3)
    first = trainer(config, tmp_path / "run", cache)
    for _ in range(2):
        first.train_step()
    first.save()
    last = first.train_step()
    trainer(config, tmp_path / "run", cache).run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows if "loss" in row] == [pytest.approx(last["loss"], rel=1e-5)]


def started(config: Path, folder: Path, cache: Path) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(root / p) for p in ("src/cath_perception", "training"))
    }
    command = ("-m", "cath_perception.cli", "train", config, "--out", folder, "--cache", cache)
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def last_step(folder: Path) -> int:
    """The last step that the log has a whole line of."""
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return max((json.loads(x)["step"] for x in lines if x.endswith("\n")), default=0)


def test_run_shows_scalars_and_pictures_from_the_start(tmp_path: Path, cache: Path) -> None:
    trainer(replace(SMALL, log_every=2, save_every=2), tmp_path, cache).run()
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/samples_s", "train/learning_rate", "validation/recall"} <= set(
        tags["scalars"]
    )
    assert [event.step for event in events.Scalars("train/loss")] == [2, 4]
    assert [event.step for event in events.Images("data")] == [0]
    answers = events.Images("answers")
    assert [event.step for event in answers] == [2, 4]
    # four samples of 64 px side by side, twice as large; masks below
    assert (answers[0].width, answers[0].height) == (512, 256)


def test_bf16_is_used_inside_the_network_and_kept_out_of_the_loss(tmp_path: Path, cache: Path) -> None:
    run = trainer(replace(SMALL, precision="bf16-mixed"), tmp_path / "bf16", cache)
    plain = trainer(SMALL, tmp_path / "plain", cache)
    inside: list[torch.dtype] = []
    run.network.detect.project["size"].register_forward_hook(lambda *seen: inside.append(seen[2].dtype))  # type: ignore[union-attr, operator]
    loss = run.train_step()["loss"]
    assert inside == [torch.bfloat16]
    assert loss == pytest.approx(plain.train_step()["loss"], rel=0.05)
    assert {value.dtype for value in run.network.parameters()} == {torch.float32}


def test_compiled_network_learns_alike_and_keeps_the_names_of_its_weights(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = partialmethod(
        torch.nn.Module.compile, backend="eager"
    )  # without the minutes of the C++ compiler
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    run = trainer(replace(SMALL, compile=True), tmp_path / "compiled", cache)
    plain = trainer(SMALL, tmp_path / "plain", cache)
    assert run.train_step()["loss"] == pytest.approx(plain.train_step()["loss"], rel=1e-3)
    run.save()
    assert load_file(tmp_path / "compiled" / "mean.safetensors").keys() == plain.mean.keys()


@pytest.mark.parametrize("architecture", ["paper", "paper-literal"])
def test_paper_networks_train_and_validate(tmp_path: Path, cache: Path, architecture: str) -> None:
    config = replace(
        SMALL,
        architecture={"name": architecture, "backbone": "resnet18"},
        data=replace(SMALL.data, targets="centernet"),
        loss=LossConfig(size=1.0, bce=1.0),
        priority=PriorityConfig(),
        learning_rate=1e-4,
    )
    run = trainer(config, tmp_path / "run", cache)
    before = run.network.centre[0].weight.detach().clone()  # type: ignore[index, union-attr]
    row = run.train_step()
    assert all(math.isfinite(value) for value in row.values())
    assert not torch.equal(before, run.network.centre[0].weight)  # type: ignore[index, union-attr]
    assert 0 <= run.validate(rounds=1)["recall"] <= 1


def test_single_task_learning_leaves_the_other_head_alone(tmp_path: Path, cache: Path) -> None:
    priority = PriorityConfig(samples="all", tasks="single-segmentation")
    config = replace(SMALL, priority=priority, weight_decay=0.0)
    run = trainer(config, tmp_path / "run", cache)
    detect, segment = run.network.detect.project["size"].weight, run.network.segment.project["mask"].weight
    before = detect.detach().clone(), segment.detach().clone()
    run.train_step()
    assert torch.equal(before[0], detect)
    assert not torch.equal(before[1], segment)


def test_weights_to_start_from_must_fit(tmp_path: Path, cache: Path) -> None:
    run = trainer(SMALL, tmp_path / "small", cache)
    run.save()
    mean = str(tmp_path / "small" / "mean.safetensors")
    again = trainer(replace(SMALL, start_from=mean, seed=9), tmp_path / "again", cache)
    assert all(torch.equal(value, run.mean[name]) for name, value in again.mean.items())
    refined = replace(SMALL, start_from=mean, architecture=SMALL.architecture | {"refine": 1})
    more = trainer(refined, tmp_path / "more", cache)
    assert all(torch.equal(more.mean[name], value) for name, value in run.mean.items())
    for path in (str(tmp_path / "none"), mean):
        with pytest.raises(ConfigError, match="start_from"):
            trainer(replace(SMALL, start_from=path, architecture={"name": "light"}), tmp_path / "no", cache)


def test_checkpoint_without_priority_is_not_resumed_with_it(tmp_path: Path, cache: Path) -> None:
    trainer(SMALL, tmp_path, cache).save()
    with pytest.raises(ConfigError, match="another folder"):
        trainer(replace(SMALL, priority=PriorityConfig()), tmp_path, cache)


def test_loss_falls_on_few_samples(tmp_path: Path, cache: Path) -> None:
    run = trainer(replace(SMALL, steps=120, learning_rate=5e-3), tmp_path / "run", cache)
    losses = [run.train_step()["loss"] for _ in range(120)]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
