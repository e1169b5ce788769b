"""What takes an instance from where it is to where it shall be: stops, a start, clean-up.

A restart is a stop and a start on the same node. Both exist as optional actions for anything that
runs and stays, because an ordering or a changed parameter may make them needed.
"""

from __future__ import annotations

from crm.model.roles import Role
from pengine.act.builder import Builder
from pengine.act.migration import add_migration, add_stops_of_dangling, may_migrate
from pengine.act.monitors import add_monitors, add_stopped_monitors
from pengine.act.sequence import expect_steps
from pengine.facts.instances import Instance, Requires
from pengine.place.listing import Listing


def add_failure_stops(builder: Builder) -> None:
    """Stop what failed, where it failed."""
    for instance in builder.facts.instances():
        if not builder.facts.is_managed(instance):
            continue
        for node in builder.facts.activity[instance.id].stops:
            builder.stop(instance, node, needed=True, reason="failed")


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
