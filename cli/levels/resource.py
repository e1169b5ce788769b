"""The level `resource`: what a person does to resources day by day.

A change of the configuration is made and committed at once; what only a running cluster can do
(clean up, wait) goes to its crmd.

Source: crm-shell, section 2, "resource".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

from cli import edits, parameters, subjects
from cli.edits import EditRefused, Located, need_resource
from cli.grammar import ids
from cli.grammar.resources import RESOURCES
from cli.levels.moving import ban, clear, move
from cli.levels.targets import apply_change, check_node, places_of, topmost
from cli.levels.waiting import wait_until_idle
from cli.parameters import Wanted
from cli.shell.context import Call, Command, CommandFailed, Context, Level
from cli.subjects import Subject
from cli.values import drop_meta, get_pair, set_pair, unset_pair
from cli.view import history, monitor, recorded
from cli.view.status import read_status
from cli.workspace import ask_daemon
from crm.api import attributes, controller
from crm.model.configuration import Item, own_ids
from crm.model.options import is_true
from crm.plumbing import durations

META = "meta_attributes"
FORCE_WORDS = ("force", "--force", "-f")


# --- reading ------------------------------------------------------------------------------------


def status(context: Context, call: Call) -> None:
    """Show all resources, or where some run."""
    if call.words:
        locate(context, call)
        return
    view = read_status(context.workspace.document)
    if context.as_json:
        context.terminal.show_json(monitor.as_json(view)["resources"])
    else:
        context.terminal.show(monitor.resource_list(view))


def locate(context: Context, call: Call) -> None:
    """Show where resources run."""
    configuration = context.workspace.configuration
    view = read_status(context.workspace.document)
    names = call.words or tuple(
        each.item.id for each in edits.objects(configuration) if each.item.tag in RESOURCES
    )
    lines: list[str] = []
    places: dict[str, list[dict[str, str]]] = {}
    for name in names:
        located = need_resource(configuration, name)
        found = places_of(view, located)
        places[name] = [{"node": node, "role": role} for node, role in found]
        for node, role in found:
            suffix = " Promoted" if role == "Promoted" else ""
            lines.append(f"resource {name} is running on: {node}{suffix}")
        if not found and not context.as_json:
            context.terminal.remark(f"resource {name} is NOT running")
    if context.as_json:
        context.terminal.show_json(places)
    else:
        context.terminal.show("\n".join(lines))


def constraints(context: Context, call: Call) -> None:
    """Show the constraints that name a resource."""
    from cli.selection import select
    from cli.view import configuration as view

    configuration = context.workspace.configuration
    chosen = [
        each
        for each in select(configuration, context.workspace.base, [f"related:{call.words[0]}"])
        if each.section == "constraints"
    ]
    if context.as_json:
        context.terminal.show_json(view.as_json(chosen))
    else:
        context.terminal.show(view.show(configuration, chosen))


def operations(context: Context, call: Call) -> None:
    """Show the recorded operations."""
    wanted = call.words[0] if call.words else ""
    node = call.words[1] if len(call.words) > 1 else ""
    if wanted:
        need_resource(context.workspace.configuration, wanted)
    view = read_status(context.workspace.document)
    found = recorded.text(view.facts, view.root, wanted, node, everything=bool(wanted))
    context.terminal.show(found)


def explain(context: Context, call: Call) -> None:
    """Say why a resource is where it is, with the objects that caused it."""
    from cli.view.explanation import explain_resource

    node = call.words[1] if len(call.words) > 1 else None
    explanation = explain_resource(context.workspace.document, call.words[0], node)
    if context.as_json:
        context.terminal.show_json(explanation.as_json())
    else:
        context.terminal.show(explanation.as_text())


def scores(context: Context, _call: Call) -> None:
    """Show the allocation scores."""
    from cli.view.explanation import show_scores

    context.terminal.show(show_scores(context.workspace.document))


# --- target-role and its like -------------------------------------------------------------------


def _named(configuration: Item, words: tuple[str, ...]) -> list[Located]:
    """Find resources by id, tag or glob."""
    known = [each for each in edits.objects(configuration) if each.item.tag in RESOURCES]
    found: list[Located] = []
    for word in words:
        tag = edits.find(configuration, word)
        if tag is not None and tag.item.tag == "tag":
            inside = {child.id for child in tag.item.children}
            found += [each for each in known if each.item.id in inside]
        elif any(sign in word for sign in "*?["):
            matching = [each for each in known if fnmatch.fnmatchcase(each.item.id, word)]
            if not matching:
                raise EditRefused(edits.unknown("resource", word, []))
            found += matching
        else:
            found.append(need_resource(configuration, word))
    return found


def _target(configuration: Item, located: Located) -> Item:
    """Find where a meta attribute belongs: a member of a group keeps its own, else the topmost."""
    if located.parent.tag == "group":
        return located.item
    return topmost(configuration, located)


def _set_meta(configuration: Item, item: Item, name: str, value: str) -> None:
    set_pair(item, META, name, value, taken=own_ids(configuration))


def _set_on(context: Context, words: tuple[str, ...], name: str, value: str) -> None:
    def edit(configuration: Item) -> None:
        for located in _named(configuration, words):
            item = _target(configuration, located)
            taken = own_ids(configuration)
            if item.tag in ("clone", "master"):  # the clone speaks for what is in it
                for child in item.each(*RESOURCES):
                    drop_meta(child, name)
            if context.is_forced:  # what says otherwise, in members too, goes
                for part in item.walk():
                    if part is not item and part.tag in RESOURCES:
                        drop_meta(part, name)
                    if part.tag in RESOURCES and name in _CONTRARY:
                        drop_meta(part, _CONTRARY[name])
            set_pair(item, META, name, value, taken=taken)

    apply_change(context, edit)


_CONTRARY = {"maintenance": "is-managed", "is-managed": "maintenance"}
"""Meta attributes that decide the same: one of them is enough."""


def start(context: Context, call: Call) -> None:
    """Let resources run."""
    _set_on(context, call.words, "target-role", "Started")


def stop(context: Context, call: Call) -> None:
    """Stop resources, and keep them stopped."""
    _set_on(context, call.words, "target-role", "Stopped")


def restart(context: Context, call: Call) -> None:
    """Stop resources, wait, and put their target role back as it was."""
    before: dict[str, str | None] = {}
    for located in _named(context.workspace.configuration, call.words):
        item = _target(context.workspace.configuration, located)
        before[item.id] = get_pair(item, META, "target-role")
    if not context.workspace.is_live:
        raise CommandFailed("needs-a-cluster", "'restart' needs a running cluster")
    stop(context, call)
    try:
        wait_until_idle(context)
    finally:

        def put_back(configuration: Item) -> None:
            for name, value in before.items():
                item = need_resource(configuration, name).item
                if value is None:
                    unset_pair(item, META, "target-role")
                else:
                    _set_meta(configuration, item, "target-role", value)

        apply_change(context, put_back)
    wait_until_idle(context)


def manage(context: Context, call: Call) -> None:
    """Let the cluster manage resources again."""
    _set_on(context, call.words, "is-managed", "true")


def unmanage(context: Context, call: Call) -> None:
    """Let resources be: not started, stopped or recovered."""
    _set_on(context, call.words, "is-managed", "false")


def maintenance(context: Context, call: Call) -> None:
    """Put a resource into maintenance, or take it out."""
    word = call.words[1].lower() if len(call.words) > 1 else "on"
    if word not in ("on", "off", "true", "false"):
        raise CommandFailed("wrong-arguments", f"expected on, off, true or false, not '{word}'")
    _set_on(context, call.words[:1], "maintenance", "true" if is_true(word) else "false")


def _promotable(context: Context, name: str, role: str) -> None:
    configuration = context.workspace.configuration
    located = edits.find(configuration, name)
    view = read_status(context.workspace.document)
    if located is None or not view.is_promotable(located.item.id):
        raise CommandFailed("not-promotable", f"'{name}' is no promotable resource", subject=name)
    _set_on(context, (name,), "target-role", role)
    context.terminal.show(
        f"Set '{name}' option: id={name}-meta_attributes-target-role "
        f"set={name}-meta_attributes name=target-role value={role}"
    )


def promote(context: Context, call: Call) -> None:
    """Promote an instance of a promotable clone."""
    _promotable(context, call.words[0], "Master")


def demote(context: Context, call: Call) -> None:
    """Demote the instances of a promotable clone."""
    _promotable(context, call.words[0], "Slave")


# --- single attributes --------------------------------------------------------------------------


def _attribute(kind: str) -> Callable[[Context, Call], None]:
    def run(context: Context, call: Call) -> None:
        name, verb, attribute, *rest = call.words
        wanted = Wanted("instance" if kind == "param" else kind, attribute)
        if verb == "show":
            _show_attribute(context, name, wanted)
        elif verb == "set" and len(rest) == 1:
            _change_attribute(context, name, wanted, rest[0])
        elif verb == "delete" and not rest:
            _change_attribute(context, name, wanted, None)
        else:
            raise CommandFailed(
                "wrong-arguments", f"resource.{kind}: expected RSC set NAME VALUE, "
                "RSC show NAME or RSC delete NAME"
            )  # fmt: skip

    return run


def _show_attribute(context: Context, name: str, wanted: Wanted) -> None:
    located = need_resource(context.workspace.configuration, name)
    item = located.item
    if wanted.kind == "meta" and located.parent.tag in ("clone", "master"):
        item = located.parent
    value = get_pair(item, parameters.TAGS[wanted.kind], wanted.name)
    if context.as_json:
        context.terminal.show_json({"resource": item.id, "name": wanted.name, "value": value})
    elif value is None:
        context.terminal.tell(f"Attribute '{wanted.name}' not found for '{item.id}'")
    else:
        context.terminal.show(value)


def _change_attribute(context: Context, name: str, wanted: Wanted, value: str | None) -> None:
    """Set a value as `crm_resource` does, or take it away with None."""
    verb = "delete" if value is None else "update"
    said: list[str] = []

    def edit(configuration: Item) -> None:
        owners = parameters.owners_of(
            configuration, name, wanted, verb=verb, forced=context.is_forced
        )
        said[:] = owners.remarks
        for identity in owners.ids:
            owner = need_resource(configuration, identity).item
            if value is None:
                said.append(parameters.remove(owner, wanted))
                continue
            made = parameters.setting(owner, wanted, value)
            parameters.apply(owner, made)
            said.append(made.text)

    try:
        apply_change(context, edit)
    except parameters.Ambiguous as problem:
        context.terminal.show("\n".join(problem.lines))
        text = f"'{wanted.name}' stands in several sets of '{name}'"
        hint = f"edit it: crm configure edit {name}"
        raise CommandFailed("ambiguous-value", text, hint) from problem
    context.terminal.show("\n".join(line for line in said if line))


# --- failures -----------------------------------------------------------------------------------


def cleanup(context: Context, call: Call) -> None:
    """Forget the failures of a resource and look again what runs."""
    _clean_up(context, call, failures_only=True)


def refresh(context: Context, call: Call) -> None:
    """Forget the whole history of a resource and look again what runs."""
    _clean_up(context, call, failures_only=False)


def _clean_up(context: Context, call: Call, *, failures_only: bool) -> None:
    words = [word for word in call.words if word not in FORCE_WORDS]
    name = words[0] if words else ""
    node = words[1] if len(words) > 1 else ""
    if node:
        check_node(context, node)
    names = [""]
    if name:
        subject = _subject(context, name)
        forced = context.is_forced or len(words) < len(call.words)
        view = read_status(context.workspace.document)
        names = subjects.histories(view.facts, subject.item if forced else subject.top)
    for each in names:
        reply = ask_daemon(
            context.workspace,
            controller.SERVICE,
            controller.CleanUp(request=0, resource=each, node=node, failures_only=failures_only),
            what="cleanup",
        )
        if isinstance(reply, controller.ControllerReply) and reply.code:
            raise CommandFailed("not-cleaned", reply.message)
    for each in names:
        context.terminal.show(f"Cleaned up {each or 'all resources'} on {node or 'all nodes'}")
    context.close()


def failcount(context: Context, call: Call) -> None:
    """Show, set or delete the fail count of a resource on a node.

    That of a group or clone is shown and deleted one by one, of each resource in it.
    """
    name, verb, node, *rest = call.words
    subject = _subject(context, name)
    view = read_status(context.workspace.document)
    known = view.node(node)
    if known is None:
        raise EditRefused(edits.unknown("node", node, [each.name for each in view.nodes]))
    names = subjects.histories(view.facts, subject.item)
    if verb == "show":
        for each in names:
            count = history.fail_count(known, each)
            shown = "INFINITY" if count >= 1_000_000 else str(count)
            context.terminal.show(f"scope=status  name=fail-count-{each} value={shown}")
        return
    if verb == "set" and rest:
        if len(names) != 1:
            text = f"'{name}' has no fail count of its own, what is in it has: {', '.join(names)}"
            raise CommandFailed("wrong-arguments", text, "set that of one of them")
        operation = f"#{rest[1]}_{rest[2] if len(rest) > 2 else '0'}" if len(rest) > 1 else ""
        _update_attribute(context, f"fail-count-{names[0]}{operation}", rest[0], node)
        return
    if verb != "delete":
        raise CommandFailed(
            "wrong-arguments", "expected RSC {show|delete} NODE, or RSC set NODE VALUE"
        )
    for attribute in known.attributes:
        plain = attribute.removeprefix("fail-count-")
        if plain != attribute and plain.partition("#")[0] in names:
            _update_attribute(context, attribute, None, node)


def _subject(context: Context, name: str) -> Subject:
    """Find what a name means: a resource, or one copy of a clone.

    Raises: EditRefused if there is none.
    """
    found = subjects.find(read_status(context.workspace.document).facts, name)
    if found is None:
        need_resource(context.workspace.configuration, name)
        raise CommandFailed("unknown-resource", f"the cluster knows no resource '{name}'")
    return found


def _update_attribute(context: Context, name: str, value: str | None, node: str) -> None:
    ask_daemon(
        context.workspace,
        attributes.SERVICE,
        attributes.UpdateAttribute(name=name, value=value, node=node, request=0),
        what="a fail count",
    )


# --- tracing ------------------------------------------------------------------------------------


def _traced(call: Call) -> tuple[str, str | None]:
    """Read which operation is meant, "" for all, and its interval in seconds if one is said."""
    name, interval = call.words[1] if len(call.words) > 1 else "", None
    if len(call.words) > 2:
        if not call.words[2].isdigit():
            raise CommandFailed("wrong-arguments", "expected: RSC [OP] [SECONDS]")
        interval = call.words[2]
    return ("monitor", "0") if name == "probe" else (name, interval)


def _is_traced(operation: Item, name: str, interval: str | None) -> bool:
    if name not in ("", operation.get("name")):
        return False
    return interval is None or _ms(operation.get("interval", "0")) == int(interval) * 1000


def _ms(text: str) -> int:
    try:
        return durations.parse_ms(text)
    except ValueError:
        return -1


def trace(context: Context, call: Call) -> None:
    """Let an agent log what its shell does, for one operation or all."""
    name = call.words[0]
    wanted, interval = _traced(call)

    def edit(configuration: Item) -> None:
        item = need_resource(configuration, name).item
        taken = own_ids(configuration)
        holder = item.first("operations")
        if holder is None:
            holder = Item("operations")
            item.children.append(holder)
        for operation in [wanted] if wanted else ["start", "stop", "monitor"]:
            if not any(_is_traced(each, operation, interval) for each in holder.children):
                made = Item("op", {"name": operation, "interval": interval or "0"})
                holder.children.append(made)
        if not wanted:
            holder.children.sort(key=lambda each: _RANK_OF_TRACED.get(each.get("name"), 2))
        ids.fill(item, taken)
        for each in holder.children:
            if _is_traced(each, wanted, interval):
                set_pair(each, "instance_attributes", "trace_ra", "1", taken=taken)

    apply_change(context, edit)
    context.terminal.tell(f"Trace set for {name}")


_RANK_OF_TRACED = {"start": 0, "stop": 1}


def untrace(context: Context, call: Call) -> None:
    """Take the trace away again."""
    name = call.words[0]
    wanted, interval = _traced(call)

    def edit(configuration: Item) -> None:
        item = need_resource(configuration, name).item
        holder = item.first("operations")
        for each in list(holder.children) if holder is not None else []:
            assert holder is not None
            if not _is_traced(each, wanted, interval):
                continue
            if not unset_pair(each, "instance_attributes", "trace_ra"):
                continue
            each.children = [part for part in each.children if part.children]
            is_bare = each.attributes.keys() <= {"id", "name", "interval"}
            if is_bare and each.get("interval") == "0" and not each.children:
                holder.children.remove(each)  # trace made it
        if holder is not None and not holder.children:
            item.children.remove(holder)

    apply_change(context, edit)
    told = f" for operation {wanted}" if wanted else ""
    context.terminal.tell(f"Stop tracing {name}{told}")


change_meta = _attribute("meta")
"""Set, show or delete a meta attribute."""


LEVEL = Level(
    name="resource",
    summary="resource: start, stop, move and mend resources",
    commands=(
        Command("status", status, "[rsc ...]", most=None, old_names=("show", "list"),
                summary="show resources"),
        Command("locate", locate, "[rsc ...]", most=None, summary="show where they run"),
        Command("start", start, "rsc [rsc ...]", 1, None, "let them run", changes=True),
        Command("stop", stop, "rsc [rsc ...]", 1, None, "stop them", changes=True),
        Command("restart", restart, "rsc [rsc ...]", 1, None, "stop, wait, start", changes=True),
        Command("promote", promote, "rsc", 1, 1, "promote", changes=True),
        Command("demote", demote, "rsc", 1, 1, "demote", changes=True),
        Command("move", move, "rsc [node] [lifetime] [force]", 1, 4, "prefer a node",
                old_names=("migrate",), changes=True),
        Command("ban", ban, "rsc [node] [lifetime] [force]", 1, 4, "keep away from a node",
                changes=True),
        Command("clear", clear, "rsc [node]", 1, 2, "undo move and ban",
                old_names=("unmove", "unmigrate", "unban"), changes=True),
        Command("cleanup", cleanup, "[rsc] [node] [force]", 0, 3, "forget failures",
                changes=True),
        Command("refresh", refresh, "[rsc] [node] [force]", 0, 3, "forget all and look again",
                old_names=("reprobe",), changes=True),
        Command("failcount", failcount, "rsc {show|set|delete} node [value]", 3, 6,
                "show or change a fail count"),
        Command("param", _attribute("param"), "rsc {set|show|delete} name [value]", 3, 4,
                "a parameter", changes=True),
        Command("meta", change_meta, "rsc {set|show|delete} name [value]", 3, 4,
                "a meta attribute", changes=True),
        Command("utilization", _attribute("utilization"), "rsc {set|show|delete} name [value]",
                3, 4, "a utilization", changes=True),
        Command("manage", manage, "rsc [rsc ...]", 1, None, "manage again", changes=True),
        Command("unmanage", unmanage, "rsc [rsc ...]", 1, None, "leave alone", changes=True),
        Command("maintenance", maintenance, "rsc [on|off|true|false]", 1, 2, "maintenance",
                changes=True),
        Command("constraints", constraints, "rsc", 1, 1, "show its constraints"),
        Command("operations", operations, "[rsc] [node]", 0, 2, "show recorded operations"),
        Command("explain", explain, "rsc [node]", 1, 2, "say why it is where it is"),
        Command("scores", scores, "", summary="show allocation scores"),
        Command("trace", trace, "rsc [op [seconds]]", 1, 3, "log what the agent does",
                changes=True),
        Command("untrace", untrace, "rsc [op [seconds]]", 1, 3, "stop tracing", changes=True),
    ),
)  # fmt: skip
