"""Nodes behind connections: when they are there, by whom they are reached, when they are lost."""

from __future__ import annotations

from tests.kit.pengine import (
    actions,
    cib,
    decide,
    moved,
    primitive,
    ran,
    started,
    state,
    stopped,
    waits_for,
)

FAR = (
    '<primitive id="far" class="ocf" provider="pacemaker" type="remote"><operations>'
    '<op id="far-monitor" name="monitor" interval="10s"/></operations></primitive>'
)
GUEST = primitive("vm", meta={"remote-node": "near"})
DEVICE = '<primitive id="fence" class="stonith" type="fence_dummy"/>'
LIKES_FAR = '<rsc_location id="l" rsc="a" node="far" score="INFINITY"/>'
LIKES_NEAR = '<rsc_location id="l" rsc="a" node="near" score="INFINITY"/>'
BROKEN = started() + ran("monitor", rc=1, interval_ms=10000, call=3)


def remote(written: str) -> str:
    """Write connections as the remote agent's."""
    for name in ("far", "near"):
        old = f'<lrm_resource id="{name}" class="ocf" provider="pacekeeper" type="Dummy">'
        new = f'<lrm_resource id="{name}" class="ocf" provider="pacemaker" type="remote">'
        written = written.replace(old, new)
    return written


def cluster(
    node1: dict[str, str],
    inside: str = "",
    *,
    resources: str = FAR,
    constraints: str = LIKES_FAR,
    fencing: bool = True,
) -> bytes:
    return cib(
        resources + primitive("a") + (DEVICE if fencing else ""),
        constraints=constraints,
        nodes=("node1",),
        status=remote(state("node1", node1)) + inside,
        options={"stonith-enabled": str(fencing).lower()},
    )


def test_a_remote_node_is_there_once_its_connection_is_to_come_up() -> None:
    decision = decide(cluster({"far": stopped(), "a": stopped()}))
    assert not decision.facts.node("far").online
    assert "a_start_0@far" in actions(decision)
    assert "far_start_0@node1" in waits_for(decision, "a_monitor_0@far")
    assert "a_monitor_0@far" in waits_for(decision, "a_start_0@far")


def test_what_happens_on_a_remote_node_names_the_member_it_goes_by() -> None:
    decision = decide(cluster({"far": started(), "a": stopped()}, state("far")))
    routers = {a.router for s in decision.graph.synapses for a in s.actions if a.node == "far"}
    assert routers == {"node1"}


def test_connections_and_fence_devices_never_run_on_remote_nodes() -> None:
    decision = decide(cluster({"far": started(), "a": stopped()}, state("far")))
    assert decision.placement.node_of("far") == "node1"
    assert decision.placement.node_of("fence") == "node1"
    assert "fence_monitor_0@far" not in actions(decision)


def test_a_connection_that_broke_costs_the_remote_node() -> None:
    inside = state("far", {"a": started()})
    decision = decide(cluster({"far": BROKEN, "a": stopped()}, inside))
    [fencing] = [a for a in decision.plan.actions.values() if a.task.value == "stonith"]
    assert fencing.reasons == ("remote connection is unrecoverable",)
    assert "stonith-far-reboot@far" in waits_for(decision, "a_stop_0")


def test_a_connection_that_never_came_up_costs_nothing() -> None:
    failed = ran("start", rc=1)
    decision = decide(cluster({"far": failed, "a": stopped()}, state("far")))
    assert not [key for key in actions(decision) if key.startswith("stonith")]


def test_a_remote_node_that_was_never_seen_is_fenced_unless_its_connection_comes_up() -> None:
    ban = '<rsc_location id="l2" rsc="far" node="node1" score="-INFINITY"/>'
    stays = decide(cluster({"far": stopped(), "a": stopped()}, constraints=LIKES_FAR + ban))
    comes = decide(cluster({"far": stopped(), "a": stopped()}))
    assert "stonith-far-reboot@far" in actions(stays)
    assert "stonith-far-reboot@far" not in actions(comes)


def test_a_connection_can_wait_before_it_is_tried_again() -> None:
    patient = FAR.replace(
        "<operations>",
        '<instance_attributes id="far-ia"><nvpair id="far-r" name="reconnect_interval"'
        ' value="1m"/></instance_attributes><operations>',
    )
    decision = decide(cluster({"far": BROKEN, "a": stopped()}, resources=patient))
    assert "far_stop_0@node1" in actions(decision)
    assert "far_start_0@node1" not in actions(decision)


def test_a_guest_comes_after_its_container_and_with_it() -> None:
    decision = decide(
        cluster({"vm": stopped(), "a": stopped()}, resources=GUEST, constraints=LIKES_NEAR)
    )
    assert "vm_start_0@node1" in waits_for(decision, "near_start_0@node1")
    assert "near_start_0@node1" in waits_for(decision, "a_start_0@near")


def test_what_ran_in_a_failed_container_ends_with_it() -> None:
    broken = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    inside = state("near", {"a": started()})
    decision = decide(
        cluster(
            {"vm": broken, "near": started(), "a": stopped()},
            inside,
            resources=GUEST,
            constraints=LIKES_NEAR,
        )
    )
    label = "stonith-near-reboot@near"
    assert label in actions(decision)
    assert waits_for(decision, label) == {"vm_stop_0@node1"}
    assert label in waits_for(decision, "a_stop_0")
    assert "vm_start_0@node1" in waits_for(decision, "a_start_0@near")


def test_a_guest_needs_no_fencing_to_be_recovered() -> None:
    broken = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    decision = decide(
        cluster(
            {"vm": broken, "near": started(), "a": stopped()},
            state("near", {"a": started()}),
            resources=GUEST,
            constraints=LIKES_NEAR,
            fencing=False,
        )
    )
    assert "stonith-near-reboot@near" in actions(decision)
    assert "a_stop_0" in actions(decision)


def test_a_remote_node_whose_connection_is_gone_is_listed_and_left_alone() -> None:
    document = cluster({"a": stopped()}, resources="").replace(
        b"</nodes>", b'<node id="far" uname="far" type="remote"/></nodes>'
    )
    decision = decide(document)
    assert not decision.facts.node("far").online
    assert "a_start_0@node1" in actions(decision)


def test_a_connection_taken_out_of_the_configuration_goes_after_what_ran_behind_it() -> None:
    inside = state("far", {"a": started()})
    decision = decide(cluster({"far": started(), "a": stopped()}, inside, resources=""))
    assert decision.facts.node("far").online
    assert "a_stop_0@far" in waits_for(decision, "far_stop_0@node1")
    assert decision.placement.node_of("a") == "node1"


def test_a_container_taken_out_of_the_configuration_takes_its_guest_along() -> None:
    gone = '<lrm_resource id="near" container="vm" '
    document = cluster(
        {"vm": started(), "near": started(), "a": stopped()},
        state("near", {"a": started()}),
        resources="",
        constraints="",
    ).replace(b'<lrm_resource id="near" ', gone.encode(), 1)
    decision = decide(document)
    assert decision.facts.node("near").kind == "guest"
    assert "a_stop_0@near" in waits_for(decision, "near_stop_0@node1")
    assert "near_stop_0@node1" in waits_for(decision, "vm_stop_0@node1")


def test_a_removed_resource_is_demoted_wherever_it_may_lead() -> None:
    led = started() + ran("promote", call=3)
    decision = decide(
        cib(
            primitive("b"),
            status=state("node1", {"a": led, "b": started()}) + state("node2", {"a": started()}),
        )
    )
    assert {"a_demote_0@node1", "a_demote_0@node2"} <= set(actions(decision))


def test_a_failure_that_asks_for_fencing_in_a_guest_resets_its_container() -> None:
    broken = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    fences = '<op id="a-m" name="monitor" interval="10s" on-fail="fence"/>'
    decision = decide(
        cib(
            GUEST + primitive("a", ops=fences) + primitive("b") + DEVICE,
            constraints=LIKES_NEAR,
            nodes=("node1",),
            status=remote(state("node1", {"vm": started(), "near": started()}))
            + state("near", {"a": broken, "b": started()}),
            options={"stonith-enabled": "true"},
        )
    )
    assert decision.facts.node("near").online
    assert decision.facts.activity["vm"].failed
    assert not decision.facts.activity["b"].failed
    assert "stonith-near-reboot@near" in waits_for(decision, "a_stop_0")


def test_a_container_answers_for_the_failures_of_its_connection() -> None:
    counts = {"fail-count-near#start_0": "INFINITY"}
    status = remote(
        state("node1", {"vm": stopped(), "near": stopped()}, attributes=counts)
        + state("node2", {"vm": stopped(), "near": stopped()})
    )
    decision = decide(cib(GUEST, status=status))
    assert decision.placement.node_of("vm") == "node2"


def test_rules_can_tell_kinds_of_nodes_apart() -> None:
    rule = (
        '<rsc_location id="l" rsc="a"><rule id="l-r" score="-INFINITY">'
        '<expression id="l-e" attribute="#kind" operation="ne" value="remote"/></rule>'
        "</rsc_location>"
    )
    decision = decide(cluster({"far": started(), "a": stopped()}, state("far"), constraints=rule))
    assert decision.placement.node_of("a") == "far"


def test_what_is_in_a_guest_stays_there() -> None:
    inside = primitive("b", meta={"container": "vm"})
    decision = decide(
        cluster({"vm": started(), "near": started()}, resources=GUEST + inside, constraints="")
    )
    assert decision.placement.node_of("b") == "near"


def test_a_connection_goes_down_when_the_node_behind_it_asks_to_leave() -> None:
    leaving = state("far", {"a": started()}, attributes={"shutdown": "1"})
    found = actions(decide(cluster({"far": started(), "a": stopped()}, leaving)))
    assert "far_stop_0@node1" in found
    assert "a_stop_0@far" in found


def test_behind_a_connection_that_is_half_way_everything_waits_for_its_arrival() -> None:
    left = started() + moved("migrate_to", call=3)
    status = remote(
        state("node1", {"far": left, "a": stopped()})
        + state("node2", {"far": stopped(), "a": stopped()})
    ) + state("far", {"a": started()})
    avoid = '<rsc_location id="l" rsc="a" node="far" score="-INFINITY"/>'
    decision = decide(cib(FAR + primitive("a"), constraints=avoid, status=status))
    assert "far_migrate_from_0@node2" in actions(decision)
    assert "far_start_0" in waits_for(decision, "a_stop_0@far")
    [stop] = [a for s in decision.graph.synapses for a in s.actions if a.key == "a_stop_0"]
    assert stop.router == "node2"


def test_a_connection_on_a_lost_member_waits_for_no_fencing() -> None:
    lost = state("node1", {"far": started()}, online=False).replace(
        'crmd="offline" join="down" expected="down"', 'crmd="offline" join="down" expected="member"'
    )
    decision = decide(
        cib(
            FAR + DEVICE,
            status=remote(lost + state("node2", {"far": stopped(), "fence": stopped()}))
            + state("far"),
            options={"stonith-enabled": "true"},
        )
    )
    assert "stonith-node1-reboot@node1" in actions(decision)
    assert "stonith-node1-reboot@node1" not in waits_for(decision, "far_start_0@node2")


def test_what_migrates_off_a_remote_node_leaves_before_its_connection_moves() -> None:
    mobile = primitive("a", meta={"allow-migrate": "true"})
    status = remote(
        state("node1", {"far": started(), "a": stopped()})
        + state("node2", {"far": stopped(), "a": stopped()})
    ) + state("far", {"a": started()})
    moves = (
        '<rsc_location id="l1" rsc="far" node="node2" score="100"/>'
        '<rsc_location id="l2" rsc="a" node="node1" score="100"/>'
    )
    decision = decide(cib(FAR + mobile, constraints=moves, status=status))
    assert {"a_migrate_to_0@far", "a_stop_0@far"} <= waits_for(decision, "far_stop_0@node1")


def test_what_is_not_looked_for_in_a_guest_that_ends_starts_after_it_ended() -> None:
    broken = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    document = cib(
        GUEST + primitive("b"),
        constraints='<rsc_location id="l" rsc="b" node="node1" score="INFINITY"/>',
        status=remote(state("node1", {"vm": broken, "near": started(), "b": stopped()}))
        + state("near"),
        nodes=("node1",),
    )
    decision = decide(document)
    assert "b_monitor_0@near" not in actions(decision)
    assert "vm_stop_0@node1" in waits_for(decision, "b_start_0@node1")


def test_a_container_waits_for_nothing_that_ends_with_it() -> None:
    order = '<rsc_order id="o" first="vm" then="a"/>' + LIKES_NEAR
    broken = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    decision = decide(
        cluster(
            {"vm": broken, "near": started(), "a": stopped()},
            state("near", {"a": started()}),
            resources=GUEST,
            constraints=order,
        )
    )
    assert "a_stop_0" not in waits_for(decision, "vm_stop_0@node1")


def test_a_monitor_behind_a_connection_that_restarts_is_renewed_where_it_was() -> None:
    watched = started() + ran("monitor", interval_ms=10000, call=3)
    broken = watched + ran("monitor", rc=1, interval_ms=20000, call=4)
    fences = (
        '<op id="a-m" name="monitor" interval="10s"/>'
        '<op id="a-f" name="monitor" interval="20s" on-fail="fence"/>'
    )
    decision = decide(
        cib(
            GUEST + primitive("a", ops=fences) + DEVICE,
            constraints='<rsc_location id="l" rsc="a" node="near" score="-INFINITY"/>',
            nodes=("node1",),
            status=remote(state("node1", {"vm": started(), "near": started(), "a": stopped()}))
            + state("near", {"a": broken}),
            options={"stonith-enabled": "true"},
        )
    )
    assert decision.placement.node_of("a") == "node1"
    assert waits_for(decision, "a_monitor_10000@near") == {"near_start_0@node1"}


def test_nothing_can_be_done_in_a_guest_whose_host_is_lost_and_cannot_be_fenced() -> None:
    lost = state("node1", {"vm": started(), "near": started()}, online=False).replace(
        'join="down" expected="down"', 'join="down" expected="member"'
    )
    decision = decide(
        cib(
            GUEST + primitive("a") + DEVICE,
            status=remote(lost + state("node2", {"a": stopped(), "fence": stopped()}))
            + state("near", {"a": started()}),
            options={"stonith-enabled": "true"},
            quorum=False,
        )
    )
    stops = [a for a in decision.plan.actions.values() if a.owner == "a" and a.task.value == "stop"]
    assert [(a.node, a.runnable, a.is_pseudo) for a in stops] == [("near", False, False)]
    assert "stonith-near-reboot@near" not in actions(decision)


def test_what_is_behind_a_connection_nobody_may_touch_is_left_alone() -> None:
    held = {"maintenance": "true"}
    inside = state("near", {"a": BROKEN})
    document = cib(
        GUEST + primitive("a"),
        constraints=LIKES_NEAR,
        nodes=("node1",),
        node_attributes={"node1": held},
        status=remote(state("node1", {"vm": started(), "near": started()})) + inside,
    )
    decision = decide(document)
    assert decision.facts.node("near").maintenance
    assert not [key for key in actions(decision) if key.startswith("a_st")]
