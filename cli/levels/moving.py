"""Moving resources by constraints: `move`, `ban` and `clear` of the level `resource`.

The constraints have the classic ids, so that every tool recognises and removes them.

Source: crm-shell, section 2, "resource"; tools, "crm_resource".
"""

from __future__ import annotations

import datetime
import re

from cli.edits import need_resource, section
from cli.levels.targets import apply_change, check_node, places_of
from cli.shell.context import Call, CommandFailed, Context
from cli.view.status import read_status
from crm.model.configuration import Item

_ISO_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?\Z"
)


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

    def edit(configuration: Item) -> None:
        located = need_resource(configuration, name)
        _drop_moves(configuration, name, node)
        made = _preference(
            f"cli-prefer-{name}", located.item.id, node, "INFINITY", _expires(lifetime)
        )
        section(configuration, "constraints").children.append(made)

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
        places = places_of(view, configuration, need_resource(configuration, name))
        if len(places) != 1:
            text = f"'{name}' runs on {len(places)} nodes, so the node to ban must be named"
            raise CommandFailed("no-target-node", text)
        node = places[0][0]

    def edit(configuration: Item) -> None:
        _drop(configuration, f"cli-ban-{name}-on-{node}")
        made = _preference(f"cli-ban-{name}-on-{node}", name, node, "-INFINITY", _expires(lifetime))
        section(configuration, "constraints").children.append(made)

    apply_change(context, edit)
    identity = f"cli-ban-{name}-on-{node}"
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


def _preference(identity: str, resource: str, node: str, score: str, end: str) -> Item:
    made = Item("rsc_location", {"id": identity, "rsc": resource, "role": "Started"})
    if not end:
        made.attributes |= {"node": node, "score": score}
        return made
    base = "cli-prefer" if identity.startswith("cli-prefer") else "cli-ban"
    suffix = identity.removeprefix(f"{base}-")
    rule = Item("rule", {"id": f"{base}-rule-{suffix}", "score": score, "boolean-op": "and"})
    rule.children = [
        Item(
            "expression",
            {
                "id": f"{base}-expr-{suffix}",
                "attribute": "#uname",
                "operation": "eq",
                "value": node,
                "type": "string",
            },
        ),
        Item(
            "date_expression",
            {"id": f"{base}-lifetime-end-{suffix}", "operation": "lt", "end": end},
        ),
    ]
    made.children.append(rule)
    return made


def _expires(lifetime: str) -> str:
    """Turn a lifetime into the moment it ends; "" means for ever."""
    found = _ISO_DURATION.match(lifetime)
    if not lifetime or found is None:
        return lifetime
    parts = {name: int(value) for name, value in found.groupdict().items() if value}
    if not parts:
        raise CommandFailed("invalid-lifetime", f"'{lifetime}' is no duration such as PT5M")
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(**parts)
    return end.strftime("%Y-%m-%d %H:%M:%SZ")


def _drop(configuration: Item, identity: str) -> bool:
    where = section(configuration, "constraints")
    kept = [each for each in where.children if each.id != identity]
    dropped = len(kept) != len(where.children)
    where.children = kept
    return dropped


def _drop_moves(configuration: Item, name: str, node: str) -> None:
    """Remove what an earlier move or a ban from the same node said."""
    _drop(configuration, f"cli-prefer-{name}")
    _drop(configuration, f"cli-ban-{name}-on-{node}")


def clear(context: Context, call: Call) -> None:
    """Remove the constraints that move and ban made."""
    name = call.words[0]
    need_resource(context.workspace.configuration, name)
    node = call.words[1] if len(call.words) > 1 else ""
    removed: list[str] = []

    def edit(configuration: Item) -> None:
        removed.clear()
        for each in list(section(configuration, "constraints").children):
            is_ban = each.id.startswith(f"cli-ban-{name}-on-{node}")
            is_move = each.id == f"cli-prefer-{name}"
            if is_ban or (is_move and node in ("", each.get("node"))):
                _drop(configuration, each.id)
                removed.append(each.id)

    apply_change(context, edit)
    names = f": {', '.join(removed)}" if removed else " (there were none)"
    context.terminal.tell(f"Removed migration constraints for {name}{names}")
