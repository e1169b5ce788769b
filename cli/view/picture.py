"""The text of `crm_simulate`: nodes and resources as they are.

Wording and layout are those its users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from cli.view import node_lines
from cli.view.resource_lines import Lines, is_disabled
from pengine.facts.facts import Facts


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
        yield from (f"    * {line}" for line in node_lines.lists(facts))
        yield ""
    yield "  * Full List of Resources:"
    yield from Lines(facts).all(2)


def settled(facts: Facts) -> Facts:
    """Leave out what is under way: after a simulation nothing is, whatever histories say."""
    activity = {key: replace(state, pending="") for key, state in facts.activity.items()}
    return replace(facts, activity=activity)
