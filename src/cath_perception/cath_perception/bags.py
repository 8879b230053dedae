"""rosbag2 bags (MCAP) without ROS: a writer that leaves whole bags only, and a reader with named errors."""

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from cath_perception.errors import SourceError

IMAGE_TOPIC = "/fluoroscopy/image_raw"
CAMERA_INFO_TOPIC = "/fluoroscopy/camera_info"
METADATA_TOPIC = "/fluoroscopy/metadata"
TRUTH_TOPIC = "/truth/catheters"
FRAME_ID = "fluoroscopy"

IMAGE_TYPE = "sensor_msgs/msg/Image"
NANOSECONDS = 1_000_000_000

_UNLIMITED = QosTime(9223372036, 854775807)


def offered_qos(latched: bool = False, depth: int = 10) -> Qos:
    """QoS a recorded topic offers: reliable, and kept for late subscribers where ``latched``."""
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else depth,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _UNLIMITED,
        _UNLIMITED,
        QosLiveliness.AUTOMATIC,
        _UNLIMITED,
        False,
    )


@cache
def typestore() -> Typestore:
    """Kilted's message types and, where its .msg files are found, those of cath_msgs."""
    store = get_typestore(Stores.ROS2_KILTED)
    definitions: dict[str, Any] = {}
    folder = _message_folder()
    for file in sorted(folder.glob("*.msg")) if folder else ():
        definitions.update(get_types_from_msg(file.read_text(encoding="utf-8"), f"cath_msgs/msg/{file.stem}"))
    store.register(definitions)
    return store


def _message_folder() -> Path | None:
    """Where cath_msgs' definitions lie: beside this package's source, in an installed prefix, or None."""
    prefixes = [entry for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    here = Path(__file__).resolve()
    candidates = [
        here.parents[2] / "cath_msgs" / "msg",
        *(Path(prefix) / "share" / "cath_msgs" / "msg" for prefix in [*prefixes, sys.prefix]),
        # An isolated install has one folder for each package, side by side.
        *(parent / "cath_msgs" / "share" / "cath_msgs" / "msg" for parent in here.parents),
    ]
    return next((folder for folder in candidates if (folder / "Catheter.msg").is_file()), None)


@contextmanager
def _named(path: Path, doing: str) -> Iterator[None]:
    """Whatever the bag library raises, as ``SourceError`` with the bag's path. Errors of ours pass."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise SourceError(f"{path}: the bag cannot be {doing}: {reason}") from error


class BagWriter:
    """Writes one bag folder, which appears under its name only when it is whole.

    Leaving the ``with`` block by an exception removes what was written; with ``force`` an older bag is
    replaced only at the end.

    Raises:
        SourceError: ``path`` exists (without ``force``, or is no bag), or cannot be written.
    """

    def __init__(self, path: str | Path, force: bool = False) -> None:
        self.path = Path(path).expanduser().absolute()
        self._force = force
        self._connections: dict[str, Connection] = {}
        _check_target(self.path, force)
        with _named(self.path, "written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._scratch = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
            try:
                self._writer = Writer(
                    self._scratch / self.path.name, version=9, storage_plugin=StoragePlugin.MCAP
                )
                self._writer.open()
            except BaseException:
                shutil.rmtree(self._scratch, ignore_errors=True)
                raise

    def add_topic(self, topic: str, msgtype: str, latched: bool = False, qos: Qos | None = None) -> None:
        """Announce a topic, e.g. ``/image`` of ``sensor_msgs/msg/Image``; before its first message."""
        if msgtype not in typestore().fielddefs:
            raise SourceError(
                f"the definition of {msgtype} was not found beside the source nor on AMENT_PREFIX_PATH; "
                "build the workspace and source install/setup.bash"
            )
        with _named(self.path, "written"):
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=typestore(), offered_qos_profiles=[qos or offered_qos(latched)]
            )

    def write(self, topic: str, time_ns: int, message: Any) -> None:
        """Append a message given as the type store's dataclass."""
        with _named(self.path, "written"):
            data = typestore().serialize_cdr(message, self._connections[topic].msgtype)
            self._writer.write(self._connections[topic], time_ns, data)

    def write_raw(self, topic: str, time_ns: int, data: bytes | memoryview) -> None:
        """Append a message given as its CDR bytes (with the 4-byte encapsulation header)."""
        with _named(self.path, "written"):
            self._writer.write(self._connections[topic], time_ns, data)

    def close(self) -> None:
        """Finish the bag and give it its name."""
        with _named(self.path, "written"):
            try:
                self._writer.close()
                _check_target(self.path, self._force)
                if self.path.exists():
                    shutil.rmtree(self.path)
                (self._scratch / self.path.name).rename(self.path)
            finally:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def abort(self) -> None:
        """Give up and remove what was written."""
        try:
            self._writer.abort()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> "BagWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


def _check_target(path: Path, force: bool) -> None:
    """Refuse to overwrite: anything without ``force``, and with it whatever is not a bag."""
    if not path.exists() and not path.is_symlink():
        return
    if not force:
        raise SourceError(f"{path} exists already; choose another name or give --force to replace it")
    if path.is_symlink() or not (path / "metadata.yaml").is_file():
        raise SourceError(
            f"{path} exists and is not a bag folder, so --force does not replace it; choose another name"
        )


@dataclass(frozen=True, slots=True)
class BagMessage:
    """One message of a bag: its CDR bytes, untouched, and when it was recorded (ns)."""

    topic: str
    msgtype: str
    time_ns: int
    data: bytes


class BagReader:
    """Reads a bag folder or a single .mcap / .db3 file. Types come from the bag itself where it holds them.

    Attributes:
        topics: topic name to message type.
        counts: topic name to number of messages.
        start_ns, end_ns: times of the first and last message.

    Raises:
        SourceError: missing, damaged, or without messages.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = _bag_file(Path(path).expanduser())
        with _named(self.path, "read"):
            self._reader = AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_KILTED))
            self._reader.open()
        if self._reader.message_count == 0:
            self.close()
            raise SourceError(f"{self.path}: the bag holds no messages; record it again")
        self.topics = {item.topic: item.msgtype for item in self._reader.connections}
        self.counts: dict[str, int] = dict.fromkeys(self.topics, 0)
        for item in self._reader.connections:
            self.counts[item.topic] += item.msgcount
        self.start_ns = int(self._reader.start_time)
        # rosbags' end is exclusive.
        self.end_ns = max(self.start_ns, int(self._reader.end_time) - 1)

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Messages in order of time, of some topics only and from a time on if asked for."""
        chosen = [item for item in self._reader.connections if topics is None or item.topic in topics]
        if not chosen:
            return
        with _named(self.path, "read"):
            for connection, time_ns, data in self._reader.messages(connections=chosen, start=start_ns):
                yield BagMessage(connection.topic, connection.msgtype, time_ns, data)

    def decode(self, message: BagMessage) -> Any:
        """The message as the type store's dataclass."""
        with _named(self.path, "read"):
            return self._reader.deserialize(message.data, message.msgtype)

    def qos(self, topic: str) -> Qos | None:
        """QoS the topic was offered with; None where the bag does not say."""
        for item in self._reader.connections:
            profiles = getattr(item.ext, "offered_qos_profiles", None)
            if item.topic == topic and profiles:
                profile: Qos = profiles[0]
                return profile
        return None

    def digest(self, topic: str) -> str:
        """Hash of the message definition the topic was recorded with; empty where the bag does not say."""
        return next((str(item.digest or "") for item in self._reader.connections if item.topic == topic), "")

    def has_header(self, msgtype: str) -> bool:
        """True where messages of this type begin with a ``std_msgs/Header``."""
        definition = self._reader.typestore.fielddefs.get(msgtype)
        if not definition or not definition[1]:
            return False
        _, (_, detail) = definition[1][0]
        return detail == "std_msgs/msg/Header"

    def image_topic(self) -> str | None:
        """The raw image topic: ``/fluoroscopy/image_raw`` if there, else the first; None without any.

        Masks and overlays, the node's own images, come last.
        """
        images = [
            topic for topic, msgtype in self.topics.items() if msgtype == IMAGE_TYPE and self.counts[topic]
        ]
        images.sort(key=lambda topic: topic.endswith(("/mask", "/overlay")))
        return IMAGE_TOPIC if IMAGE_TOPIC in images else next(iter(images), None)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def __enter__(self) -> "BagReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _bag_file(path: Path) -> Path:
    """The path rosbags opens: a folder with metadata, or its only storage file where that is missing."""
    if not path.exists():
        raise SourceError(f"{path}: no such bag; expected a bag folder or an .mcap file")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [*path.glob("*.mcap"), *path.glob("*.db3")]
        if len(files) != 1:
            raise SourceError(f"{path}: not a bag (no metadata.yaml and {len(files)} storage files in it)")
        return files[0]
    return path
