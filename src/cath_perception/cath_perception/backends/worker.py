"""A backend in a process of its own: what breaks there, or hangs, is ended and started again without this process.

A CUDA context that a fault has spoilt stays so until its process ends, and a crash in a driver takes the process with
it; hence everything that touches a GPU runs here when a node depends on it. Pixels and answers pass through memory that
both processes map; a socket carries who may touch it.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.backends.base import Answer, Backend, Options
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError, DeviceError, DeviceFault, EngineMissingError

_MESSAGE = 65536
_END_S = 1.0
_PAGE = mmap.PAGESIZE


class Worker:
    """One backend in one process; starts at once and is ``ready`` later, or has an ``error``.

    Args:
        name: of the backend, as registered.
        start_s, answer_s: how long it may take to start, and to answer a frame; beyond that it is ended.

    Attributes:
        ready: whether frames are answered.
        error: why it has ended; None while it runs.
        description: the backend's own, once ready.
    """

    def __init__(
        self, name: str, bundle: ModelBundle, options: Options, start_s: float = 180.0, answer_s: float = 5.0
    ) -> None:
        self.name, self.ready, self.description = name, False, ""
        self.error: BackendError | None = None
        self._size, self._answer_s = bundle.input_size, answer_s
        self._deadline = time.monotonic() + start_s
        self._memory = _Memory(os.memfd_create("cath_perception"))
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._child = _start(theirs, self._memory.descriptor)
        self._socket.send(json.dumps(_order(name, bundle, options)).encode())

    def poll(self, wait_s: float = 0.0) -> None:
        """See whether it has become ready, for at most ``wait_s``."""
        if self.ready or self.error is not None:
            return
        message = self._receive(min(wait_s, max(0.0, self._deadline - time.monotonic())))
        if message is not None:
            self.ready, self.description = True, message["description"]
            self._candidates = int(message["candidates"])
        elif self.error is None and time.monotonic() >= self._deadline:
            self._end(DeviceError(DeviceFault.LOST, f"{self.name} did not start in time"))

    def infer(self, pixels: NDArray[Any]) -> Answer:
        """Candidates and mask of ``(H, W)`` uint8, uint16 or float32 pixels; overwritten by the next call.

        Raises BackendError where this frame failed; after a DeviceError the process is gone.
        """
        if not self.ready:
            raise self.error or BackendError(f"{self.name} is not ready")
        start = _pages(_answer_bytes(self._candidates, self._size))
        self._memory.grow(start + pixels.nbytes)
        np.copyto(self._memory.view(pixels.shape, pixels.dtype, start), pixels)
        order = {
            "shape": pixels.shape,
            "dtype": pixels.dtype.name,
            "start": start,
            "bytes": self._memory.size,
        }
        with suppress(OSError):  # where it has ended, why is read below
            self._socket.send(json.dumps(order).encode())
        if self._receive(self._answer_s) is None:
            if self.error is None:
                self._end(DeviceError(DeviceFault.LOST, f"no answer in {self._answer_s:g} s"))
            raise self.error or BackendError("no answer")
        return _answer(self._memory, self._candidates, self._size)

    def close(self) -> None:
        """End the process; may be called more than once."""
        self._end(BackendError("inference failed: the backend is closed"))

    def _receive(self, wait_s: float) -> dict[str, Any] | None:
        """The next message; None where there is none in time, or the process has ended (then ``error`` says why).

        Raises BackendError for a message that says this frame failed and the process goes on.
        """
        self._socket.settimeout(max(wait_s, 1e-6))
        try:
            data = self._socket.recv(_MESSAGE)
        except TimeoutError:
            return None
        except OSError as error:
            self._end(DeviceError(DeviceFault.LOST, f"its process ended: {error.strerror}"))
            return None
        if not data:
            self._end(DeviceError(DeviceFault.LOST, f"its process ended{self._how_it_ended()}"))
            return None
        message: dict[str, Any] = json.loads(data)
        if "failed" not in message:
            return message
        reported = _error(message)
        if not message["ended"]:
            raise reported
        self._end(reported)
        return None

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._child.wait(_END_S)
            return f" with {signal.Signals(-code).name if code < 0 else f'code {code}'}"
        return ""

    def _end(self, error: BackendError) -> None:
        if self.error is None:
            self.error = error
        self.ready = False
        self._socket.close()
        if self._child.poll() is None:
            self._child.kill()  # it keeps nothing that would have to be finished
        with suppress(subprocess.TimeoutExpired):  # a driver that hangs does not let it go
            self._child.wait(_END_S)
        self._memory.close()


class _Memory:
    """Anonymous memory that two processes map by one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self._map = descriptor, None

    @property
    def size(self) -> int:
        return 0 if self._map is None else len(self._map)

    _map: mmap.mmap | None

    def grow(self, size: int) -> None:
        """Let it hold ``size`` bytes at least; what it held stays."""
        if size > self.size:
            whole = _pages(size)
            if os.fstat(self.descriptor).st_size < whole:
                os.ftruncate(self.descriptor, whole)
            self._map = mmap.mmap(self.descriptor, whole)

    def view(self, shape: tuple[int, ...], dtype: Any, start: int) -> NDArray[Any]:
        assert self._map is not None
        return np.ndarray(shape, dtype, self._map, start)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._map = None  # unmapped with the last view of it


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def _answer_bytes(candidates: int, size: int) -> int:
    return 4 * (5 * candidates + (size // 2) ** 2)


def _answer(memory: _Memory, candidates: int, size: int) -> Answer:
    return memory.view((candidates, 5), np.float32, 0), memory.view(
        (size // 2, size // 2), np.float32, 20 * candidates
    )


def _order(name: str, bundle: ModelBundle, options: Options) -> dict[str, Any]:
    from cath_perception.backends import BACKENDS

    told = asdict(options) | {"cache_dir": str(options.cache)}
    weights = bundle.weights_sha256
    return {
        "backend": BACKENDS[name],
        "model": str(bundle.path.resolve()),
        "weights": weights,
        "options": told,
    }


def _start(theirs: socket.socket, memory: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cath_perception.backends.worker", str(theirs.fileno()), str(memory)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=2, pass_fds=(theirs.fileno(), memory), env=environment
    )


def _error(message: dict[str, Any]) -> BackendError:
    text = str(message["failed"])
    if message["fault"]:
        fault = DeviceFault(message["fault"])
        return DeviceError(fault, text.removeprefix(f"{fault.value}: "))
    return EngineMissingError(text) if message["engine_missing"] else BackendError(text)


# In the process of its own


def _failed(error: Exception, ended: bool) -> bytes:
    text = str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
    fault = error.fault.value if isinstance(error, DeviceError) else ""
    missing = isinstance(error, EngineMissingError)
    return json.dumps(
        {"failed": text[:2000], "fault": fault, "engine_missing": missing, "ended": ended}
    ).encode()


def _open(order: dict[str, Any]) -> Backend:
    from cath_perception.backends import Registered

    bundle = ModelBundle.load(order["model"])
    if bundle.weights_sha256 != order["weights"]:
        raise BackendError(f"{order['model']}: changed since it was loaded; configure again")
    return Registered(*order["backend"]).open(bundle, Options(**order["options"]))


def _serve(channel: socket.socket, memory: _Memory) -> int:
    order = json.loads(channel.recv(_MESSAGE))
    try:
        backend = _open(order)
        size = backend.size
        candidates, _ = backend.perceive(np.zeros((size, size), np.uint8))  # what is made lazily is made now
    except Exception as error:
        channel.send(_failed(error, ended=True))
        return 1
    count = len(candidates)
    channel.send(json.dumps({"description": backend.description, "candidates": count}).encode())
    with backend:
        while data := channel.recv(_MESSAGE):
            told = json.loads(data)
            memory.grow(int(told["bytes"]))
            try:
                answers = backend.perceive(memory.view(tuple(told["shape"]), told["dtype"], told["start"]))
            except DeviceError as error:
                channel.send(_failed(error, ended=True))
                return 1
            except Exception as error:
                channel.send(_failed(error, ended=False))
                continue
            for place, part in zip(_answer(memory, count, size), answers, strict=True):
                np.copyto(place, part)
            channel.send(b"{}")
    return 0


def main() -> int:
    """Serve the process at the other end of the socket until it closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        return _serve(channel, _Memory(int(sys.argv[2])))


if __name__ == "__main__":
    sys.exit(main())
