from pathlib import Path

import pytest

from cath_training.commands.train import find, stages
from cath_training.config import PRIORITY_CHOICES, ConfigError, PriorityConfig, TrainConfig, load
from cath_training.priority import STRATEGIES
from cath_training.taskweights import TASK_RULES


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learnig_rate"):
        load(written(tmp_path, "name: a\nsteps: 3\nlearnig_rate: 0.1\n"))


@pytest.mark.parametrize("content", [b"name: \xff", b"name: [", b"1: 2\nnull: 3"])
def test_what_is_no_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load(path)


def test_unknown_key_of_a_section_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data: unknown cropp"):
        load(written(tmp_path, "name: a\nsteps: 3\ndata: {cropp: 2}\n"))


def test_unknown_strategy_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"priority: samples: expected one of all, soft, .*'hardest'"):
        load(written(tmp_path, "name: a\nsteps: 3\npriority: {samples: hardest}\n"))


@pytest.mark.parametrize("setting", ["keep: 0", "alpha: 1.5", "constants: [1]", "cap: 0", "topk: 0.7"])
def test_priority_out_of_range_is_refused(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="priority"):
        load(written(tmp_path, f"name: a\nsteps: 3\npriority: {{{setting}}}\n"))


def test_sections_are_read(tmp_path: Path) -> None:
    text = "name: a\nsteps: 3\nloss: {size: 1.0}\npriority: {tasks: constant, constants: [10, 1]}\n"
    config = load(written(tmp_path, text))
    assert config.loss.size == 1.0
    assert config.priority is not None
    assert config.priority.constants == (10, 1)
    assert load(written(tmp_path, "name: a\nsteps: 3\n")).priority is None


def test_every_choice_has_its_implementation() -> None:
    assert set(STRATEGIES) == set(PRIORITY_CHOICES["samples"])
    assert set(TASK_RULES) == set(PRIORITY_CHOICES["tasks"])


def test_shipped_configurations_load() -> None:
    paths = sorted(Path("training/configs").glob("*.yaml"))
    assert paths
    for path in paths:
        assert load(path).steps > 0


def test_stages_are_read_and_checked(tmp_path: Path) -> None:
    text = "name: a\nsteps: 3\nstages:\n  - {name: oct, source: duke, path: somewhere, steps: 5}\n"
    config = load(written(tmp_path, text))
    assert [(stage.name, stage.steps) for stage in config.stages] == [("oct", 5)]
    with pytest.raises(ConfigError, match="stage 1: unknown stepps"):
        load(written(tmp_path, text.replace("steps: 5", "stepps: 5")))
    with pytest.raises(ConfigError, match="expected a list of stages, got dict"):
        load(written(tmp_path, "name: a\nsteps: 3\nstages: {name: oct}\n"))


@pytest.mark.parametrize("setting", ["precision: fp8", "steps: 0", "log_every: 0", "devices: -1"])
def test_run_settings_out_of_range_are_refused(tmp_path: Path, setting: str) -> None:
    text = "name: a\n" + ("" if "steps" in setting else "steps: 3\n") + setting + "\n"
    with pytest.raises(ConfigError, match=setting.split(":")[0]):
        load(written(tmp_path, text))


def test_gradnorm_is_refused_where_its_gradients_cannot_be_taken() -> None:
    gradnorm = PriorityConfig(tasks="gradnorm")
    assert TrainConfig("test", 1, priority=gradnorm).precision == "32-true"
    with pytest.raises(ValueError, match="gradnorm needs 32-true"):
        TrainConfig("test", 1, priority=gradnorm, precision="bf16-mixed")


def test_shipped_configurations_are_valid_and_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("smoke", "light", "paper"):
        assert load(find(Path(f"configs/{name}.yaml"))).name == name
    own = tmp_path / "configs" / "smoke.yaml"
    own.parent.mkdir()
    own.write_text("name: own\nsteps: 1\n")
    assert load(find(Path("configs/smoke.yaml"))).name == "own"


def test_stages_run_before_the_training_where_their_data_is(tmp_path: Path) -> None:
    (tmp_path / "ucl").mkdir()
    text = f"""name: a
steps: 3
priority: {{}}
stages:
  - {{name: oct, source: duke, path: {tmp_path}/duke, steps: 5}}
  - {{name: ucl, source: ucl, path: {tmp_path}/ucl, steps: 7}}
"""
    before, last = stages(load(written(tmp_path, text)), tmp_path / "run")
    assert (before[0].name, before[0].steps, before[0].priority, before[0].data.source) == (
        "a-ucl",
        7,
        None,
        "ucl",
    )
    assert (before[1], last[1]) == (tmp_path / "run-ucl", tmp_path / "run")
    assert last[0].start_from == str(tmp_path / "run-ucl" / "mean.safetensors")
    assert last[0].priority is not None
