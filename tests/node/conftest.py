"""Fixtures for tests with real processes over DDS: untrained models, nodes, and a peer to talk to them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed here")

from node.harness import NodeProcess, Peer, fresh_domain, random_bundle


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Logs and converted models in a folder of the session's own, discovery on this machine only."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("ros_log")))
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = Path(__file__).parents[2] / "src" / "cath_perception" / "config" / "fastdds.xml"
    patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", os.fspath(profile))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that was not trained: its answers mean nothing, but depend on every pixel."""
    return random_bundle(tmp_path_factory.mktemp("bundle") / "random", "random")


@pytest.fixture(scope="module")
def domain() -> int:
    """A ROS domain that no other test module uses."""
    return fresh_domain()


@pytest.fixture(scope="module")
def peer(domain: int) -> Iterator[Peer]:
    """The test's own ROS node, in the module's domain."""
    with Peer(domain) as peer:
        yield peer


@pytest.fixture(scope="module")
def start(domain: int) -> Iterator[Callable[..., NodeProcess]]:
    """Starts perception nodes in the module's domain, and ends those that still run afterwards."""
    started: list[NodeProcess] = []

    def _start(*ros_arguments: str, command: tuple[str, ...] = ("-m", "cath_perception.node")) -> NodeProcess:
        started.append(NodeProcess(domain, command, ros_arguments))
        return started[-1]

    yield _start
    for process in started:
        process.kill()
