"""GPU backends under watch, with a real backend that fails as devices do, in real processes."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cath_perception.backends import BACKENDS, Registered, create_backend
from cath_perception.backends.base import Options
from cath_perception.backends.supervised import Pace, SupervisedBackend
from cath_perception.backends.worker import Worker
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError, DeviceError, DeviceFault, EngineMissingError

PACE = Pace(start=60.0, answer=1.0, retry=0.2, longest_retry=0.4)
FRAME = np.full((40, 60), 51, np.uint8)


@pytest.fixture
def model(bundle, tmp_path, monkeypatch):
    """A copy of the bundle to put orders beside, and the fragile backend registered."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setitem(BACKENDS, "fragile", Registered("fragile", "FragileBackend", True))
    return ModelBundle.load(shutil.copytree(bundle.path, tmp_path / "model"))


def order(model, text):
    (model.path / "order.part").write_text(text)
    (model.path / "order.part").replace(model.path / "order")


def supervised(model, cache, fallback="openvino", names=("fragile",)):
    return SupervisedBackend(model, Options(cache_dir=cache), names, fallback, PACE)


def until(backend, condition, frame=FRAME):
    """Infer until ``condition`` holds; every frame must be answered meanwhile."""
    end = time.monotonic() + 40
    while time.monotonic() < end:
        answer = backend.infer(frame)
        if condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {backend.name}, {backend.notice}")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_worker_sees_every_pixel_and_size(model, dtype):
    worker = Worker("fragile", model, Options())
    worker.poll(60.0)
    assert worker.ready, worker.error
    assert worker.description != f"process {os.getpid()}, auto"
    for shape in ((40, 60), (700, 900), (33, 7)):
        frame = (np.arange(np.prod(shape)) % 200).astype(dtype).reshape(shape)
        frame[0, 0] = 51
        candidates, mask = worker.infer(frame[:, ::-1][:, ::-1])
        assert candidates.shape == (8, 5)
        assert candidates[0, :2].tolist() == [shape[1], shape[0]]
        assert candidates[0, 4] == pytest.approx(frame.mean() / 255, rel=1e-5)
        assert mask.shape == (48, 48)
        assert mask[0, 0] == pytest.approx(0.2)
    worker.close()
    worker.close()
    with pytest.raises(BackendError, match="closed"):
        worker.infer(FRAME)


def test_a_frame_that_fails_leaves_the_worker_working(model):
    worker = Worker("fragile", model, Options())
    worker.poll(60.0)
    order(model, "fail")
    with pytest.raises(BackendError, match="ValueError: this frame is odd"):
        worker.infer(FRAME)
    order(model, "")
    assert worker.infer(FRAME)[0][0, 4] == pytest.approx(0.2)
    worker.close()


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("absent", DeviceError, "no device: opening the device: CUDA error: no CUDA-capable"),
        ("engine", EngineMissingError, "none was built"),
        ("broken", BackendError, "not installed"),
    ],
)
def test_why_a_worker_did_not_start_is_told(model, text, kind, reason):
    order(model, text)
    worker = Worker("fragile", model, Options())
    worker.poll(60.0)
    assert type(worker.error) is kind
    assert reason in str(worker.error)
    assert not worker.ready


def test_a_worker_that_takes_too_long_is_ended(model):
    order(model, "never")
    worker = Worker("fragile", model, Options(), start_s=0.5)
    worker.poll(5.0)
    worker.poll(5.0)
    assert isinstance(worker.error, DeviceError)
    assert "did not start in time" in str(worker.error)


@pytest.mark.parametrize(
    ("text", "fault", "reason"),
    [
        ("lose", DeviceFault.LOST, "unspecified launch failure"),
        ("memory", DeviceFault.OUT_OF_MEMORY, "Tried to allocate"),
        ("crash", DeviceFault.LOST, "SIGABRT"),
        ("hang", DeviceFault.LOST, "no answer in 1 s"),
    ],
)
def test_a_lost_device_costs_no_frame_and_is_taken_back(model, cache, text, fault, reason):
    with supervised(model, cache) as backend:
        assert backend.infer(FRAME)[0][0, 4] == pytest.approx(0.2)
        assert (backend.name, backend.notice, backend.fault) == ("fragile", "", None)
        before = backend.description
        order(model, text)
        candidates, mask = backend.infer(FRAME)
        assert len(candidates) == 128
        assert mask.shape == (48, 48)
        assert backend.name == "openvino"
        assert backend.fault is fault
        assert backend.notice.startswith("fragile: ")
        assert reason in backend.notice
        order(model, "absent" if fault is DeviceFault.LOST else text)
        until(backend, lambda: "next attempt" in backend.notice)
        order(model, "")
        answer = until(backend, lambda: backend.name == "fragile")
        assert answer[0][0, 4] == pytest.approx(0.2)
        assert (backend.notice, backend.fault) == ("", None)
        assert backend.description != before


def test_a_frame_that_fails_is_answered_by_the_other_and_said(model, cache):
    with supervised(model, cache) as backend:
        order(model, "fail")
        assert len(backend.infer(FRAME)[0]) == 128
        assert (backend.name, backend.fault) == ("openvino", None)
        assert backend.notice == "fragile: ValueError: this frame is odd"
        order(model, "")
        backend.infer(FRAME)
        assert (backend.name, backend.notice) == ("fragile", "")


def test_a_killed_worker_is_replaced(model, cache):
    with supervised(model, cache) as backend:
        os.kill(int(backend.description.split()[1].rstrip(",")), signal.SIGKILL)
        backend.infer(FRAME)
        until(backend, lambda: backend.name == "fragile")


def test_without_fallback_frames_fail_with_the_reason_until_the_device_is_back(model, cache):
    with supervised(model, cache, "none") as backend:
        order(model, "lose")
        with pytest.raises(
            DeviceError, match="device lost: inference: CUDA error: unspecified launch failure"
        ):
            backend.infer(FRAME)
        assert backend.fault is DeviceFault.LOST
        order(model, "")
        end = time.monotonic() + 40
        while backend.fault is not None and time.monotonic() < end:
            backend.tend()
            time.sleep(0.05)
        assert backend.infer(FRAME)[0][0, 4] == pytest.approx(0.2)


def test_without_device_and_fallback_it_refuses(model, cache):
    order(model, "absent")
    with pytest.raises(DeviceError, match="no device"):
        supervised(model, cache, "none")


def test_without_device_the_fallback_answers_from_the_start(model, cache):
    order(model, "absent")
    with supervised(model, cache, "torch") as backend:
        assert backend.name == "torch"
        assert "CPU" in backend.description
        assert backend.fault is DeviceFault.NO_DEVICE
        order(model, "")
        until(backend, lambda: backend.name == "fragile")


def test_what_can_never_work_is_not_tried_again(model, cache):
    order(model, "broken")
    with supervised(model, cache) as backend:
        order(model, "")
        time.sleep(2 * PACE.longest_retry)
        backend.infer(FRAME)
        assert backend.name == "openvino"
        assert backend.notice == "fragile: needs a library that is not installed"
        assert backend.fault is None


BUILD = """
import sys, time, pathlib
print("compiling", flush=True)
model = pathlib.Path({model!r})
while not (model / "finish").exists():
    time.sleep(0.02)
if (model / "finish").read_text() == "refuse":
    sys.exit("cath: the engine is not used: it differs")
(model / "engine").touch()
"""


@pytest.fixture
def builder(model, tmp_path, monkeypatch):
    """The process that builds engines is another one, which waits until it is told to finish."""
    script = tmp_path / "build.py"
    script.write_text(BUILD.format(model=str(model.path)))
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *build-engine*) exec {sys.executable} {script} ;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    second = Registered("fragile", "SecondBackend", True)
    monkeypatch.setitem(BACKENDS, "second", second)


def test_another_answers_while_the_engine_is_built(model, cache, builder):
    order(model, "engine")
    with supervised(model, cache, "none", ("fragile", "second")) as backend:
        assert backend.infer(FRAME)[0][0, 4] == pytest.approx(0.2)
        assert backend.name == "second"
        until(backend, lambda: backend.notice.endswith("compiling"))
        assert backend.notice.startswith("fragile: its engine is being built, ")
        (model.path / "finish").write_text("")
        until(backend, lambda: backend.name == "fragile")
        assert backend.notice == ""


def test_an_engine_that_is_refused_leaves_the_other_answering(model, cache, builder):
    order(model, "engine")
    (model.path / "finish").write_text("refuse")
    with supervised(model, cache, "none", ("fragile", "second")) as backend:
        until(backend, lambda: "building its engine failed" in backend.notice)
        assert backend.notice.endswith("the engine is not used: it differs")
        time.sleep(2 * PACE.longest_retry)
        until(backend, lambda: backend.name == "second")


def test_closing_ends_the_building(model, cache, builder):
    order(model, "engine")
    backend = supervised(model, cache, "none", ("fragile", "second"))
    (build,) = [level._build for level in backend._levels if level._build]
    backend.close()
    assert build.code is not None


def test_create_backend_watches_what_needs_a_gpu_only(model, cache):
    assert create_backend("openvino", model, cache_dir=cache, fallback="none").name == "openvino"
    with create_backend("fragile", model, cache_dir=cache, fallback="openvino") as backend:
        assert isinstance(backend, SupervisedBackend)
        assert backend.name == "fragile"
    with pytest.raises(BackendError, match="fallback: expected one of openvino, torch, none, got 'abacus'"):
        create_backend("fragile", model, cache_dir=cache, fallback="abacus")
