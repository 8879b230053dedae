"""Tracking and motion over DDS, of a node that sees catheters where its frames say."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from cath_msgs.msg import Catheter, CatheterArray, CatheterMotion
from geometry_msgs.msg import TransformStamped
from node.frames import image
from node.harness import Inbox, NodeProcess, Peer, Stream
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

pytestmark = pytest.mark.ros

GONE = 255
RATE = 15


class Run:
    """Frames a fifteenth of a second apart by their stamps, and what came of each."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.number = stream, 15_000
        listen = stream.peer.listen
        self.catheters: Inbox[CatheterArray] = listen(CatheterArray, "/perception/catheters")
        self.motions: Inbox[CatheterMotion] = listen(CatheterMotion, "/perception/motion")
        self.transforms: Inbox[TransformStamped] = listen(TransformStamped, "/perception/motion_transform")
        self.markers: Inbox[MarkerArray] = listen(MarkerArray, "/perception/markers")
        while not all(inbox.of(self.header) for inbox in (self.catheters, self.motions, self.markers)):
            self.show(GONE, GONE)
            stream.peer.spin(0.2)

    @property
    def header(self) -> Header:
        seconds, rest = divmod(self.number, RATE)
        return Header(stamp=Time(sec=seconds, nanosec=rest * 10**9 // RATE), frame_id="fluoroscopy")

    def show(self, reference: int, ablation: int, pause: int = 1) -> CatheterArray:
        """The answer to the next frame, ``pause`` frames later."""
        self.number += pause
        pixels = np.full((512, 512), 90, np.uint8)
        pixels[0, :2] = reference, ablation
        self.stream.answer(image(self.header, pixels))
        return self.stream.peer.wait(lambda: self.catheters.of(self.header), "catheters")

    def settled(self) -> dict[str, Catheter]:
        """Both catheters well known, by type."""
        for _ in range(25):
            answer = self.show(0, 0, pause=1)
        return {catheter.type: catheter for catheter in answer.catheters}

    def motion(self) -> CatheterMotion:
        return self.stream.peer.wait(lambda: self.motions.of(self.header), "the motion")

    def transform(self) -> TransformStamped:
        return self.stream.peer.wait(lambda: self.transforms.of(self.header), "the transform")


@pytest.fixture(scope="module")
def process(start: Callable[..., NodeProcess], bundle: Path) -> NodeProcess:
    script = str(Path(__file__).with_name("scripted_node.py"))
    settings = {"model": bundle, "backend": "openvino", "max_age": 0.0, "deadline": 0.0}
    arguments = (part for name, value in settings.items() for part in ("-p", f"{name}:={value}"))
    return start(*arguments, command=(script,))


@pytest.fixture(scope="module")
def run(process: NodeProcess, peer: Peer) -> Iterator[Run]:
    stream = Stream.configured(peer)
    stream.deactivate()
    stream.activate()  # stamps may begin anew
    yield Run(stream)
    assert process.running, process.output


def test_a_catheter_out_of_sight_is_predicted_then_lost_then_known_again(run: Run) -> None:
    run.number += 100
    ids = {kind: catheter.id for kind, catheter in run.settled().items()}
    assert set(ids) == {"coronary_sinus", "ablation"}
    assert run.stream.set(lost_after=0.2)[0].successful
    states = []
    for _ in range(6):
        (ablation,) = (c for c in run.show(0, GONE).catheters if c.id == ids["ablation"])
        states.append(ablation.status)
    assert states == [Catheter.PREDICTED] * 3 + [Catheter.LOST] * 3
    assert not any(electrode.visible for electrode in ablation.electrodes)
    shown = run.stream.peer.wait(lambda: run.markers.of(run.header), "the markers").markers
    names = {marker.id: marker for marker in shown if marker.ns == "names"}
    lost = names[ids["ablation"]]
    assert lost.text.endswith("ablation (lost)")
    assert lost.color.r == lost.color.g == lost.color.b
    assert "lost" not in names[ids["coronary_sinus"]].text
    assert shown[0].action == Marker.DELETEALL
    back = {c.id: c.status for c in run.show(0, 10).catheters}
    assert back[ids["ablation"]] == Catheter.DETECTED
    assert run.stream.set(lost_after=0.5)[0].successful


def test_motion_and_its_transform_in_pixels_and_metres(run: Run, process: NodeProcess) -> None:
    run.number += 100
    run.settled()
    run.show(4, 0)
    assert run.motion().translation_px[0] == pytest.approx(4.0, abs=0.1)
    assert not run.transforms
    assert run.stream.set(motion_transform="pixels")[0].successful
    run.show(6, 0)
    transform = run.transform()
    assert transform.child_frame_id == "fluoroscopy_motion_reference"
    assert transform.transform.translation.x == pytest.approx(6.0, abs=0.1)
    assert transform.transform.rotation.w == pytest.approx(1.0, abs=1e-4)
    assert run.stream.set(motion_transform="metres")[0].successful
    run.show(6, 0)
    run.motion()
    assert run.transforms.of(run.header) is None
    run.stream.peer.wait(lambda: "the size of a pixel is not known" in process.output, "the reason")
    assert run.stream.set(mm_per_pixel=0.25)[0].successful
    run.show(8, 0)
    assert run.transform().transform.translation.x == pytest.approx(8.0 * 0.25e-3, abs=1e-4)
    before = len(run.transforms)
    run.show(GONE, 0)
    assert not run.motion().valid
    assert len(run.transforms) == before
    assert all(result.successful for result in run.stream.set(mm_per_pixel=0.0, motion_transform="off"))


def test_a_pause_and_a_new_run_begin_another_scene(run: Run) -> None:
    run.number += 100
    before = {c.id for c in run.settled().values()}
    assert run.motion().valid
    after = {c.id for c in run.show(0, 0, pause=5 * RATE).catheters}
    assert after
    assert not after & before
    assert not run.motion().valid


def test_without_tracking_each_frame_stands_alone(run: Run) -> None:
    run.number += 100
    before = {c.id for c in run.settled().values()}
    assert run.stream.set(tracking=False)[0].successful
    for shift in (0, 90):
        alone = run.show(shift, GONE)
        assert [(c.id, c.status) for c in alone.catheters] == [(0, Catheter.DETECTED)]
    assert run.motions.of(run.header) is None
    assert run.stream.set(tracking=True)[0].successful
    again = {c.id for c in run.show(0, 0).catheters}
    assert again
    assert not again & before
    assert len(again) == 2
