"""A GPU backend in the node: what a lost device costs, what is said of it, and how it comes back."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cath_msgs.msg import PerceptionStatus
from diagnostic_msgs.msg import DiagnosticStatus
from node.frames import image, scene
from node.harness import NodeProcess, Peer, RemoteNode, Stream, values

pytestmark = pytest.mark.ros
SCRIPT = str(Path(__file__).with_name("fragile_node.py"))


@pytest.fixture
def model(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the model to put orders beside."""
    return shutil.copytree(bundle, tmp_path / "model")


def order(model: Path, text: str) -> None:
    (model / "order.part").write_text(text)
    (model / "order.part").replace(model / "order")


def arguments(model: Path, **settings: object) -> list[str]:
    told = {"model": model, "backend": "fragile", "max_age": 20.0, "deadline": 0.0} | settings
    pairs = (f"{name}:={value}" for name, value in (told | {"diagnostics_period": 0.2}).items())
    return [part for pair in pairs for part in ("-p", pair)]


def send_until(stream: Stream, condition: Callable[[PerceptionStatus], bool]) -> PerceptionStatus:
    for _ in range(400):
        status = stream.send(image(stream.header(), scene()))
        if condition(status):
            return status
        stream.peer.spin(0.05)
    raise AssertionError(f"in vain: {status.backend}: {status.message}")


def test_a_lost_device_is_named_and_taken_back(
    start: Callable[..., NodeProcess], peer: Peer, model: Path
) -> None:
    process = start(*arguments(model), command=(SCRIPT,))
    stream = Stream.configured(peer)
    status = stream.send(image(stream.header(), scene()))
    assert status.backend.startswith("fragile (process ")
    assert status.state == PerceptionStatus.OK
    order(model, "lose")
    stream.diagnostics.clear()
    status = stream.send(image(stream.header(), scene()))
    assert status.state == PerceptionStatus.OK, status.message
    assert status.backend.startswith("openvino (OpenVINO ")
    assert "; fragile: device lost: inference: CUDA error: unspecified launch failure" in status.backend
    found = stream.diagnosed(lambda item, pairs: pairs["device_fault"] == "device lost")
    assert found.level == DiagnosticStatus.WARN
    assert values(found)["backend_notice"].startswith("fragile: device lost")
    assert "device lost" in found.message
    order(model, "")
    send_until(stream, lambda status: status.backend.startswith("fragile"))
    stream.diagnostics.clear()
    found = stream.diagnosed(lambda item, pairs: pairs["device_fault"] == "none")
    assert found.level == DiagnosticStatus.OK
    status = stream.send(image(stream.header(), scene()))
    assert status.frames_failed == 0
    assert process.stop() == 0, process.output
    assert "device lost" in process.output


def test_without_fallback_frames_fail_with_the_fault(
    start: Callable[..., NodeProcess], peer: Peer, model: Path
) -> None:
    process = start(*arguments(model, fallback="none"), command=(SCRIPT,))
    stream = Stream.configured(peer)
    order(model, "memory")
    status = stream.send(image(stream.header(), scene()))
    assert status.state == PerceptionStatus.ERROR
    assert status.message.startswith("DeviceError: out of memory: inference: CUDA out of memory")
    stream.diagnosed(lambda item, pairs: pairs["device_fault"] == "out of memory")
    order(model, "")
    send_until(stream, lambda status: status.state == PerceptionStatus.OK)
    assert process.stop() == 0, process.output


def test_a_device_that_is_not_there_is_no_failure_with_a_fallback(
    start: Callable[..., NodeProcess], peer: Peer, model: Path
) -> None:
    order(model, "absent")
    process = start(*arguments(model, fallback="none"), command=(SCRIPT,))
    node = RemoteNode(peer)
    statuses = peer.listen(PerceptionStatus, "/perception/status")
    assert not node.configure()
    peer.wait(lambda: statuses, "the status of the failed transition")
    assert "DeviceError: no device: " in statuses[0].message
    assert node.set(fallback="torch")[0].successful
    stream = Stream.configured(peer)
    status = stream.send(image(stream.header(), scene()))
    assert status.state == PerceptionStatus.OK
    assert status.backend.startswith("torch (PyTorch ")
    assert "; fragile: no device: " in status.backend
    assert process.stop() == 0, process.output
