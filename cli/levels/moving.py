"""Moving resources by constraints: `move`, `ban` and `clear` of the level `resource`.

The constraints have the classic ids, so that every tool recognises and removes them.

Source: crm-shell, section 2, "resource"; tools, "crm_resource".
"""

from __future__ import annotations

import datetime
import re

from cli import moves
from cli.edits import need_resource, section
from cli.levels.targets import apply_change, check_node, places_of
from cli.shell.context import Call, CommandFailed, Context
from cli.view.status import read_status
from crm.model.configuration import Item

_ISO_DURATION = re.compile(r"P(?=.)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?\Z")


def _split_target(context: Context, words: tuple[str, ...]) -> tuple[str, str, bool]:
    """Tell node, lifetime and `force` apart."""
    rest = list(words)
    forced = context.is_forced
    if rest and rest[-1] in ("force", "--force", "-f"):
        forced = True
        rest.pop()
    lifetime = ""
    if rest and (_ISO_DURATION.match(rest[-1]) or re.match(r"\d{4}-\d\d-\d\d", rest[-1])):
        lifetime = rest.pop()
    if len(rest) > 1:
        raise CommandFailed("wrong-arguments", f"'{rest[1]}' is not understood here")
    return (rest[0] if rest else ""), lifetime, forced


def move(context: Context, call: Call) -> None:
    """Prefer a node for a resource, or with `force` leave the present one."""
    name = call.words[0]
    node, lifetime, forced = _split_target(context, call.words[1:])
    configuration = context.workspace.configuration
    need_resource(configuration, name)
    if not node:
        if not forced:
            raise CommandFailed(
                "no-target-node", f"expected a node to move '{name}' to, or 'force'"
            )
        _ban(context, name, "", lifetime)
        return
    check_node(context, node)
    leaving: list[str] = []
    if forced:  # the present node is banned as well, if there is one
        view = read_status(context.workspace.document)
        places = places_of(view, need_resource(configuration, name))
        leaving = [place for place, _role in places if place != node]
        leaving = leaving if len(places) == 1 else []

    def edit(configuration: Item) -> None:
        located = need_resource(configuration, name)
        constraints = section(configuration, "constraints")
        _drop(configuration, moves.overruled(constraints, name, node))
        made = moves.preference(located.item.id, node, until=_until(lifetime))
        constraints.children.append(made)
        for left in leaving:
            ban = moves.ban(located.item.id, left, until=_until(lifetime))
            _drop(configuration, [each for each in constraints.children if each.id == ban.id])
            constraints.children.append(ban)

    apply_change(context, edit)
    context.terminal.tell(f"Move constraint created for {name} to {node}")
    context.terminal.tell(f"Use `crm resource clear {name}` to remove this constraint")


def ban(context: Context, call: Call) -> None:
    """Keep a resource away from a node (without one: from where it is)."""
    name = call.words[0]
    node, lifetime, _forced = _split_target(context, call.words[1:])
    need_resource(context.workspace.configuration, name)
    if node:
        check_node(context, node)
    _ban(context, name, node, lifetime)


def _ban(context: Context, name: str, node: str, lifetime: str) -> None:
    if not node:
        configuration = context.workspace.configuration
        view = read_status(context.workspace.document)
        places = places_of(view, need_resource(configuration, name))
        if len(places) != 1:
            text = f"'{name}' runs on {len(places)} nodes, so the node to ban must be named"
            raise CommandFailed("no-target-node", text)
        node = places[0][0]

    def edit(configuration: Item) -> None:
        constraints = section(configuration, "constraints")
        made = moves.ban(name, node, until=_until(lifetime))
        _drop(configuration, [each for each in constraints.children if each.id == made.id])
        constraints.children.append(made)

    apply_change(context, edit)
    identity = moves.ban_id(name, node)
    context.terminal.warn(
        f"Creating rsc_location constraint '{identity}' with a score of -INFINITY "
        f"for resource {name} on {node}."
    )
    context.terminal.show(
        f"\tThis will prevent {name} from running on {node} until the constraint is removed "
        "using the clear option or by editing the CIB with an appropriate tool\n"
        f"\tThis will be the case even if {node} is the last node in the cluster"
    )
    context.terminal.tell(f"Ban constraint created for {name} to {node}")
    context.terminal.tell(f"Use `crm resource clear {name}` to remove this constraint")


def _until(lifetime: str) -> str:
    """Turn a lifetime into the moment it ends; "" means for ever."""
    if not _ISO_DURATION.match(lifetime):
        return lifetime
    try:
        return moves.end_of_lifetime(lifetime, datetime.datetime.now(datetime.UTC))
    except ValueError as problem:
        raise CommandFailed("invalid-lifetime", str(problem)) from problem


def _drop(configuration: Item, unwanted: list[Item]) -> None:
    where = section(configuration, "constraints")
    where.children = [each for each in where.children if each not in unwanted]


def clear(context: Context, call: Call) -> None:
    """Remove the constraints that move and ban made."""
    name = call.words[0]
    need_resource(context.workspace.configuration, name)
    node = call.words[1] if len(call.words) > 1 else ""
    removed: list[str] = []

    def edit(configuration: Item) -> None:
        found = list(moves.left_over(section(configuration, "constraints"), name, node))
        _drop(configuration, found)
        removed[:] = [each.id for each in found]

    apply_change(context, edit)
    names = f": {', '.join(removed)}" if removed else " (there were none)"
    context.terminal.tell(f"Removed migration constraints for {name}{names}")
