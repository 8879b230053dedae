"""What a frame costs: the core alone with each backend, and the node over DDS at a given rate."""

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from cath_perception.errors import BackendError
from cath_perception.perceptor import Perceptor
from cath_perception.sources.bag import BagSource
from cath_perception.types import StageTimes

PERCENTILES = (50, 95, 99)
WARM_UP = 10
PACKAGES = (
    "torch",
    "openvino",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "ros-rclpy",
    "cath_perception",
)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99, rounded to 0.01; NaN without values."""
    array = np.array([value for value in values if np.isfinite(value)])
    if not len(array):
        return {f"p{p}": float("nan") for p in PERCENTILES}
    return {
        f"p{p}": round(float(value), 2)
        for p, value in zip(PERCENTILES, np.percentile(array, PERCENTILES), strict=False)
    }


def first_frames(bag: Path, count: int) -> list[NDArray[np.generic]]:
    """The first ``count`` frames of a recording."""
    with BagSource(bag) as source:
        return [frame.pixels for frame, _ in zip(source, range(count), strict=False)]


def core(model: str, backend: str, frames: list[NDArray[np.generic]]) -> dict[str, Any]:
    """Time of each stage in ms, ``backend`` alone in this process; its refusal where it cannot run here."""
    try:
        perceptor = Perceptor.open(model, backend)
    except BackendError as error:
        return {"backend": backend, "refused": str(error)}
    with perceptor:
        for pixels in frames[:WARM_UP]:
            perceptor(pixels)
        times = [perceptor(pixels).times for pixels in frames]
        stages = {name: percentiles(getattr(t, name) for t in times) for name in StageTimes.__slots__}
        around = percentiles(t.total - t.network for t in times)
        description = f"{perceptor.backend.name} ({perceptor.backend.description})"
    return {"backend": description, "frames": len(frames), "stages_ms": stages, "all_but_network_ms": around}


def through_node(
    bag: Path, rate_hz: float, seconds: float, settings: dict[str, Any], logs: Path
) -> dict[str, Any]:
    """Replay ``bag`` at ``rate_hz`` in a loop to the node, both processes of their own, for ``seconds``."""
    from cath_msgs.msg import ElectrodeArray, PerceptionStatus
    from rclpy.serialization import deserialize_message

    from cath_perception.demonstration import ELECTRODES, STATUS, listen, replay_command
    from cath_perception.live import Session

    with BagSource(bag) as source:
        topic, speed = source.image_topic, rate_hz / source.info.rate_hz
    statuses: list[Any] = []
    with Session("bench") as session:
        traffic = listen(session, topic, None, {ELECTRODES: ElectrodeArray})
        session.listen(
            PerceptionStatus,
            STATUS,
            lambda data, _: statuses.append(deserialize_message(data, PerceptionStatus)),
        )
        node = session.start_perception(topic, {"use_sim_time": True, **settings}, logs / "node.log")
        replay = session.start(
            replay_command(bag, "--loop", "--rate", str(speed), subscribers=2), logs / "replay.log"
        )
        session.spin_until(lambda: len(traffic.published) > WARM_UP, "the first frames", 60, replay)
        process, warm = psutil.Process(node.pid), set(traffic.published)
        cpu, began, memory = _cpu_seconds(process), time.monotonic(), process.memory_info().rss
        session.spin_for(seconds)
        load = (_cpu_seconds(process) - cpu) / (time.monotonic() - began)
        grown = process.memory_info().rss - memory
        replay.stop()
        session.spin_for(0.5)
    published, answered = traffic.published.keys() - warm, traffic.answered.keys() - warm
    steady = [s for s in statuses if s.header.stamp.sec * 10**9 + s.header.stamp.nanosec in published]
    latencies = [(traffic.answered[s] - traffic.published[s]) * 1e-6 for s in published & answered]
    return {
        "rate_hz": rate_hz,
        "seconds": seconds,
        "frames": len(published),
        "missed": len(published - answered),
        "publish_to_receive_ms": percentiles(latencies),
        "node_ms": percentiles(s.total_ms for s in steady),
        "network_ms": percentiles(s.network_ms for s in steady),
        "node_less_network_ms": percentiles(s.total_ms - s.network_ms for s in steady),
        "cpu_cores": round(load, 2),
        "memory_mb": round(memory / 2**20, 1),
        "memory_growth_mb": round(grown / 2**20, 1),
    }


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = ""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": packages,
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
