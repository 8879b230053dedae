"""Parameters: described, ranged, refused with a reason, and changeable where they say so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from node.frames import image, scene
from node.harness import NodeProcess, Peer, RemoteNode, Stream

from cath_perception.parameters import PARAMETERS

pytestmark = pytest.mark.ros

CONFIG = Path(__file__).parents[2] / "src" / "cath_perception" / "config" / "perception.yaml"


@pytest.fixture(scope="module")
def node(start: Callable[..., NodeProcess], peer: Peer, bundle: Path) -> Iterator[RemoteNode]:
    process = start(
        "--params-file",
        str(CONFIG),
        "-p",
        f"model:={bundle}",
        "-p",
        "backend:=openvino",
        "-p",
        "max_age:=20.0",
        "-p",
        "deadline:=0.0",
    )
    yield RemoteNode(peer)
    assert process.running, process.output


def test_shipped_file_holds_every_default() -> None:
    shipped = yaml.safe_load(CONFIG.read_text())["/**"]["ros__parameters"]
    assert shipped == {item.name: item.default for item in PARAMETERS}


def test_every_parameter_is_described_and_numbers_are_ranged(node: RemoteNode) -> None:
    names = [item.name for item in PARAMETERS]
    assert set(names) <= set(node.parameters())
    for descriptor in node.describe(names):
        assert len(descriptor.description) > 20
        assert "changeable" in descriptor.additional_constraints or descriptor.read_only
        number = descriptor.type in (2, 3)
        assert bool(descriptor.floating_point_range or descriptor.integer_range) == number


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("electrode_threshold", 2.0, "out of range"),
        ("electrode_threshold", float("nan"), ""),
        ("electrode_threshold", 1, "Wrong parameter type"),
        ("mask_threshold", -0.1, "out of range"),
        ("max_age", float("inf"), ""),
        ("threads", 1000, "out of range"),
        ("backend", "abacus", "one of auto, tensorrt, openvino, torch"),
        ("lost_after", -0.1, "out of range"),
        ("lost_after", 60.0, "out of range"),
        ("tracking", 1, "Wrong parameter type"),
        ("motion_transform", "feet", "one of off, pixels, metres"),
        ("input_transport", "pigeon", "one of raw, compressed"),
        ("input_reliability", "reliable", "read-only"),
        ("diagnostics_period", 2.0, "read-only"),
    ],
)
def test_refused_with_a_reason_and_unchanged(node: RemoteNode, name: str, value: object, reason: str) -> None:
    before = node.get(name)
    result = node.set(**{name: value})[0]
    assert not result.successful
    assert result.reason
    assert reason in result.reason
    assert node.get(name) == before


def test_thresholds_take_effect_while_running(node: RemoteNode, peer: Peer) -> None:
    stream = Stream.configured(peer)
    usual = len(stream.answer(image(stream.header(), scene())).electrodes)
    assert usual > 3
    assert node.set(electrode_threshold=0.99)[0].successful
    assert not stream.answer(image(stream.header(), scene())).electrodes
    assert node.set(electrode_threshold=0.0)[0].successful
    assert len(stream.answer(image(stream.header(), scene())).electrodes) == usual
    results = node.set(backend="torch", mask_threshold=0.7)
    assert [result.successful for result in results] == [False, True]


@pytest.mark.parametrize(
    "arguments",
    [("electrode_threshold:=2.0", "electrode_threshold"), ("backend:=abacus", "backend must be one of")],
)
def test_refused_at_start_with_one_line(
    start: Callable[..., NodeProcess], arguments: tuple[str, str]
) -> None:
    process = start("-r", "__node:=another", "-p", arguments[0])
    assert process.wait() == 2
    assert arguments[1] in process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize("arguments", [("-r", "~/image:=/two words"), ("-p", "threads")])
def test_arguments_that_ros_does_not_take_are_refused_with_its_reason(
    start: Callable[..., NodeProcess], arguments: tuple[str, str]
) -> None:
    process = start("-r", "__node:=another", *arguments)
    assert process.wait() == 2
    assert "perception: ROS does not take the arguments: " in process.output
    assert arguments[1] in process.output
    assert "Traceback" not in process.output
