"""Gaps, stamps that go backwards, and the future."""

import pytest

from cath_perception.intake import NEW_RUN_NS, GapCounter, StampError, StampGuard, check_not_future


def test_gaps_are_counted_for_each_publisher_from_its_first_frame() -> None:
    gaps = GapCounter()
    assert [gaps.missed(b"a", number) for number in (7, 8, 11, 12)] == [0, 0, 2, 0]
    assert [gaps.missed(b"b", number) for number in (1, 2, 3)] == [0, 0, 0]
    assert gaps.missed(b"a", 14) == 1
    assert gaps.exact


def test_a_publisher_that_begins_anew_is_no_gap() -> None:
    gaps = GapCounter()
    assert [gaps.missed(b"", number) for number in (500, 501, 1, 2, 4)] == [0, 0, 0, 0, 1]
    gaps.reset()
    assert gaps.missed(b"", 100) == 0


def test_publishers_that_cannot_be_told_apart_are_no_gaps() -> None:
    gaps = GapCounter()
    assert [gaps.missed(b"", number) for number in (100, 5, 101, 6, 102, 7)] == [0] * 6


def test_many_publishers_take_no_memory_for_ever() -> None:
    gaps = GapCounter()
    for publisher in range(10_000):
        assert gaps.missed(publisher.to_bytes(16, "big"), 1) == 0
    assert gaps.missed((9_999).to_bytes(16, "big"), 3) == 1


def test_without_sequence_numbers_nothing_is_claimed() -> None:
    gaps = GapCounter()
    assert gaps.missed(b"a", None) == 0
    assert not gaps.exact


def test_rising_and_equal_stamps_pass() -> None:
    guard = StampGuard()
    for stamp in (5, 5, 6, 10**18):
        guard.check(stamp)


def test_late_frame_is_refused_and_the_next_is_not() -> None:
    guard = StampGuard()
    guard.check(NEW_RUN_NS * 10)
    with pytest.raises(StampError, match=r"1\.0 ms older"):
        guard.check(NEW_RUN_NS * 10 - 1_000_000)
    guard.check(NEW_RUN_NS * 10)


def test_jump_back_costs_one_frame_and_begins_a_new_run() -> None:
    guard = StampGuard()
    guard.check(NEW_RUN_NS * 10)
    with pytest.raises(StampError, match=r"went back by 9\.000 s"):
        guard.check(NEW_RUN_NS)
    guard.check(NEW_RUN_NS + 1)
    guard.reset()
    guard.check(0)


@pytest.mark.parametrize(("age", "limit"), [(-0.4, 0.5), (3.0, 0.5), (-100.0, 0.0)])
def test_not_the_future(age: float, limit: float) -> None:
    check_not_future(age, limit)


def test_the_future_is_refused() -> None:
    with pytest.raises(StampError, match=r"0\.600 s in the future, limit 0\.5 s"):
        check_not_future(-0.6, 0.5)
