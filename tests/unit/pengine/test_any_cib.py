"""Whatever the CIB: a decision comes out, and it keeps what must always hold.

A short run is part of the daily tests. `./run cibs EXAMPLES=5000` tries more, and others each time.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from hypothesis import HealthCheck, Phase, assume, given, settings
from lxml import etree

from crm.cib import schema
from crm.model.cluster import Cluster
from crm.model.graph import Action, ActionKind, Graph
from crm.model.readxml import cluster as reading
from crm.model.writexml import graph as graph_writing
from crm.plumbing import xml
from pengine import Decision, schedule
from pengine.facts.instances import Instance, Requires
from pengine.simulate import simulate
from tests.kit.any_cib import KINDS, documents
from tests.kit.any_status import NOW_S
from tests.kit.pengine import actions

_NOW = datetime.fromtimestamp(NOW_S, UTC)
_ASKED = os.environ.get("PACEKEEPER_EXAMPLES", "")

_WORK = frozenset({"start", "stop", "promote", "demote", "migrate_to", "migrate_from"})
_ROUNDS = 6
"""So many times may a cluster be put in order until nothing more has to be done."""

# What never comes to rest in truth does not on paper: contradicting halves of migrations, too
# little room for what must be together, unfencing, and nodes that are up or down as what carries
# them is.
_RESTLESS = ("migration", "twice", "utilization", "unfencing", "remote", "guest", "bundle")
_CALM = tuple(kind for kind in KINDS if kind not in _RESTLESS)


def often(share: float) -> settings:
    """Try a share of the examples asked for; the same ones each time if nobody asked."""
    return settings(
        max_examples=max(10, int(int(_ASKED or 300) * share)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        derandomize=not _ASKED,
        print_blob=True,
        # Shrinking a document takes minutes; who looks for a fault asks for it.
        phases=list(Phase) if _ASKED else [Phase.generate],
    )


def read(document: bytes) -> Cluster:
    return reading.read(xml.parse(document))[0]


def graph_actions(graph: Graph) -> list[Action]:
    return [action for synapse in graph.synapses for action in synapse.actions]


@often(0.2)
@given(documents())
def test_the_made_up_cibs_are_admitted_by_the_schema(document: bytes) -> None:
    assert schema.check(xml.parse(document)) == []


@often(1)
@given(documents())
def test_any_cib_gives_a_sound_graph_that_runs_to_its_end(document: bytes) -> None:
    cluster = read(document)
    decision = schedule(cluster, _NOW)
    check_inputs_exist(decision.graph)
    check_there_is_no_loop(decision.graph)
    check_nothing_starts_before_it_stopped_elsewhere(decision)
    check_no_unusable_node_is_chosen(decision)
    real = [key for key in actions(decision) if "@" in key]
    assert len(set(real)) == len(real)
    assert decision.sentence
    # What waits for something that cannot be done is never done either.
    assert simulate(cluster, decision.graph).complete or decision.graph.missing


@often(0.3)
@given(documents())
def test_the_same_cib_gives_the_same_bytes(document: bytes) -> None:
    one = graph_writing.write(schedule(read(document), _NOW).graph)
    two = graph_writing.write(schedule(read(document), _NOW).graph)
    assert xml.serialise(one) == xml.serialise(two)


@often(0.5)
@given(documents())
def test_nothing_unmanaged_is_touched(document: bytes) -> None:
    root = etree.fromstring(document)
    unmanaged = {
        str(resource.get("id"))
        for resource in root.iter("primitive")
        for pair in resource.iterfind("meta_attributes/nvpair[@name='is-managed'][@value='false']")
    }
    decision = schedule(read(document), _NOW)
    # What the configuration no longer knows (a bundle's resource found on a member of the cluster,
    # or one that cannot be in a bundle in its guest) goes, whatever was said of it before.
    removed = {instance.id for instance in decision.facts.instances() if instance.is_removed}
    touched = [
        (action.task, action.resource.id, action.node)
        for action in graph_actions(decision.graph)
        if action.resource is not None and action.kind is ActionKind.RESOURCE
        if action.task in _WORK and action.resource.id.partition(":")[0] in unmanaged
        if action.resource.id not in removed
    ]
    assert touched == []


@often(0.3)
@given(documents(_CALM))
def test_a_cluster_comes_to_rest_after_a_few_rounds(document: bytes) -> None:
    # On paper no agent turns a node on, so what requires that asks for it again and again.
    assume(b'value="unfencing"' not in document)
    cluster = read(document)
    for _ in range(_ROUNDS):
        decision = schedule(cluster, _NOW)
        work = {
            (action.key, action.node)
            for action in graph_actions(decision.graph)
            if action.kind is ActionKind.RESOURCE and action.task in _WORK
        }
        if not work:
            return
        if decision.graph.missing:  # what is asked for waits for what cannot be done, as it should
            return
        cluster = simulate(cluster, decision.graph).cluster
    raise AssertionError(f"still to be done after {_ROUNDS} rounds: {sorted(work)}")


def check_inputs_exist(graph: Graph) -> None:
    known = {action.id for action in (*graph_actions(graph), *graph.missing)}
    for synapse in graph.synapses:
        assert set(synapse.inputs) <= known


def check_there_is_no_loop(graph: Graph) -> None:
    done = {action.id for action in graph.missing}
    waiting = list(graph.synapses)
    while waiting:
        ready = [synapse for synapse in waiting if set(synapse.inputs) <= done]
        assert ready, f"{len(waiting)} steps wait for each other"
        done.update(action.id for synapse in ready for action in synapse.actions)
        waiting = [synapse for synapse in waiting if synapse not in ready]


def check_nothing_starts_before_it_stopped_elsewhere(decision: Decision) -> None:
    keys = actions(decision)
    for instance in decision.facts.instances():
        starts = [a for a in decision.plan.actions_of(instance.id) if a.task.value == "start"]
        for start in starts:
            if not decision.plan.is_in_graph(start.id):
                continue
            for node in decision.facts.activity[instance.id].nodes:
                if node != start.node and not _needs_no_fencing(decision, instance, node):
                    stop = start.key.replace("_start_0", "_stop_0")
                    # A stop that fencing brings about is carried out nowhere.
                    assert {f"{stop}@{node}", stop} & set(keys)


def _needs_no_fencing(decision: Decision, instance: Instance, node: str) -> bool:
    """Tell whether an instance may start again before an unclean node is fenced."""
    safe = instance.meta.requires in (Requires.NOTHING, Requires.QUORUM)
    is_lost = node in (decision.facts.tickets.fenced or {})
    return safe and (decision.facts.node(node).unclean or is_lost)


def check_no_unusable_node_is_chosen(decision: Decision) -> None:
    # A guest is taken to come up; what cannot start there in the end is blocked by that.
    nodes = decision.placement.nodes
    usable = {node.name for node in nodes if node.may_run or node.kind == "guest"}
    for instance in decision.facts.instances():
        node = decision.placement.node_of(instance.id)
        if node is not None and decision.facts.is_managed(instance):
            assert node in usable
            assert decision.placement.choices[instance.id].final_scores[node] >= 0
