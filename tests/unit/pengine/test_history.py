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


def test_a_failed_demotion_counts_as_done_and_is_recovered() -> None:
    found = seen(started() + ran("promote", call=3) + ran("demote", rc=1, call=4))
    assert (found.role, found.stops) == (Role.UNPROMOTED, ("node1",))


def test_a_failed_demotion_that_blocks_leaves_it_promoted() -> None:
    ops = '<op id="a-demote" name="demote" interval="0" on-fail="block"/>'
    found = seen(started() + ran("promote", call=3) + ran("demote", rc=1, call=4), ops=ops)
    assert (found.role, found.blocked, found.limit) == (Role.PROMOTED, True, Role.STOPPED)


def test_a_failed_demotion_follows_the_monitor_of_the_promoted_role() -> None:
    ops = monitor("a", role="Promoted", on_fail="block")
    found = seen(started() + ran("promote", call=3) + ran("demote", rc=1, call=4), ops=ops)
    assert found.blocked


def test_a_demotion_cures_nothing_but_what_asked_for_one() -> None:
    failed = ran("monitor", rc=1, expected=8, interval_ms=10000, call=4)
    told = started() + ran("promote", call=3) + failed + ran("demote", call=5)
    assert seen(told).failed
    assert not seen(told, ops=monitor("a", role="Promoted", on_fail="demote")).failed


def test_a_milder_failure_does_not_hide_a_graver_one() -> None:
    ops = monitor("a", role="Promoted", on_fail="demote") + monitor("a", "20s")
    first = ran("monitor", rc=1, expected=8, interval_ms=20000, call=4)
    second = ran("monitor", rc=1, expected=8, interval_ms=10000, call=5)
    found = seen(started() + ran("promote", call=3) + first + second, ops=ops)
    assert (found.stops, found.demotes) == (("node1",), ())


def test_what_is_pending_without_an_older_trace_says_nothing() -> None:
    assert not seen(ran("stop", rc=193, call=-1, status=-1)).is_known_on("node1")


def test_the_copy_of_a_failure_comes_after_an_older_result_of_the_same_call() -> None:
    good = ran("monitor", call=3, interval_ms=10000, last_rc_change="1000")
    bad = ran("monitor", rc=1, call=3, interval_ms=10000, last_rc_change="2000")
    bad = bad.replace("@_monitor_10000", "@_last_failure_0")
    assert seen(started() + bad + good).failed
    assert seen(started() + good + bad).failed


def test_what_succeeds_and_fails_within_one_second_has_failed() -> None:
    good = ran("monitor", call=3, interval_ms=10000, last_rc_change="1000")
    bad = ran("monitor", rc=7, call=3, interval_ms=10000, last_rc_change="1000")
    bad = bad.replace("@_monitor_10000", "@_last_failure_0")
    assert seen(started() + good + bad).failed
    assert seen(started() + bad + good).failed


def test_a_pending_operation_of_an_older_transition_came_before_what_ended() -> None:
    magic = "0:0;1:{}:0:00000000-0000-0000-0000-000000000000"
    start = ran("start", rc=193, call=-1, status=-1, transition_magic=magic.format(4))
    stop = ran("stop", call=7, transition_magic=magic.format(5))
    assert seen(start + stop).nodes == ()


def test_a_monitor_that_has_not_ended_yet_is_asked_for_again() -> None:
    pending = ran("monitor", rc=193, call=-1, status=-1, interval_ms=10000)
    status = state("node1", {"a": started() + pending}) + state("node2", {"a": stopped()})
    made = decide(cib(primitive("a", ops=monitor("a")), status=status))
    keys = [s.actions[0].key for s in made.graph.synapses]
    assert keys == ["a_monitor_10000"]


def test_of_sets_with_equal_scores_the_last_one_written_counts() -> None:
    def meta(key: str, value: str) -> str:
        pair = f'<nvpair id="{key}-v" name="target-role" value="{value}"/>'
        return f'<meta_attributes id="{key}">{pair}</meta_attributes>'

    both = meta("m1", "Started") + meta("m2", "Stopped")
    decision = decide(cib(primitive("a", more=both)))
    assert decision.placement.node_of("a") is None


def test_a_group_is_blocked_as_a_whole_only_if_it_asks_for_that() -> None:
    twice = {"a": started(), "b": started()}
    status = state("node1", twice) + state("node2", {"a": started(), "b": stopped()})
    for word, blocked in (("block", True), ("stop_start", False)):
        members = primitive("a", meta={"multiple-active": "block"}) + primitive("b")
        pairs = f'<nvpair id="g-ma" name="multiple-active" value="{word}"/>'
        meta = f'<meta_attributes id="g-m">{pairs}</meta_attributes>'
        found = decide(cib(f'<group id="g">{meta}{members}</group>', status=status)).facts
        assert found.activity["a"].blocked
        assert found.activity["b"].blocked is blocked


def test_what_failed_on_a_node_that_is_away_is_settled_by_fencing_it() -> None:
    failed = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    status = state("node1", {"a": failed}, online=False) + state("node2", {"a": stopped()})
    fence = '<primitive id="f" class="stonith" type="fence_dummy"/>'
    ops = monitor("a", on_fail="block")
    document = cib(primitive("a", ops=ops) + fence, status=status, options=_FENCING)
    made = decide(document)
    found = made.facts.activity["a"]
    assert (found.failed, found.blocked) == (False, False)
    assert made.facts.node("node1").unclean


_FENCING = {"stonith-enabled": "true"}
