"""Where every instance is active, and in what state it is, over all nodes.

Joins the histories of the nodes (`pengine.facts.history`): an instance may be active on none, one
or several of them. Which history is about which instance was decided before (`finding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from crm.model.roles import Role
from crm.model.status import HistoryEntry
from pengine.facts.fencing import Suspicion
from pengine.facts.history import Failure, OnNode
from pengine.facts.instances import (
    GroupInstance,
    Instance,
    MultipleActive,
    Placeable,
    instances_of,
)
from pengine.facts.migrations import Migrations, conclude_migrations
from pengine.facts.nodes import NodeFacts
from pengine.facts.operations import OnFail


class Activity(msgspec.Struct, frozen=True):
    """The state of one instance. `nodes` are those it is active on, in the order of the status."""

    role: Role = Role.STOPPED
    nodes: tuple[str, ...] = ()
    on_node: Mapping[str, OnNode] | None = None
    failed: bool = False
    blocked: bool = False
    must_stop: bool = False
    stops: tuple[str, ...] = ()
    demotes: tuple[str, ...] = ()
    """Nodes where what failed is cured by a demotion."""
    limit: Role | None = None
    """The highest role it may have after what failed; None if that limits nothing."""
    is_starting: bool = False
    """Set where a start has not ended yet."""
    failures: tuple[Failure, ...] = ()
    pending: str = ""
    pending_on: str = ""
    """The node that has not ended what is pending."""
    known_as: str = ""
    """The name nodes use for a copy; "" if that is its own."""
    ignored: bool = False
    dangling: tuple[str, ...] = ()
    """Nodes it has left by migration, where it still has to be stopped."""
    left_for: tuple[str, ...] = ()
    """Nodes it was being sent to by one that has to be fenced: it may be there by now."""
    migrating: tuple[str, str] | None = None
    """Source and target of a migration that is half done."""
    lost: bool = False
    """Set where a migration ended and nobody can tell where: it is recovered, not migrated."""

    @property
    def here(self) -> str | None:
        """Name the node it counts as being on: of a half-done migration the source."""
        if self.migrating is not None and self.migrating[0] in self.nodes:
            return self.migrating[0]
        return self.nodes[0] if self.nodes else None

    @property
    def is_promoted(self) -> bool:
        """Tell whether it is promoted somewhere."""
        return self.role is Role.PROMOTED

    def at(self, node: str) -> OnNode | None:
        """Look up what is known about one node."""
        return (self.on_node or {}).get(node)

    def is_known_on(self, node: str) -> bool:
        """Tell whether the state on a node is known."""
        found = self.at(node)
        return found is not None and found.is_known


def restart_container(found: dict[str, Activity], inner: str, container: str) -> None:
    """Restart a container in which something failed, where that happened."""
    inside, around = found[inner], found[container]
    names = [
        name
        for name, state in (inside.on_node or {}).items()
        if state.on_fail is OnFail.RESTART_CONTAINER and not state.is_moot
    ]
    if not names:
        return
    stops = [n for n in names if n in around.nodes and n not in around.stops]
    found[inner] = replace(inside, failed=True)
    found[container] = replace(around, stops=(*around.stops, *stops))


def block_whole_group(item: Placeable, activity: dict[str, Activity]) -> None:
    """Block all members of a group of which one is blocked for being active twice."""
    if not isinstance(item, GroupInstance):
        return
    if item.meta.multiple_active is not MultipleActive.BLOCK:
        return
    if any(len(activity[m.id].nodes) > 1 and activity[m.id].blocked for m in item.members):
        for member in item.members:
            activity[member.id] = replace(activity[member.id], blocked=True)


def join(
    instance: Instance,
    on_node: dict[str, OnNode],
    nodes: Mapping[str, NodeFacts],
    suspicion: Suspicion,
    unread: Mapping[str, tuple[HistoryEntry, ...]],
) -> Activity:
    """Conclude the activity of one instance from what each node tells of it.

    What was not read, because its node is away and nobody is fenced, still tells whether a
    migration arrived.
    """
    migrations = conclude_migrations(
        {name: state.entries for name, state in on_node.items()},
        [name for name, node in nodes.items() if node.online],
        unread,
    )
    on_node = _after_migrations(on_node, migrations)
    active = [n for n, state in on_node.items() if state.role.is_active]
    role = _role(on_node, active, migrations)
    if instance.is_promotable and role is Role.STARTED:
        role = Role.UNPROMOTED
    cures = {name: _cure(on_node[name], suspicion.is_lost_guest(name)) for name in active}
    failed = any(cure is not OnFail.IGNORE for cure in cures.values())
    blocked = OnFail.BLOCK in cures.values()
    must_stop = OnFail.STOP in cures.values()
    demotes = [name for name, cure in cures.items() if cure is OnFail.DEMOTE]
    unstopped = (OnFail.IGNORE, OnFail.BLOCK, OnFail.DEMOTE)
    stops = [name for name, cure in cures.items() if cure not in unstopped]
    if len(active) > 1 and instance.meta.multiple_active is MultipleActive.BLOCK:
        blocked = True
    if suspicion.goes_with_its_node(instance):
        must_stop = True
    if suspicion.waits_to_connect(instance, on_node.values()):
        failed = must_stop = True
    if instance.id in suspicion.failed_containers:
        # What ran in it cannot be reached: it is recovered as a whole.
        failed, stops = True, list(active)
    if migrations.lost and active:
        failed = True
        stops += [name for name in active if name not in stops]
    busy = next((s for s in on_node.values() if s.pending), None)
    return Activity(
        role=role,
        nodes=tuple(active),
        on_node=on_node,
        failed=failed,
        blocked=blocked,
        must_stop=must_stop,
        stops=tuple(stops),
        demotes=tuple(demotes),
        limit=_limit(on_node.values()),
        is_starting=any(state.is_starting for state in on_node.values()),
        failures=tuple(f for state in on_node.values() for f in state.failures),
        pending=busy.pending if busy is not None else "",
        pending_on=busy.node if busy is not None else "",
        ignored=any(state.ignored for state in on_node.values()),
        dangling=tuple(n for n in migrations.dangling if n not in active),
        left_for=tuple(
            target
            for source, target in migrations.underway
            if target in nodes and on_node[source].is_moot and target not in active
        ),
        migrating=migrations.partial,
        lost=migrations.lost,
    )


def _cure(there: OnNode, on_lost_guest: bool) -> OnFail:
    """Say what a failure on a node where an instance is active leads to there."""
    if there.is_stuck:
        return OnFail.BLOCK
    if on_lost_guest:
        return OnFail.RESTART  # It comes back clean, whenever its container does.
    if there.is_moot or there.on_fail is None:
        return OnFail.IGNORE  # What failed on a node nobody can reach is settled by fencing it.
    return there.on_fail


def _role(on_node: dict[str, OnNode], active: list[str], migrations: Migrations) -> Role:
    """Give the role that the histories tell, which is not always that of something running.

    Where only a failed migration says that an instance is active, no history does (case
    migrate-fail-7). A half-done one is believed though its source was stopped meanwhile (case
    partial-live-migration-multiple-active).
    """
    told = max((on_node[n].role for n in active if not on_node[n].is_assumed), default=Role.STOPPED)
    return max(told, Role.STARTED) if active and migrations.partial is not None else told


def _limit(states: Iterable[OnNode]) -> Role | None:
    """Say what the failures on all nodes leave of the role an instance may have."""
    limits = [state.limit for state in states if state.limit is not None]
    return max(limits, default=None)


def _after_migrations(on_node: dict[str, OnNode], migrations: Migrations) -> dict[str, OnNode]:
    """Put an instance where its migrations may have left it, before the node that says so."""
    if not migrations.also_active and not migrations.dangling:
        return on_node
    left = {name for name in migrations.dangling if _ends_with_departure(on_node[name])}
    states = {
        name: replace(state, role=Role.STOPPED) if name in left else state
        for name, state in on_node.items()
    }
    found: dict[str, OnNode] = {}
    for name, state in states.items():
        for other in migrations.also_active.get(name, ()):
            if other in on_node and not on_node[other].role.is_active:
                found[other] = replace(on_node[other], role=Role.STARTED, is_assumed=True)
            elif other in states:
                found.setdefault(other, states[other])
        found.setdefault(name, state)
    return found


def _ends_with_departure(state: OnNode) -> bool:
    """Tell whether nothing came after the good departure of a migration but monitors before it."""
    last = next((e for e in reversed(state.entries) if e.interval_ms == 0), None)
    return last is not None and last.operation == "migrate_to" and state.on_fail is None


def is_active(item: Placeable, activity: Mapping[str, Activity]) -> bool:
    """Tell whether any instance in something placeable is active."""
    return any(activity[i.id].nodes for i in instances_of(item))


__all__ = ["Activity", "is_active", "join"]
