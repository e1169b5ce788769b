"""What takes an instance from where it is to where it shall be: stops, a start, clean-up.

A restart is a stop and a start on the same node. Both exist as optional actions for anything that
runs and stays, because an ordering or a changed parameter may make them needed.
"""

from __future__ import annotations

from crm.model.outcomes import ExitCode
from crm.model.roles import Role
from crm.model.status import HistoryEntry
from pengine.act.actions import Action, Task
from pengine.act.builder import Builder, key_of
from pengine.act.migration import add_migration, add_stops_of_dangling, may_migrate
from pengine.act.monitors import add_monitors, add_stopped_monitors
from pengine.act.sequence import expect_steps
from pengine.facts.changes import Change, compare
from pengine.facts.instances import Instance, Requires
from pengine.place.listing import Listing


def add_failure_stops(builder: Builder) -> None:
    """Stop what failed, where it failed."""
    for instance in builder.facts.instances():
        if not builder.facts.is_managed(instance):
            continue
        for node in builder.facts.activity[instance.id].stops:
            builder.stop(instance, node, needed=True, reason="failed")


def add_restarts_for_changes(builder: Builder) -> None:
    """Restart what was started with parameters that have changed since."""
    facts = builder.facts
    for instance in facts.instances():
        if instance.is_removed or not facts.is_managed(instance):
            continue
        for node in facts.activity[instance.id].nodes:
            if node != builder.placement.node_of(instance.id):
                continue
            on_node = facts.activity[instance.id].at(node)
            if on_node is not None and on_node.agent_changed:
                builder.start(instance, node, needed=True)
            elif has_changed(builder, instance, node):
                builder.start(instance, node, needed=True, reason="resource definition change")


def has_changed(builder: Builder, instance: Instance, node: str) -> bool:
    """Tell whether the start that is in the history had other parameters than today."""
    facts = builder.facts
    found = facts.activity[instance.id].at(node)
    if found is None:
        return False
    parameters = facts.parameters(instance, node)
    for entry in _since_start(found.entries):
        is_start = entry.operation in ("start", "migrate_from") or (
            entry.operation == "monitor" and entry.interval_ms == 0
        )
        name = "start" if entry.operation == "monitor" else entry.operation
        own = facts.operation(instance, name).parameters
        counted = {**parameters, **own}
        if is_start and compare(entry, counted, 0, 0) in (Change.RESTART, Change.RELOAD):
            return True
    return False


def _since_start(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    """Keep the entries from the last start on; before it, anything may have been configured."""
    starts = [i for i, e in enumerate(entries) if e.operation in ("start", "migrate_from")]
    if not starts:
        starts = [
            i
            for i, e in enumerate(entries)
            if e.operation == "monitor" and e.exit_code in (ExitCode.OK, ExitCode.PROMOTED)
        ][:1]
    return entries[starts[-1] :] if starts else entries


def add_deletions_for_changed_agents(builder: Builder) -> None:
    """Forget what another agent left behind before the configured one starts."""
    for instance in builder.facts.instances():
        if instance.is_removed or not builder.facts.is_managed(instance):
            continue
        for name, state in (builder.facts.activity[instance.id].on_node or {}).items():
            if state.agent_changed and builder.nodes[name].may_act:
                builder.add(_deletion(builder, instance, name, "its agent is another one now"))


def add_deletions_of_removed(builder: Builder) -> None:
    """Forget a removed resource on every node that remembers it."""
    facts = builder.facts
    if not facts.settings.stop_removed_resources:
        return
    for instance in facts.removed:
        if instance.history_id != instance.id:
            continue  # A copy too many: what its node remembers is about the other copies.
        remembered = facts.activity[instance.id].on_node or {}
        for node in facts.nodes:
            # Histories of nodes that can start nothing are not looked through.
            if node.name in remembered and (node.may_run or node.maintenance):
                builder.add(_deletion(builder, instance, node.name, "it is no longer configured"))


def add_steps(builder: Builder) -> None:
    """Add stops and starts of every instance, and what follows from them."""
    for instance in Listing(builder.facts, builder.placement).instances():
        expect_steps(builder, instance)
        _step(builder, instance)
        add_monitors(builder, instance)
        add_stopped_monitors(builder, instance)


def _step(builder: Builder, instance: Instance) -> None:
    _start_and_stop(builder, instance)
    if instance.is_promotable or builder.facts.activity[instance.id].is_promoted:
        _promote_and_demote(builder, instance)


def _promote_and_demote(builder: Builder, instance: Instance) -> None:
    """Add what changes the role of a copy, and what a restart of a promoted one would need."""
    state = builder.facts.activity[instance.id]
    choice = builder.placement.choices[instance.id]
    will_lead = choice.role is Role.PROMOTED
    leads_there = False
    for name in state.nodes:
        if not state.is_promoted:
            continue
        stays = name == choice.node and len(state.nodes) == 1
        leads_there = leads_there or stays
        is_sure = not stays or not will_lead or name in state.demotes
        builder.demote(instance, name, needed=is_sure and builder.facts.is_managed(instance))
    if will_lead and choice.node is not None:
        is_asked = state.pending == "promote" and not state.stops
        is_asked = is_asked or choice.node in state.demotes
        builder.promote(instance, choice.node, needed=not leads_there or is_asked)


def _start_and_stop(builder: Builder, instance: Instance) -> None:
    facts = builder.facts
    state = facts.activity[instance.id]
    target = builder.placement.choices[instance.id].node
    if not facts.is_managed(instance):
        if target is not None and state.nodes:
            builder.start(instance, target, needed=False)
        for node in state.nodes:
            builder.stop(instance, node, needed=False)
        return
    add_stops_of_dangling(builder, instance)
    if state.role is Role.STOPPED and state.nodes:
        # No node says that it runs: there is nothing to stop (case migrate-fail-7).
        if target is not None:
            builder.start(instance, target, needed=True)
        return
    if may_migrate(builder, instance):
        add_migration(builder, instance)
        return
    stays = target is not None and _counted(builder, instance) == (target,)
    if not stays:
        for node in state.nodes:
            builder.stop(instance, node, needed=True, reason=_why_stop(builder, instance, node))
        if target is not None:
            builder.start(instance, target, needed=True)
        return
    assert target is not None
    may_start, why_not = builder.may_start(instance, target)
    if not may_start:
        # It could not be started here: what cannot start must not go on running either.
        builder.stop(instance, target, needed=True, reason=why_not)
        builder.start(instance, target, needed=True)
        return
    if state.is_starting and not state.stops:
        # Nobody knows how the start ended: it is done again, without a stop.
        builder.start(instance, target, needed=True)
        return
    builder.stop(instance, target, needed=False)
    builder.start(instance, target, needed=bool(state.stops))


def _counted(builder: Builder, instance: Instance) -> tuple[str, ...]:
    """List where an instance counts as active.

    What needs no fencing may start elsewhere before an unclean node is fenced: what it left there
    does not make it active twice.
    """
    nodes = builder.facts.activity[instance.id].nodes
    if instance.meta.requires in (Requires.FENCING, Requires.UNFENCING):
        return nodes
    clean = tuple(name for name in nodes if not builder.nodes[name].unclean)
    return clean or nodes


def _why_stop(builder: Builder, instance: Instance, node: str) -> str:
    choice = builder.placement.choices[instance.id]
    if len(builder.facts.activity[instance.id].nodes) > 1:
        return "being multiply active" if choice.node is not None else "node availability"
    return "node availability" if choice.node is None else ""


def _deletion(builder: Builder, instance: Instance, node: str, reason: str) -> Action:
    return Action(
        id=(key_of(instance, Task.DELETE, 0), node),
        task=Task.DELETE,
        owner=instance.id,
        node=node,
        instance=instance,
        operation=builder.facts.operation(instance, "delete"),
        needed=True,
        reasons=(reason,),
    )
