"""The text of `crm_simulate`: nodes and resources as they are.

Wording and layout are those its users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from cli.view.resource_lines import Lines, is_disabled
from pengine.facts.facts import Facts
from pengine.facts.nodes import NodeFacts
from pengine.facts.values import truth


def headline(facts: Facts) -> str:
    """Say how many instances are disabled or blocked, or "" when none is."""
    # Of what is no longer configured only what runs still counts.
    instances = [i for i in facts.instances() if not i.is_removed or facts.activity[i.id].nodes]
    disabled = sum(1 for i in instances if is_disabled(i.meta, i.is_promotable))
    blocked = sum(1 for i in instances if facts.activity[i.id].blocked)
    if not disabled and not blocked:
        return ""
    return (
        f"{disabled} of {len(instances)} resource instances DISABLED and {blocked} BLOCKED"
        " from further action due to failure"
    )


def notice(facts: Facts) -> str:
    """Say that the cluster leaves everything alone, or "" if it does not."""
    if facts.settings.maintenance:
        return (
            "\n              *** Resource management is DISABLED ***\n"
            "  The cluster will not attempt to start, stop or recover services"
        )
    return ""


def status(facts: Facts) -> Iterator[str]:
    """Yield the node list and the list of resources."""
    if facts.nodes:
        yield "  * Node List:"
        yield from (f"    * {line}" for line in _node_lines(facts))
        yield ""
    yield "  * Full List of Resources:"
    yield from Lines(facts).all(2)


def settled(facts: Facts) -> Facts:
    """Leave out what is under way: after a simulation nothing is, whatever histories say."""
    activity = {key: replace(state, pending="") for key, state in facts.activity.items()}
    return replace(facts, activity=activity)


def _node_lines(facts: Facts) -> Iterator[str]:
    online: dict[str, list[str]] = {kind: [] for kind in ("member", "remote", "guest")}
    offline: dict[str, list[str]] = {kind: [] for kind in ("member", "remote", "guest")}
    busy = {n for state in facts.activity.values() for n in state.nodes}
    for node in facts.nodes:
        special = _special_state(node, node.name in busy, facts)
        if special:
            yield f"{_PREFIX[_kind(node)]}Node {node.name}: {special}"
        elif node.online:
            online[_kind(node)].append(node.name)
        else:
            offline[_kind(node)].append(node.name)
    # A guest that is down is no more than a container that is stopped.
    listed = (
        ("Online", online["member"]),
        ("OFFLINE", offline["member"]),
        ("RemoteOnline", online["remote"]),
        ("RemoteOFFLINE", offline["remote"]),
        ("GuestOnline", online["guest"]),
    )
    yield from (f"{word}: [ {' '.join(names)} ]" for word, names in listed if names)


_PREFIX = {"member": "", "remote": "Remote", "guest": "Guest"}


def _kind(node: NodeFacts) -> str:
    return node.kind if node.is_remote else "member"


def _special_state(node: NodeFacts, busy: bool, facts: Facts) -> str:
    """Say what is special about a node, or "" if it is only online or offline."""
    colour = facts.health.colours.get(node.name)
    state = _state_of(node, busy, facts)
    if colour is not None:
        return f"{state or ('online' if node.online else 'OFFLINE')} (health is {colour})"
    return state


def _state_of(node: NodeFacts, busy: bool, facts: Facts) -> str:
    if node.unclean:
        word = "online" if node.online else "pending" if node.pending else "offline"
        return f"UNCLEAN ({word})"
    if node.pending:
        return "pending"
    if node.standby_by_failure and node.online:
        return "standby (on-fail)"
    if node.standby and node.online:
        return "standby (with active resources)" if busy else "standby"
    if node.standby:
        return "OFFLINE (standby)"
    own = truth(node.attributes.get("maintenance"), default=False)
    if node.maintenance and (own or not facts.settings.maintenance):
        return "maintenance" if node.online else "OFFLINE (maintenance)"
    return ""
