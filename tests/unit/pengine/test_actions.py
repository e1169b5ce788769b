"""What has to be done, and in what order."""

from __future__ import annotations

import pytest

from crm.plumbing.errors import Severity
from tests.kit.pengine import (
    actions,
    cib,
    decide,
    group,
    monitor,
    primitive,
    ran,
    started,
    state,
    stopped,
    waits_for,
)

ORDER = '<rsc_order id="o" first="a" then="b"/>'


def running(*names: str, **attributes: dict[str, str]) -> str:
    """Everything named runs on node1, and node2 was looked at."""
    return state("node1", {n: started() for n in names}, **attributes) + state(  # type: ignore[arg-type]
        "node2", {n: stopped() for n in names}
    )


def test_an_unknown_resource_is_looked_for_everywhere_before_it_starts() -> None:
    decision = decide(cib(primitive("a", ops=monitor("a", "5s"))))
    probes = {"a_monitor_0@node1", "a_monitor_0@node2"}
    assert set(actions(decision)) == probes | {"a_start_0@node1", "a_monitor_5000@node1"}
    assert waits_for(decision, "a_start_0@node1") == probes
    assert waits_for(decision, "a_monitor_5000@node1") == {"a_start_0@node1"}


def test_a_probe_expects_not_running() -> None:
    decision = decide(cib(primitive("a"), nodes=("node1",)))
    probe = next(a for s in decision.graph.synapses for a in s.actions if a.key == "a_monitor_0")
    assert probe.expected_rc == 7


def test_nothing_is_done_when_all_is_well() -> None:
    status = state("node1", {"a": started() + ran("monitor", interval_ms=5000, call=3)}) + state(
        "node2", {"a": stopped()}
    )
    decision = decide(cib(primitive("a", ops=monitor("a", "5s")), status=status))
    assert actions(decision) == []
    assert decision.sentence == "nothing to do: everything is as it should be"


def test_a_monitor_no_longer_configured_is_cancelled() -> None:
    status = state("node1", {"a": started() + ran("monitor", interval_ms=5000, call=3)}) + state(
        "node2", {"a": stopped()}
    )
    decision = decide(cib(primitive("a"), status=status))
    (action,) = [a for s in decision.graph.synapses for a in s.actions]
    assert (action.task, action.key, action.meta["call_id"]) == ("cancel", "a_monitor_5000", "3")


def test_what_goes_nowhere_needs_no_cancel() -> None:
    looked_at = started() + ran("monitor", interval_ms=5000, call=3)
    status = state("node1", {"a": looked_at}) + state("node2", {"a": stopped()})
    off = primitive("a", meta={"target-role": "Stopped"})
    assert actions(decide(cib(off, status=status))) == ["a_stop_0@node1"]


def test_a_disabled_monitor_does_not_run() -> None:
    decision = decide(cib(primitive("a", ops=monitor("a", "5s", enabled="false"))))
    assert "a_monitor_5000@node1" not in actions(decision)


def test_a_failed_monitor_restarts_in_place() -> None:
    failed = started() + ran("monitor", rc=7, interval_ms=5000, call=3)
    status = state("node1", {"a": failed}) + state("node2", {"a": stopped()})
    decision = decide(cib(primitive("a", ops=monitor("a", "5s")), status=status))
    assert set(actions(decision)) == {
        "a_stop_0@node1",
        "a_start_0@node1",
        "a_monitor_5000@node1",
    }
    assert "a_stop_0@node1" in waits_for(decision, "a_start_0@node1")


def test_on_fail_ignore_does_nothing_and_on_fail_stop_stops() -> None:
    failed = started() + ran("monitor", rc=7, interval_ms=5000, call=3)
    status = state("node1", {"a": failed}) + state("node2", {"a": stopped()})
    ignoring = primitive("a", ops=monitor("a", "5s", on_fail="ignore"))
    assert actions(decide(cib(ignoring, status=status))) == []
    stopping = primitive("a", ops=monitor("a", "5s", on_fail="stop"))
    assert actions(decide(cib(stopping, status=status))) == ["a_stop_0@node1"]


def test_a_failed_stop_blocks_the_resource_without_fencing() -> None:
    status = state("node1", {"a": started() + ran("stop", rc=1, call=3)}) + state(
        "node2", {"a": stopped()}
    )
    decision = decide(cib(primitive("a"), status=status))
    assert actions(decision) == []
    (why,) = decision.explain("a")
    assert "blocks" in why.sentence


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("stop", ["a_stop_0@node1"]),
        ("demote", ["a_stop_0@node1"]),
        ("freeze", []),
        ("ignore", ["b_start_0@node2"]),
    ],
)
def test_loss_of_quorum_follows_the_policy(policy: str, expected: list[str]) -> None:
    status = state("node1", {"a": started(), "b": stopped()}) + state(
        "node2", {"a": stopped(), "b": stopped()}
    )
    document = cib(
        primitive("a") + primitive("b"),
        status=status,
        options={"no-quorum-policy": policy},
        quorum=False,
    )
    assert actions(decide(document)) == expected


def test_a_node_that_wants_to_leave_is_emptied_first() -> None:
    status = running("a", attributes={"shutdown": "1700000000"})
    decision = decide(cib(primitive("a"), status=status))
    assert "a_start_0@node2" in actions(decision)
    assert waits_for(decision, "do_shutdown-node1@node1") == {"a_stop_0@node1"}


def test_a_node_does_not_leave_while_something_on_it_cannot_stop() -> None:
    status = state(
        "node1",
        {"a": started(), "b": started() + ran("stop", rc=1, call=3)},
        attributes={"shutdown": "1700000000"},
    ) + state("node2", {"a": stopped(), "b": stopped()})
    members = group("g", primitive("a"), primitive("b"))
    assert "do_shutdown-node1@node1" not in actions(decide(cib(members, status=status)))


def test_a_group_starts_in_order_and_stops_in_reverse() -> None:
    members = group("g", primitive("a"), primitive("b"))
    decision = decide(cib(members))
    assert "a_start_0@node1" in waits_for(decision, "b_start_0@node1")
    assert waits_for(decision, "g_running_0") == {
        "g_start_0",
        "a_start_0@node1",
        "b_start_0@node1",
    }
    status = running("a", "b")
    decision = decide(cib(members, status=status, node_attributes={"node1": {"standby": "on"}}))
    assert "b_stop_0@node1" in waits_for(decision, "a_stop_0@node1")


def test_restarting_the_first_restarts_what_stands_on_it() -> None:
    failed = started() + ran("monitor", rc=7, interval_ms=5000, call=3)
    status = state("node1", {"a": failed, "b": started()}) + state(
        "node2", {"a": stopped(), "b": stopped()}
    )
    sticky = {"resource-stickiness": "1"}
    resources = primitive("a", ops=monitor("a", "5s")) + primitive("b", meta=sticky)
    decision = decide(cib(resources, constraints=ORDER, status=status))
    assert waits_for(decision, "a_stop_0@node1") == {"b_stop_0@node1"}
    assert "a_start_0@node1" in waits_for(decision, "b_start_0@node1")


def test_an_optional_order_restarts_nothing() -> None:
    failed = started() + ran("monitor", rc=7, interval_ms=5000, call=3)
    status = state("node1", {"a": failed, "b": started()}) + state(
        "node2", {"a": stopped(), "b": stopped()}
    )
    sticky = {"resource-stickiness": "1"}
    resources = primitive("a", ops=monitor("a", "5s")) + primitive("b", meta=sticky)
    order = '<rsc_order id="o" first="a" then="b" kind="Optional"/>'
    found = actions(decide(cib(resources, constraints=order, status=status)))
    assert not [key for key in found if key.startswith("b_")]


def test_what_waits_for_something_stopped_does_not_start() -> None:
    resources = primitive("a", meta={"target-role": "Stopped"}) + primitive("b")
    found = actions(decide(cib(resources, constraints=ORDER)))
    assert not [key for key in found if "start" in key]


def test_a_removed_resource_is_stopped_and_forgotten() -> None:
    decision = decide(cib(primitive("b"), status=running("a", "b")))
    assert set(actions(decision)) == {
        "a_stop_0@node1",
        "a_delete_0@node1",
        "a_delete_0@node2",
    }
    assert waits_for(decision, "a_delete_0@node1") == {"a_stop_0@node1"}


def test_a_resource_active_twice_is_stopped_everywhere_and_started_once() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": started()})
    decision = decide(cib(primitive("a"), status=status))
    assert waits_for(decision, "a_start_0@node1") == {"a_stop_0@node1", "a_stop_0@node2"}


def test_maintenance_leaves_everything_alone() -> None:
    failed = started() + ran("monitor", rc=7, interval_ms=5000, call=3)
    status = state("node1", {"a": failed}) + state("node2", {"a": stopped()})
    document = cib(
        primitive("a", ops=monitor("a", "5s")),
        status=status,
        options={"maintenance-mode": "true"},
    )
    assert not [key for key in actions(decide(document)) if "start" in key or "stop" in key]


def test_what_should_be_stopped_is_watched_on_a_node_in_maintenance_too() -> None:
    watched = primitive("a", ops=monitor("a", "20s", role="Stopped"))
    attributes = {"node1": {"maintenance": "true"}}
    off = state("node1", {"a": stopped()}) + state("node2", {"a": stopped()})
    found = actions(decide(cib(watched, node_attributes=attributes, status=off)))
    assert "a_monitor_20000@node1" in found
    # Active there, it is in maintenance itself, and nothing is watched at all.
    found = actions(decide(cib(watched, node_attributes=attributes, status=running("a"))))
    assert found == []


def test_a_node_that_leaves_before_it_has_joined_is_not_there() -> None:
    leaving = state("node1", attributes={"shutdown": "1"})
    for was, now in (('join="member"', 'join="pending"'), ('crmd="online"', 'crmd="offline"')):
        document = cib(primitive("a"), status=leaving.replace(was, now) + state("node2"))
        assert "do_shutdown-node1@node1" not in actions(decide(document))


def test_without_a_fencing_device_nothing_starts_and_the_log_says_so() -> None:
    decision = decide(cib(primitive("a"), options={"stonith-enabled": "true"}))
    assert not [key for key in actions(decision) if "start" in key]
    (problem,) = [p for p in decision.problems if p.severity is Severity.ERROR]
    assert problem.code == "no-fencing-device"


def test_an_offline_node_is_neither_probed_nor_used() -> None:
    status = state("node1", online=False) + state("node2")
    found = actions(decide(cib(primitive("a"), status=status)))
    assert set(found) == {"a_monitor_0@node2", "a_start_0@node2"}


def test_the_same_input_gives_the_same_graph() -> None:
    document = cib(group("g", primitive("a"), primitive("b")) + primitive("c"))
    assert decide(document).graph == decide(document).graph


def test_orders_that_contradict_each_other_are_named_and_the_last_one_loses() -> None:
    loop = ORDER + '<rsc_order id="back" first="b" then="a"/>'
    decision = decide(cib(primitive("a") + primitive("b"), constraints=loop))
    (problem,) = decision.problems
    assert (problem.code, problem.subject) == ("ordering-loop", "back")
    assert "a_start_0@node1" in waits_for(decision, "b_start_0@node2")


def test_an_order_against_the_group_loses_to_the_group() -> None:
    members = group("g", primitive("a"), primitive("b"))
    against = '<rsc_order id="against" first="b" then="a"/>'
    decision = decide(cib(members, constraints=against))
    assert [p.subject for p in decision.problems] == ["against"]
    assert "a_start_0@node1" in waits_for(decision, "b_start_0@node1")


def test_a_constraint_of_a_resource_with_itself_is_named_and_left_out() -> None:
    alone = '<rsc_order id="self" first="a" then="a"/>'
    decision = decide(cib(primitive("a"), constraints=alone))
    assert [p.code for p in decision.problems] == ["self-reference"]
    assert "a_start_0@node1" in actions(decision)


def test_a_monitor_for_a_role_that_begins_is_ended_though_it_found_something_running() -> None:
    ops = '<op id="a-s" name="monitor" interval="20s" role="Stopped"/>'
    found = stopped() + ran("monitor", call=2, interval_ms=20_000, expected=7)
    document = cib(
        primitive("a", ops=ops, meta={"is-managed": "false"}),
        status=state("node1", {"a": found}) + state("node2", {"a": stopped()}),
    )
    keys = {str(key[0]) for key in decide(document).plan.actions}
    assert "cancel a_monitor_20000" in keys


def test_what_is_configured_and_off_ends_no_monitor_of_another_role() -> None:
    ops = (
        '<op id="a-p" name="monitor" interval="5s" role="Promoted" enabled="false"/>'
        '<op id="a-u" name="monitor" interval="5s" role="Unpromoted"/>'
    )
    # Both have one name and interval, so neither would be started; what is there goes on.
    watched = started() + ran("monitor", call=3, interval_ms=5_000)
    clone = (
        '<clone id="c"><meta_attributes id="cm"><nvpair id="cm1" name="promotable" value="true"/>'
        f"</meta_attributes>{primitive('a', ops=ops)}</clone>"
    )
    status = state("node1", {"a": watched}) + state("node2", {"a": watched})
    assert actions(decide(cib(clone, status=status))) == []


def test_that_nothing_runs_is_watched_in_maintenance_too_unless_it_shall_run_there() -> None:
    ops = '<op id="a-s" name="monitor" interval="20s" role="Stopped"/>'
    held = {"node2": {"maintenance": "true"}}
    stays = primitive("a", ops=ops, meta={"target-role": "Stopped"})
    status = state("node1", {"a": stopped()}) + state("node2", {"a": stopped()})
    found = actions(decide(cib(stays, status=status, node_attributes=held)))
    assert set(found) == {"a_monitor_20000@node1", "a_monitor_20000@node2"}
    status = state("node1", {"a": stopped()}) + state("node2", {"a": started()})
    assert actions(decide(cib(primitive("a", ops=ops), status=status, node_attributes=held))) == []
