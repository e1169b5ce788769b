"""The first of the five values: all that is true before anything is decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec.structs import force_setattr, replace

from crm.model import score
from crm.model.cluster import Cluster
from crm.model.resources import AttributeSet, Bundle, Clone, Group, Primitive, Resource
from crm.model.status import HistoryEntry
from crm.plumbing import errors
from crm.plumbing.errors import Problem
from pengine.facts import bundles
from pengine.facts import links as linking
from pengine.facts.activity import Activity
from pengine.facts.changes import Change, compare
from pengine.facts.expiry import is_last_failure
from pengine.facts.failures import FailCount, fail_count, recorded_failures
from pengine.facts.fencing import FencingPower, Suspicion, power
from pengine.facts.health import Health, conclude_health
from pengine.facts.horizon import next_change_of_sets
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.facts.launchers import (
    Contents,
    after_containers,
    conclude_contents,
    together_with_containers,
)
from pengine.facts.links import Links
from pengine.facts.locks import Lock, conclude_locks
from pengine.facts.making import begin, conclude_instances
from pengine.facts.nodes import NodeFacts, conclude_nodes
from pengine.facts.operations import OperationFacts, OperationRules, find, unconfigured
from pengine.facts.reading import read_histories
from pengine.facts.remote import (
    Connection,
    all_nodes,
    connections,
    remote_nodes,
    removed_connections,
    with_connections,
    with_containers,
)
from pengine.facts.reserved import conclude_reserved
from pengine.facts.settings import (
    QuorumPolicy,
    Settings,
    effective_quorum_policy,
    read_settings,
)
from pengine.facts.tickets import Tickets, conclude_tickets
from pengine.facts.utilization import Utilization, conclude_utilization
from pengine.facts.values import depends_on_node, flatten, situation


class Facts(msgspec.Struct, frozen=True):
    """What is true. `items` are the top-level things to place, `removed` those to get rid of.

    `next_change_s` is when time alone may change the answer (seconds since 1970), or None.
    """

    now: datetime
    settings: Settings
    has_quorum: bool
    nodes: tuple[NodeFacts, ...]
    items: tuple[Placeable, ...]
    removed: tuple[Instance, ...]
    activity: Mapping[str, Activity]
    fail_counts: Mapping[tuple[str, str], FailCount]
    contents: Contents
    links: Links
    tickets: Tickets
    health: Health
    utilization: Utilization
    parameter_sets: Mapping[str, tuple[AttributeSet, ...]]
    shared_parameters: Mapping[str, Mapping[str, str]]
    operation_rules: OperationRules
    has_fencing_device: bool
    fencing: FencingPower
    connections: Mapping[str, Connection]
    reserved: Mapping[str, frozenset[str]]
    """The nodes in containers of bundles, with the ids of what knows but may not use them."""
    locks: Mapping[str, Lock]
    problems: tuple[Problem, ...]
    next_change_s: float | None
    by_name: Mapping[str, NodeFacts] = msgspec.field(default_factory=dict)
    """The nodes by name; of two with one name the first."""
    looked_after: dict[Instance, bool] = msgspec.field(default_factory=dict)
    """What `is_looked_after` has answered: it is asked by every stage, of every instance."""

    def __post_init__(self) -> None:
        found = {node.name: node for node in reversed(self.nodes)}
        force_setattr(self, "by_name", found)
        force_setattr(self, "looked_after", {})

    def node(self, name: str) -> NodeFacts:
        """Look a node up by name."""
        return self.by_name[name]

    @property
    def everything(self) -> tuple[Placeable, ...]:
        """All top-level things, removed ones last."""
        return (*self.items, *self.removed)

    def instances(self) -> Iterator[Instance]:
        """Walk over all instances, removed ones last."""
        for item in self.everything:
            yield from instances_of(item)

    @property
    def quorum_is_missed(self) -> bool:
        """Tell whether the lack of quorum keeps things from starting."""
        return not self.has_quorum and self.settings.no_quorum_policy is not QuorumPolicy.IGNORE

    @property
    def may_start_anything(self) -> bool:
        """Tell whether starts are allowed at all: with fencing on, a device must exist."""
        return not self.settings.fencing_enabled or self.has_fencing_device

    def is_managed(self, instance: Instance) -> bool:
        """Tell whether the cluster may touch an instance, where it is now."""
        return instance.id not in self.tickets.frozen and self.is_looked_after(instance)

    def is_normally_managed(self, instance: Instance) -> bool:
        """Tell whether the cluster would touch an instance if nothing had happened to it."""
        return self.may_start_anything and self.is_entrusted(instance)

    def is_entrusted(self, instance: Instance) -> bool:
        """Tell whether the configuration leaves an instance to the cluster."""
        if not instance.meta.is_managed or instance.meta.maintenance or self.settings.maintenance:
            return False
        is_leftover = instance.is_removed and instance.number is None
        return not is_leftover or self.settings.stop_removed_resources

    def is_looked_after(self, instance: Instance) -> bool:
        """Tell the same without regard to tickets, which only this decision looks at."""
        known = self.looked_after.get(instance)
        if known is None:
            known = self.looked_after[instance] = self._look_after(instance)
        return known

    def _look_after(self, instance: Instance) -> bool:
        return self.may_start_anything and not self.is_held(instance)

    def is_held(self, instance: Instance) -> bool:
        """Tell whether configuration, a failure or its node keep the cluster from an instance."""
        state = self.activity[instance.id]
        if not self.is_entrusted(instance) or state.blocked:
            return True
        return any(self.node(name).maintenance for name in state.nodes)

    def is_blocked(self, instance: Instance) -> bool:
        """Tell whether nothing may happen to an instance: for a failure, or a lost ticket."""
        return self.activity[instance.id].blocked or instance.id in self.tickets.frozen

    def is_left_alone(self, instance: Instance) -> bool:
        """Tell whether something about an instance itself keeps the cluster from touching it.

        That nothing can be fenced does not: it matters only when a node is to be chosen.
        """
        return instance.id in self.tickets.frozen or self.is_held(instance)

    def is_invented(self, instance: str) -> bool:
        """Tell whether an instance is the connection of a guest, which nobody configured."""
        found = self.connections.get(instance)
        return found is not None and bool(found.container)

    def is_bound_to_members(self, instance: Instance) -> bool:
        """Tell whether an instance can never be on a remote node."""
        if instance.id in self.connections or instance.resource.agent.is_fencing:
            return True
        return any(c.container == instance.id and not c.bundle for c in self.connections.values())

    @property
    def has_managed(self) -> bool:
        """Tell whether there is anything the cluster looks after; else nobody is fenced."""
        return any(self.is_managed(instance) for instance in self.instances())

    def fenced_because(self, node: NodeFacts) -> str | None:
        """Say why a node will be fenced, or None if it will not be."""
        if node.kind == "guest":
            is_possible = node.requires_reset and self.may_stop_container(node)
            return "guest is unclean" if is_possible else None
        if not node.unclean or not self.fencing.can_fence(node):
            return None
        return node.unclean_because or "node is unclean"

    def may_stop_container(self, guest: NodeFacts) -> bool:
        """Tell whether the hosts of a guest's container answer or can be fenced."""
        hosts = [self.node(name) for name in self.activity[guest.container].nodes]
        return all(host.online or self.fencing.can_fence(host) for host in hosts)

    def history_name(self, instance: Instance) -> str:
        """Give the name nodes use for an instance: a copy has its own until a history has it."""
        return self.activity[instance.id].known_as or instance.id

    def parameters(self, instance: Instance, node: str = "") -> Mapping[str, str]:
        """Give an instance's parameters on a node; they differ by node only through rules."""
        shared = self.shared_parameters.get(instance.resource.id)
        if shared is not None:
            return shared
        sets = self.parameter_sets.get(instance.resource.id, ())
        attributes = self.node(node).attributes if node else None
        return flatten(sets, situation(self.now, attributes))

    def why_cleared(self, instance: Instance, node: str) -> str:
        """Say why the fail count on a node is to be cleared, "" if it is not.

        Either all failures are too old, or the last one was with other parameters than today's.
        """
        on_node = self.activity[instance.id].at(node)
        if on_node is None or on_node.clear_because:
            return "" if on_node is None else on_node.clear_because
        for entry in on_node.entries:
            if not is_last_failure(entry) or entry in on_node.expired:
                continue
            if entry.operation in ("start", "monitor") and self._ran_otherwise(
                instance, node, entry
            ):
                return "resource parameters have changed"
        return ""

    def _ran_otherwise(self, instance: Instance, node: str, entry: HistoryEntry) -> bool:
        operation = self.operation(instance, entry.operation, entry.interval_ms)
        change = compare(
            entry,
            self.parameters(instance, node),
            operation.parameters,
            interval_ms=entry.interval_ms,
            timeout_ms=operation.timeout_ms,
            trusts_hidden=False,
        )
        return change not in (Change.NONE, Change.UNKNOWN)

    def operation(self, instance: Instance, name: str, interval_ms: int = 0) -> OperationFacts:
        """Give an operation with its defaults, configured or not."""
        found = find(instance.operations, name, interval_ms)
        if found is not None and found.enabled:
            return found
        return unconfigured(instance.resource, name, interval_ms, self.operation_rules)


def conclude(cluster: Cluster, wall: datetime) -> Facts:
    """Conclude what is true from configuration, status and the time."""
    now = wall
    if cluster.execution_s is not None:
        now = datetime.fromtimestamp(cluster.execution_s, UTC)
    settings, problems = read_settings(flatten(cluster.options, situation(now)))
    settings = effective_quorum_policy(
        settings, has_quorum=cluster.has_quorum, had_quorum=cluster.had_quorum
    )
    cluster = with_connections(cluster, now)
    configured = connections(cluster, now)
    known_connections = (*configured, *removed_connections(cluster, configured))
    nodes = all_nodes(
        conclude_nodes(cluster, settings, now),
        remote_nodes(cluster, known_connections, settings, now),
    )
    contents = conclude_contents(cluster, now)
    rules = OperationRules(cluster.operation_defaults, now, settings.fencing_enabled, contents)
    making = begin(
        cluster,
        now,
        rules,
        quorum_is_ignored=settings.no_quorum_policy is QuorumPolicy.IGNORE,
        node_count=len(nodes) - (len(known_connections) - len(configured)),
    )
    items = conclude_instances(making)
    has_device = settings.has_watchdog or any(
        i.resource.agent.is_fencing for item in items for i in instances_of(item)
    )
    fencing = power(settings, has_device=has_device, has_quorum=cluster.has_quorum)
    suspicion = Suspicion(_forsaken(nodes, settings, cluster), settings, fencing)
    told = read_histories(making, items, suspicion, settings)
    items, removed, activity = told.items, told.removed, told.activity
    nodes = suspicion.nodes()
    sets = _parameter_sets(cluster)
    shared = {
        key: flatten(found, situation(now))
        for key, found in sets.items()
        if not depends_on_node(found)
    }

    def parameters(key: str, attributes: Mapping[str, str]) -> Mapping[str, str]:
        known = shared.get(key)
        return flatten(sets.get(key, ()), situation(now, attributes)) if known is None else known

    meta = {i.id: i.meta.pairs for item in items for i in (item, *instances_of(item))}
    names = _known_ids(items, activity)
    links, link_problems = linking.conclude_links(cluster, nodes, names, parameters, meta, now)
    links = with_containers(links, known_connections, items)
    problems += link_problems
    tickets, ticket_problems = conclude_tickets(
        cluster, items, activity, frozenset(names), fencing_enabled=settings.fencing_enabled
    )
    problems += ticket_problems
    locks = conclude_locks(
        cluster, items, {node.name: node for node in nodes}, activity, settings, now.timestamp()
    )
    everything = (*(i for item in items for i in instances_of(item)), *removed)
    counts = _fail_counts(everything, nodes, now.timestamp(), activity)
    if settings.fencing_enabled and not has_device and items:
        problems.append(
            errors.error(
                "no-fencing-device",
                "stonith-enabled",
                "resources do not start: fencing is enabled and no fencing device is configured",
                "configure a device, or set stonith-enabled=false",
            )
        )
    facts = Facts(
        now=now,
        settings=settings,
        has_quorum=cluster.has_quorum,
        nodes=nodes,
        items=items,
        removed=removed,
        activity=activity,
        fail_counts=counts,
        contents=contents,
        links=links,
        tickets=tickets,
        health=conclude_health(nodes, settings),
        utilization=conclude_utilization(cluster, items, settings, now),
        parameter_sets=sets,
        shared_parameters=shared,
        operation_rules=making.operation_rules,
        has_fencing_device=has_device,
        fencing=fencing,
        locks=locks,
        connections={c.node: c for c in known_connections},
        reserved=conclude_reserved(cluster),
        problems=tuple(problems),
        next_change_s=_next_change_s(
            (links.next_change, next_change_of_sets(cluster, nodes, now)), counts, activity, locks
        ),
    )
    return replace(facts, links=_with_contents(facts))


def _with_contents(facts: Facts) -> Links:
    """Tie what is inside a container to it, where nobody has to keep off."""
    if not facts.contents:
        return facts.links
    free = {i.id for i in facts.instances() if not facts.is_left_alone(i)}
    contents = {inner: around for inner, around in facts.contents.items() if inner in free}
    guests = {c.container: c.node for c in facts.connections.values() if c.container}
    return replace(
        facts.links,
        together=(*facts.links.together, *together_with_containers(contents, guests)),
        in_order=(*after_containers(contents, guests), *facts.links.in_order),
    )


def without_lost_nodes(facts: Facts) -> Facts:
    """Give up the nodes that a lost ticket costs; the status still shows them as they are."""
    lost = facts.tickets.fenced or {}
    if not lost:
        return facts
    nodes = tuple(
        node.to_be_fenced(lost[node.name]) if node.name in lost else node for node in facts.nodes
    )
    return replace(facts, nodes=nodes)


def conclude_fenced(facts: Facts) -> dict[str, str]:
    """Map the nodes that will be fenced to why, in the order in which they are listed."""
    if not facts.has_managed:
        return {}
    found = {node.name: facts.fenced_because(node) for node in facts.nodes}
    return {name: because for name, because in found.items() if because is not None}


def _forsaken(
    nodes: tuple[NodeFacts, ...], settings: Settings, cluster: Cluster
) -> tuple[NodeFacts, ...]:
    """Mark all that is online where a partition without quorum has to end itself."""
    if cluster.has_quorum or settings.no_quorum_policy is not QuorumPolicy.FENCE:
        return nodes
    return tuple(
        node.to_be_fenced("cluster does not have quorum") if node.online else node for node in nodes
    )


def _known_ids(items: tuple[Placeable, ...], activity: Mapping[str, Activity]) -> list[str]:
    """List what constraints may name.

    What is configured inside a clone has no name of its own, only its copies have, until a
    history knows one by it (case promoted-ordering); then the name means the clone.
    """
    found = []
    for item in items:
        found.append(item.id)
        match item:
            case GroupInstance():
                found += [member.id for member in item.members]
            case CloneInstance():
                found += [copy.id for copy in item.copies]
                instances = list(instances_of(item))
                remembered = {i.resource.id for i in instances if _is_remembered(i, activity)}
                found += sorted(remembered)
            case BundleInstance():
                found += _known_ids((item.clone,), activity) if item.clone is not None else []
                found += [part.id for part in item.parts]
            case Instance():
                pass
    return found


def _is_remembered(copy: Instance, activity: Mapping[str, Activity]) -> bool:
    """Tell whether a history knows a copy by the name of what is configured."""
    states = (activity[copy.id].on_node or {}).values()
    return any(state.name == copy.resource.id for state in states)


def _parameter_sets(cluster: Cluster) -> dict[str, tuple[AttributeSet, ...]]:
    """Collect each primitive's parameter sets: its own before those of its parents."""
    found: dict[str, tuple[AttributeSet, ...]] = {}

    def collect(resource: Resource, outer: tuple[AttributeSet, ...]) -> None:
        match resource:
            case Primitive():
                found[resource.id] = (*resource.parameters, *outer)
            case Group():
                for member in resource.members:
                    collect(member, (*resource.parameters, *outer))
            case Clone():
                collect(resource.child, (*resource.parameters, *outer))
            case Bundle():
                for part in bundles.generated_primitives(resource):
                    collect(part, ())
                if resource.child is not None:
                    collect(resource.child, ())

    for resource in cluster.resources:
        collect(resource, ())
    return found


def _fail_counts(
    instances: Iterable[Instance],
    nodes: tuple[NodeFacts, ...],
    now_s: float,
    activity: Mapping[str, Activity],
) -> dict[tuple[str, str], FailCount]:
    found = {}
    recorded = {node.name: recorded_failures(node.attributes) for node in nodes}
    failing = [(name, names) for name, names in recorded.items() if names]
    if not failing:
        return {}
    for instance in instances:
        for name, names in failing:
            on_node = activity[instance.id].at(name)
            entries = on_node.entries if on_node is not None else ()
            count = fail_count(names, instance, name, now_s, entries)
            if count.total > score.ZERO:
                found[instance.id, name] = count
    return found


def _next_change_s(
    ruled: Iterable[datetime | None],
    counts: Mapping[tuple[str, str], FailCount],
    activity: Mapping[str, Activity],
    locks: Mapping[str, Lock],
) -> float | None:
    moments: list[float] = [
        count.next_change_s
        for (instance, node), count in counts.items()
        if count.next_change_s is not None and activity[instance].at(node) is not None
    ]
    moments += [
        lock.until_s + 1
        for lock in locks.values()
        if lock.until_s is not None and not lock.has_ended
    ]
    moments += [moment.timestamp() for moment in ruled if moment is not None]
    return min(moments, default=None)
