from pathlib import Path

import pytest

from cath_training.config import ConfigError, load


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


def test_shipped_configurations_load() -> None:
    paths = sorted(Path("training/configs").glob("*.yaml"))
    assert paths
    for path in paths:
        assert load(path).steps > 0
