"""The report on /diagnostics and the limit on the log, without any process."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed here")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from cath_perception.diagnostics import LogLimit, Report, State
from cath_perception.intake import Counters


def published(report: Report) -> DiagnosticStatus:
    array = report.message(
        "node", "cpu", "active", Time(sec=4), Counters(received=9, failed=2), {"model": "light"}
    )
    assert array.header.stamp.sec == 4
    return array.status[0]


def pairs(status: DiagnosticStatus) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def test_worst_state_wins_and_is_reported_once() -> None:
    report = Report()
    report.note(State.OK, "", 10.0)
    report.note(State.BAD_INPUT, "empty image")
    report.note(State.OK, "", 30.0)
    first = published(report)
    assert (first.level, first.message) == (DiagnosticStatus.WARN, "empty image")
    assert (first.name, first.hardware_id) == ("node", "cpu")
    shown = pairs(first)
    assert (shown["state"], shown["frames_received"], shown["frames_failed"]) == ("BAD_INPUT", "9", "2")
    assert (shown["latency_ms_mean"], shown["latency_ms_max"], shown["model"]) == ("20.00", "30.00", "light")
    report.note(State.OK, "", 10.0)
    second = published(report)
    assert (second.level, second.message) == (DiagnosticStatus.OK, "active")
    assert pairs(second)["last_error"] == "empty image"


def test_error_is_an_error() -> None:
    report = Report()
    report.note(State.ERROR, "device lost")
    report.note(State.STALE, "old")
    status = published(report)
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "device lost")
    assert pairs(status)["last_error"] == "old"


def test_log_lets_one_of_a_kind_through() -> None:
    limit = LogLimit(period=3600.0)
    assert limit.admit("frame is 1.5 s old") == "frame is 1.5 s old"
    assert limit.admit("frame is 2.5 s old") is None
    assert limit.admit("empty image") == "empty image"


def test_log_says_what_it_held_back() -> None:
    limit = LogLimit(period=0.0)
    limit.admit("a 1")
    limit._period = 3600.0
    assert limit.admit("a 2") is None
    assert limit.admit("a 3") is None
    limit._period = 0.0
    assert limit.admit("a 4") == "a 4 (2 more like it)"


def test_log_limit_remembers_a_bounded_number_of_kinds() -> None:
    limit = LogLimit(period=3600.0)
    for number in range(1000):
        limit.admit("x" * number)
    assert len(limit._logged) <= 64
