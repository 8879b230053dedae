"""Runs the perception node as a process of its own and listens to it over DDS: what demo, bench and node share."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from cath_perception.errors import CathError

NODE = "/perception"
CONFIGURE_S = 600.0  # a model may have to be compiled first
ANSWER_S = 30.0


class LiveError(CathError):
    """The node or a replay could not be run, or did not answer."""


def default_parameters() -> Path:
    """The installed ``perception.yaml``; LiveError where the package is not installed."""
    try:
        return Path(get_package_share_directory("cath_perception")) / "config" / "perception.yaml"
    except PackageNotFoundError as error:
        raise LiveError(
            "cath_perception is not installed: build the workspace and source it, or use ./cath"
        ) from error


def node_command(image_topic: str, settings: dict[str, Any], params_file: Path | None = None) -> list[str]:
    """The command line of the node as the launch file starts it; ``settings`` are parameters by name."""
    command = [sys.executable, "-m", "cath_perception.node", "--ros-args"]
    command += ["--params-file", str(params_file or default_parameters())]
    command += ["-r", f"~/image:={image_topic}"]
    for name, value in settings.items():
        command += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
    return command


class Process:
    """A child process that is ended by SIGINT, the way Ctrl-C ends it; its output goes to ``log``, or to ours."""

    def __init__(self, command: Sequence[str], log: Path | None) -> None:
        self.name, self.log = " ".join(command[1:3]), log
        output: int | None = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            # a session of its own: Ctrl-C reaches the child through stop() only, once
            self._child = subprocess.Popen(
                command,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            if output is not None:
                os.close(output)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._child.poll()

    def last_words(self, lines: int = 4) -> str:
        """The end of its output; where it went to ours, that is said."""
        if self.log is None:
            return "see its output above"
        return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-lines:])

    def stop(self, timeout: float = 10.0) -> int:
        """SIGINT, and SIGKILL for one that does not end within ``timeout`` s; the exit code."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self._child.kill()
        return self._child.wait()


class Session:
    """A ROS node of this process and the children it watches; leaving the ``with`` block ends them all.

    For the main thread. SIGTERM and SIGHUP leave it as Ctrl-C does, with exit code 128 and the signal's number: children
    have sessions of their own, and would go on without anybody.
    """

    def __init__(self, name: str) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(f"{name}_{os.getpid()}", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._children: list[Process] = []
        self._ended_by: list[signal.Signals] = []

    def __enter__(self) -> "Session":
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Else it is ignored, as nohup has it, or somebody's.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _leave)
                self._ended_by.append(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._ended_by:
            signal.signal(number, signal.SIG_IGN)  # a second one does not cut the clean end short
        for child in reversed(self._children):
            child.stop()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
        for number in self._ended_by:
            signal.signal(number, signal.SIG_DFL)

    def start(self, command: Sequence[str], log: Path | None) -> Process:
        """Run ``command`` until the session ends."""
        child = Process(command, log)
        self._children.append(child)
        return child

    def spin_until(
        self, condition: Callable[[], Any], what: str, timeout: float, child: Process | None = None
    ) -> None:
        """Handle messages until ``condition`` holds. LiveError after ``timeout`` s or if ``child`` ends before."""
        end = time.monotonic() + timeout
        while not condition():
            if child is not None and child.code is not None and not condition():
                raise LiveError(
                    f"{child.name} ended with code {child.code} while waiting for {what}: {child.last_words()}"
                )
            if time.monotonic() > end:
                raise LiveError(
                    f"waited {timeout:g} s in vain for {what}"
                    + (f"; see {child.log}" if child and child.log else "")
                )
            self._executor.spin_once(timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        """Handle messages for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)

    def listen(
        self, kind: type, topic: str, callback: Callable[[bytes, dict[str, Any]], None], depth: int = 50
    ) -> Any:
        """Subscribe reliably; ``callback`` gets the CDR bytes and rclpy's message info."""

        def raw(data: bytes, info: dict[str, Any]) -> None:
            callback(data, info)

        return self.node.create_subscription(kind, topic, raw, QoSProfile(depth=depth), raw=True)

    def change_state(self, transition: int, child: Process, timeout: float) -> None:
        """One lifecycle transition of the perception node; LiveError with its last words if it is refused."""
        client = self.node.create_client(ChangeState, f"{NODE}/change_state")
        self.spin_until(client.service_is_ready, "the perception node's services", ANSWER_S, child)
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        self.spin_until(future.done, "the perception node's transition", timeout, child)
        self.node.destroy_client(client)
        response = future.result()
        if response is None or not response.success:
            raise LiveError(f"the perception node refused: {child.last_words()}")

    def start_perception(
        self, image_topic: str, settings: dict[str, Any], log: Path | None, params_file: Path | None = None
    ) -> Process:
        """Start the node, configure and activate it."""
        child = self.start(node_command(image_topic, settings, params_file), log)
        self.change_state(Transition.TRANSITION_CONFIGURE, child, CONFIGURE_S)
        self.change_state(Transition.TRANSITION_ACTIVATE, child, ANSWER_S)
        return child


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def stamp_of_cdr(data: bytes) -> int:
    """The header stamp in ns of a CDR message that begins with a ``std_msgs/Header``."""
    order = "little" if data[1] & 1 else "big"
    seconds = int.from_bytes(data[4:8], order, signed=True)  # type: ignore[arg-type]
    return seconds * 1_000_000_000 + int.from_bytes(data[8:12], order)  # type: ignore[arg-type]
