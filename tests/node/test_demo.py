"""``demo``, ``bench`` and ``node`` as a user runs them: processes of their own, over DDS."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import psutil
import pytest
from node.harness import fresh_domain

from cath_perception.bags import BagReader

pytestmark = pytest.mark.ros
SOURCE = "synthetic:seconds=1,rate=10,size=192,seed=2"
ENDINGS = {signal.SIGINT: 0, signal.SIGTERM: 128 + signal.SIGTERM}
"""The exit code of each signal."""


def cath(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ROS_DOMAIN_ID": str(fresh_domain())}
    command = [sys.executable, "-m", "cath_perception.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path, bundle: Path) -> Path:
    """The results of one demo."""
    done = cath(folder, "demo", SOURCE, "--model", str(bundle))
    assert done.returncode == 0, done.stdout + done.stderr
    (results,) = (folder / "out").iterdir()
    return results


def test_demo_leaves_figures_of_every_frame(demo: Path) -> None:
    figures = json.loads((demo / "figures.json").read_text())
    assert figures["frames in"] == 10
    assert figures["frames processed"] + figures["frames dropped"] + figures["frames refused"] >= 9
    assert 0 < figures["latency p50 ms"] <= figures["latency p99 ms"]
    assert 0 <= figures["recall (2 px of 256)"] <= 1


def test_demo_leaves_a_video_and_a_sheet(demo: Path) -> None:
    video = cv2.VideoCapture(str(demo / "video.mp4"))
    figures = json.loads((demo / "figures.json").read_text())
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == figures["frames processed"]
    assert video.read()[1].shape == (192, 192, 3)
    sheet = cv2.imread(str(demo / "sheet.png"))
    assert sheet is not None
    assert sheet.std() > 5


def test_demo_records_what_the_node_published(demo: Path) -> None:
    figures = json.loads((demo / "figures.json").read_text())
    with BagReader(demo / "answers") as reader:
        assert reader.topics["/perception/catheters"] == "cath_msgs/msg/CatheterArray"
        assert reader.counts["/perception/electrodes"] == figures["frames processed"]
        assert reader.counts["/perception/mask"] > 0


def test_demo_of_a_missing_model_ends_with_the_reason(folder: Path, demo: Path) -> None:
    done = cath(folder, "demo", str(demo / "input"), "--model", "no-such-model")
    assert done.returncode == 2
    assert "no-such-model" in done.stderr


def test_bench_writes_what_it_measured(folder: Path, demo: Path, bundle: Path) -> None:
    report = folder / "performance.md"
    report.write_text("<!-- bench: begin -->\n<!-- bench: end -->\n")
    options = ("--source", str(demo / "input"), "--seconds", "2", "--frames", "12", "--rates", "20,max")
    options += ("--networks", "openvino,eager,tensorrt", "--report", str(report))
    done = cath(folder, "bench", "--model", str(bundle), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((folder / "out" / "bench.json").read_text())
    node, highest = figures["node"]
    assert node["frames"] >= 10
    assert 0 < node["network_ms"]["p50"] < node["publish_to_receive_ms"]["p99"]
    assert node["memory_mb"] > 10
    assert highest["highest"]
    assert highest["answered_hz"] > 0
    assert [entry["name"] for entry in figures["network"]][:2] == ["openvino", "eager"]
    assert all(entry["ms"]["p50"] > 0 for entry in figures["network"][:2])
    assert figures["stages"][0]["backend"].startswith("openvino (")
    assert figures["roofline"]["gflop"] > 0
    assert figures["machine"]["packages"]["openvino"]
    assert (folder / "out" / "bench.png").exists()
    assert "| openvino | 20 |" in report.read_text()


def _hearing_signals() -> None:
    """What runs in the background ignores SIGINT, and its children do; a terminal's do not."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "code"), ENDINGS.items())
def test_node_command_ends_cleanly_and_its_node_with_it(
    folder: Path, bundle: Path, number: signal.Signals, code: int
) -> None:
    environment = os.environ | {"ROS_DOMAIN_ID": str(fresh_domain()), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "cath_perception.cli", "node", "--model", str(bundle)]
    log = folder / "node.txt"
    with log.open("wb") as file:
        child = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, preexec_fn=_hearing_signals
        )
        end = time.monotonic() + 60
        while "NO_INPUT" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.1)  # the node says so a second after it was activated
        nodes = psutil.Process(child.pid).children(recursive=True)
        assert nodes
        child.send_signal(number)
        assert child.wait(30) == code, log.read_text()
        assert not psutil.wait_procs(nodes, 5.0)[1]
    assert "NO_INPUT" in log.read_text()
