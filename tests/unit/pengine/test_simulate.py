"""Carrying a graph out on paper."""

from __future__ import annotations

from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import schedule
from pengine.simulate import simulate
from tests.kit.pengine import NOW, cib, decide, group, monitor, primitive


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
