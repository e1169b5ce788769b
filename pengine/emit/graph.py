"""The fifth of the five values: the transition graph, made of what is needed and possible."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model import graph as model
from crm.model.graph import ActionKind, Graph, GraphResource, Synapse
from pengine.act.actions import Action, Task
from pengine.emit.attributes import Attributes
from pengine.facts.facts import Facts
from pengine.facts.instances import BundleInstance, CloneInstance, Placeable
from pengine.order.plan import Plan
from pengine.place.listing import Listing
from pengine.place.placement import Placement
from pengine.place.tally import everything_in

_FIRST_OF_ALL = 1_000_000
_ENDS = frozenset({Task.RUNNING, Task.STOPPED, Task.PROMOTED, Task.DEMOTED})


def emit(facts: Facts, placement: Placement, plan: Plan, transition: int = 0) -> Graph:
    """Make the graph: resources in their order, each one's newest action first."""
    included = [action for action in plan.actions.values() if plan.is_in_graph(action.id)]
    numbers = {action.id: number for number, action in enumerate(included, start=1)}
    # What cannot run may be waited for all the same: an input that no synapse provides.
    for first in (first for firsts in plan.inputs.values() for first in firsts):
        numbers.setdefault(first, len(numbers) + 1)
    inputs = {then: [numbers[first] for first in firsts] for then, firsts in plan.inputs.items()}
    items = _items(facts)
    settings = facts.settings
    attributes = Attributes(facts, placement, plan)
    synapses: list[Synapse] = []
    for action in _in_graph_order(Listing(facts, placement), included):
        synapses.append(
            Synapse(
                id=len(synapses),
                actions=(_action(facts, plan, action, numbers[action.id], attributes),),
                inputs=tuple(sorted(set(inputs.get(action.id, ())))),
                priority=_priority(action, items.get(action.owner)),
            )
        )
    return Graph(
        transition=transition,
        synapses=tuple(synapses),
        cluster_delay=settings.text("cluster-delay"),
        fencing_timeout=settings.text("stonith-timeout"),
        cluster_delay_ms=settings.cluster_delay_ms,
        fencing_timeout_ms=settings.fencing_timeout_ms,
        failed_start_is_infinity=settings.start_failure_is_fatal,
        batch_limit=settings.batch_limit,
        migration_limit=settings.migration_limit,
        recheck_at=facts.next_change_s,
        missing=tuple(
            _action(facts, plan, plan.actions[key], number, attributes)
            for key, number in numbers.items()
            if number > len(included)
        ),
    )


def _in_graph_order(listing: Listing, included: list[Action]) -> list[Action]:
    by_owner: dict[str, list[Action]] = {}
    for action in included:
        by_owner.setdefault(action.owner, []).append(action)
    ordered: list[Action] = []
    for owner in listing.owners():
        ordered += reversed(by_owner.pop(owner, []))
    left = {action.id for rest in by_owner.values() for action in rest}
    return [*ordered, *(action for action in reversed(included) if action.id in left)]


def _items(facts: Facts) -> dict[str, Placeable]:
    return {part.id: part for top in facts.everything for part in everything_in(top)}


def _priority(action: Action, item: Placeable | None) -> int:
    """Say how important an action is, so that the controller prefers it.

    The ends of what clones do and the notices of them free others to go on, so they come first.
    """
    if item is None:
        return 0
    if action.task in _ENDS and isinstance(item, CloneInstance | BundleInstance):
        return _FIRST_OF_ALL
    if action.task is Task.NOTIFY and "post_notify_" in action.id[0]:
        return _FIRST_OF_ALL
    return max(0, item.meta.priority)


def _action(
    facts: Facts, plan: Plan, action: Action, number: int, attributes: Attributes
) -> model.Action:
    kind = ActionKind.RESOURCE
    if action.is_pseudo:
        kind = ActionKind.PSEUDO
    elif action.task in (
        Task.SHUTDOWN,
        Task.CLEAR_FAIL_COUNT,
        Task.FENCE,
        Task.FORGET,
    ):
        kind = ActionKind.CLUSTER
    # A pseudo action is carried out nowhere, wherever it stands for something.
    node = "" if action.is_pseudo and action.task is not Task.FENCE else action.node
    node_id = facts.node(node).id if node else ""
    return model.Action(
        id=number,
        kind=kind,
        task=_task(action),
        key=action.key,
        node=node,
        node_id=node_id,
        router=_router(facts, action) if node else "",
        resource=_resource(facts, action),
        interval_ms=action.interval_ms if action.task is not Task.CANCEL else 0,
        timeout_ms=action.operation.timeout_ms if action.operation else 20_000,
        expected_rc=action.expected_rc,
        parameters=attributes.parameters_of(action),
        meta=attributes.meta_of(action, node_id),
        reasons=action.reasons,
        full_key=_full_key(action),
        downed=_downed(facts, plan, action),
    )


def _full_key(action: Action) -> str:
    key = action.id[0].removeprefix("cancel ")
    return key if key != action.key else ""


def _downed(facts: Facts, plan: Plan, action: Action) -> tuple[str, ...]:
    """List the ids of the nodes that are down when an action is done.

    A fencing takes the guests of a node along; a connection that stops cuts its node off, unless
    it only moves.
    """
    if action.task is Task.SHUTDOWN:
        return (facts.node(action.node).id,)
    if action.task is Task.FENCE and action.fencing_action != "on":
        guests = [
            node.id
            for node in facts.nodes
            if node.container and action.node in facts.activity[node.container].nodes
        ]
        return (facts.node(action.node).id, *guests)
    if action.task is Task.STOP and action.owner in facts.connections and not action.is_pseudo:
        moves = any(a.task is Task.MIGRATE_FROM for a in _waited_for(plan, action))
        return () if moves else (action.owner,)
    return ()


def _waited_for(plan: Plan, action: Action) -> Iterator[Action]:
    yield from (plan.actions[first] for first in plan.inputs.get(action.id, ()))


def _task(action: Action) -> str:
    if action.task is Task.ONE_OR_MORE:
        return action.owner
    if action.task is Task.LOAD_STOPPED:
        return action.key
    return "notified" if action.is_told else action.task.value


_BEFORE_IT_MOVES = frozenset(
    {Task.STOP, Task.DEMOTE, Task.CANCEL, Task.MIGRATE_TO, Task.MIGRATE_FROM}
)


def _router(facts: Facts, action: Action) -> str:
    """Name the member whose connection carries an action on a remote node.

    While the connection moves, what has to be done before goes by the member that has it. Is it
    half way already, all goes by where it arrives.
    """
    node = facts.node(action.node)
    if not node.is_remote or action.is_pseudo or action.task is Task.FENCE:
        return ""
    if not node.came_by or not node.goes_by:
        return node.came_by or node.goes_by
    is_half_way = node.kind == "remote" and facts.activity[node.connection].migrating is not None
    # A notice goes the way of the step it is about (case route-remote-notify).
    step = action.about if action.task is Task.NOTIFY else action.task
    is_early = step in _BEFORE_IT_MOVES and not is_half_way
    return node.came_by if is_early else node.goes_by


def _resource(facts: Facts, action: Action) -> GraphResource | None:
    instance = action.instance
    if instance is None:
        return None
    agent = instance.resource.agent
    is_copy = instance.number is not None and not instance.is_unique
    name, long = instance.history_id, instance.id if is_copy else ""
    if is_copy and facts.activity[instance.id].nodes:
        # A copy too many keeps the name its node knows it by: the plain one means another copy.
        known = facts.history_name(instance)
        name = known if instance.is_removed else name
        long = long if instance.is_removed or known == name else known
    return GraphResource(
        id=name,
        agent_class=agent.standard,
        type=agent.type,
        provider=agent.provider,
        long_id=long,
    )
