"""What a node holds, in the words of haresources: local, foreign, all, none.

Each line of haresources is a resource (a group, or one alone) with a home node; the CIB made from
it says so with a location rule. *Local* to a node are the lines whose home it is, *foreign* all
others. Pure functions on the configuration and on what the scheduler takes for true: `cl_status`,
`hb_standby` and `hb_takeover` use them.

Source: Heartbeat's haresources mode; tools, "Heartbeat's own tools"; docs/protocol/cib.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cli import moves
from cli.subjects import find
from crm.model import score as scores
from crm.model.configuration import Item
from pengine.facts.facts import Facts
from pengine.facts.instances import instances_of

HEAPS = ("all", "local", "foreign", "failback")
"""What can be given away and taken; failback is foreign by another name."""


@dataclass(frozen=True)
class Line:
    """One line of haresources: its resource, its home ("" if it has none), and where it runs.

    `pull` is the score that draws it home.
    """

    id: str
    home: str
    nodes: tuple[str, ...] = ()
    pull: int = 0


def lines_of(configuration: Item, facts: Facts) -> list[Line]:
    """List the lines behind a configuration, in its order."""
    resources = configuration.first("resources") or Item("resources")
    constraints = configuration.first("constraints") or Item("constraints")
    homes = {each.id: _home_of(each.id, constraints) for each in resources.children if each.id}
    return [Line(name, home, _places(name, facts), pull) for name, (pull, home) in homes.items()]


def held_by(node: str, lines: Iterable[Line]) -> str:
    """Say what a node holds: none, local, foreign or all."""
    held = {line.home == node for line in lines if node in line.nodes}
    if not held:
        return "none"
    return "all" if len(held) > 1 else "local" if held == {True} else "foreign"


def given_by(node: str, heap: str, lines: Iterable[Line]) -> list[Line]:
    """List what a node gives away when it goes standby for a heap, by what it runs now."""
    return [
        line
        for line in lines
        if node in line.nodes and (heap == "all" or (line.home == node) == (heap == "local"))
    ]


def exchanged(heap: str) -> str:
    """Name a heap as the other node sees it."""
    return {"all": "all", "local": "foreign"}.get(heap, "local")


def _home_of(resource: str, constraints: Item) -> tuple[int, str]:
    """Find the node a resource prefers, and how much.

    What `move`, `ban` and `hb_standby` made is no home.
    """
    best = (0, "")
    passing = {each.id for each in moves.left_over(constraints, resource, wherever=True)}
    for each in constraints.each("rsc_location"):
        if each.get("rsc") != resource or each.id in passing:
            continue
        for part in (each, *each.each("rule")):
            score, node = _score_of(part), moves.node_of(each)
            if node and score > best[0]:
                best = (score, node)
    return best


def _score_of(part: Item) -> int:
    try:
        return scores.parse(part.get("score", "0"))
    except ValueError:
        return 0


def _places(resource: str, facts: Facts) -> tuple[str, ...]:
    subject = find(facts, resource)
    if subject is None:
        return ()
    copies = subject.copies or (subject.item,)
    names = (
        node
        for copy in copies
        for instance in instances_of(copy)
        for node in facts.activity[instance.id].nodes
    )
    return tuple(dict.fromkeys(names))
