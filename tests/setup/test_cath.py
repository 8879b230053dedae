"""The ``cath`` script, as far as it can be asked without setting anything up anew."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = (
    "awk",
    "bash",
    "cat",
    "df",
    "dirname",
    "find",
    "flock",
    "mkdir",
    "readlink",
    "rm",
    "sha256sum",
    "touch",
    "uname",
)


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CC", "CXX", "ROS_DISTRO", "CATH_PYTHON")
    }
    return subprocess.run(
        [script, *arguments], env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the set-up reads, that nothing has been set up in."""
    target = tmp_path / "a checkout"
    ignore = shutil.ignore_patterns("__pycache__", "models", "*.egg-info")
    for name in ("requirements", "launch", "src"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore, symlinks=True)
    shutil.copy(ROOT / "cath", target)
    return target


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH with what the script calls, a working compiler, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    for name in ("cc", "c++"):
        executable(folder / name, "#!/bin/sh\ncat >/dev/null\n")
    return folder


def refusal(checkout: Path, **environment: str) -> str:
    """The one line that a refused set-up says."""
    done = run(checkout / "cath", "setup", **environment)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert not list(checkout.glob(".venv*/bin"))
    return lines[0]


def test_help_and_unknown_command_set_nothing_up(checkout: Path) -> None:
    done = run(checkout / "cath")
    assert done.returncode == 0
    assert "usage: ./cath COMMAND" in done.stdout
    done = run(checkout / "cath", "dmeo")
    assert done.returncode == 2
    assert "unknown command 'dmeo'" in done.stderr
    assert not (checkout / ".venv").exists()


def test_missing_python_is_named_with_its_remedy(checkout: Path, tools: Path) -> None:
    message = refusal(checkout, PATH=str(tools))
    assert "python3 not found" in message
    assert "apt install python3" in message


def test_a_python_that_does_not_run_is_passed_over(checkout: Path, tools: Path) -> None:
    executable(tools / "python3", "#!/bin/sh\nexit 127\n")
    assert "python3 does not run" in refusal(checkout, PATH=str(tools))


def test_chosen_python_of_another_version_is_refused(checkout: Path, tools: Path) -> None:
    executable(
        tools / "python3.9", f"#!/bin/sh\nexec {sys.executable} -c 'print(\"old is Python 3.9\"); exit(3)'\n"
    )
    assert "old is Python 3.9" in refusal(checkout, PATH=str(tools), CATH_PYTHON="python3.9")


def test_missing_headers_are_named_with_their_remedy(checkout: Path, tools: Path) -> None:
    patch = "import sys, sysconfig; sysconfig.get_path = lambda name: '/nowhere'; exec(sys.stdin.read())"
    executable(tools / "python3", f'#!/bin/sh\nshift\nexec {sys.executable} -c "{patch}" "$@"\n')
    message = refusal(checkout, PATH=str(tools))
    assert "lacks its C headers" in message
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-dev" in message


def test_missing_compiler_is_named_with_its_remedy(checkout: Path) -> None:
    message = refusal(checkout, CXX="no-such-compiler")
    assert "no-such-compiler" in message
    assert "build-essential" in message


def test_full_disk_is_named(checkout: Path, tools: Path) -> None:
    (tools / "df").unlink()
    executable(tools / "df", "#!/bin/sh\necho Filesystem\necho x 100000000 99000000 1000000 99% /\n")
    message = refusal(checkout, PATH=str(tools))
    assert "976 MB free" in message
    assert "4096 MB" in message


def test_foreign_virtual_environment_is_left_alone(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "precious").touch()
    assert "was not made by ./cath" in refusal(checkout)
    assert (checkout / ".venv" / "precious").exists()


def test_named_but_unsourced_ros_is_refused(checkout: Path) -> None:
    message = refusal(checkout, ROS_DISTRO="jazzy", AMENT_PREFIX_PATH="")
    assert "no ROS 2 is sourced" in message
    assert "source /opt/ros/jazzy/setup.bash" in message


def test_no_network_is_named_and_the_next_call_goes_on(checkout: Path) -> None:
    nowhere = "http://localhost:9"
    offline = {
        "PIP_INDEX_URL": nowhere,
        "PIP_EXTRA_INDEX_URL": nowhere,
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
    }
    for _ in range(2):
        done = run(checkout / "cath", "setup", PIP_NO_CACHE_DIR="1", **offline)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert "no connection to the package index" in last, done.stderr
        assert str(checkout / ".venv" / "setup.log") in last


@pytest.mark.skipif(not (ROOT / ".venv" / "build.key").exists(), reason="not set up by ./cath")
def test_later_call_adds_little() -> None:
    assert run(ROOT / "cath", "shell", "true").returncode == 0
    start = time.perf_counter()
    done = run(ROOT / "cath", "shell", "python", "-c", "import sys; print(sys.prefix)")
    assert time.perf_counter() - start < 3
    assert done.stdout.strip() == str(ROOT / ".venv")
    assert done.stderr == ""
