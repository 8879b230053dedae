"""A wait that a signal handler may end."""

import time

_STEP_S = 0.02


class Interruption:
    """What a signal handler sets and the main thread waits for.

    Not ``threading.Event``: a handler runs between two instructions of the main thread, and where those are inside
    ``Event.wait``, which holds the event's lock then, ``Event.set`` waits for that lock for ever. This one has none.
    """

    def __init__(self) -> None:
        self._happened = False

    def set(self) -> None:
        """End every wait, the present one within 0.02 s; safe in a signal handler."""
        self._happened = True

    def is_set(self) -> bool:
        """Whether it happened."""
        return self._happened

    def wait(self, seconds: float) -> None:
        """Return after ``seconds`` (at once if they are negative), or when it happens."""
        end = time.monotonic() + seconds
        while not self._happened and (left := end - time.monotonic()) > 0.0:
            time.sleep(min(left, _STEP_S))
