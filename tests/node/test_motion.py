"""Motion of the reference catheter over DDS: an answer that says it is none, and the service that sets the reference."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cath_msgs.msg import CatheterArray, CatheterMotion
from node.harness import NodeProcess, Peer, RemoteNode, Stream, image, scene
from std_srvs.srv import Trigger

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def stream(start: Callable[..., NodeProcess], peer: Peer, bundle: Path) -> Iterator[Stream]:
    settings = {"model": bundle, "backend": "openvino", "max_age": 20.0, "deadline": 0.0}
    process = start(*(part for name, value in settings.items() for part in ("-p", f"{name}:={value}")))
    yield Stream.configured(peer)
    assert process.running, process.output


def set_reference(stream: Stream) -> Trigger.Response:
    return stream.peer.call(Trigger, "/perception/set_reference", Trigger.Request())


def test_no_reference_catheter_is_said_and_the_service_refuses(stream: Stream) -> None:
    stream.deactivate()
    before = set_reference(stream)
    assert not before.success
    assert "activate" in before.message
    motions = stream.peer.listen(CatheterMotion, "/perception/motion")
    catheters = stream.peer.listen(CatheterArray, "/perception/catheters")
    stream.activate()
    message = image(stream.header(), scene())
    stream.send(message)
    motion = stream.peer.wait(lambda: motions.of(message.header), "the motion")
    assert not motion.valid
    assert (motion.reference_stamp.sec, motion.reference_stamp.nanosec) == (0, 0)
    assert stream.peer.wait(lambda: catheters.of(message.header), "the catheters").computed
    refused = set_reference(stream)
    assert not refused.success
    assert "coronary_sinus" in refused.message


def test_templates_that_cannot_be_read_refuse_to_configure(
    start: Callable[..., NodeProcess], peer: Peer, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.yaml").write_text("schema_version: 9")
    settings = {"model": bundle, "backend": "openvino", "templates": tmp_path / "t.yaml"}
    options = (part for name, value in settings.items() for part in ("-p", f"{name}:={value}"))
    start("-r", "__node:=other", *options)
    other = RemoteNode(peer, "/other")
    assert not other.configure()
    assert other.set(templates="")[0].successful
    assert other.configure()
