"""An unexpected exception in one frame costs that frame and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import PerceptionStatus
from diagnostic_msgs.msg import DiagnosticStatus
from node.frames import image, scene
from node.harness import NodeProcess, Peer, Stream, values

pytestmark = pytest.mark.ros

BLACK = np.zeros((64, 64), np.uint8)


def test_unexpected_exception_costs_one_frame(
    start: Callable[..., NodeProcess], peer: Peer, bundle: Path
) -> None:
    script = str(Path(__file__).with_name("faulty_node.py"))
    settings = {"model": bundle, "backend": "openvino", "max_age": 20.0, "deadline": 0.0}
    arguments = (part for name, value in settings.items() for part in ("-p", f"{name}:={value}"))
    process = start(*arguments, command=(script,))
    stream = Stream.configured(peer)
    reference = stream.answer(image(stream.header(), scene()))
    for count in range(1, 4):
        black = image(stream.header(), BLACK)
        stream.diagnostics.clear()
        status = stream.send(black)
        assert status.state == PerceptionStatus.ERROR
        assert status.message.startswith("RuntimeError: the device is on fire (__call__, line ")
        assert status.frames_failed == count
        assert stream.electrodes.of(black.header) is None
        assert stream.answer(image(stream.header(), scene())).electrodes == reference.electrodes
    found = stream.diagnosed(lambda item, pairs: item.level == DiagnosticStatus.ERROR)
    assert found.message == status.message
    assert values(found)["state"] == "ERROR"
    assert process.output.count("on fire") == 1
    assert process.stop() == 0, process.output
