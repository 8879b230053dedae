"""What a replay publishes, where and when, without ROS: names, order, start, loops, and stamps that never go back."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from posixpath import dirname, join

from rosbags.interfaces import QosDurability

from cath_perception.bags import NANOSECONDS, BagMessage, BagReader
from cath_perception.errors import SourceError
from cath_perception.sources.base import DEFAULT_RATE_HZ

CLOCK_TOPIC = "/clock"


def moved(images: str, elsewhere: str) -> dict[str, str]:
    """Names of a bag's image topic and of the camera info beside it, and what they are where the images go elsewhere."""
    return {images: elsewhere, join(dirname(images), "camera_info"): join(dirname(elsewhere), "camera_info")}


def stamp_ns(data: bytes) -> int:
    """Header stamp of a CDR message that begins with a ``std_msgs/Header``, in ns."""
    seconds, nanoseconds = struct.unpack_from(_stamp_format(data), data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def with_stamp(data: bytes, time_ns: int) -> bytes:
    """The same CDR message with another header stamp.

    The stamp is the first field, so its eight bytes follow the four of the encapsulation header, whose second
    byte tells the byte order. Nothing else is touched or decoded.
    """
    changed = bytearray(data)
    struct.pack_into(_stamp_format(data), changed, 4, *divmod(time_ns, NANOSECONDS))
    return bytes(changed)


def _stamp_format(data: bytes) -> str:
    if len(data) < 12:
        raise SourceError(f"a message of {len(data)} bytes holds no header stamp; the bag is damaged")
    return "<iI" if data[1] & 1 else ">iI"


@dataclass(frozen=True, slots=True)
class Playback:
    """A bag's messages in the order they are to be published, in the bag's own time.

    With ``loop`` one lap follows the other without end: recording times and header stamps of lap n are those
    of the bag plus n times the lap's length (the part played and one frame period), so that a subscriber sees
    one long recording and no time that goes back. Topics kept for late subscribers come once, in the first
    lap, and also when they were recorded before ``start_s``. A recorded ``/clock`` is left out: the replay
    makes its own.

    Attributes:
        reader: the open bag.
        start_s: seconds from its beginning to start at.
        loop: begin again at the end.

    Raises:
        SourceError: ``start_s`` lies outside the bag.
    """

    reader: BagReader
    start_s: float = 0.0
    loop: bool = False

    def __post_init__(self) -> None:
        length = (self.reader.end_ns - self.reader.start_ns) / NANOSECONDS
        if not 0 <= self.start_s <= length:
            raise SourceError(f"start is {self.start_s:g} s; {self.reader.path} lasts {length:.2f} s")

    @property
    def begin_ns(self) -> int:
        """The bag's time at which the replay begins."""
        return self.reader.start_ns + round(self.start_s * NANOSECONDS)

    @property
    def lap_ns(self) -> int:
        """Length of one lap."""
        return self.reader.end_ns - self.begin_ns + self._period_ns()

    def _period_ns(self) -> int:
        topic = self.reader.image_topic()
        count = self.reader.counts[topic] if topic else 1
        if count < 2:
            return round(NANOSECONDS / DEFAULT_RATE_HZ)
        return (self.reader.end_ns - self.reader.start_ns) // (count - 1)

    def topics(self) -> list[str]:
        """The topics that are played."""
        return sorted(topic for topic in self.reader.topics if topic != CLOCK_TOPIC)

    def is_latched(self, topic: str) -> bool:
        """True for a topic that is kept for late subscribers."""
        qos = self.reader.qos(topic)
        return qos is not None and qos.durability == QosDurability.TRANSIENT_LOCAL

    def __iter__(self) -> Iterator[BagMessage]:
        topics = set(self.topics())
        latched = {topic for topic in topics if self.is_latched(topic)}
        yield from self._kept(latched)
        lap = 0
        while True:
            chosen = topics if lap == 0 else topics - latched
            count = 0
            for message in self.reader.messages(chosen, self.begin_ns):
                count += 1
                yield self._shifted(message, lap * self.lap_ns)
            if not self.loop or count == 0:
                return
            lap += 1

    def _kept(self, latched: set[str]) -> Iterator[BagMessage]:
        """The last message of each kept topic from before the start, as if recorded at the start."""
        last: dict[str, BagMessage] = {}
        if self.begin_ns > self.reader.start_ns:
            for message in self.reader.messages(latched):
                if message.time_ns >= self.begin_ns:
                    break
                last[message.topic] = message
        for message in last.values():
            yield replace(message, time_ns=self.begin_ns)

    def _shifted(self, message: BagMessage, offset_ns: int) -> BagMessage:
        if offset_ns == 0:
            return message
        data = message.data
        if self.reader.has_header(message.msgtype):
            data = with_stamp(data, stamp_ns(data) + offset_ns)
        return replace(message, time_ns=message.time_ns + offset_ns, data=data)
