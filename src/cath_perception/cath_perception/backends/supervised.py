"""GPU backends under watch: each in a process of its own, replaced when it fails, with a stand-in meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from cath_perception.backends.base import Answer, Backend, Options
from cath_perception.backends.worker import Worker
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError, DeviceError, EngineMissingError

SETTLED = 100
"""Frames after which a device counts as well again, and the next attempt to get it back comes early again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in s: for a process to start, for a frame to be answered, and between two attempts (doubling each time)."""

    start: float = 180.0
    answer: float = 2.0
    retry: float = 5.0
    longest_retry: float = 60.0


class SupervisedBackend(Backend):
    """The first of several GPU backends that works, else a CPU backend; always the best one there is at a frame.

    Nothing here waits but the constructor: processes start, engines are built and attempts are made beside the frames,
    and the answering backend changes between two of them. ``name`` and ``description`` are of the one that answered
    last, ``notice`` says why it is not the first and what is done about it.

    Args:
        names: of GPU backends, best first. The later ones answer while the first has no engine or cannot work here;
            where it is the device that failed, they would fail as well and are not tried.
        fallback: name of the CPU backend made ready at once to answer while no GPU backend can; ``none`` for none.

    The constructor returns once a GPU backend answers or all have failed; where nothing will answer then, it raises
    the first one's error.
    """

    resizes = True

    def __init__(
        self,
        bundle: ModelBundle,
        options: Options,
        names: tuple[str, ...],
        fallback: str,
        pace: Pace = Pace(),
    ) -> None:
        super().__init__(bundle, options)
        self.name, self.description = names[0], "starting"
        on_gpu = options if options.device.startswith("cuda") else replace(options, device="cuda")
        self._levels = [_Level(name, bundle, on_gpu, pace) for name in names]
        self._fallback = _cpu_backend(fallback, bundle, options)
        self._levels[0].start()
        while not self._ready and any(level.starting for level in self._levels):
            for level in self._levels:
                level.poll(0.1)
            self.tend()
        if self._fallback is None and not self._ready:
            error = self._levels[0].error
            self.close()
            raise error or BackendError(f"{names[0]} did not start")

    def infer(self, image: NDArray[Any]) -> Answer:
        """See Backend. A device that fails costs no frame where something else is ready to answer it."""
        self.tend()
        for level in self._levels:
            if level.ready and (answer := level.try_infer(image)) is not None:
                return answer
            self._tell(but=level)
        if self._fallback is not None:
            return self._fallback.perceive(image)
        raise self._levels[0].error or BackendError("no backend is ready")

    def tend(self) -> None:
        """Look after the processes: start what is due, end what is no longer needed."""
        for index, level in enumerate(self._levels):
            level.tend()
            if level.ready:
                for lower in self._levels[index + 1 :]:
                    lower.close()
                break
            if level.wants_substitute and index + 1 < len(self._levels):
                self._levels[index + 1].start()
        self._tell()

    @property
    def _ready(self) -> bool:
        return any(level.ready for level in self._levels)

    def close(self) -> None:
        """See Backend."""
        for level in self._levels:
            level.close()
        if self._fallback is not None:
            self._fallback.close()

    def _tell(self, but: _Level | None = None) -> None:
        """Say what answers now, ``but`` for a level that has just failed a frame."""
        first = self._levels[0]
        ready = (level.worker for level in self._levels if level.ready and level is not but)
        answering = next(ready, None) or self._fallback
        if answering is not None:
            self.name, self.description = answering.name, answering.description
        else:
            self.name, self.description = first.name, "not available"
        self.fault = first.error.fault if isinstance(first.error, DeviceError) else None
        self.notice = "" if first.ready and but is not first else f"{first.name}: {first.trouble}"


class _Level:
    """One GPU backend: its process, the building of its engine, and the attempts to get it back."""

    def __init__(self, name: str, bundle: ModelBundle, options: Options, pace: Pace) -> None:
        self.name = name
        self.worker: Worker | None = None
        self.error: BackendError | None = None
        self._bundle, self._options, self._pace = bundle, options, pace
        self._build: EngineBuild | None = None
        self._again_at, self._pause, self._answered = float("inf"), pace.retry, 0

    @property
    def ready(self) -> bool:
        return self.worker is not None and self.worker.ready

    @property
    def starting(self) -> bool:
        return self.worker is not None and self.worker.error is None and not self.worker.ready

    @property
    def wants_substitute(self) -> bool:
        """Whether another backend on the same device would do better."""
        return self.error is not None and not isinstance(self.error, DeviceError)

    @property
    def trouble(self) -> str:
        """Why it does not answer and what is done about it."""
        if self._build is not None and self._build.code is None:
            return f"its engine is being built, {self._build.seconds:.0f} s: {self._build.last_line}"
        if self.error is None:
            return "starting"
        if self.starting:
            return f"{self.error}; starting again"
        wait = self._again_at - time.monotonic()
        return f"{self.error}; next attempt in {max(0.0, wait):.0f} s" if wait < 1e9 else str(self.error)

    def start(self) -> None:
        """Start its process unless there is one, or it is known that it cannot work."""
        if self.worker is None and (self.error is None or self._again_at <= time.monotonic()):
            self._again_at = float("inf")
            self.worker = Worker(self.name, self._bundle, self._options, self._pace.start, self._pace.answer)

    def poll(self, wait_s: float = 0.0) -> None:
        """See what became of its process."""
        if self.worker is None:
            return
        self.worker.poll(wait_s)
        if self.worker.error is not None:
            self._failed(self.worker.error)

    def tend(self) -> None:
        """Take what has happened and do what is due."""
        self.poll()
        if self.ready:
            self.error = None
        if self._build is not None and self._build.code is not None:
            if self._build.code == 0:
                self._again_at = 0.0
            else:
                self.error = BackendError(f"building its engine failed: {self._build.last_line}")
            self._build.close()
            self._build = None
        if self._again_at <= time.monotonic():
            self.start()

    def try_infer(self, image: NDArray[Any]) -> Answer | None:
        """Its answer; None where it failed (``error`` says how)."""
        assert self.worker is not None
        try:
            answer = self.worker.infer(image)
            self._answered += 1
            if self._answered == SETTLED:
                self._pause = self._pace.retry
            return answer
        except BackendError as error:
            if self.worker.error is not None:
                self._failed(self.worker.error)
            else:
                self.error = error
            return None

    def close(self) -> None:
        """End its process and the building of its engine; ``start`` begins anew."""
        if self.worker is not None:
            self.worker.close()
        if self._build is not None:
            self._build.close()
        self.worker = self._build = self.error = None
        self._again_at = float("inf")

    def _failed(self, error: BackendError) -> None:
        self.error, self.worker, self._answered = error, None, 0
        if isinstance(error, EngineMissingError) and self._build is None:
            self._build = EngineBuild(self._bundle, self._options)
        elif isinstance(error, DeviceError):
            self._again_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, self._pace.longest_retry)


class EngineBuild:
    """``build-engine`` in a process of its own, at low priority, so that frames are answered meanwhile.

    Attributes:
        last_line: the newest line it printed, "" before the first.
    """

    def __init__(self, bundle: ModelBundle, options: Options) -> None:
        command = [sys.executable, "-m", "cath_perception.cli", "build-engine", str(bundle.path.resolve())]
        command += ["--device", options.device, "--cache-dir", str(options.cache)]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONUNBUFFERED": "1",
        }
        self._child = subprocess.Popen(
            ["nice", "-n", "10", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)
        self._began, self._text = time.monotonic(), b""

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._began

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._child.poll()

    @property
    def last_line(self) -> str:
        """The newest line it printed."""
        assert self._child.stdout is not None
        if not self._child.stdout.closed:
            self._text = (self._text + (self._child.stdout.read() or b""))[-4096:]
        lines = [line for line in self._text.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""

    def close(self) -> None:
        """End it, if it still runs; what was not finished is not kept."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(2.0)
            except subprocess.TimeoutExpired:
                self._child.kill()
        with suppress(subprocess.TimeoutExpired):  # a driver that hangs does not let it go
            self._child.wait(1.0)
        assert self._child.stdout is not None
        self._child.stdout.close()


def _cpu_backend(name: str, bundle: ModelBundle, options: Options) -> Backend | None:
    from cath_perception.backends import BACKENDS

    if name == "none":
        return None
    return BACKENDS[name].open(bundle, replace(options, device="cpu"))
