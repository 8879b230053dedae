"""A wait ends when its time is over or a signal comes, at whatever instruction that is."""

import signal
import subprocess
import sys
import time

import pytest

from cath_perception.interruption import Interruption

SIGNALS_AT_EVERY_INSTRUCTION = """
import signal, time
from cath_perception.interruption import Interruption

interruption = Interruption()

def handler(*_):
    # One at a time: what hangs is to hang, not to pile up.
    signal.setitimer(signal.ITIMER_REAL, 0)
    interruption.set()

signal.signal(signal.SIGALRM, handler)
for n in range(4000):
    interruption.__init__()
    signal.setitimer(signal.ITIMER_REAL, 1e-4)
    while not interruption.is_set():
        interruption.wait(1e-5)
"""


def test_a_signal_never_meets_a_lock() -> None:
    subprocess.run([sys.executable, "-c", SIGNALS_AT_EVERY_INSTRUCTION], check=True, timeout=60)


def test_a_signal_ends_a_long_wait() -> None:
    interruption = Interruption()
    kept = signal.signal(signal.SIGALRM, lambda *_: interruption.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        started = time.monotonic()
        interruption.wait(30.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, kept)
    assert interruption.is_set()
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize("seconds", [0.05, 0.0, -1.0])
def test_without_one_it_lasts_as_long_as_asked(seconds: float) -> None:
    interruption = Interruption()
    started = time.monotonic()
    interruption.wait(seconds)
    assert max(seconds, 0.0) <= time.monotonic() - started < max(seconds, 0.0) + 1.0
    assert not interruption.is_set()
