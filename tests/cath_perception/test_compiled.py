import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cath_perception import compiled, curves, perceptor  # noqa: F401  (whose kernels are to be loaded)

KERNELS = """
import logging
logging.basicConfig()
from cath_perception import compiled

@compiled.compiled("(i8,)")
def doubled(number):
    return 2 * number

compiled.load()
print(doubled(21))
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Two lines of Python in a process of its own, whose kernel is kept in a folder if it can be."""
    script = folder / "kernels.py"
    script.write_text(KERNELS)
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    variables["PYTHONPATH"] = str(Path(compiled.__file__).parents[1])
    variables.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, str(script)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=200, check=False)


def test_after_loading_nothing_is_compiled_while_a_frame_waits():
    compiled.load()
    points = np.zeros((30, 2))
    one, length = np.zeros(1, np.int64), np.array([30])
    lines = curves.Curves(points, one, length, np.zeros(1, bool))
    assert lines.smooth().points.shape == (30, 2)
    with pytest.raises(TypeError, match="float32"):
        lines.with_points(points.astype(np.float32)).smooth()


def test_first_start_says_that_it_compiles_and_the_second_does_not(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert first.stdout == second.stdout == "42\n"
    assert "which takes some seconds, once" in first.stderr
    assert "compiled 1 functions" in first.stderr
    assert second.stderr == ""


def test_what_the_first_start_of_perception_compiles_is_kept(tmp_path):
    """Also kernels that are called from Python and from other kernels."""
    script = (
        "import logging; logging.basicConfig()\n"
        "from cath_perception import compiled, sequence; compiled.load()"
    )
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=variables,
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert "compiled " in said[0]
    assert said[1] == ""


def test_where_nothing_can_be_kept_it_works_and_says_so(tmp_path):
    (tmp_path / "__pycache__").write_text("not a folder")
    for _ in range(2):
        done = run(tmp_path, HOME="/dev/null", XDG_CACHE_HOME="/dev/null/cache")
        assert done.stdout == "42\n", done.stderr
        assert "at every start" in done.stderr
