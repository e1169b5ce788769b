"""The order in which actions stand in the graph, which is the order in which they are printed."""

from __future__ import annotations

from tests.kit.pengine import actions, cib, decide, group, primitive, state, stopped


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
