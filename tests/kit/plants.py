"""Errors planted between the stages of the scheduler, to see whether the cases notice.

Stages meet in five frozen values, so a stage that forgot or distorted something is a value with
that something missing. Nothing is patched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from crm.model.cluster import Cluster
from crm.model.graph import Graph
from crm.model.roles import Role
from crm.model.score import ZERO, Score
from pengine import Decision
from pengine.act.actions import Action, Actions, Task
from pengine.act.stage import act
from pengine.emit.graph import emit
from pengine.facts.activity import Activity
from pengine.facts.facts import Facts, conclude, without_lost_nodes
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Meta,
    Placeable,
)
from pengine.facts.tickets import Tickets
from pengine.facts.utilization import Strategy
from pengine.order.plan import Plan
from pengine.order.stage import order
from pengine.place.assign import place
from pengine.place.connections import connect
from pengine.place.placement import Placement


def _same_facts(facts: Facts) -> Facts:
    return facts


def _same_placement(placement: Placement) -> Placement:
    return placement


def _same_actions(actions: Actions) -> Actions:
    return actions


def _same_plan(plan: Plan) -> Plan:
    return plan


def _same_graph(graph: Graph) -> Graph:
    return graph


@dataclass(frozen=True)
class Plant:
    """What happens to each value on its way to the next stage: nothing, unless something does."""

    facts: Callable[[Facts], Facts] = _same_facts
    placement: Callable[[Placement], Placement] = _same_placement
    actions: Callable[[Actions], Actions] = _same_actions
    plan: Callable[[Plan], Plan] = _same_plan
    graph: Callable[[Graph], Graph] = _same_graph


def planted(cluster: Cluster, wall: datetime, plant: Plant) -> Decision:
    """Decide as the pipeline does, with a plant between the stages."""
    facts = plant.facts(conclude(cluster, wall))
    judged = without_lost_nodes(facts)
    placement = plant.placement(place(judged))
    connected = connect(judged, placement)
    actions = plant.actions(act(connected, placement))
    plan = plant.plan(order(connected, placement, actions))
    placement = placement.without(plan.refused)
    graph = plant.graph(emit(connected, placement, plan))
    return Decision(graph, facts, placement, plan)


# --- facts --------------------------------------------------------------------------------------


def with_meta(change: Callable[[Meta], Meta]) -> Plant:
    """Change what is known about every instance."""

    def one(item: Instance | GroupInstance) -> Instance | GroupInstance:
        if isinstance(item, Instance):
            return replace(item, meta=change(item.meta))
        members = tuple(replace(m, meta=change(m.meta)) for m in item.members)
        return replace(item, members=members)

    def anew(item: Placeable) -> Placeable:
        match item:
            case CloneInstance():
                return replace(item, copies=tuple(one(copy) for copy in item.copies))
            case BundleInstance():
                return item
            case Instance() | GroupInstance():
                return one(item)

    return Plant(facts=lambda facts: replace(facts, items=tuple(anew(i) for i in facts.items)))


def _clones(facts: Facts, change: Callable[[CloneInstance], CloneInstance]) -> Facts:
    items = tuple(change(i) if isinstance(i, CloneInstance) else i for i in facts.items)
    return replace(facts, items=items)


def _all_clean(facts: Facts) -> Facts:
    nodes = tuple(replace(node, unclean=False, requires_reset=False) for node in facts.nodes)
    return replace(facts, nodes=nodes)


def _activity(facts: Facts, change: Callable[[Activity], Activity]) -> Facts:
    return replace(facts, activity={key: change(state) for key, state in facts.activity.items()})


def _without_digests(state: Activity) -> Activity:
    on_node = {
        name: replace(found, entries=tuple(replace(e, digest="") for e in found.entries))
        for name, found in (state.on_node or {}).items()
    }
    return replace(state, on_node=on_node)


def _without_room(facts: Facts) -> Facts:
    known = replace(facts.utilization, strategy=Strategy.DEFAULT)
    return replace(facts, utilization=known)


FACTS: dict[str, Plant] = {
    "stickiness is forgotten": with_meta(lambda meta: replace(meta, stickiness=ZERO)),
    "target-role is forgotten": with_meta(lambda meta: replace(meta, target_role=None)),
    "nothing may migrate": with_meta(lambda meta: replace(meta, allow_migrate=False)),
    "everything is managed": with_meta(lambda meta: replace(meta, is_managed=True)),
    "fail counts are forgotten": Plant(facts=lambda facts: replace(facts, fail_counts={})),
    "location constraints are forgotten": Plant(
        facts=lambda facts: replace(facts, links=replace(facts.links, preferences=()))
    ),
    "colocation constraints are forgotten": Plant(
        facts=lambda facts: replace(facts, links=replace(facts.links, together=()))
    ),
    "order constraints are forgotten": Plant(
        facts=lambda facts: replace(facts, links=replace(facts.links, in_order=()))
    ),
    "lost tickets are not missed": Plant(facts=lambda facts: replace(facts, tickets=Tickets())),
    "health is not looked at": Plant(
        facts=lambda facts: replace(facts, health=replace(facts.health, scores={}))
    ),
    "room is not looked at": Plant(facts=_without_room),
    "no node is unclean": Plant(facts=_all_clean),
    "nothing has failed": Plant(
        facts=lambda facts: _activity(facts, lambda state: replace(state, failed=False))
    ),
    "digests are lost": Plant(facts=lambda facts: _activity(facts, _without_digests)),
    "clones do not notify": Plant(
        facts=lambda facts: _clones(facts, lambda clone: replace(clone, notifies=False))
    ),
    "clones do not interleave": Plant(
        facts=lambda facts: _clones(facts, lambda clone: replace(clone, is_interleaved=False))
    ),
    "quorum is always there": Plant(facts=lambda facts: replace(facts, has_quorum=True)),
}

# --- placement ------------------------------------------------------------------------------------


def _nobody_leads(placement: Placement) -> Placement:
    choices = {
        key: replace(choice, role=Role.UNPROMOTED) if choice.role is Role.PROMOTED else choice
        for key, choice in placement.choices.items()
    }
    return replace(placement, choices=choices)


def _miscounted(placement: Placement) -> Placement:
    lines = tuple(replace(line, total=Score(line.total + 1)) for line in placement.table.lines)
    return replace(placement, table=replace(placement.table, lines=lines))


def _everything_stays(placement: Placement) -> Placement:
    """Put everything on the first node."""
    first = placement.nodes[0].name
    choices = {
        key: replace(choice, node=first) if choice.node is not None else choice
        for key, choice in placement.choices.items()
    }
    return replace(placement, choices=choices)


PLACEMENT: dict[str, Plant] = {
    "nobody leads": Plant(placement=_nobody_leads),
    "scores are miscounted": Plant(placement=_miscounted),
    "everything goes to one node": Plant(placement=_everything_stays),
}

# --- actions --------------------------------------------------------------------------------------


def without(is_lost: Callable[[Action], bool]) -> Plant:
    """Never do some of the actions, though orderings know them."""

    def anew(actions: Actions) -> Actions:
        by_id = {
            key: replace(action, needed=False) if is_lost(action) else action
            for key, action in actions.by_id.items()
        }
        by_owner = {
            owner: tuple(by_id[action.id] for action in found)
            for owner, found in actions.by_owner.items()
        }
        return replace(actions, by_id=by_id, by_owner=by_owner)

    return Plant(actions=anew)


def _everything_runs(actions: Actions) -> Actions:
    by_id = {key: replace(action, runnable=True) for key, action in actions.by_id.items()}
    by_owner = {
        owner: tuple(by_id[action.id] for action in found)
        for owner, found in actions.by_owner.items()
    }
    return replace(actions, by_id=by_id, by_owner=by_owner)


ACTIONS: dict[str, Plant] = {
    "inability is ignored": Plant(actions=_everything_runs),
    "nothing is probed": without(lambda action: action.is_probe),
    "monitors do not recur": without(lambda a: a.task is Task.MONITOR and not a.is_probe),
    "nothing is cancelled": without(lambda action: action.task is Task.CANCEL),
    "nobody is fenced": without(lambda action: action.task is Task.FENCE),
    "no node is shut down": without(lambda action: action.task is Task.SHUTDOWN),
    "counts are not cleared": without(lambda action: action.task is Task.CLEAR_FAIL_COUNT),
    "leftovers are not deleted": without(lambda action: action.task is Task.DELETE),
}

# --- plan and graph -------------------------------------------------------------------------------


def _impossible_done(plan: Plan) -> Plan:
    """Carry out what is needed although it cannot be done."""
    needed = (key for key, action in plan.actions.items() if action.needed)
    return replace(plan, included=plan.included.union(needed))


def _nothing_waits(graph: Graph) -> Graph:
    return replace(graph, synapses=tuple(replace(s, inputs=()) for s in graph.synapses))


def _backwards(graph: Graph) -> Graph:
    return replace(graph, synapses=tuple(reversed(graph.synapses)))


PLAN: dict[str, Plant] = {
    "nothing waits in the plan": Plant(plan=lambda plan: replace(plan, inputs={})),
    "what cannot be done is done": Plant(plan=_impossible_done),
}

GRAPH: dict[str, Plant] = {
    "nothing waits in the graph": Plant(graph=_nothing_waits),
    "the graph is written backwards": Plant(graph=_backwards),
}

ALL: dict[str, Plant] = {**FACTS, **PLACEMENT, **ACTIONS, **PLAN, **GRAPH}
