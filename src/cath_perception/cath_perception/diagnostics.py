"""What the node says about itself: counts and times since the last report, worst state, last error."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from builtin_interfaces.msg import Time
from cath_msgs.msg import PerceptionStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from cath_perception.intake import Counters
from cath_perception.perceptor import Perceptor


class State(IntEnum):
    """State of the node or of one frame; values are those of ``cath_msgs/PerceptionStatus``."""

    INACTIVE = PerceptionStatus.INACTIVE
    OK = PerceptionStatus.OK
    NO_INPUT = PerceptionStatus.NO_INPUT
    STALE = PerceptionStatus.STALE
    BAD_INPUT = PerceptionStatus.BAD_INPUT
    ERROR = PerceptionStatus.ERROR
    DEADLINE_MISSED = PerceptionStatus.DEADLINE_MISSED


_SEVERITY = (
    State.INACTIVE,
    State.OK,
    State.DEADLINE_MISSED,
    State.STALE,
    State.NO_INPUT,
    State.BAD_INPUT,
    State.ERROR,
)
_FINE = (State.INACTIVE, State.OK)


class Report:
    """Collects what happened since the last report and turns it into a message for /diagnostics."""

    def __init__(self) -> None:
        self.last_error = "none"
        self._worst, self._message = State.INACTIVE, ""
        self._latencies: list[float] = []
        self._since = time.monotonic()

    def note(self, state: State, message: str = "", latency_ms: float = math.nan) -> None:
        """Note one event: a frame's state, a failed transition, silence. Answered frames have a latency."""
        if _SEVERITY.index(state) >= _SEVERITY.index(self._worst):
            self._worst, self._message = state, message
        if state not in _FINE:
            self.last_error = message
        if not math.isnan(latency_ms):
            self._latencies.append(latency_ms)

    def message(
        self,
        name: str,
        hardware: str,
        lifecycle: str,
        stamp: Time,
        counters: Counters,
        facts: Mapping[str, str],
        notice: str = "",
    ) -> DiagnosticArray:
        """The report, and the beginning of the next one.

        ``facts`` are further key-value pairs, ``notice`` what makes the level WARN though frames are answered.
        """
        level = DiagnosticStatus.OK if self._worst in _FINE and not notice else DiagnosticStatus.WARN
        level = DiagnosticStatus.ERROR if self._worst is State.ERROR else level
        values = {"lifecycle": lifecycle, "state": self._worst.name, **facts, **self._rates()}
        values |= {f"frames_{field}": str(getattr(counters, field)) for field in counters.__slots__}
        values["last_error"] = self.last_error
        status = DiagnosticStatus(
            level=level,
            name=name,
            hardware_id=hardware,
            message=self._message or notice or lifecycle,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        self._begin()
        return DiagnosticArray(header=Header(stamp=stamp), status=[status])

    def _rates(self) -> dict[str, str]:
        seconds = max(time.monotonic() - self._since, 1e-3)
        latencies = self._latencies or [float("nan")]
        return {
            "rate_hz": f"{len(self._latencies) / seconds:.1f}",
            "latency_ms_mean": f"{sum(latencies) / len(latencies):.2f}",
            "latency_ms_max": f"{max(latencies):.2f}",
        }

    def _begin(self) -> None:
        self._worst, self._message = State.INACTIVE, ""
        self._latencies.clear()
        self._since = time.monotonic()


@dataclass(slots=True)
class Engine:
    """What computes, as told in every status and report.

    Attributes:
        model: the bundle's name, before it is loaded the parameter.
        backend: the backend's name and description, before it is made the parameter.
        notice: what people should know of the backend though frames are answered, "" if nothing.
        fault: what ails its device, "none" if nothing.
    """

    model: str
    backend: str
    notice: str = ""
    fault: str = "none"

    @classmethod
    def of(cls, perceptor: Perceptor) -> "Engine":
        """What this perceptor computes with now."""
        backend = perceptor.backend
        fault = backend.fault.value if backend.fault else "none"
        return cls(perceptor.bundle.name, f"{backend.name} ({backend.description})", backend.notice, fault)

    def __str__(self) -> str:
        return f"{self.backend}; {self.notice}" if self.notice else self.backend


class Speaker:
    """Publishes ``~/status`` and ``/diagnostics``, and logs what people should read.

    Attributes:
        failure: why the node could not be configured; told as an error in every report until it is "".
    """

    def __init__(self, node: Node) -> None:
        self.failure = ""
        self._node, self._report, self._log_limit = node, Report(), LogLimit()
        self._status = node.create_publisher(PerceptionStatus, "~/status", 10)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def status(self, status: PerceptionStatus, engine: Engine) -> None:
        """Publish one status; what is not fine is logged and kept for the report."""
        state = State(status.state)
        status.model, status.backend = engine.model, str(engine)
        self._status.publish(status)
        self._report.note(state, status.message, status.latency_ms)
        if state not in _FINE:
            self.log(f"{state.name}: {status.message}")

    def diagnostics(self, lifecycle: str, counters: Counters, engine: Engine) -> None:
        """Publish what happened since the last report."""
        if self.failure:
            self._report.note(State.ERROR, self.failure)
        if engine.notice:
            self.log(engine.notice)
        name = f"{self._node.get_fully_qualified_name()}: catheter perception"
        facts = {
            "model": engine.model,
            "backend": engine.backend,
            "backend_notice": engine.notice,
            "device_fault": engine.fault,
        }
        stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(
            self._report.message(name, engine.backend, lifecycle, stamp, counters, facts, engine.notice)
        )

    def log(self, text: str) -> None:
        """A warning, unless one of its kind was logged a moment ago."""
        admitted = self._log_limit.admit(text)
        if admitted:
            self._node.get_logger().warning(admitted)


class LogLimit:
    """Lets one message of a kind through in ``period`` s; texts that differ only in numbers are of a kind."""

    _KINDS = 64

    def __init__(self, period: float = 5.0) -> None:
        self._period = period
        self._logged: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def admit(self, text: str) -> str | None:
        """The text to log now, with how many of its kind were held back; None to hold this one back."""
        kind, now = re.sub(r"[\d.]+", "#", text), time.monotonic()
        if now - self._logged.get(kind, float("-inf")) < self._period:
            self._held[kind] = self._held.get(kind, 0) + 1
            return None
        if len(self._logged) >= self._KINDS:
            self._logged.clear()
            self._held.clear()
        self._logged[kind] = now
        held = self._held.pop(kind, 0)
        return f"{text} ({held} more like it)" if held else text
