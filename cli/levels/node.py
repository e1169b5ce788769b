"""The level `node`: standby, maintenance, attributes of nodes.

Source: crm-shell, section 2, "node".
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from cli import removals
from cli.edits import need_node, section
from cli.shell.context import Call, Command, CommandFailed, Context, Level
from cli.values import get_pair, set_pair, unset_pair
from cli.view.status import read_status
from cli.workspace import ask_daemon
from crm.api import attributes, controller
from crm.model.configuration import Item, own_ids
from crm.model.names import node_name

_LIFETIMES = ("reboot", "forever")
_SETS = {"attribute": "instance_attributes", "utilization": "utilization"}


def show(context: Context, call: Call) -> None:
    """Show nodes with their attributes."""
    nodes = section(context.workspace.configuration, "nodes").each("node")
    if call.words:
        nodes = [need_node(context.workspace.configuration, call.words[0])]
    view = read_status(context.workspace.document)
    if context.as_json:
        context.terminal.show_json(
            [
                {
                    "name": each.name,
                    "id": each.id,
                    "state": view.state(each),
                    **_attributes(each.attributes),
                }
                for each in view.nodes
                if any(node.get("uname") == each.name for node in nodes)
            ]
        )
        return
    lines: list[str] = []
    for node in nodes:
        kind = node.get("type", "member")
        name = node.get("uname")
        shown = name if node.id == name else f"{name}({node.id})"
        lines.append(f"{shown}: {'member' if kind == 'normal' else kind}")
        for made in node.each("instance_attributes"):
            lines += [f"\t{pair.get('name')}={pair.get('value')}" for pair in made.each("nvpair")]
    context.terminal.show("\n".join(lines))


def _attributes(found: Mapping[str, str]) -> dict[str, object]:
    return {"attributes": found}


def server(context: Context, call: Call) -> None:
    """Show the names of the nodes."""
    nodes = section(context.workspace.configuration, "nodes").each("node")
    names = [
        node.get("uname") for node in nodes if not call.words or node.get("uname") in call.words
    ]
    context.terminal.show("\n".join(names))


# --- standby and maintenance --------------------------------------------------------------------


def _own_name(context: Context) -> str:
    """Name the node we are on: as the gate says, else the host name."""
    if context.workspace.is_live:
        from cli.workspace import live_session

        return live_session(context.workspace, "the own node").server.node
    return node_name(socket.gethostname())


def _nodes_of(context: Context, words: tuple[str, ...]) -> tuple[list[str], str]:
    """Tell node names and the lifetime apart; no name means this node, `--all` every one."""
    names = list(words)
    lifetime = "forever"
    if names and names[-1] in _LIFETIMES:
        lifetime = names.pop()
    configuration = context.workspace.configuration
    if "--all" in names:
        names = [node.get("uname") for node in section(configuration, "nodes").each("node")]
    return [
        need_node(configuration, name).get("uname") for name in names or [_own_name(context)]
    ], lifetime


def _put(context: Context, nodes: list[str], name: str, value: str) -> None:
    def edit(configuration: Item) -> None:
        for node in nodes:
            item = need_node(configuration, node)
            set_node_pair(configuration, item, name, value, joins=True)

    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))


def set_node_pair(
    configuration: Item,
    node: Item,
    name: str,
    value: str,
    tag: str = "instance_attributes",
    *,
    joins: bool = False,
) -> None:
    """Set an attribute of a node.

    A new one goes to the set `nodes-ID`, as the classic tools write it, or `joins` a set that
    is there, as the classic shell did for standby and maintenance.
    """
    taken = own_ids(configuration)
    is_known = get_pair(node, tag, name) is not None
    if is_known or (joins and node.each(tag)):
        set_pair(node, tag, name, value, taken=taken)
        return
    identity = f"nodes-{node.id}" + ("" if tag == "instance_attributes" else f"-{tag}")
    made = next((each for each in node.each(tag) if each.id == identity), None)
    if made is None:
        made = Item(tag, {"id": identity})
        node.children.append(made)
    pair = {"id": f"{identity}-{name}", "name": name, "value": value}
    made.children.append(Item("nvpair", pair))


def standby(context: Context, call: Call) -> None:
    """Take nodes out of service; their resources move away."""
    nodes, lifetime = _nodes_of(context, call.words)
    _set_standby(context, nodes, lifetime, "on")
    for node in nodes:
        context.terminal.tell(f"standby node {node}")


def _set_standby(context: Context, nodes: list[str], lifetime: str, value: str) -> None:
    if lifetime == "forever":
        _put(context, nodes, "standby", value)
        return
    for node in nodes:
        set_transient(context, node, "standby", value)


def online(context: Context, call: Call) -> None:
    """Bring nodes back into service."""
    nodes, _lifetime = _nodes_of(context, call.words)
    view = read_status(context.workspace.document)

    def edit(configuration: Item) -> None:
        for name in nodes:
            node = need_node(configuration, name)
            if get_pair(node, "instance_attributes", "standby") is not None:
                set_node_pair(configuration, node, "standby", "off")

    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))
    for name in nodes:
        known = view.node(name)
        if known is not None and "standby" in known.transient:
            set_transient(context, name, "standby", None)
        context.terminal.tell(f"online node {name}")


def maintenance(context: Context, call: Call) -> None:
    """Leave the resources of a node alone."""
    _put(context, _nodes_of(context, call.words)[0], "maintenance", "true")


def ready(context: Context, call: Call) -> None:
    """Manage the resources of a node again."""
    nodes = _nodes_of(context, call.words)[0]

    def edit(configuration: Item) -> None:
        for node in nodes:
            set_node_pair(configuration, need_node(configuration, node), "maintenance", "off")

    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))


# --- attributes ---------------------------------------------------------------------------------


def _attribute(kind: str) -> Callable[[Context, Call], None]:
    tag = _SETS[kind]

    def run(context: Context, call: Call) -> None:
        name, verb, attribute, *rest = call.words
        node = need_node(context.workspace.configuration, name)
        if verb == "show":
            value = get_pair(node, tag, attribute)
            _show_value(context, "nodes", attribute, value)
        elif verb == "set" and len(rest) == 1:

            def put(configuration: Item) -> None:
                set_node_pair(
                    configuration, need_node(configuration, name), attribute, rest[0], tag
                )

            context.terminal.report(context.workspace.apply(put, force=context.is_forced))
        elif verb == "delete" and not rest:
            _delete(context, name, tag, attribute)
        else:
            raise _wrong(kind)

    return run


def _wrong(kind: str) -> CommandFailed:
    return CommandFailed(
        "wrong-arguments", f"node.{kind}: expected NODE {{set|show|delete}} NAME [VALUE]"
    )


def _show_value(context: Context, scope: str, name: str, value: str | None) -> None:
    if context.as_json:
        context.terminal.show_json({"scope": scope, "name": name, "value": value})
    elif value is None:
        raise CommandFailed("unknown-attribute", f"there is no attribute '{name}'", subject=name)
    else:
        context.terminal.show(f"scope={scope}  name={name} value={value}")


def _delete(context: Context, name: str, tag: str, attribute: str) -> None:
    said: list[str] = []

    def edit(configuration: Item) -> None:
        node = need_node(configuration, name)
        for made in node.each(tag):
            for pair in made.each("nvpair"):
                if pair.get("name") == attribute:
                    said[:] = [f"Deleted nodes attribute: id={pair.id} name={attribute}"]
        unset_pair(node, tag, attribute)

    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))
    context.terminal.show("\n".join(said))


def status_attr(context: Context, call: Call) -> None:
    """Show or change an attribute that lasts until the node restarts."""
    name, verb, attribute, *rest = call.words
    node = need_node(context.workspace.configuration, name)
    if verb == "show":
        known = read_status(context.workspace.document).node(node.get("uname"))
        value = known.transient.get(attribute) if known is not None else None
        _show_value(context, "status", attribute, value)
    elif verb == "set" and len(rest) == 1:
        set_transient(context, node.get("uname"), attribute, rest[0])
    elif verb == "delete" and not rest:
        context.terminal.show(set_transient(context, node.get("uname"), attribute, None))
    else:
        raise _wrong("status-attr")


def set_transient(context: Context, name: str, attribute: str, value: str | None) -> str:
    """Set or delete a transient attribute: by attrd, or in the status section of a file."""
    if context.workspace.is_live:
        ask_daemon(
            context.workspace,
            attributes.SERVICE,
            attributes.UpdateAttribute(name=attribute, value=value, node=name, request=0),
            what="a transient attribute",
        )
        return ""
    said: list[str] = []

    def edit(document: Item) -> None:
        said[:] = [_set_in_status(document, name, attribute, value)]

    context.workspace.apply_to_document(edit)
    return "".join(said)


def _set_in_status(document: Item, name: str, attribute: str, value: str | None) -> str:
    status = section(document, "status")
    state = next((each for each in status.children if each.get("uname") == name), None)
    if state is None:
        node = need_node(section(document, "configuration"), name)
        state = Item("node_state", {"id": node.id, "uname": name})
        status.children.append(state)
    holder = state.first("transient_attributes")
    if holder is None:
        holder = Item("transient_attributes", {"id": f"num-{state.id}"})
        state.children.append(holder)
    made = holder.first("instance_attributes")
    if made is None:
        made = Item("instance_attributes", {"id": f"{holder.id}-instance_attributes"})
        holder.children.append(made)
    for pair in made.children:
        if pair.get("name") == attribute:
            if value is None:
                made.children.remove(pair)
                return f"Deleted status attribute: id={pair.id} name={attribute}"
            pair.attributes["value"] = value
            return ""
    if value is not None:
        identity = f"{made.id}-{attribute}"
        made.children.append(Item("nvpair", {"id": identity, "name": attribute, "value": value}))
    return ""


# --- fencing and forgetting ---------------------------------------------------------------------


def fence(context: Context, call: Call) -> None:
    """Have a node fenced. Only with -F: it goes down hard."""
    name = need_node(context.workspace.configuration, call.words[0]).get("uname")
    if not context.is_forced:
        raise CommandFailed(
            "not-confirmed", f"fencing '{name}' cuts its power", f"say: crm -F node fence {name}"
        )
    reply = ask_daemon(
        context.workspace,
        controller.SERVICE,
        controller.FenceNode(request=0, node=name),
        what="fencing",
    )
    if isinstance(reply, controller.ControllerReply) and reply.code:
        raise CommandFailed("not-fenced", reply.message)


def delete(context: Context, call: Call) -> None:
    """Remove a node that is gone for good from the configuration."""
    name = call.words[0]
    node = need_node(context.workspace.configuration, name)
    known = read_status(context.workspace.document).node(node.get("uname"))
    if known is not None and known.online and not context.is_forced:
        raise CommandFailed("node-online", f"'{name}' is online", "stop heartbeat there first")

    def edit(configuration: Item) -> None:
        removals.delete(configuration, need_node(configuration, name).id)

    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))


LEVEL = Level(
    name="node",
    summary="node: standby, maintenance, attributes",
    commands=(
        Command("show", show, "[node]", 0, 1, "show nodes", old_names=("list",)),
        Command("standby", standby, "[node ...] [reboot|forever]", 0, None, "out of service",
                changes=True),
        Command("online", online, "[node ...]", 0, None, "back into service", changes=True),
        Command("maintenance", maintenance, "[node]", 0, 1, "leave its resources alone",
                changes=True),
        Command("ready", ready, "[node]", 0, 1, "manage its resources again", changes=True),
        Command("attribute", _attribute("attribute"), "node {set|show|delete} name [value]", 3, 4,
                "an attribute", changes=True),
        Command("utilization", _attribute("utilization"), "node {set|show|delete} name [value]",
                3, 4, "a capacity", changes=True),
        Command("status-attr", status_attr, "node {set|show|delete} name [value]", 3, 4,
                "an attribute until restart", changes=True),
        Command("fence", fence, "node", 1, 1, "have a node fenced", changes=True),
        Command("delete", delete, "node", 1, 1, "forget a node", changes=True),
        Command("server", server, "[node ...]", 0, None, "names of the nodes"),
    ),
)  # fmt: skip
