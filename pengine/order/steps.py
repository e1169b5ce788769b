"""What the steps of single instances state: probes first, monitors after, clean-up between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crm.model.outcomes import ExitCode
from crm.model.roles import Role
from pengine.act.actions import Action, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    Instance,
    Replica,
    bundles_in,
    clones_in,
    instances_of,
)
from pengine.order.plan import PLAIN, Every, Meaning, Ordering, Statement
from pengine.place.listing import Listing
from pengine.place.placement import Placement

_BLOCKS = frozenset({Meaning.BLOCKS})
_FOLLOWS = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
_REPLACED = PLAIN | {Meaning.REPLACES}
_IN_TURN = PLAIN | {Meaning.BLOCKS}
_NESTED = frozenset({Meaning.BLOCKS_UNLESS_UP})
_SAME_NODE = PLAIN | {Meaning.SAME_NODE}


def step_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield what is ordered as soon as the steps are found: single actions with each other."""
    for instance in facts.instances():
        if not facts.is_managed(instance):
            continue
        for monitor in _monitors(actions, instance, for_stopped=True):
            for probe in actions.probes(instance.id):
                if probe.node == monitor.node:
                    yield Ordering(probe.id, monitor.id, _BLOCKS, "probe before monitor")


def _monitors(actions: Actions, instance: Instance, *, for_stopped: bool) -> list[Action]:
    return [
        action
        for action in actions.of(instance.id, Task.MONITOR)
        if (action.expected_rc == ExitCode.NOT_RUNNING) is for_stopped and not action.is_left
    ]


def step_statements(
    facts: Facts, placement: Placement, listing: Listing, actions: Actions
) -> Iterator[Statement]:
    """Yield what steps state, in the sequence in which they are found."""
    for instance in facts.instances():
        yield from _cancels(actions, instance)
    replicas = {
        part.id: (bundle, replica)
        for bundle in bundles_in(facts.items)
        for replica in bundle.replicas
        for part in (replica.container, replica.connection)
        if part is not None
    }
    clones = {clone.id: clone for clone in clones_in(facts.items)}
    for action in actions:
        if action.is_probe and action.instance is not None:
            yield _probe(facts, action, action.instance, clones)
            if action.owner in replicas:
                yield from _probe_of_bundle(action, *replicas[action.owner])
    for container, item in actions.afresh:
        # What is not looked for in a guest that ends may run there until it has ended.
        yield Statement(Every(container, Task.STOP), Every(item, Task.START), PLAIN, "guest ends")
    named = {item.id for item in facts.items}
    for instance in listing.instances():
        if instance.is_removed and instance.id in named:
            continue
        yield from _clean_up(actions, instance)
        yield from _recurring(facts, placement, actions, instance)


def shutdown_statements(facts: Facts, actions: Actions) -> Iterator[Statement]:
    """Let a node go only after everything on it has stopped."""
    if facts.settings.maintenance:
        return
    for shutdown in actions:
        if shutdown.task is not Task.SHUTDOWN or facts.node(shutdown.node).maintenance:
            continue
        for stop in actions:
            if stop.node != shutdown.node or stop.task is not Task.STOP or stop.instance is None:
                continue
            is_held = facts.is_blocked(stop.instance)
            is_spared = stop.instance.meta.maintenance
            if not is_spared and (facts.is_managed(stop.instance) or is_held):
                yield Statement(stop.id, shutdown.id, _IN_TURN, "stop before shutdown")


def _cancels(actions: Actions, instance: Instance) -> Iterator[Statement]:
    """Cancel what a role had before the step that ends the role, anything else after stops."""
    me = instance.id
    for cancel in actions.of(me, Task.CANCEL):
        if cancel.about is not None:
            step = Every(me, cancel.about)
            yield Statement(cancel.id, step, _BLOCKS, "cancel before a change of role")
        else:
            yield Statement(Every(me, Task.STOP), cancel.id, PLAIN, "stop before cancel")


def _probe_of_bundle(
    probe: Action, bundle: BundleInstance, replica: Replica
) -> Iterator[Statement]:
    """Let no other container start where one may be found; reach none before it is there.

    Containers without addresses of their own would be in each other's way.
    """
    if probe.owner != replica.container.id:
        start = Every(replica.container.id, Task.START)
        yield Statement(start, probe.id, _NESTED, "container before its connection")
        return
    if bundle.clone is not None:
        then = Every(bundle.clone.id, Task.START)
        yield Statement(probe.id, then, PLAIN, "containers are looked for first")
    if bundle.node_max == 1:
        for other in bundle.copies:
            if other is not replica.container:
                then = Every(other.id, Task.START)
                yield Statement(probe.id, then, _SAME_NODE, "containers are looked for first")


def _probe(
    facts: Facts, probe: Action, instance: Instance, clones: Mapping[str, CloneInstance]
) -> Statement:
    """Let nothing start before every node could be asked.

    What runs already is not stopped because some node cannot be asked.
    """
    waiting = clones.get(instance.top, instance)
    runs = isinstance(waiting, Instance) and bool(facts.activity[waiting.id].nodes)
    meanings = PLAIN if probe.runnable or runs or _runs(facts, waiting) else _IN_TURN
    return Statement(probe.id, Every(waiting.id, Task.START), meanings, "probe before start")


def _runs(facts: Facts, item: Instance | CloneInstance) -> bool:
    return any(facts.activity[i.id].nodes for i in instances_of(item))


def _clean_up(actions: Actions, instance: Instance) -> Iterator[Statement]:
    me = instance.id
    for delete in actions.of(me, Task.DELETE):
        meanings = PLAIN if delete.needed else frozenset({Meaning.NEED_SPREADS})
        if any(start.instance is None for start in actions.of(me, Task.START)):
            # A clone bears the name now; its marks are none of this (case obsolete-lrm-resource).
            for stop in actions.of(me, Task.STOP):
                if stop.instance is instance:
                    yield Statement(stop.id, delete.id, meanings, "stop before clean-up")
            continue
        yield Statement(Every(me, Task.STOP), delete.id, meanings, "stop before clean-up")
        yield Statement(delete.id, Every(me, Task.START), meanings, "clean-up before start")
    if instance.is_removed:
        for clearing in actions.of(me, Task.CLEAR_FAIL_COUNT):
            yield Statement(clearing.id, Every(me, Task.STOP), PLAIN, "clear before stop")
    for reload in actions.of(me, Task.RELOAD):
        if instance.number is None:
            for probe in actions.probes(me):
                yield Statement(probe.id, reload.id, PLAIN, "probe before reload")
        for task in (Task.STOP, Task.DEMOTE):
            yield Statement(reload.id, Every(me, task), _REPLACED, "reload unless it restarts")


def _recurring(
    facts: Facts, placement: Placement, actions: Actions, instance: Instance
) -> Iterator[Statement]:
    if not facts.is_managed(instance):
        return
    me = instance.id
    for monitor in _monitors(actions, instance, for_stopped=False):
        yield Statement(Every(me, Task.START), monitor.id, _FOLLOWS, "start before monitor")
        yield Statement(Every(me, Task.RELOAD), monitor.id, _FOLLOWS, "reload before monitor")
        if placement.role_of(me) is Role.PROMOTED:
            yield Statement(Every(me, Task.PROMOTE), monitor.id, _IN_TURN, "role before monitor")
        elif facts.activity[me].is_promoted:
            yield Statement(Every(me, Task.DEMOTE), monitor.id, _IN_TURN, "role before monitor")
    for monitor in _monitors(actions, instance, for_stopped=True):
        for stop in actions.of(me, Task.STOP):
            if stop.node == monitor.node:
                yield Statement(stop.id, monitor.id, _FOLLOWS, "stop before monitor")
