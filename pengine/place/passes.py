"""The passes that give scores before anything is placed: location, stickiness, bans.

Each pass reads facts and adds to the tally; their order is part of the published behaviour, as
bans are looked at with the preferences already in place.
"""

from __future__ import annotations

from collections.abc import Iterator

from crm.model import score
from crm.model.constraints import Discovery
from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.history import OnNode
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    MultipleActive,
    Placeable,
    clones_in,
    discovered_with,
    instances_of,
)
from pengine.facts.links import Preference
from pengine.facts.operations import OnFail
from pengine.facts.values import truth
from pengine.place.tally import Tally, everything_in


def all_passes(facts: Facts, tally: Tally) -> None:
    """Run every pass in order."""
    targets = _targets(facts)
    unmanaged(facts, tally)
    health(facts, tally)
    location(facts, tally, targets)
    stickiness(facts, tally)
    shutdown_locks(facts, tally)
    no_nesting(facts, tally)
    inside_guests(facts, tally)
    thresholds(facts, tally, targets)
    failures(facts, tally, targets)
    tickets(facts, tally)
    exclusive_discovery(facts, tally, targets)
    removed(facts, tally)
    stop_only(facts, tally)


def _targets(facts: Facts) -> dict[str, list[Placeable]]:
    """Map what a constraint may name to the items it means."""
    found: dict[str, list[Placeable]] = {}
    for item in facts.everything:
        for part in everything_in(item):
            found.setdefault(part.id, []).append(part)
        for clone in clones_in((item,)):
            for instance in instances_of(clone):
                found.setdefault(instance.resource.id, [clone])
    return found


def unmanaged(facts: Facts, tally: Tally) -> None:
    """Hold what may not be touched where it is; that also attracts what belongs to it."""
    for instance in facts.instances():
        for node in _held_on(facts, instance):
            tally.add(instance.id, node, INFINITY, "unmanaged", "is-managed", "it is not managed")


def _held_on(facts: Facts, instance: Instance) -> list[str]:
    """List where an instance is and may not be touched.

    A failure that blocks it holds it where that happened and wherever else it is found after
    that. Being active too often blocks it as well, but holds it nowhere.
    """
    is_held = not facts.is_entrusted(instance)
    found = []
    state = facts.activity[instance.id]
    for node in state.nodes:
        there = state.at(node)
        is_blocked = there is not None and there.on_fail is OnFail.BLOCK and not there.is_moot
        is_stuck = there is not None and there.is_stuck
        is_held = is_held or facts.node(node).maintenance or is_blocked or is_stuck
        if is_held:
            found.append(node)
    return found


def health(facts: Facts, tally: Tally) -> None:
    """Prefer healthy nodes; what may be on unhealthy ones is only not kept from them."""
    scores = tuple(facts.health.scores.items())
    good = tuple((node, amount) for node, amount in scores if amount > 0)
    for item in facts.items if scores else ():
        is_allowed = truth(item.meta.pairs.get("allow-unhealthy-nodes"), default=False)
        wanted = good if is_allowed else scores
        _prefer(facts, tally, item, Preference("node-health", item.id, wanted))


def preferences_of(facts: Facts, item: Placeable) -> list[Preference]:
    """List the preferences written for an item itself that count in any role."""
    return [
        preference
        for preference in facts.links.preferences
        if preference.resource == item.id and _counts(preference, item)
    ]


def _counts(preference: Preference, item: Placeable) -> bool:
    """Tell whether a preference says where an item may be; one of promotion does not.

    What leads was unpromoted before. Where something is when it is stopped, it is not.
    """
    match preference.role:
        case Role.PROMOTED:
            return False
        case Role.STOPPED:
            return item.meta.must_stop
        case _:
            return True


def location(facts: Facts, tally: Tally, targets: dict[str, list[Placeable]]) -> None:
    """Apply location constraints."""
    for preference in facts.links.preferences:
        for item in targets.get(preference.resource, ()):
            if _counts(preference, item):
                _prefer(facts, tally, item, preference)


def _prefer(facts: Facts, tally: Tally, item: Placeable, preference: Preference) -> None:
    match item:
        case Instance():
            for node, amount in preference.scores:
                tally.add(item.id, node, amount, "location", preference.constraint)
        case GroupInstance():
            for node, amount in preference.scores:
                tally.add(item.id, node, amount, "location", preference.constraint)
                for index, member in enumerate(item.members):
                    # The chain of members carries the score on; the others are only allowed.
                    given = amount if index == 0 or not item.is_colocated else ZERO
                    tally.add(member.id, node, given, "location", preference.constraint)
        case CloneInstance():
            for node, amount in preference.scores:
                tally.add(item.id, node, amount, "location", preference.constraint)
            for copy in item.copies:
                _prefer(facts, tally, copy, preference)
        case BundleInstance():
            # What is inside runs where its container is; where that is, is what matters.
            for node, amount in preference.scores:
                tally.add(item.id, node, amount, "location", preference.constraint)
            for part in discovered_with(item):
                _prefer(facts, tally, part, preference)


def stickiness(facts: Facts, tally: Tally) -> None:
    """Let an instance that runs in one place prefer to stay there."""
    for instance in facts.instances():
        nodes = facts.activity[instance.id].nodes
        amount = instance.meta.stickiness
        if len(nodes) != 1 or amount <= 0 or facts.is_left_alone(instance):
            continue
        if facts.settings.symmetric or nodes[0] in tally.scores[instance.id]:
            tally.add(instance.id, nodes[0], amount, "stickiness", "resource-stickiness")


def shutdown_locks(facts: Facts, tally: Tally) -> None:
    """Keep what waits for its node away from all others."""
    for lock in facts.locks.values():
        if lock.has_ended:
            continue
        for node in facts.nodes:
            if node.name != lock.node:
                text = f"it waits for {lock.node}, which was shut down"
                tally.add(lock.instance, node.name, MINUS_INFINITY, "lock", "shutdown-lock", text)


def no_nesting(facts: Facts, tally: Tally) -> None:
    """Keep connections, their containers and fence devices on members of the cluster.

    A node that nothing leads to is not kept from them, but from connections into the containers
    of bundles (cases remote-stale-node-entry, bundle-order-startup-clone-2).
    """
    remote = [node.name for node in facts.nodes if node.is_remote]
    led_to = [n.name for n in facts.nodes if n.is_remote and n.connection in facts.activity]
    if not remote:
        return
    containers = {c.container for c in facts.connections.values() if c.container and not c.bundle}
    for instance in facts.instances():
        connection = facts.connections.get(instance.id)
        is_bound = connection is not None or instance.id in containers
        if facts.is_left_alone(instance):
            continue  # Nothing is implied by what is not managed.
        if is_bound or instance.resource.agent.is_fencing:
            is_of_bundle = connection is not None and connection.bundle
            for name in remote if is_of_bundle else led_to:
                tally.ban(instance.id, name, "remote", "remote", "it runs on members only")


def inside_guests(facts: Facts, tally: Tally) -> None:
    """Keep what is inside a guest on the node the guest brings up."""
    guests = {c.container: c.node for c in facts.connections.values() if c.container}
    for inner, container in facts.contents.items():
        for node in facts.nodes if container in guests else ():
            if node.name != guests[container]:
                text = f"it lives inside {container}"
                tally.ban(inner, node.name, "remote", "container", text)


def thresholds(facts: Facts, tally: Tally, targets: dict[str, list[Placeable]]) -> None:
    """Ban nodes on which a resource has failed too often."""
    by_id = {instance.id: instance for instance in facts.instances()}
    for (instance_id, node), effective in _failures_with_contents(facts).items():
        instance = by_id[instance_id]
        threshold = instance.meta.threshold
        if threshold <= 0 or effective < threshold:
            continue
        if facts.why_cleared(instance, node):
            continue  # The count is about to go: the next decision would move it back.
        on_node = facts.activity[instance_id].at(node)
        if on_node is not None and on_node.ignored and on_node.on_fail is None:
            continue
        if not instance.is_unique and instance.number not in (None, 0):
            continue
        limit = f"its migration-threshold is {score.text(threshold)}"
        text = f"{_how_often(effective)}, {limit}"
        for item in _banned_with(instance, targets):
            source = f"fail-count-{instance.history_id}"
            tally.add(item.id, node, MINUS_INFINITY, "threshold", source, text)


def _how_often(count: Score) -> str:
    """Say how often something failed; INFINITY stands for a failure that is one too many."""
    if count >= INFINITY:
        return "its fail count is INFINITY"
    return "it failed once" if count == 1 else f"it failed {count} times"


def _failures_with_contents(facts: Facts) -> dict[tuple[str, str], Score]:
    """Count failures; a container answers for what it launched as well (case whitebox-fail3)."""
    found = {key: count.effective for key, count in facts.fail_counts.items()}
    if not found:
        return found
    for instance in facts.instances():
        container = instance.meta.pairs.get("container", "")
        if not container or container not in facts.activity:
            continue
        for node in facts.nodes:
            count = facts.fail_counts.get((instance.id, node.name))
            if count is not None:
                key = (container, node.name)
                found[key] = score.add(found.get(key, ZERO), count.effective)
    return found


def _banned_with(instance: Instance, targets: dict[str, list[Placeable]]) -> list[Placeable]:
    """List what is banned with an instance: all copies of an anonymous clone."""
    if instance.is_unique:
        return [instance]
    return [part for item in targets[instance.top] for part in everything_in(item)]


def tickets(facts: Facts, tally: Tally) -> None:
    """Ban everywhere what has no ticket."""
    for ban in facts.tickets.bans:
        tally.ban_everywhere(ban.instance, "ticket", ban.constraint, ban.text)


def failures(facts: Facts, tally: Tally, targets: dict[str, list[Placeable]]) -> None:
    """Ban nodes whose history says that the agent cannot work there."""
    for instance in facts.instances():
        for name, found in (facts.activity[instance.id].on_node or {}).items():
            if found.banned_everywhere:
                for item in _banned_with(instance, targets):
                    tally.ban_everywhere(item.id, "failure", name, found.banned_everywhere)
            elif found.banned:
                for item in _banned_with(instance, targets):
                    tally.add(item.id, name, MINUS_INFINITY, "failure", name, found.banned)
            for text in _own_bans(found):
                tally.add(instance.id, name, MINUS_INFINITY, "failure", name, text)


def _own_bans(found: OnNode) -> Iterator[str]:
    """Say what keeps an instance, and no other copy, from a node where something failed."""
    if found.failed_stop:
        yield "it could not be stopped"
    if found.on_fail is OnFail.BAN and not found.is_moot:
        yield "it failed, and on-fail=ban"


def exclusive_discovery(facts: Facts, tally: Tally, targets: dict[str, list[Placeable]]) -> None:
    """Ban nodes that exclusive discovery leaves out."""
    kept: dict[str, set[str]] = {}
    for preference in facts.links.preferences:
        if preference.discovery is Discovery.EXCLUSIVE:
            for item in targets.get(preference.resource, ()):
                for part in _discovered(item):
                    kept.setdefault(part.id, set()).update(n for n, _ in preference.scores)
    text = "it is looked for on other nodes only"
    for item_id, names in kept.items():
        for node in facts.nodes:
            if node.name not in names:
                tally.ban(item_id, node.name, "location", "resource-discovery", text)


def _discovered(item: Placeable) -> list[Placeable]:
    """List all in an item that its resource-discovery is about."""
    if isinstance(item, BundleInstance):
        return [item, *discovered_with(item)]
    return everything_in(item)


def removed(facts: Facts, tally: Tally) -> None:
    """Ban everywhere what the configuration no longer names."""
    if not facts.settings.stop_removed_resources:
        return
    ids = {item.id for item in facts.items}
    for instance in facts.removed:
        if instance.id in ids:
            continue  # A clone has taken its name (case obsolete-lrm-resource).
        text = "it is no longer configured"
        tally.ban_everywhere(instance.id, "removed", "stop-orphan-resources", text)


def stop_only(facts: Facts, tally: Tally) -> None:
    """Ban everywhere what was active more than once and is only to be stopped."""
    for instance in facts.instances():
        is_doubled = len(facts.activity[instance.id].nodes) > 1
        if is_doubled and instance.meta.multiple_active is MultipleActive.STOP_ONLY:
            text = "it was active more than once"
            tally.ban_everywhere(instance.id, "stop-only", "multiple-active", text)
