"""What takes an instance from where it is to where it shall be: stops, a start, clean-up.

A restart is a stop and a start on the same node. Both exist as optional actions for anything that
runs and stays, because an ordering or a changed parameter may make them needed.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from crm.model.roles import Role
from pengine.act.actions import Task
from pengine.act.builder import Builder, key_of
from pengine.act.housekeeping import add_marks, add_role_marks
from pengine.act.migration import add_migration, add_stops_of_dangling, may_migrate
from pengine.act.monitors import add_monitors, add_stopped_monitors
from pengine.act.sequence import expect_steps
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    MultipleActive,
    Placeable,
    Requires,
)
from pengine.place.listing import Listing


def add_failure_stops(builder: Builder) -> None:
    """Stop what failed, where it failed."""
    for instance in builder.facts.instances():
        if not builder.facts.is_managed(instance):
            continue
        for node in builder.facts.activity[instance.id].stops:
            builder.stop(instance, node, needed=True)


def add_steps(builder: Builder) -> None:
    """Add stops and starts of every instance, and what follows from them."""
    listing = Listing(builder.facts, builder.placement)
    for item in listing.items():
        _add_steps_of(builder, listing, item)


def _add_steps_of(builder: Builder, listing: Listing, item: Placeable) -> None:
    """Add the steps of an item; a whole follows when its parts are through."""
    match item:
        case Instance():
            expect_steps(builder, item)
            _step(builder, item)
            add_monitors(builder, item)
            add_stopped_monitors(builder, item)
        case GroupInstance():
            for member in item.members:
                _add_steps_of(builder, listing, member)
            add_marks(builder, item)
        case CloneInstance():
            for copy in listing.copies(item):
                _add_steps_of(builder, listing, copy)
            add_marks(builder, item)
        case BundleInstance():
            for part in item.parts:
                _add_steps_of(builder, listing, part)
            add_marks(builder, item)
            if item.clone is not None:
                _add_steps_of(builder, listing, item.clone)
                add_role_marks(builder, item)


def _step(builder: Builder, instance: Instance) -> None:
    """Add the way down and up again to the present role, then the way to the next one.

    The first half is a restart, needed or not; the second is what changes for good.
    """
    state = builder.facts.activity[instance.id]
    if builder.facts.is_managed(instance):
        add_stops_of_dangling(builder, instance)
        if state.role is not Role.STOPPED and may_migrate(builder, instance):
            add_migration(builder, instance)
            return
    here = state.role if state.nodes else Role.STOPPED
    there = builder.placement.role_of(instance.id)
    needs = _needs(builder, instance, here)
    _take_down(builder, instance, here, needs, is_restart=True)
    if here <= there and not state.blocked:
        _bring_up(builder, instance, Role.STOPPED, here, needs)
    if here > there is Role.STARTED:
        # What has no roles any more leaves its role by a stop only.
        _take_down(builder, instance, here, _FOR_GOOD)
        _bring_up(builder, instance, Role.STOPPED, there, _FOR_GOOD)
    elif here > there:
        _take_down(builder, instance, here, _FOR_GOOD, to=there)
    else:
        _bring_up(builder, instance, here, there, _FOR_GOOD)


class _Needs(msgspec.Struct, frozen=True):
    """What of a restart is needed by itself. `spared` is the one node that needs no stop."""

    all: bool
    promotion: bool = False
    spared: str | None = None


_FOR_GOOD = _Needs(all=True, promotion=True)


def _needs(builder: Builder, instance: Instance, role: Role) -> _Needs:
    """Say what an instance has to go down for, apart from orderings."""
    facts = builder.facts
    state = facts.activity[instance.id]
    target = builder.placement.node_of(instance.id)
    counted = _counted(builder, instance)
    here = state.here if state.migrating is not None else next(iter(counted), None)
    is_moving = here is not None and target is not None and here != target
    is_twice = len(counted) > 1
    need, promotion, spared = is_moving or state.migrating is not None, False, None
    match instance.meta.multiple_active:
        case MultipleActive.STOP_START:
            need = need or is_twice
        case MultipleActive.STOP_UNEXPECTED if is_twice:
            need, spared = True, target
    if is_moving:
        pass
    elif state.failed:
        need = need or not state.demotes or bool(state.stops)
        promotion = bool(state.demotes)
    elif state.blocked:
        need = True
    elif role > Role.STARTED and target is not None and facts.is_managed(instance):
        start = builder.actions.get((key_of(instance, Task.START, 0), target))
        need = need or (start is not None and start.needed)
    promotion = promotion or (state.pending == "promote" and not state.stops)
    return _Needs(need, promotion, spared)


def _take_down(
    builder: Builder,
    instance: Instance,
    role: Role,
    needs: _Needs,
    *,
    to: Role = Role.STOPPED,
    is_restart: bool = False,
) -> None:
    """Demote and stop wherever it is active; what is active twice is so by mistake everywhere."""
    state = builder.facts.activity[instance.id]
    target = builder.placement.node_of(instance.id)
    nodes = [name for name in state.nodes if name != needs.spared or not is_restart]
    is_managed = builder.facts.is_managed(instance)
    if role is Role.PROMOTED:
        for name in nodes:
            needed = (needs.all or name in state.demotes) and is_managed
            builder.demote(instance, name, needed=needed)
    if to >= Role.STARTED or role is Role.STOPPED:
        return
    for name in nodes:
        reason = "node availability" if target is None and is_managed else ""
        if target is not None and is_restart and needs.spared is not None:
            reason = "being multiply active"
        builder.stop(instance, name, needed=needs.all and is_managed, reason=reason)


def _bring_up(builder: Builder, instance: Instance, low: Role, high: Role, needs: _Needs) -> None:
    """Start and promote where it goes."""
    state = builder.facts.activity[instance.id]
    target = builder.placement.node_of(instance.id)
    if target is None:
        return
    is_managed = builder.facts.is_managed(instance)
    if state.is_starting and not state.stops and is_managed:
        # Nobody knows how the start ended: it is done again, without a stop.
        start = builder.start(instance, target, needed=False)
        builder.add(replace(start, is_shown=True))
    if low is Role.STOPPED and high > Role.STOPPED:
        runnable, _ = builder.may_start(instance, target)
        start = builder.start(instance, target, needed=needs.all and runnable and is_managed)
        if needs.spared == target:
            builder.add(replace(start, is_pseudo=True))
    if high is Role.PROMOTED and low < high:
        needed = (needs.all or needs.promotion) and is_managed
        builder.promote(instance, target, needed=needed)


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
