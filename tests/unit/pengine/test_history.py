"""Reading what one node remembers of one resource."""

from __future__ import annotations

import pytest

from crm.model.roles import Role
from pengine.facts.activity import Activity
from tests.kit.pengine import NOW, cib, decide, monitor, primitive, ran, started, state, stopped


def seen(history: str, meta: dict[str, str] | None = None, ops: str = "") -> Activity:
    """Give the activity of `a`, of which only node1 remembers something."""
    status = state("node1", {"a": history}) + state("node2", {"a": stopped()})
    return decide(cib(primitive("a", meta=meta, ops=ops), status=status)).facts.activity["a"]


def test_entries_count_in_the_order_of_their_calls_not_of_the_document() -> None:
    assert seen(ran("stop", call=3) + ran("start", call=2)).nodes == ()
    assert seen(ran("stop", call=2) + ran("start", call=3)).nodes == ("node1",)


def test_a_probe_that_finds_the_resource_running_is_no_failure() -> None:
    found = seen(ran("monitor", rc=0, expected=7))
    assert (found.nodes, found.failed) == (("node1",), False)


def test_a_probe_that_finds_it_promoted_says_so() -> None:
    assert seen(ran("monitor", rc=8, expected=7)).role is Role.PROMOTED


def test_a_probe_that_fails_leaves_the_resource_there_and_failed() -> None:
    found = seen(ran("monitor", rc=1, expected=7))
    assert (found.nodes, found.failed) == (("node1",), True)


def test_a_probe_that_finds_no_agent_means_stopped_and_banned() -> None:
    found = seen(ran("monitor", rc=5, expected=7))
    assert (found.nodes, found.failed) == ((), False)
    on_node = found.at("node1")
    assert on_node is not None
    assert on_node.banned


@pytest.mark.parametrize("rc", [190, 0])
def test_degraded_and_good_results_are_successes(rc: int) -> None:
    assert not seen(started() + ran("monitor", rc=rc, interval_ms=10000, call=3)).failed


def test_a_later_success_of_the_same_monitor_clears_its_failure() -> None:
    failed = ran("monitor", rc=1, interval_ms=10000, call=3)
    good = ran("monitor", rc=0, interval_ms=10000, call=4)
    assert not seen(started() + failed + good).failed


def test_a_success_of_another_monitor_clears_nothing() -> None:
    failed = ran("monitor", rc=1, interval_ms=10000, call=3)
    other = ran("monitor", rc=0, interval_ms=20000, call=4)
    assert seen(started() + failed + other).failed


def test_a_later_start_clears_a_failed_monitor() -> None:
    failed = ran("monitor", rc=1, interval_ms=10000, call=3)
    assert not seen(started() + failed + ran("start", call=4)).failed


def test_a_pending_start_is_active_and_starting() -> None:
    found = seen(ran("start", rc=193, call=-1, status=-1))
    assert (found.nodes, found.pending) == (("node1",), "start")


def test_a_pending_probe_leaves_the_state_unknown() -> None:
    assert not seen(ran("monitor", rc=193, call=-1, status=-1, expected=7)).is_known_on("node1")


def test_a_timeout_is_a_failure_whatever_the_exit_code() -> None:
    assert seen(started() + ran("monitor", rc=0, status=2, interval_ms=10000, call=3)).failed


@pytest.mark.parametrize(("age_s", "failed"), [(30, True), (61, False)])
def test_a_failure_expires_after_its_timeout(age_s: int, failed: bool) -> None:
    when = str(int(NOW.timestamp()) - age_s)
    entry = ran("monitor", rc=1, interval_ms=10000, call=3, last_rc_change=when)
    found = seen(started() + entry, meta={"failure-timeout": "60s"})
    assert found.failed is failed


def test_the_next_expiry_is_when_to_look_again() -> None:
    when = int(NOW.timestamp()) - 30
    entry = ran("monitor", rc=1, interval_ms=10000, call=3, last_rc_change=str(when))
    status = state("node1", {"a": started() + entry}) + state("node2", {"a": stopped()})
    document = cib(primitive("a", meta={"failure-timeout": "60s"}), status=status)
    assert decide(document).graph.recheck_at == when + 60


def test_an_ignored_failure_is_remembered_but_changes_nothing() -> None:
    failed = ran("monitor", rc=1, interval_ms=10000, call=3)
    found = seen(started() + failed, ops=monitor("a", on_fail="ignore"))
    assert (found.failed, found.ignored, len(found.failures)) == (False, True, 1)


def test_old_histories_without_a_readable_key_are_read_by_their_result() -> None:
    entry = (
        '<lrm_rsc_op id="a_start_0" operation="start" interval="0" call-id="1" rc-code="0"'
        ' op-status="0"/>'
    )
    assert seen(entry).nodes == ("node1",)
