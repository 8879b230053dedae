"""A recording through the real node: replay and node as processes over DDS, the outputs into a bag, and figures."""

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cath_msgs.msg import CatheterArray, CatheterMotion, CenterlineArray, ElectrodeArray, PerceptionStatus
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from cath_perception.bags import BagReader, BagWriter
from cath_perception.from_message import catheter_from_message, electrode_from_message
from cath_perception.live import NODE, LiveError, Process, Session, stamp_of_cdr
from cath_perception.motion import Motion
from cath_perception.scoring import CatheterTally, Tally
from cath_perception.types import PerceptionResult, StageTimes

OUTPUTS = {
    f"{NODE}/electrodes": ElectrodeArray,
    f"{NODE}/catheters": CatheterArray,
    f"{NODE}/centerlines": CenterlineArray,
    f"{NODE}/mask": Image,
    f"{NODE}/status": PerceptionStatus,
    f"{NODE}/motion": CatheterMotion,
}
ELECTRODES, CATHETERS, _, MASK, STATUS, MOTION = OUTPUTS
MATCH_S, DRAIN_S = 20.0, 1.0


@dataclass(slots=True)
class Traffic:
    """Times in ns by frame stamp: when the image was published, when its electrodes were received."""

    published: dict[int, int] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)

    def latencies_ms(self) -> list[float]:
        """Publish-to-receive times in ms of the frames that were answered."""
        both = self.published.keys() & self.answered.keys()
        return [(self.answered[stamp] - self.published[stamp]) * 1e-6 for stamp in sorted(both)]


def listen(session: Session, image_topic: str, writer: BagWriter | None, topics: dict[str, type]) -> Traffic:
    """Take down when images and answers pass, and write the answers to ``writer``."""
    traffic = Traffic()

    def on_image(data: bytes, info: dict[str, Any]) -> None:
        traffic.published[stamp_of_cdr(data)] = int(info["source_timestamp"])

    def on_answer(topic: str, data: bytes, info: dict[str, Any]) -> None:
        received = int(info["received_timestamp"])
        if topic == ELECTRODES:
            traffic.answered[stamp_of_cdr(data)] = received
        if writer is not None:
            writer.write_raw(topic, received, data)

    session.listen(Image, image_topic, on_image)
    for topic, kind in topics.items():
        if writer is not None:
            package, name = kind.__module__.split(".")[0], kind.__name__
            writer.add_topic(topic, f"{package}/msg/{name}")
        session.listen(kind, topic, partial(on_answer, topic))
    return traffic


def replay_command(bag: Path, *options: str, subscribers: int) -> list[str]:
    """The replay's command line; it begins when the images have so many ``subscribers``."""
    command = [sys.executable, "-m", "cath_perception.cli", "replay", str(bag)]
    return [*command, "--wait-for-subscribers", str(subscribers), *options]


def perceive_bag(bag: Path, image_topic: str, out: Path, settings: dict[str, Any]) -> Traffic:
    """Replay ``bag`` to a fresh node and write its answers to the bag ``out/answers``."""
    with BagReader(bag) as reader:
        seconds = (reader.end_ns - reader.start_ns) * 1e-9
    logs = out / "log"
    with BagWriter(out / "answers", force=True) as writer, Session("demo") as session:
        traffic = listen(session, image_topic, writer, OUTPUTS)
        node = session.start_perception(image_topic, {"use_sim_time": True, **settings}, logs / "node.log")
        _wait_for_publishers(session, node)
        replay = session.start(replay_command(bag, subscribers=2), logs / "replay.log")
        session.spin_until(lambda: replay.code is not None, "the replay's end", seconds + 60, node)
        if replay.code:
            raise LiveError(f"the replay failed: {replay.last_words()}")
        session.spin_for(DRAIN_S)
        if node.stop() != 0:
            raise LiveError(f"the node did not end cleanly (code {node.code}): {node.last_words()}")
    if not traffic.answered:
        raise LiveError(f"no frame of {len(traffic.published)} was answered; see {node.log}")
    return traffic


def _wait_for_publishers(session: Session, node: Process) -> None:
    def matched() -> bool:
        return all(
            session.node.count_publishers(topic) and session.node.count_subscribers(topic)
            for topic in OUTPUTS
        )

    session.spin_until(matched, "the node's publishers", MATCH_S, node)


class Answers:
    """What the node answered to one recording, by frame stamp in ns; masks are held as bits."""

    def __init__(self, bag: Path) -> None:
        self._parts: dict[int, dict[str, Any]] = {}
        with BagReader(bag) as reader:
            for item in reader.messages():
                message = reader.decode(item)
                if item.topic == MASK:
                    message = ((message.height, message.width), np.packbits(message.data))
                self._parts.setdefault(stamp_of_cdr(item.data), {})[item.topic] = message

    @property
    def last_status(self) -> Any:
        """The status with the highest count of frames received; LiveError if there is none."""
        statuses = [topics[STATUS] for topics in self._parts.values() if STATUS in topics]
        if not statuses:
            raise LiveError("the node published no status; see its log")
        return max(statuses, key=lambda status: status.frames_received)

    def result(self, stamp: int, width: int, height: int) -> PerceptionResult | None:
        """The answer to the frame of that stamp and size; None if it was not answered."""
        topics = self._parts.get(stamp, {})
        if ELECTRODES not in topics:
            return None
        mask = catheters = None
        if MASK in topics:
            shape, bits = topics[MASK]
            mask = _unpack(bits, shape)
        if CATHETERS in topics and topics[CATHETERS].computed:
            catheters = tuple(catheter_from_message(item) for item in topics[CATHETERS].catheters)
        electrodes = tuple(electrode_from_message(item) for item in topics[ELECTRODES].electrodes)
        total = topics[STATUS].total_ms if STATUS in topics else float("nan")
        return PerceptionResult(width, height, electrodes, catheters, mask, StageTimes(total=total))

    def motion(self, stamp: int) -> Motion | None:
        """The reference catheter's motion in the frame of that stamp; None if none was published."""
        message = self._parts.get(stamp, {}).get(MOTION)
        if message is None:
            return None
        return Motion(
            valid=message.valid,
            reference_time_s=message.reference_stamp.sec + message.reference_stamp.nanosec * 1e-9,
            translation=np.array(message.translation_px),
            rotation=message.rotation_rad,
            centre=np.full(2, np.nan),
            respiratory=np.array(message.respiratory_px),
            cardiac=np.array(message.cardiac_px),
            residual=message.residual_px,
            quality=message.quality,
        )


def _unpack(bits: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape) * np.uint8(255)


def figures(
    traffic: Traffic,
    answers: Answers,
    tallies: tuple[Tally, CatheterTally] | None,
    counts: dict[str, float],
) -> dict[str, Any]:
    """Plain figures for a table or JSON; latencies in ms from publishing the image to receiving its electrodes."""
    status = answers.last_status
    p50, p95, p99 = np.percentile(traffic.latencies_ms(), [50, 95, 99]).round(2).tolist()
    shown: dict[str, Any] = {
        "frames in": len(traffic.published),
        "frames processed": len(traffic.answered),
        "frames dropped": status.frames_dropped,
        "frames refused": status.frames_failed + status.frames_stale,
        "latency p50 ms": p50,
        "latency p95 ms": p95,
        "latency p99 ms": p99,
        "backend": status.backend,
        **{name: round(value, 2) for name, value in counts.items()},
    }
    if tallies is not None:
        scores, catheters = (tally.figures() for tally in tallies)
        shown["recall (2 px of 256)"] = round(scores["recall"], 4)
        shown["precision (2 px of 256)"] = round(scores["precision"], 4)
        shown["median error (px of 256)"] = round(scores["median_error_px256"], 3)
        for name in ("catheters found", "type right", "order right", "identity switches"):
            shown[name] = round(catheters[name], 4)
    return shown
