"""When failures count, when they are forgotten, and when their count is cleared."""

from __future__ import annotations

from pengine import Decision
from pengine.facts.changes import operation_digest
from tests.kit.pengine import (
    NOW,
    actions,
    cib,
    decide,
    monitor,
    primitive,
    ran,
    started,
    state,
    stopped,
    waits_for,
)

WATCHED = primitive("a", meta={"failure-timeout": "60"}, ops=monitor("a"))
OLD_S, FRESH_S = int(NOW.timestamp()) - 1000, int(NOW.timestamp()) - 10


def count(failed_s: int, operation: str = "monitor_10000") -> dict[str, str]:
    """Write a fail count of `a` and the time of its last failure."""
    return {f"fail-count-a#{operation}": "1", f"last-failure-a#{operation}": str(failed_s)}


def failed(operation: str, when_s: int, *, interval_ms: int = 0, **more: str) -> str:
    """Write a failed result of `a`."""
    more["last_rc_change"] = str(when_s)
    return ran(operation, rc=1, call=3, interval_ms=interval_ms, **more)


def decided(entries: str, counts: dict[str, str], resource: str = WATCHED) -> Decision:
    """Decide about `a`, of which node1 has a history."""
    status = state("node1", {"a": entries}, attributes=counts) + state("node2", {"a": stopped()})
    return decide(cib(resource, status=status))


def test_a_monitor_that_failed_long_ago_starts_anew_and_its_count_is_cleared() -> None:
    entries = started() + failed("monitor", OLD_S, interval_ms=10_000)
    found = actions(decided(entries, count(OLD_S)))
    assert set(found) == {"a_monitor_10000@node1", "a_clear_failcount_0@node1"}


def test_an_old_result_counts_as_long_as_something_failed_since() -> None:
    entries = started() + failed("monitor", OLD_S, interval_ms=10_000)
    assert "a_stop_0@node1" in actions(decided(entries, count(FRESH_S)))


def test_an_old_good_result_is_enough_to_clear_the_count() -> None:
    entries = ran("start", call=2, last_rc_change=str(OLD_S)) + ran(
        "monitor", call=3, interval_ms=10_000
    )
    assert actions(decided(entries, count(OLD_S))) == ["a_clear_failcount_0@node1"]


def test_a_start_that_failed_long_ago_is_looked_at_again() -> None:
    found = actions(decided(failed("start", OLD_S), count(OLD_S, "start_0")))
    assert {"a_monitor_0@node1", "a_clear_failcount_0@node1", "a_start_0@node1"} <= set(found)


def test_failures_that_block_never_expire() -> None:
    blocked = primitive(
        "a", meta={"failure-timeout": "60"}, ops=monitor("a").replace("/>", ' on-fail="block"/>')
    )
    entries = started() + failed("monitor", OLD_S, interval_ms=10_000)
    assert actions(decided(entries, count(OLD_S), blocked)) == []


def test_a_failed_start_with_other_parameters_does_not_keep_the_resource_away() -> None:
    last = failed("start", FRESH_S, op_digest="old").replace("@_start_0", "@_last_failure_0")
    entries = last + ran("stop", call=4)
    counts = {"fail-count-a#start_0": "INFINITY"}
    document = cib(
        WATCHED,
        status=state("node1", {"a": entries}, attributes=counts),
        nodes=("node1",),
    )
    found = actions(decide(document))
    assert {"a_clear_failcount_0@node1", "a_start_0@node1"} <= set(found)


def test_the_count_of_what_was_removed_is_cleared_before_it_stops() -> None:
    status = state("node1", {"gone": started()}, attributes={"fail-count-gone#start_0": "2"})
    decision = decide(cib(primitive("a"), status=status + state("node2")))
    assert "gone_clear_failcount_0@node1" in waits_for(decision, "gone_stop_0@node1")


def test_what_may_not_be_touched_keeps_its_count() -> None:
    resource = primitive("a", meta={"failure-timeout": "60", "is-managed": "false"})
    entries = ran("start", call=2, last_rc_change=str(OLD_S))
    assert actions(decided(entries, count(OLD_S), resource)) == []


def test_the_decision_is_due_again_when_the_last_failure_expires() -> None:
    entries = started() + ran("monitor", call=3, interval_ms=10_000)
    decision = decided(entries, count(FRESH_S))
    assert decision.graph.recheck_at == FRESH_S + 61


def test_digests_of_what_failed_are_those_of_its_own_operation() -> None:
    digest = operation_digest({}, 10_000, 20_000)
    last = failed("monitor", FRESH_S, interval_ms=10_000, op_digest=digest)
    last = last.replace("@_monitor_10000", "@_last_failure_0").replace('call-id="3"', 'call-id="1"')
    entries = last + started() + ran("monitor", call=4, interval_ms=10_000)
    assert actions(decided(entries, {"fail-count-a#monitor_10000": "1"})) == []


def failing(on_fail: str, operation: str = "monitor", **options: str) -> Decision:
    """Decide about `a`, of which an operation with an `on-fail` failed on node1."""
    interval_ms = 10_000 if operation == "monitor" else 0
    op = f'<op id="o" name="{operation}" interval="{interval_ms // 1000}s" on-fail="{on_fail}"/>'
    entries = started() + failed(operation, FRESH_S, interval_ms=interval_ms)
    status = state("node1", {"a": entries}) + state("node2", {"a": stopped()})
    return decide(cib(primitive("a", ops=op), status=status, options=options))


def test_a_failure_may_put_its_node_on_standby() -> None:
    decision = failing("standby")
    assert decision.facts.node("node1").standby_by_failure
    assert decision.placement.node_of("a") == "node2"


def test_a_node_stays_on_standby_after_the_resource_was_stopped_there() -> None:
    op = '<op id="o" name="monitor" interval="10s" on-fail="standby"/>'
    entries = started() + failed("monitor", FRESH_S, interval_ms=10_000) + ran("stop", call=4)
    document = cib(primitive("a", ops=op), status=state("node1", {"a": entries}), nodes=("node1",))
    assert decide(document).facts.node("node1").standby_by_failure


def test_what_would_be_fenced_is_stopped_where_fencing_is_off() -> None:
    assert failing("fence", "stop").placement.node_of("a") is None


def test_a_stop_that_failed_cannot_be_cured_by_stopping() -> None:
    assert failing("stop", "stop").facts.activity["a"].blocked


def test_only_monitors_may_find_it_degraded() -> None:
    decision = decided(ran("start", rc=190, call=2), {}, primitive("a"))
    assert decision.facts.activity["a"].failed


def test_what_was_removed_and_failed_is_stopped_before_it_is_forgotten() -> None:
    gone = started() + failed("monitor", FRESH_S, interval_ms=10_000)
    document = cib(primitive("a"), status=state("node1", {"gone": gone}) + state("node2"))
    found = actions(decide(document))
    assert "gone_stop_0@node1" in found
    assert "gone_delete_0@node1" not in found


def test_a_monitor_that_failed_long_ago_says_nothing_about_what_runs() -> None:
    entries = started() + ran("stop", call=3) + ran("monitor", rc=1, call=4, interval_ms=10_000)
    old = entries.replace('interval="10000"', f'interval="10000" last-rc-change="{OLD_S}"')
    status = state("node1", {"a": old}) + state("node2", {"a": stopped()})
    found = actions(decide(cib(WATCHED, status=status)))
    assert "a_stop_0@node1" not in found
    assert "a_start_0@node1" in found or "a_start_0@node2" in found


def test_a_node_that_is_fenced_is_told_to_forget_nothing() -> None:
    entries = started() + failed("stop", OLD_S)
    status = state("node1", {"gone": entries}, attributes={"fail-count-gone#stop_0": "1"})
    device = '<primitive id="fence" class="stonith" type="fence_dummy"/>'
    document = cib(
        primitive("a") + device,
        status=status + state("node2", {"a": stopped()}),
        options={"stonith-enabled": "true"},
    )
    found = actions(decide(document))
    assert "stonith-node1-reboot@node1" in found
    assert not [key for key in found if "clear_failcount" in key]
