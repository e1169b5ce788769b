from __future__ import annotations

import logging

import pytest

from crm.api.lrm import ResourceAgent
from lrmd import results
from tests.kit.lrmd import order

ORDER = order(1, "IPaddr_1", "stop", agent=ResourceAgent("ocf", "IPaddr", "heartbeat"))


@pytest.mark.parametrize(
    ("line", "level", "entity", "text"),
    [
        ("INFO: address taken", logging.INFO, "IPaddr", "address taken"),
        ("WARNING: slow", logging.WARNING, "IPaddr", "slow"),
        (
            "IPaddr(IPaddr_1)[123]:\t2026/11/21_08:20:11 ERROR: no route",
            logging.ERROR,
            "IPaddr",
            "no route",
        ),
        (
            "SIOCDELRT: No such process",
            logging.INFO,
            "lrmd",
            "RA output: (IPaddr_1:stop:stderr) SIOCDELRT: No such process",
        ),
        (
            "ifconfig: ERROR: x",
            logging.INFO,
            "lrmd",
            "RA output: (IPaddr_1:stop:stderr) ifconfig: ERROR: x",
        ),
    ],
)
def test_a_line_on_standard_error_becomes_a_log_line(
    line: str, level: int, entity: str, text: str
) -> None:
    (note,) = results.notes(ORDER, "", line + "\n")
    assert (note.level, note.entity, note.text) == (level, entity, text)


def test_a_flood_is_cut_to_its_end_and_said_so() -> None:
    lines = "".join(f"line {number}\n" for number in range(1000))
    found = [note.text for note in results.notes(ORDER, "", lines)]
    assert len(found) == results.MAX_NOTED_LINES + 1
    assert "960 earlier lines left out" in found[0]
    assert found[-1].endswith("line 999")


def test_what_a_monitor_prints_is_a_detail() -> None:
    monitor = order(1, "web", "monitor", interval_ms=1000)
    assert [note.level for note in results.notes(monitor, "running\n", "")] == [logging.DEBUG]
    assert [note.level for note in results.notes(ORDER, "stopped\n", "")] == [logging.INFO]


def test_the_last_exit_reason_counts() -> None:
    errors = "ocf-exit-reason:first\nnoise\nocf-exit-reason: second \n"
    assert results.exit_reason_in(errors) == "second"
    assert results.exit_reason_in("noise\n") == ""


def test_an_operation_near_its_timeout_is_worth_a_warning() -> None:
    slow = results.slowness(ORDER, 17_000)
    assert slow is not None
    assert slow.level == logging.WARNING
    assert "17000 ms of the 20000 ms" in slow.text
    assert results.slowness(ORDER, 15_000) is None
