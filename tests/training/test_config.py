from pathlib import Path

import pytest

from cath_training.config import PRIORITY_CHOICES, ConfigError, load
from cath_training.priority import STRATEGIES
from cath_training.taskweights import TASK_RULES


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learnig_rate"):
        load(written(tmp_path, "name: a\nsteps: 3\nlearnig_rate: 0.1\n"))


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
