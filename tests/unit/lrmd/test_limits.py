"""From when an agent's timeout counts: from its own start, not from that of who starts it."""

from __future__ import annotations

from crm.model.outcomes import OperationStatus
from lrmd.operations import START_LIMIT_S
from tests.kit.lrmd import Desk, status_of


def slow_desk() -> Desk:
    """A desk whose runner is not up yet: agents begin when it says so."""
    return Desk(begins_at_once=False)


def test_a_timeout_counts_from_the_start_of_the_agent() -> None:
    desk = slow_desk()
    desk.ask(1, "r1", "monitor", timeout_ms=5000)
    begins_at = desk.now + 8
    desk.run_until(begins_at)
    desk.begin(1)

    desk.run_until(begins_at + 4.9)
    assert desk.killed == []
    desk.end(1)

    (answer,) = desk.answers
    assert status_of(answer) is OperationStatus.DONE
    assert answer.exec_ms == 4900 and answer.queue_ms == 8000


def test_an_agent_that_began_late_is_killed_at_its_own_time() -> None:
    desk = slow_desk()
    desk.ask(1, "r1", "monitor", timeout_ms=5000)
    begins_at = desk.now + 8
    desk.run_until(begins_at)
    desk.begin(1)

    desk.run_until(begins_at + 5)

    assert desk.killed == [1]


def test_an_agent_that_never_begins_is_given_up_with_the_reason() -> None:
    desk = slow_desk()
    desk.ask(1, "r1", "monitor", timeout_ms=5000)
    asked_at = desk.now

    desk.run_until(asked_at + START_LIMIT_S - 0.1)
    assert desk.killed == []
    desk.run_until(asked_at + START_LIMIT_S)
    assert desk.killed == [1]
    desk.end(1)

    (answer,) = desk.answers
    assert status_of(answer) is OperationStatus.TIMEOUT
    assert "was not begun within 30 s" in answer.exit_reason


def test_the_word_of_a_start_that_comes_too_late_changes_nothing() -> None:
    desk = slow_desk()
    desk.ask(1, "r1", "monitor", timeout_ms=5000)
    desk.run_until(desk.now + START_LIMIT_S)
    desk.begin(1)
    desk.end(1)
    desk.begin(1)
    assert [status_of(answer) for answer in desk.answers] == [OperationStatus.TIMEOUT]
