"""Bundles: what they consist of, where their parts go, and in which order."""

from __future__ import annotations

from crm.model.resources import Bundle, Network, PortMapping, StorageMapping
from pengine.facts import bundles
from tests.kit.pengine import (
    actions,
    cib,
    decide,
    primitive,
    ran,
    started,
    state,
    waits_for,
)


def bundle(
    inside: str = "", *, key: str = "b", replicas: int = 2, network: str = "", more: str = ""
) -> str:
    """Write a bundle; what is inside needs a way in."""
    way = network or ('<network control-port="9999"/>' if inside else "")
    return (
        f'<bundle id="{key}"><podman image="i:1" replicas="{replicas}" {more}/>{way}{inside}'
        "</bundle>"
    )


INSIDE = bundle(primitive("a"))


def test_the_command_line_of_an_engine_tells_all_that_is_configured() -> None:
    configured = Bundle(
        "b",
        "docker",
        "i:1",
        replicas=2,
        options="-q",
        network=Network("192.0.2.9", "9999", ports=(PortMapping("p", "80", "8080"),)),
        storage=(StorageMapping("s", "/srv", "/data", "rw", is_root=True),),
    )
    first, second = bundles.parts_of(configured)
    assert first.address is not None
    assert first.address.id == "b-ip-192.0.2.9"
    assert second.external_address == "192.0.2.10"
    parameters = dict(first.container.parameters[0].values)
    assert parameters["run_opts"] == (
        " --restart=no -h b-0 -e PCMK_stderr=1 -e PCMK_remote_port=9999 -v /srv/b-0:/data:rw"
        " -p 192.0.2.9:80:8080 -q  --add-host=b-0:192.0.2.9 --add-host=b-1:192.0.2.10"
    )
    assert parameters["mount_points"] == "/srv/b-0"
    assert "run_cmd" not in parameters


def test_each_replica_is_a_container_a_node_and_a_copy_that_runs_only_there() -> None:
    placement = decide(cib(INSIDE)).placement
    assert placement.node_of("b-podman-0") == "node1"
    assert placement.node_of("b-podman-1") == "node2"
    assert placement.node_of("b-0") == "node1"
    assert placement.node_of("a:0") == "b-0"
    assert placement.node_of("a:1") == "b-1"


def test_nobody_else_may_use_the_nodes_of_a_bundle() -> None:
    decision = decide(cib(INSIDE + primitive("other")))
    nodes = {line.node for line in decision.placement.table.lines if line.resource == "other"}
    assert nodes == {"node1", "node2"}


def test_a_preference_of_a_bundle_is_about_its_containers() -> None:
    likes = '<rsc_location id="l" rsc="b" node="node2" score="100"/>'
    placement = decide(cib(bundle(primitive("a"), replicas=1), constraints=likes)).placement
    assert placement.node_of("b-podman-0") == "node2"
    assert placement.node_of("a:0") == "b-0"


def test_what_is_with_a_bundle_goes_where_a_container_is() -> None:
    tie = '<rsc_colocation id="c" rsc="vip" with-rsc="b" score="INFINITY"/>'
    likes = '<rsc_location id="l" rsc="b" node="node2" score="100"/>'
    document = cib(primitive("vip") + bundle(primitive("a"), replicas=1), constraints=tie + likes)
    assert decide(document).placement.node_of("vip") == "node2"


def test_the_address_of_a_container_on_its_hosts_network_is_its_host() -> None:
    decision = decide(cib(bundle(primitive("a"), replicas=1)))
    (start,) = (
        action
        for synapse in decision.graph.synapses
        for action in synapse.actions
        if action.key == "b-0_start_0"
    )
    assert start.parameters["addr"] == "node1"


def test_a_replica_comes_up_from_the_address_to_the_copy_inside() -> None:
    network = '<network ip-range-start="192.0.2.9" control-port="9999"/>'
    decision = decide(cib(bundle(primitive("a"), replicas=1, network=network)))
    assert "b_start_0" in waits_for(decision, "b-podman-0_start_0@node1")
    assert "b-ip-192.0.2.9_start_0@node1" in waits_for(decision, "b-podman-0_start_0@node1")
    assert "b-podman-0_start_0@node1" in waits_for(decision, "b-0_start_0@node1")
    assert "b-0_start_0@node1" in waits_for(decision, "a:0_start_0@b-0")
    assert {"b-clone_running_0", "b-podman-0_start_0@node1"} <= waits_for(decision, "b_running_0")


def test_a_connection_is_looked_for_only_once_its_container_is_there() -> None:
    decision = decide(cib(bundle(primitive("a"), replicas=1)))
    assert "b-podman-0_start_0@node1" in waits_for(decision, "b-0_monitor_0@node2")


def test_what_waits_for_a_bundle_waits_for_what_runs_inside() -> None:
    order = '<rsc_order id="o" first="b" then="after"/>'
    document = cib(INSIDE + primitive("after"), constraints=order)
    assert "b_running_0" in waits_for(decide(document), "after_start_0@node1")


def test_what_runs_in_a_container_needs_the_room_of_the_node_the_container_is_on() -> None:
    room = '<utilization id="u"><nvpair id="u-ram" name="ram" value="2"/></utilization>'
    document = cib(
        bundle(primitive("a", more=room), replicas=1),
        options={"placement-strategy": "utilization"},
    )
    for name, amount in (("node1", 1), ("node2", 3)):
        offer = f'<utilization id="o-{name}"><nvpair id="o-{name}-r" name="ram" value="{amount}"/>'
        document = document.replace(
            f'uname="{name}">'.encode(), f'uname="{name}">{offer}</utilization>'.encode(), 1
        )
    placement = decide(document).placement
    assert placement.node_of("b-podman-0") == "node2"
    assert placement.node_of("a:0") == "b-0"


def test_what_was_promised_to_a_container_that_goes_nowhere_is_blocked() -> None:
    nowhere = '<rsc_location id="l" rsc="b" node="node1" score="-INFINITY"/>'
    document = cib(bundle(primitive("a"), replicas=1), constraints=nowhere, nodes=("node1",))
    decision = decide(document)
    assert decision.placement.node_of("b-podman-0") is None
    assert not any("a:0_start" in key for key in actions(decision))


def test_a_node_that_is_down_says_nothing_about_how_well_a_copy_would_lead() -> None:
    inside = primitive("a").replace('type="Dummy"', 'type="Stateful"')
    left = state("b-0", attributes={"master-a": "5"}).replace(
        "<node_state ", '<node_state remote_node="true" '
    )
    document = cib(
        bundle(inside, replicas=1, more='promoted-max="1"'),
        nodes=("node1",),
        status=state("node1") + left,
    )
    assert not any("promote" in key for key in actions(decide(document)))


def test_a_monitor_of_another_role_ends_behind_a_connection_that_restarts() -> None:
    ops = '<op id="m" name="monitor" interval="40s" role="Started"/>'
    inside = primitive("a", ops=ops)
    looked = ran("monitor", interval_ms=40000, call=3)
    document = cib(
        bundle(inside, replicas=1, more='promoted-max="1"'),
        status=state("node1", {"b-podman-0": started(), "b-0": started()})
        + state("node2", {})
        + state("b-0", {"a": started() + looked}),
    )
    graph = decide(document).graph
    about = [a for s in graph.synapses for a in s.actions if a.key == "a_monitor_40000"]
    assert [a.task for a in about] == ["cancel"]
