"""The order in which actions stand in the graph, which is the order in which they are printed."""

from __future__ import annotations

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
)


def clone(key: str, child: str) -> str:
    return f'<clone id="{key}">{child}</clone>'


def test_marks_of_a_clone_come_behind_its_copies_and_marks_of_a_group_before_its_members() -> None:
    status = state("node1", {"a": stopped(), "b": stopped()})
    document = cib(
        clone("c", primitive("a")) + group("g", primitive("b")), status=status, nodes=("node1",)
    )
    assert actions(decide(document)) == [
        "a_start_0@node1",
        "c_running_0",
        "c_start_0",
        "g_running_0",
        "g_start_0",
        "b_start_0@node1",
    ]


def test_copies_stand_by_number_once_something_was_looked_for() -> None:
    found = actions(decide(cib(clone("c", primitive("a")))))
    starts = [key for key in found if "start_0@" in key]
    assert len(starts) == 2
    decision = decide(cib(clone("c", primitive("a"))))
    names = [
        a.resource.long_id
        for synapse in decision.graph.synapses
        for a in synapse.actions
        if a.task == "start" and a.resource is not None
    ]
    assert names == ["a:0", "a:1"]


def test_what_belongs_to_no_resource_comes_last_and_newest_first() -> None:
    leaves = {"shutdown": "1"}
    status = state("node1", attributes=leaves) + state("node2", attributes=leaves)
    document = cib(primitive("a"), status=status)
    assert actions(decide(document))[-2:] == ["do_shutdown-node2@node2", "do_shutdown-node1@node1"]


def test_a_cancelled_monitor_is_older_than_the_stop_that_ends_it() -> None:
    history = started() + ran("monitor", call=3, interval_ms=5000)
    status = state("node1", {"a": history}) + state("node2", {"a": stopped()})
    ban = '<rsc_location id="l" rsc="a" node="node1" score="-INFINITY"/>'
    found = actions(decide(cib(primitive("a"), constraints=ban, status=status)))
    assert found == ["a_start_0@node2", "a_stop_0@node1", "a_monitor_5000@node1"]


def test_a_monitor_that_is_renewed_is_older_than_the_stop_of_its_instance() -> None:
    history = started() + ran("monitor", call=3, interval_ms=10000, rc=7)
    status = state("node1", {"a": history}) + state("node2", {"a": stopped()})
    document = cib(primitive("a", ops=monitor("a")), status=status)
    assert actions(decide(document)) == [
        "a_start_0@node1",
        "a_stop_0@node1",
        "a_monitor_10000@node1",
    ]


def test_shutdowns_and_fencings_stand_by_node() -> None:
    status = (
        state("node1", attributes={"shutdown": "1"})
        + state("node2", online=False).replace('expected="down"', 'expected="member"')
        + state("node3", attributes={"shutdown": "1"})
    )
    device = primitive("f").replace('class="ocf" provider="pacekeeper"', 'class="stonith"')
    document = cib(
        device,
        status=status,
        nodes=("node1", "node2", "node3"),
        options={"stonith-enabled": "true"},
    )
    found = [key for key in actions(decide(document)) if key.startswith(("stonith", "do_"))]
    assert found == [
        "do_shutdown-node3@node3",
        "do_shutdown-node1@node1",
        "stonith-node2-reboot@node2",
    ]
