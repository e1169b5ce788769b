"""Who is fenced, why, and what waits for it or ends by it."""

from __future__ import annotations

import pytest

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

DEVICE = '<primitive id="fence" class="stonith" type="fence_dummy"/>'
FENCING = {"stonith-enabled": "true"}
LOST = 'in_ccm="false" crmd="offline" join="down" expected="member"'
GONE = 'in_ccm="false" crmd="offline" join="down" expected="down"'


def away(node: str, histories: dict[str, str], flags: str = LOST) -> str:
    """Write the state of a node that is not as it should be."""
    written = state(node, histories, online=False)
    return written.replace(GONE, flags)


def cluster(
    lost: str,
    *,
    resource: str = "",
    options: dict[str, str] | None = None,
    quorum: bool = True,
    known: str = "",
) -> bytes:
    """Write two nodes, of which node1 is described by `lost`; node2 is well."""
    return cib(
        (resource or primitive("a")) + DEVICE,
        status=lost + state("node2", {"a": known or stopped(), "fence": stopped()}),
        options={**FENCING, **(options or {})},
        quorum=quorum,
    )


def reasons(document: bytes) -> list[str]:
    """List the reasons of all fencings."""
    decision = decide(document)
    return [
        a.reasons[0]
        for a in decision.plan.actions.values()
        if a.task.value == "stonith" and decision.plan.is_in_graph(a.id)
    ]


def test_a_node_that_left_unexpectedly_is_fenced_and_its_resources_recovered() -> None:
    decision = decide(cluster(away("node1", {"a": started()})))
    assert "stonith-node1-reboot@node1" in actions(decision)
    assert "a_stop_0" in actions(decision)
    assert waits_for(decision, "a_stop_0") == {"stonith-node1-reboot@node1"}
    assert {"stonith-node1-reboot@node1", "a_stop_0"} <= waits_for(decision, "a_start_0@node2")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (LOST, "peer is no longer part of the cluster"),
        (
            'in_ccm="true" crmd="offline" join="member" expected="member"',
            "peer process is no longer available",
        ),
        (
            'in_ccm="true" crmd="online" join="banned" expected="member"',
            "peer failed Pacemaker membership criteria",
        ),
        (
            'in_ccm="true" crmd="online" join="odd" expected="member"',
            "peer was in an unknown state",
        ),
        ('crmd="offline" join="down"', "peer has not been seen by the cluster"),
    ],
)
def test_the_state_of_a_node_says_why_it_is_fenced(flags: str, reason: str) -> None:
    assert reasons(cluster(away("node1", {}, flags))) == [reason]


def test_a_node_that_left_as_expected_is_left_alone() -> None:
    assert reasons(cluster(away("node1", {}, GONE))) == []


def test_both_dialects_of_node_state_mean_the_same() -> None:
    times = 'in_ccm="0" crmd="0" join="down" expected="member"'
    old, new = (decide(cluster(away("node1", {"a": started()}, f))) for f in (LOST, times))
    assert actions(old) == actions(new)


def test_a_node_that_is_joining_is_not_fenced_and_gets_nothing() -> None:
    flags = 'in_ccm="true" crmd="online" join="pending" expected="member"'
    decision = decide(cluster(away("node1", {}, flags)))
    assert not [a for a in actions(decision) if a.endswith("@node1")]


def test_a_node_that_hangs_while_joining_is_fenced_after_the_timeout() -> None:
    flags = 'in_ccm="1000" crmd="0" join="down" expected="down"'
    options = {"node-pending-timeout": "2h"}
    assert reasons(cluster(away("node1", {}, flags), options=options)) == [
        "peer pending timed out on joining the process group"
    ]


def test_a_request_to_terminate_is_obeyed() -> None:
    lost = state("node1", attributes={"terminate": "true"})
    assert reasons(cluster(lost)) == ["fencing was requested"]


def test_a_time_of_the_request_asks_as_well() -> None:
    asked = state("node1", attributes={"terminate": "1700000000"})
    assert reasons(cluster(asked)) == ["fencing was requested"]
    assert reasons(cluster(state("node1", attributes={"terminate": "0"}))) == []


def test_a_node_nobody_has_seen_is_fenced_at_start_unless_told_otherwise() -> None:
    assert reasons(cluster("")) == ["node is unclean"]
    assert reasons(cluster("", options={"startup-fencing": "false"})) == []


def test_a_failed_stop_costs_its_node() -> None:
    lost = state("node1", {"a": started() + ran("stop", rc=1, call=3)})
    assert reasons(cluster(lost)) == ["a failed there"]


def test_on_fail_fence_costs_the_node() -> None:
    resource = primitive("a", ops=monitor("a", on_fail="fence"))
    lost = state("node1", {"a": started() + ran("monitor", rc=1, interval_ms=10000, call=3)})
    assert reasons(cluster(lost, resource=resource)) == ["a failed there"]


def test_without_quorum_only_members_are_fenced() -> None:
    assert reasons(cluster(away("node1", {"a": started()}), quorum=False)) == []
    lost = state("node1", {"a": started() + ran("stop", rc=1, call=3)})
    assert reasons(cluster(lost, quorum=False)) == ["a failed there"]


def test_without_a_device_nobody_is_fenced() -> None:
    document = cib(primitive("a"), status=away("node1", {}) + state("node2"), options=FENCING)
    assert reasons(document) == []


def test_nobody_is_fenced_for_the_sake_of_nothing() -> None:
    resource = primitive("a", meta={"is-managed": "false"})
    device = DEVICE.replace(
        "/>",
        '><meta_attributes id="f"><nvpair id="g" name="is-managed"'
        ' value="false"/></meta_attributes></primitive>',
    )
    document = cib(resource + device, status=away("node1", {}) + state("node2"), options=FENCING)
    assert reasons(document) == []


def test_what_requires_only_quorum_waits_where_its_state_is_unknown() -> None:
    resource = primitive("a", meta={"requires": "quorum"})
    fencing = "stonith-node1-reboot@node1"
    unknown = decide(cluster(away("node1", {}), resource=resource))
    known = decide(cluster(away("node1", {"a": stopped()}), resource=resource))
    assert fencing in waits_for(unknown, "a_start_0@node2")
    assert fencing not in waits_for(known, "a_start_0@node2")


def test_a_group_on_a_lost_node_stops_by_the_fencing_in_order() -> None:
    resource = group("g", primitive("a"), primitive("b"))
    decision = decide(cluster(away("node1", {"a": started(), "b": started()}), resource=resource))
    fencing = "stonith-node1-reboot@node1"
    assert fencing in waits_for(decision, "g_stop_0")
    assert {"b_stop_0", fencing} <= waits_for(decision, "a_stop_0")


def three(options: dict[str, str]) -> bytes:
    """Write three nodes that are all lost, the last of them the DC."""
    nodes = ("node1", "node2", "node3")
    text = cib(
        primitive("a") + DEVICE,
        status="".join(away(n, {}) for n in nodes),
        nodes=nodes,
        options={**FENCING, **options},
    )
    return text.replace(b"<cib ", b'<cib dc-uuid="node2" ')


def test_the_dc_is_fenced_last() -> None:
    decision = decide(three({}))
    assert waits_for(decision, "stonith-node2-reboot@node2") == {
        "stonith-node1-reboot@node1",
        "stonith-node3-reboot@node3",
    }


def test_without_concurrent_fencing_one_waits_for_the_other() -> None:
    decision = decide(three({"concurrent-fencing": "false"}))
    assert waits_for(decision, "stonith-node3-reboot@node3") == {"stonith-node1-reboot@node1"}
    assert waits_for(decision, "stonith-node2-reboot@node2") == {"stonith-node3-reboot@node3"}


def test_the_more_important_side_has_a_start() -> None:
    resource = primitive("a", meta={"priority": "5"})
    lost = away("node1", {"a": started()})
    options = {"priority-fencing-delay": "15s"}
    decision = decide(cluster(lost, resource=resource, options=options))
    [fencing] = [a for a in decision.plan.actions.values() if a.task.value == "stonith"]
    assert fencing.delay_s == 15


def test_what_runs_in_a_guest_counts_for_the_node_below_it() -> None:
    resource = primitive("vm", meta={"remote-node": "near"}) + primitive(
        "a", meta={"priority": "5"}
    )
    lost = away("node1", {"vm": started(), "near": started(), "a": stopped()})
    inside = state("near", {"a": started()})
    options = {"priority-fencing-delay": "15s"}
    decision = decide(cluster(lost + inside, resource=resource, options=options))
    fencings = [a for a in decision.plan.actions.values() if a.task.value == "stonith"]
    assert [f.delay_s for f in fencings if f.node == "node1"] == [15]


def test_a_node_is_turned_on_before_anything_is_looked_for_there() -> None:
    device = DEVICE.replace(
        "/>",
        '><meta_attributes id="f"><nvpair id="g" name="provides"'
        ' value="unfencing"/></meta_attributes></primitive>',
    )
    document = cib(
        primitive("a") + device,
        options=FENCING,
        node_attributes={"node2": {"#node-unfenced": "1"}},
    )
    decision = decide(document)
    assert "stonith-node1-on@node1" in actions(decision)
    assert "stonith-node2-on@node2" not in actions(decision)
    assert waits_for(decision, "a_monitor_0@node1") == {"stonith-node1-on@node1"}


def test_a_partition_that_has_to_end_itself_fences_its_members() -> None:
    document = cluster(state("node1"), options={"no-quorum-policy": "fence"}, quorum=False)
    had = document.replace(b"<cib ", b'<cib no-quorum-panic="1" ')
    assert set(reasons(had)) == {"cluster does not have quorum"}
    assert reasons(document) == []


def test_without_fencing_a_node_that_leaves_is_gone_when_it_is_no_full_member() -> None:
    leaving = state("node1", {"a": started()}, attributes={"shutdown": "1700000000"})
    left = leaving.replace('join="member"', 'join="down"')
    status = left + state("node2", {"a": stopped()})
    assert actions(decide(cib(primitive("a"), status=status))) == ["a_start_0@node2"]


def test_what_a_node_ran_waits_for_it_when_shutdown_lock_is_set() -> None:
    lost = state("node1", {"a": started()}, attributes={"shutdown": "1700000000"})
    options = {"shutdown-lock": "true"}
    decision = decide(cluster(lost, options=options))
    assert "a_stop_0@node1" in actions(decision)
    assert "a_start_0@node2" not in actions(decision)
    ended = decide(cluster(lost, options={**options, "shutdown-lock-limit": "5m"}))
    assert ended.graph.recheck_at == 1700000301


def test_a_migration_waits_for_fencing_as_a_start_would() -> None:
    lost = away("node3", {"a": stopped()})
    decision = decide(
        cib(
            primitive("a", meta={"allow-migrate": "true"}) + DEVICE,
            constraints='<rsc_location id="l" rsc="a" node="node2" score="100"/>',
            status=state("node1", {"a": started(), "fence": stopped()})
            + state("node2", {"a": stopped(), "fence": stopped()})
            + lost,
            nodes=("node1", "node2", "node3"),
            options=FENCING,
        )
    )
    assert "stonith-node3-reboot@node3" in waits_for(decision, "a_migrate_to_0@node1")


def test_what_requires_unfencing_has_its_node_turned_on_whatever_devices_say() -> None:
    document = cib(primitive("a", meta={"requires": "unfencing"}) + DEVICE, options=FENCING)
    assert "stonith-node1-on@node1" in actions(decide(document))


def test_a_device_that_is_defined_anew_turns_nodes_on_again() -> None:
    device = DEVICE.replace(
        "/>",
        '><meta_attributes id="f"><nvpair id="g" name="provides"'
        ' value="unfencing"/></meta_attributes></primitive>',
    )
    known = {"#node-unfenced": "1", "#digests-all": "fence:fence_dummy:old,"}
    document = cib(
        primitive("a") + device,
        status=state("node1", {"a": started()}) + state("node2", {"a": stopped()}),
        options=FENCING,
        node_attributes={"node1": known, "node2": {"#node-unfenced": "1"}},
    )
    decision = decide(document)
    assert "stonith-node2-on@node2" not in actions(decision)
    assert waits_for(decision, "stonith-node1-on@node1") == {"a_stop_0@node1"}


def test_a_fence_device_may_be_told_to_wait_for_fencing() -> None:
    patient = DEVICE.replace(
        "/>",
        '><meta_attributes id="fence-meta"><nvpair id="fence-r" name="requires" value="fencing"/>'
        "</meta_attributes></primitive>",
    )
    decision = decide(
        cib(
            primitive("a") + patient,
            status=away("node1", {"a": started()})
            + state("node2", {"a": stopped(), "fence": stopped()}),
            options=FENCING,
        )
    )
    assert "stonith-node1-reboot@node1" in waits_for(decision, "fence_start_0@node2")
