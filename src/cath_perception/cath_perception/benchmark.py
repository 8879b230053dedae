"""What a frame costs: networks side by side, the stages of perception, and the node over DDS at given rates."""

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from cath_perception.backends import Backend, Options
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError
from cath_perception.image import Letterbox
from cath_perception.peers import open_contender
from cath_perception.perceptor import Perceptor
from cath_perception.sequence import SequencePerceptor
from cath_perception.sources.bag import BagSource
from cath_perception.types import StageTimes

PERCENTILES = (50, 95, 99)
WARM_UP = 10
BLOCK = 10
"""Frames that a contender answers before the next one's turn: whatever else the machine does then hits all alike."""
FRAME_S = 1.0 / 15.0
"""Time between two frames of a recording in one process, for those that follow catheters."""
HIGHEST_HZ = 240.0
"""What is published where the highest rate is asked for: more than can be answered, so that answers are counted."""
PACKAGES = (
    "torch",
    "torch-tensorrt",
    "torch-tensorrt-rtx",
    "openvino",
    "onnxruntime",
    "numpy",
    "opencv-python-headless",
    "numba",
    "ros-rclpy",
    "cath_perception",
)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99, rounded to 0.001; NaN without values."""
    array = np.array([value for value in values if np.isfinite(value)])
    if not len(array):
        return {f"p{p}": float("nan") for p in PERCENTILES}
    return {
        f"p{p}": round(float(value), 3)
        for p, value in zip(PERCENTILES, np.percentile(array, PERCENTILES), strict=True)
    }


def first_frames(bag: Path, count: int) -> list[NDArray[np.generic]]:
    """The first ``count`` frames of a recording."""
    with BagSource(bag) as source:
        return [frame.pixels for frame, _ in zip(source, range(count), strict=False)]


def networks(
    names: Iterable[str], bundle: ModelBundle, options: Options, frames: list[NDArray[Any]]
) -> list[dict[str, Any]]:
    """Time from a network's input to its answer in ms, of all contenders in turns on the same frames.

    Those that resize take the raw frame, so that their upload and resize are in the figure; the others take it
    letterboxed. One that cannot run here has its refusal instead of figures.
    """
    entries: list[dict[str, Any]] = []
    running: list[tuple[Backend, dict[str, Any], list[tuple[float, float]]]] = []
    for name in names:
        memory, on_gpu = psutil.Process().memory_info().rss, gpu_memory_mb()
        entry: dict[str, Any] = {"name": name}
        entries.append(entry)
        try:
            backend = open_contender(name, bundle, options)
            for frame in frames[:WARM_UP]:
                backend.perceive(frame)
        except BackendError as error:
            entry["refused"] = str(error)
            continue
        entry["description"] = backend.description
        entry["memory_mb"] = round((psutil.Process().memory_info().rss - memory) / 2**20, 1)
        if on_gpu is not None:
            entry["gpu_memory_mb"] = round((gpu_memory_mb() or 0.0) - on_gpu, 1)
        running.append((backend, entry, []))
    for start in range(0, len(frames), BLOCK):
        for backend, _, times in running:
            times += _times(backend, frames[start : start + BLOCK], bundle.input_size)
    for backend, entry, times in running:
        entry |= _figures(times)
        backend.close()
    return entries


def _times(backend: Backend, frames: list[NDArray[Any]], size: int) -> list[tuple[float, float]]:
    """Wall time and this process' CPU time of each frame in ms."""
    times = []
    for frame in frames:
        image = frame
        if not backend.resizes:
            image = Letterbox.fit(frame.shape[1], frame.shape[0], size).apply(frame)
        began, worked = time.perf_counter(), time.process_time()
        backend.infer(image)
        times.append(((time.perf_counter() - began) * 1e3, (time.process_time() - worked) * 1e3))
    return times


def _figures(times: list[tuple[float, float]]) -> dict[str, Any]:
    """CPU time tells what a frame costs even where other processes make it wait."""
    wall, cpu = zip(*times, strict=True)
    best = {"best": round(min(wall), 3)}
    return {"frames": len(times), "ms": percentiles(wall) | best, "cpu_ms": percentiles(cpu)}


def stages(model: str, backend: str, options: Options, frames: list[NDArray[np.generic]]) -> dict[str, Any]:
    """Time of each stage in ms, tracking and motion included; the backend's refusal where it cannot run here."""
    try:
        perceptor = Perceptor.open(model, backend, threads=options.threads, device=options.device)
    except BackendError as error:
        return {"backend": backend, "refused": str(error)}
    with perceptor:
        sequence = SequencePerceptor(perceptor)
        for pixels in frames[:WARM_UP]:
            perceptor(pixels)
        times = [sequence(pixels, n * FRAME_S).result.times for n, pixels in enumerate(frames)]
        description = f"{perceptor.backend.name} ({perceptor.backend.description})"
    return {
        "backend": description,
        "frames": len(frames),
        "stages_ms": {name: percentiles(getattr(t, name) for t in times) for name in StageTimes.__slots__},
        "all_but_network_ms": percentiles(t.total - t.network for t in times),
    }


def through_node(
    bag: Path, rate_hz: float, seconds: float, settings: dict[str, Any], logs: Path
) -> dict[str, Any]:
    """Replay ``bag`` at ``rate_hz`` in a loop to the node, both processes of their own, for ``seconds``.

    Images are stamped as they go out, as a camera's driver does, without a ``/clock``, which would wake the node in between.
    """
    from cath_msgs.msg import ElectrodeArray, PerceptionStatus
    from rclpy.serialization import deserialize_message

    from cath_perception.demonstration import ELECTRODES, STATUS, listen, replay_command
    from cath_perception.live import Session

    with BagSource(bag) as source:
        topic, speed = source.image_topic, rate_hz / source.info.rate_hz
    statuses: list[Any] = []
    before = gpu_memory_mb()
    with Session("bench") as session:
        traffic = listen(session, topic, None, {ELECTRODES: ElectrodeArray})
        session.listen(
            PerceptionStatus,
            STATUS,
            lambda data, _: statuses.append(deserialize_message(data, PerceptionStatus)),
        )
        node = session.start_perception(topic, settings, logs / "node.log")
        command = replay_command(bag, "--loop", "--stamp-now", "--rate", str(speed), subscribers=2)
        replay = session.start(command, logs / "replay.log")
        session.spin_until(lambda: len(traffic.published) > WARM_UP, "the first frames", 60, replay)
        processes, warm = _family(node.pid), set(traffic.published)
        cpu, began, memory = _cpu_seconds(processes), time.monotonic(), _memory_mb(processes)
        session.spin_for(seconds)
        elapsed = time.monotonic() - began
        load, grown = (_cpu_seconds(processes) - cpu) / elapsed, _memory_mb(processes) - memory
        on_gpu = gpu_memory_mb()
        replay.stop()
        session.spin_for(0.5)
    published, answered = traffic.published.keys() - warm, traffic.answered.keys() - warm
    steady = [s for s in statuses if s.header.stamp.sec * 10**9 + s.header.stamp.nanosec in published]
    latencies = [(traffic.answered[s] - traffic.published[s]) * 1e-6 for s in published & answered]
    figures = {
        "backend": steady[-1].backend if steady else "",
        "rate_hz": rate_hz,
        "seconds": seconds,
        "frames": len(published),
        "missed": len(published - answered),
        "answered_hz": round(len(published & answered) / elapsed, 1),
        "publish_to_receive_ms": percentiles(latencies),
        "node_ms": percentiles(s.total_ms for s in steady),
        "network_ms": percentiles(s.network_ms for s in steady),
        "node_less_network_ms": percentiles(s.total_ms - s.network_ms for s in steady),
        "cpu_cores": round(load, 2),
        "memory_mb": round(memory, 1),
        "memory_growth_mb": round(grown, 1),
    }
    if on_gpu is not None and before is not None:
        figures["gpu_memory_mb"] = round(on_gpu - before, 1)
    return figures


def _family(pid: int) -> list[psutil.Process]:
    """The node and the process of its GPU backend, if it has one."""
    node = psutil.Process(pid)
    return [node, *node.children(recursive=True)]


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes if process.is_running()))


def _memory_mb(processes: list[psutil.Process]) -> float:
    return float(sum(process.memory_info().rss for process in processes if process.is_running()) / 2**20)


def gpu_memory_mb() -> float | None:
    """Memory in use on the GPU, by all processes; None without a GPU."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return float(total - free) / 2**20


def roof(bundle: ModelBundle, options: Options) -> dict[str, Any]:
    """What the network computes and moves, and the shortest times that this machine's peaks allow."""
    import torch

    from cath_perception import roofline

    work = roofline.cost(bundle)
    peaks = [roofline.bounds(work, roofline.measured_peak("cpu", torch.float32, options.threads), 4)]
    if torch.cuda.is_available():
        peaks.append(roofline.bounds(work, roofline.measured_peak("cuda", torch.float16), 2))
    return {
        "gflop": round(work.flops * 1e-9, 3),
        "weights": work.weight_values,
        "activations": work.activation_values,
        "peaks": peaks,
    }


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
        "load_before": round(os.getloadavg()[0], 2),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "gpu": _gpu(),
        "packages": packages,
    }


def _gpu() -> dict[str, Any] | None:
    import torch

    if not torch.cuda.is_available():
        return None
    from cath_perception.backends.engine import driver_version

    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "memory_gb": round(properties.total_memory / 2**30, 1),
        "driver": driver_version(),
        "cuda": torch.version.cuda,
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def biplane(bundle: ModelBundle, options: Options, frames: list[NDArray[Any]]) -> dict[str, Any]:
    """Two planes in one call of the TensorRT engine of batch 2, in ms for both."""
    try:
        backend = open_contender("tensorrt", bundle, replace(options, batch=2))
    except BackendError as error:
        return {"name": "tensorrt, two planes", "refused": str(error)}
    with backend:
        pairs = [np.stack((first, second)) for first, second in zip(frames[::2], frames[1::2], strict=False)]
        times = _times(backend, pairs[:WARM_UP] + pairs, bundle.input_size)[WARM_UP:]
        return {
            "name": "tensorrt, two planes",
            "description": backend.description,
            **_figures(times),
        }
