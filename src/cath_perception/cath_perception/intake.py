"""What a stream of frames is checked for before perception: gaps, age, stamps that go backwards. ROS-free."""

from dataclasses import dataclass

from cath_perception.errors import CathError

NEW_RUN_NS = 1_000_000_000
"""Stamps that step back by this much or more start a new run (a bag that loops, a clock that was set)."""


class StampError(CathError):
    """A frame whose stamp does not fit the stream: it goes backwards or lies in the future."""


@dataclass(slots=True)
class Counters:
    """Frames since configuration; received = processed + stale + failed.

    Attributes:
        received: frames handed to the node while active.
        processed: frames answered.
        dropped: frames that were published and never handed to the node, because a newer one replaced them in
            the queue of one or the transport lost them.
        stale: frames received older than the age limit, not answered.
        failed: frames received that could not be answered: bad input or an error.
    """

    received: int = 0
    processed: int = 0
    dropped: int = 0
    stale: int = 0
    failed: int = 0


class GapCounter:
    """Counts frames that were published and never received, from each publisher's sequence numbers.

    A publisher's first frame sets where counting begins. Numbers that fall begin anew, and count from the next rise:
    so a publisher that was restarted is no gap, nor are several that the middleware (ROS 2 Jazzy) does not tell apart.
    ``exact`` turns False where it gives no sequence numbers; then its lost-message events are the only count.
    """

    _PUBLISHERS = 64

    def __init__(self) -> None:
        self.exact = True
        self._last: dict[bytes, tuple[int, bool]] = {}  # the newest number, and whether it was a rise

    def missed(self, publisher: bytes, sequence: int | None) -> int:
        """Frames missed between this frame and the one before it from the same publisher."""
        self.exact = sequence is not None
        if sequence is None:
            return 0
        before = self._last.get(publisher)
        if before is None and len(self._last) >= self._PUBLISHERS:
            self._last.clear()
        rising = before is None or sequence > before[0]
        self._last[publisher] = (sequence, rising)
        return sequence - before[0] - 1 if before is not None and before[1] and rising else 0

    def reset(self) -> None:
        """Forget all publishers: what is missed until the next frame is not counted."""
        self._last.clear()


class StampGuard:
    """Refuses frames whose stamp goes backwards.

    A frame stamped before the newest one taken is refused. If it is earlier by ``NEW_RUN_NS`` or more, a new
    run is assumed: that frame is refused too, and the ones after it are taken on the new time line.
    """

    def __init__(self) -> None:
        self._newest: int | None = None

    def check(self, stamp_ns: int) -> None:
        """Take ``stamp_ns`` as the newest, or raise ``StampError``. Equal stamps are taken."""
        newest, back = self._newest, 0 if self._newest is None else self._newest - stamp_ns
        if newest is None or back <= 0:
            self._newest = stamp_ns
        elif back >= NEW_RUN_NS:
            self._newest = stamp_ns
            raise StampError(
                f"stamp went back by {back / 1e9:.3f} s, expected rising stamps: frame dropped, a new "
                "run begins with it"
            )
        else:
            raise StampError(
                f"stamp is {back / 1e6:.1f} ms older than the newest frame's, expected rising stamps: "
                "late frame dropped"
            )

    def reset(self) -> None:
        """Take any stamp next."""
        self._newest = None


def check_not_future(age_s: float, limit_s: float) -> None:
    """Raise ``StampError`` for a frame stamped more than ``limit_s`` (0: no limit) ahead of the clock."""
    if limit_s > 0 and age_s < -limit_s:
        raise StampError(
            f"stamp is {-age_s:.3f} s in the future, limit {limit_s:g} s: the clocks of camera and node "
            "differ; synchronize them, or set use_sim_time if this is a replay"
        )
