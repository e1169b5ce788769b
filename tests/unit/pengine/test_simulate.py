"""Carrying a graph out on paper."""

from __future__ import annotations

from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import schedule
from pengine.simulate import simulate
from tests.kit.pengine import (
    NOW,
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


def run(document: bytes, failures: dict[tuple[str, str], int] | None = None):  # type: ignore[no-untyped-def]
    cluster, _ = reading.read(xml.parse(document))
    return simulate(cluster, decide(document).graph, failures)


def test_after_a_simulation_nothing_is_left_to_do() -> None:
    document = cib(group("g", primitive("a", ops=monitor("a")), primitive("b")) + primitive("c"))
    result = run(document)
    assert result.complete
    again = schedule(result.cluster, NOW)
    assert again.graph.synapses == ()


def test_actions_are_done_in_an_order_that_keeps_their_inputs() -> None:
    document = cib(group("g", primitive("a"), primitive("b")))
    keys = [done.action.key for done in run(document).executed]
    assert keys.index("a_start_0") < keys.index("b_start_0") < keys.index("g_running_0")


def test_what_waits_for_a_failed_action_is_not_done() -> None:
    document = cib(group("g", primitive("a"), primitive("b")))
    result = run(document, {("a_start_0", "node1"): 1})
    assert not result.complete
    assert "b_start_0" not in [done.action.key for done in result.executed]


def test_the_cluster_given_is_left_as_it_was() -> None:
    document = cib(primitive("a"))
    cluster, _ = reading.read(xml.parse(document))
    simulate(cluster, schedule(cluster, NOW).graph)
    assert cluster == reading.read(xml.parse(document))[0]


def test_after_a_failure_only_marks_are_reached() -> None:
    document = cib(primitive("a") + primitive("b"), nodes=("node1",))
    result = run(document, {("b_monitor_0", "node1"): 1})
    assert [done.action.key for done in result.executed] == ["a_monitor_0", "b_monitor_0"]
    assert result.executed[-1].failed_rc == 1
    assert "fail-count-b#monitor_0=value++" in result.executed[-1].lines[0]
    assert not result.complete


def test_an_operation_takes_the_place_of_the_one_that_has_its_id() -> None:
    history = started().replace("@_start_0", "@_last_0") + ran("monitor", call=5, interval_ms=10000)
    status = state("node1", {"a": history}) + state("node2", {"a": stopped()})
    stopping = primitive("a", meta={"target-role": "Stopped"}, ops=monitor("a"))
    after = run(cib(stopping, status=status)).cluster.status[0].history[0].entries
    assert [(e.id, e.operation, e.call_id) for e in after] == [
        ("a_last_0", "stop", 6),
        ("a_monitor_10000", "monitor", 5),
    ]


def test_what_is_under_way_is_not_covered_by_what_bears_another_id() -> None:
    history = ran("start", call=-1, status=-1, rc=193)
    status = state("node1", {"a": history}) + state("node2", {"a": stopped()})
    after = run(cib(primitive("a"), status=status)).cluster.status[0].history[0].entries
    assert [e.id for e in after] == ["a_start_0", "a_last_0"]


def test_of_several_histories_of_one_name_none_is_written_to() -> None:
    twice = state("node1", {"a": started()}).replace(
        "</lrm_resources>",
        '<lrm_resource id="a" class="ocf" provider="pacekeeper" type="Dummy"/></lrm_resources>',
    )
    there = {"node1": {"standby": "on"}}
    document = cib(primitive("a"), status=twice + state("node2"), node_attributes=there)
    after = run(document).cluster.status[0]
    assert [len(history.entries) for history in after.history] == [1, 0, 1]
