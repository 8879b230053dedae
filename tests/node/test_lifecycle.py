"""Every transition walked through services, models that cannot be loaded, another model, and the way out."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import PerceptionStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from node.harness import NodeProcess, Peer, RemoteNode, Stream, random_bundle, values

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_bundle(tmp_path_factory.mktemp("other") / "other", "other", threshold=0.99)


@pytest.fixture
def running(start: Callable[..., NodeProcess], bundle: Path) -> Iterator[NodeProcess]:
    process = start(
        "-p", f"model:={bundle}", "-p", "backend:=openvino", "-p", "max_age:=20.0", "-p", "deadline:=0.0"
    )
    yield process
    process.kill()


def test_every_transition_and_another_model(
    running: NodeProcess, peer: Peer, bundle: Path, other_bundle: Path
) -> None:
    node = RemoteNode(peer)
    assert node.state == "unconfigured"
    assert not node.activate()
    assert node.configure()
    assert node.state == "inactive"
    refused = node.set(model=str(other_bundle))[0]
    assert not refused.successful
    assert "clean it up first" in refused.reason
    assert node.activate()
    assert node.state == "active"
    stream = Stream(peer)
    stream.connect()
    status = stream.send(stream.frame())
    assert (status.state, status.model) == (PerceptionStatus.OK, "random")
    assert node.deactivate()
    peer.wait(lambda: stream.statuses[-1].message == "deactivated", "the status of an inactive node")
    assert stream.statuses[-1].state == PerceptionStatus.INACTIVE
    unanswered = stream.frame()
    stream.images.publish(unanswered)
    assert node.state == "inactive"
    assert node.activate()
    assert stream.send(stream.frame()).frames_received == 1
    assert stream.statuses.of(unanswered.header) is None
    assert node.deactivate()
    assert node.cleanup()
    assert node.state == "unconfigured"
    assert node.set(model=str(other_bundle))[0].successful
    assert node.configure()
    assert node.activate()
    stream.connect()
    frame = stream.frame()
    assert not stream.answer(frame).electrodes
    assert stream.status_of(frame.header).model == "other"
    assert node.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert node.state == "finalized"
    assert running.stop() == 0, running.output


def _missing(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def _truncated(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _tampered(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def _no_manifest(folder: Path) -> None:
    (folder / "model.yaml").unlink()


def _gone(folder: Path) -> None:
    shutil.rmtree(folder)


def test_unusable_models_are_named_and_the_next_one_works(
    running: NodeProcess, peer: Peer, bundle: Path, tmp_path: Path
) -> None:
    node = RemoteNode(peer)
    statuses = peer.listen(PerceptionStatus, "/perception/status")
    diagnostics = peer.listen(DiagnosticArray, "/diagnostics")
    damages = [
        (_missing, "missing"),
        (_truncated, "truncated or changed"),
        (_tampered, "truncated or changed"),
        (_no_manifest, "missing"),
        (_gone, "expected a bundle's folder"),
    ]
    for damage, reason in damages:
        copy = shutil.copytree(bundle, tmp_path / damage.__name__)
        damage(copy)
        assert node.set(model=str(copy))[0].successful
        statuses.clear()
        diagnostics.clear()
        assert not node.configure()
        assert node.state == "unconfigured"
        peer.wait(lambda: statuses, "the status of the failed transition")
        assert statuses[0].state == PerceptionStatus.ERROR
        assert "BundleError: " in statuses[0].message
        assert reason in statuses[0].message
        peer.wait(lambda: diagnostics, "diagnostics")
        diagnosis = diagnostics[0].status[0]
        assert diagnosis.level == DiagnosticStatus.ERROR
        assert diagnosis.message == statuses[0].message
        assert values(diagnosis)["lifecycle"] == "unconfigured"
        assert statuses[0].message in running.output
    assert node.set(model=str(bundle))[0].successful
    stream = Stream.configured(peer)
    assert stream.answer(stream.frame()).electrodes
    stream.diagnosed(lambda item, pairs: item.level == DiagnosticStatus.OK and pairs["state"] == "OK")
    assert running.stop() == 0, running.output


def test_backend_that_cannot_work_is_named(running: NodeProcess, peer: Peer) -> None:
    node = RemoteNode(peer)
    statuses = peer.listen(PerceptionStatus, "/perception/status")
    assert all(result.successful for result in node.set(backend="tensorrt", device="cpu", fallback="none"))
    assert not node.configure()
    peer.wait(lambda: statuses, "the status of the failed transition")
    assert "BackendError: " in statuses[0].message
    assert node.set(backend="torch")[0].successful
    stream = Stream.configured(peer)
    status = stream.send(stream.frame())
    assert status.backend.startswith("torch (")
    assert np.isfinite(status.network_ms)
    assert running.stop(signal.SIGTERM) == 0, running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_node_that_is_not_configured(
    start: Callable[..., NodeProcess], peer: Peer, number: signal.Signals
) -> None:
    process = start()
    assert RemoteNode(peer).state == "unconfigured"
    assert process.stop(number) == 0, process.output
    assert "Traceback" not in process.output
