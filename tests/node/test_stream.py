"""A stream over time: newest frame only, what was dropped, too old, too late, and silence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cath_msgs.msg import PerceptionStatus
from diagnostic_msgs.msg import DiagnosticStatus
from node.frames import image, scene
from node.harness import NodeProcess, Peer, Stream, values

pytestmark = pytest.mark.ros

PICTURE = scene(512, 512)
BURST = 40


@pytest.fixture(scope="module")
def configured(start: Callable[..., NodeProcess], peer: Peer, bundle: Path) -> Iterator[Stream]:
    settings = {"model": bundle, "backend": "openvino", "deadline": 0.0, "diagnostics_period": 0.2}
    process = start(*(part for name, value in settings.items() for part in ("-p", f"{name}:={value}")))
    yield Stream.configured(peer)
    assert process.running, process.output


@pytest.fixture
def stream(configured: Stream) -> Stream:
    """The node, newly activated: counters at zero and ordinary limits."""
    configured.deactivate()
    assert all(item.successful for item in configured.set(max_age=20.0, deadline=0.0, input_timeout=60.0))
    configured.activate()
    return configured


def test_newest_frame_only_and_every_other_one_counted(stream: Stream) -> None:
    stream.send(image(stream.header(), PICTURE))
    stream.statuses.clear()
    messages = [image(stream.header(), PICTURE) for _ in range(BURST)]
    for message in messages:
        stream.images.publish(message)
    last = stream.status_of(messages[-1].header)
    assert last.state == PerceptionStatus.OK
    assert last.frames_received + last.frames_dropped == BURST + 1
    assert last.frames_dropped > BURST // 2
    assert last.frames_processed == last.frames_received == len(stream.statuses) + 1
    assert (last.frames_stale, last.frames_failed) == (0, 0)
    found = stream.diagnosed(lambda _, pairs: pairs["frames_received"] == str(last.frames_received))
    assert values(found)["frames_dropped"] == str(last.frames_dropped)


def test_nothing_is_dropped_at_a_pace_that_can_be_kept(stream: Stream) -> None:
    for _ in range(15):
        last = stream.send(image(stream.header(), PICTURE))
    assert (last.frames_received, last.frames_processed, last.frames_dropped) == (15, 15, 0)


def test_old_frame_is_not_answered_as_fresh(stream: Stream) -> None:
    assert stream.set(max_age=2.0)[0].successful
    old = image(stream.header(age=10.0), PICTURE)
    status = stream.send(old)
    assert status.state == PerceptionStatus.STALE
    assert "max_age is 2 s" in status.message
    assert 10_000 < status.frame_age_ms < 20_000
    assert (status.frames_stale, status.frames_processed) == (1, 0)
    fresh = image(stream.header(), PICTURE)
    assert stream.answer(fresh).header == fresh.header
    assert stream.electrodes.of(old.header) is None
    stream.diagnosed(lambda item, pairs: pairs["frames_stale"] == "1" and "max_age" in pairs["last_error"])
    assert stream.set(max_age=0.0)[0].successful
    later = stream.send(image(stream.header(age=-5.0), PICTURE))
    assert later.state == PerceptionStatus.OK


def test_missed_deadline_is_stated_and_the_frame_answered(stream: Stream) -> None:
    assert stream.set(deadline=1e-4)[0].successful
    message = image(stream.header(), PICTURE)
    status = stream.send(message)
    assert status.state == PerceptionStatus.DEADLINE_MISSED
    assert "deadline 0.1 ms" in status.message
    assert status.latency_ms > 0.1
    assert status.frames_processed == 1
    stream.peer.wait(lambda: stream.electrodes.of(message.header), "electrodes")
    found = stream.diagnosed(
        lambda item, pairs: "deadline" in item.message or "deadline" in pairs["last_error"]
    )
    assert found.level in (DiagnosticStatus.WARN, DiagnosticStatus.OK)


def test_silence_is_stated_and_ends(stream: Stream) -> None:
    assert stream.set(input_timeout=0.3)[0].successful
    stream.statuses.clear()
    stream.peer.wait(lambda: stream.statuses, "the status of a silent input")
    silent = stream.statuses[0]
    assert silent.state == PerceptionStatus.NO_INPUT
    assert "no frame on /perception/image for 0.3 s, 1 publisher(s)" in silent.message
    assert np.isnan(silent.total_ms)
    stream.diagnosed(lambda item, pairs: item.level == DiagnosticStatus.WARN and pairs["state"] == "NO_INPUT")
    assert stream.send(image(stream.header(), PICTURE)).state == PerceptionStatus.OK
