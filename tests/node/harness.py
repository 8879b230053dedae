"""A perception node as a process of its own, and a peer in the test's process that talks to it over DDS."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import rclpy
import torch
from cath_msgs.msg import ElectrodeArray, PerceptionStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node.frames import image, packed, scene
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cath_perception.bundle import ModelBundle
from cath_perception.network import build
from cath_perception.perceptor import Perceptor

Message = TypeVar("Message")
PATIENCE_S = 60.0
_domains = itertools.count(os.getpid() * 7)


def fresh_domain() -> int:
    """A ROS domain id (1..101, what Linux' port range leaves), another one at each call."""
    return 1 + next(_domains) % 101


def random_bundle(path: Path, name: str, threshold: float = 0.4) -> Path:
    """Save a small network with random weights, always the same, that finds some electrodes in any image.

    It is converted for OpenVINO here, so that the nodes that load it find it in the cache.
    """
    torch.manual_seed(1)
    architecture = {"name": "light", "widths": [8, 8, 16, 16, 16], "decoder": [16, 16, 16], "hidden": 16}
    network = build(architecture).eval()
    with torch.no_grad():
        network.detect.project["centre"].bias[0] = 0.0
    ModelBundle(name, architecture, 128, electrode_threshold=threshold, mask_threshold=0.5).save(
        path, network
    )
    Perceptor.open(path, "openvino").close()
    return path


class Inbox(list[Message], Generic[Message]):
    """Messages received on a topic, oldest first."""

    def of(self, header: Header) -> Message | None:
        """The message with this header, or that begins with a marker that has it."""
        for message in self:
            first = message.markers[0] if hasattr(message, "markers") else message
            if first.header == header:
                return message
        return None


class Peer:
    """A ROS node in the test's own process. Nothing is waited for by sleeping: ``wait`` spins."""

    def __init__(self, domain: int, name: str = "peer") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE_S) -> Any:
        """Spin until ``condition`` is true and return its value; fail after ``timeout`` s."""
        value = self.poll(condition, timeout)
        assert value, f"waited {timeout:g} s in vain for {what}"
        return value

    def poll(self, condition: Callable[[], Any], timeout: float) -> Any:
        """Spin until ``condition`` is true or ``timeout`` s are over, and return its value."""
        end = time.monotonic() + timeout
        while not (value := condition()) and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def spin(self, seconds: float) -> None:
        """Spin for a while, to see that something does not happen."""
        self.poll(lambda: False, seconds)

    def listen(self, kind: type[Message], topic: str, matched: bool = True) -> Inbox[Message]:
        """Subscribe, reliably; with ``matched``, wait until a publisher is there."""
        inbox: Inbox[Message] = Inbox()
        subscription = self.node.create_subscription(kind, topic, inbox.append, QoSProfile(depth=100))
        if matched:
            self.wait(lambda: subscription.get_publisher_count() > 0, f"a publisher on {topic}")
        return inbox

    def publisher(self, kind: type, topic: str, qos: QoSProfile | None = None) -> Any:
        """A publisher, once somebody listens to it."""
        reliable = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        publisher = self.node.create_publisher(kind, topic, qos or reliable)
        self.wait(lambda: publisher.get_subscription_count() > 0, f"a subscriber on {topic}")
        return publisher

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self._clients.get(name) or self._clients.setdefault(
            name, self.node.create_client(kind, name)
        )
        self.wait(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.wait(future.done, f"the answer of {name}")
        return future.result()


class RemoteNode:
    """A perception node as others see it: lifecycle and parameters through its services."""

    def __init__(self, peer: Peer, name: str = "/perception") -> None:
        self.peer, self.name = peer, name

    def change(self, transition: int) -> bool:
        """Ask for a lifecycle transition; whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.peer.call(ChangeState, f"{self.name}/change_state", request).success)

    def configure(self) -> bool:
        return self.change(Transition.TRANSITION_CONFIGURE)

    def activate(self) -> bool:
        return self.change(Transition.TRANSITION_ACTIVATE)

    def deactivate(self) -> bool:
        return self.change(Transition.TRANSITION_DEACTIVATE)

    def cleanup(self) -> bool:
        return self.change(Transition.TRANSITION_CLEANUP)

    @property
    def state(self) -> str:
        """The lifecycle state's label."""
        return str(self.peer.call(GetState, f"{self.name}/get_state", GetState.Request()).current_state.label)

    def set(self, **values: Any) -> list[SetParametersResult]:
        """Set parameters one by one; the result of each."""
        request = SetParameters.Request()
        request.parameters = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        return list(self.peer.call(SetParameters, f"{self.name}/set_parameters", request).results)

    def get(self, name: str) -> Any:
        """A parameter's value."""
        response = self.peer.call(
            GetParameters, f"{self.name}/get_parameters", GetParameters.Request(names=[name])
        )
        return rclpy.parameter.parameter_value_to_python(response.values[0])

    def parameters(self) -> list[str]:
        """The names of all parameters."""
        response = self.peer.call(ListParameters, f"{self.name}/list_parameters", ListParameters.Request())
        return list(response.result.names)

    def describe(self, names: list[str]) -> list[ParameterDescriptor]:
        """The descriptors of parameters."""
        request = DescribeParameters.Request(names=names)
        return list(
            self.peer.call(DescribeParameters, f"{self.name}/describe_parameters", request).descriptors
        )


class Stream(RemoteNode):
    """Frames to a configured node, and what it answers. Topics that are remapped must be given."""

    def __init__(
        self,
        peer: Peer,
        name: str = "/perception",
        image_topic: str | None = None,
        electrodes: str | None = None,
        kind: type = Image,
    ) -> None:
        super().__init__(peer, name)
        self._kind = kind
        self.statuses = peer.listen(PerceptionStatus, f"{name}/status")
        self.diagnostics = peer.listen(DiagnosticArray, "/diagnostics")
        self.electrodes = peer.listen(ElectrodeArray, electrodes or f"{name}/electrodes")
        self.images = peer.publisher(kind, image_topic or f"{name}/image")

    @classmethod
    def configured(cls, peer: Peer, name: str = "/perception", **topics: Any) -> "Stream":
        """Configure and activate the node, and connect to all of its topics that are needed."""
        node = RemoteNode(peer, name)
        assert node.configure()
        assert node.activate()
        stream = cls(peer, name, **topics)
        stream.connect()
        return stream

    def connect(self) -> None:
        """Send frames until one is answered on every topic.

        The node's publishers discover their listeners in their own time, and publish for known ones only.
        """
        self.reach(self.statuses, self.electrodes)

    def reach(self, *inboxes: Inbox[Any]) -> Header:
        """Send frames until one has come back on all ``inboxes``; its header."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            message = self.frame()
            self.images.publish(message)
            returned = partial(_are_in, message.header, inboxes)
            if self.peer.poll(returned, 0.5):
                return message.header
        raise AssertionError(
            f"no frame came back on all topics: {[len(inbox) for inbox in inboxes]} messages"
        )

    def frame(self) -> Any:
        """A good frame, stamped now."""
        if self._kind is Image:
            return image(self.header(), scene())
        return packed(self.header(), scene(), "png")

    def header(self, age: float = 0.0) -> Header:
        """A header stamped ``age`` s ago."""
        stamp = self.peer.node.get_clock().now() - rclpy.duration.Duration(seconds=age)
        return Header(stamp=stamp.to_msg(), frame_id="fluoroscopy")

    def status_of(self, header: Header) -> PerceptionStatus:
        """The status of the frame with this header."""
        return self.peer.wait(lambda: self.statuses.of(header), f"the status of the frame of {header.stamp}")

    def send(self, message: Any) -> PerceptionStatus:
        """Publish a frame and return its status."""
        self.images.publish(message)
        return self.status_of(message.header)

    def answer(self, message: Any) -> ElectrodeArray:
        """Publish a frame that must be answered, and return its electrodes."""
        status = self.send(message)
        assert status.state == PerceptionStatus.OK, status.message
        return self.peer.wait(lambda: self.electrodes.of(message.header), "electrodes")

    def diagnosed(self, condition: Callable[[DiagnosticStatus, Mapping[str, str]], bool]) -> DiagnosticStatus:
        """Wait for a status on /diagnostics for which ``condition(status, its values)`` holds, or held before."""

        def _found() -> DiagnosticStatus | None:
            statuses = (status for array in self.diagnostics for status in array.status)
            return next((status for status in statuses if condition(status, values(status))), None)

        return self.peer.wait(_found, "a diagnostic status")


def _are_in(header: Header, inboxes: tuple[Inbox[Any], ...]) -> bool:
    return all(inbox.of(header) for inbox in inboxes)


def values(status: DiagnosticStatus) -> dict[str, str]:
    """A diagnostic status' key-value pairs."""
    return {pair.key: pair.value for pair in status.values}


class NodeProcess:
    """``python -m cath_perception.node`` in a ROS domain; what it prints is kept in ``output``."""

    def __init__(self, domain: int, command: tuple[str, ...], ros_arguments: tuple[str, ...]) -> None:
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
        arguments = [sys.executable, *command, "--ros-args", *ros_arguments]
        self._log = Path(os.environ["ROS_LOG_DIR"]) / f"node_{time.monotonic_ns()}.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        """What the node has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait(timeout)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it: politely first, so that the domain is left clean."""
        if self.running:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
