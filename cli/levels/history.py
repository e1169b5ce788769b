"""Commands of the level `configure` about its history: log, diff, undo, restore.

Source: docs/protocol/cib.md, "History".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cli.shell.context import Call, Command, CommandFailed, Context
from crm.api.cib import Revision

SHOWN = 20
"""How many revisions `log` shows when no number is given."""

_COUNT = re.compile(r"\d{1,6}", re.ASCII)
_REVISION = re.compile(r"\d+\.\d+", re.ASCII)


def log(context: Context, call: Call) -> None:
    """Show who changed what, when, why: a list, one revision in full, or what touched objects."""
    words = list(call.words)
    if len(words) == 1 and _REVISION.fullmatch(words[0]):
        _show_one(context, words[0])
        return
    count = SHOWN
    if words and _COUNT.fullmatch(words[0]):
        count = int(words.pop(0))
        if count == 0:
            text = "'0' is not a number of revisions"
            raise CommandFailed("wrong-arguments", text, "expected a number above 0, or nothing")
    _show_list(context, _chosen(context, count, words))


def _chosen(context: Context, count: int, objects: Sequence[str]) -> Sequence[Revision]:
    """Read the newest revisions, or the newest of those that touched any of these objects."""
    from cli import past

    if not objects:
        return past.entries_of(context.workspace, count)
    ids = {*objects, *_ids_of_nodes(context, objects)}
    # A member of a group is named in the summary only: the object is the group.
    member = re.compile("|".join(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])" for name in objects))
    entries = past.entries_of(context.workspace, 0)
    touching = [
        entry
        for entry in entries
        if not entry.is_known or ids & {*entry.objects} or member.search(entry.summary)
    ]
    if not any(entry.is_known for entry in touching):
        names = ", ".join(f"'{name}'" for name in objects)
        text = f"no revision that is kept touched {names}"
        raise CommandFailed("unknown-object", text, "crm configure log lists all of them")
    return touching[-count:]


def _ids_of_nodes(context: Context, names: Sequence[str]) -> list[str]:
    """Find the ids of nodes that are named: the history knows objects by their ids."""
    nodes = context.workspace.configuration.first("nodes")
    if nodes is None:
        return []
    return [node.id for node in nodes.children if node.get("uname") in names]


def _show_list(context: Context, entries: Sequence[Revision]) -> None:
    from cli.view import revisions as view

    if context.as_json:
        context.terminal.show_json(view.as_json(entries))
    elif entries:
        context.terminal.page(view.log(entries))
        known = [entry.name for entry in entries if entry.is_known]
        if known:
            text = f"'crm configure log {known[-1]}' shows one in full and how to go back"
            context.terminal.tell(text)
    else:
        context.terminal.tell("no change of the configuration has been recorded here yet")


def _show_one(context: Context, name: str) -> None:
    from cli import past
    from cli.view import revisions as view

    known = past.read(context.workspace)
    before, after = known.around(name)
    entry = known.entries[known.find(name)]
    labels = (f"{entry.before.admin_epoch}.{entry.before.epoch}", entry.name)
    difference = view.diff(before, after, labels, _obscured(context))
    if context.as_json:
        context.terminal.show_json(view.in_full_as_json(entry, difference))
    else:
        context.terminal.page(view.in_full(entry, difference))


def _obscured(context: Context) -> list[str]:
    return context.preference("obscure-pattern", "passw*").split()


def diff(context: Context, call: Call) -> None:
    """Show what differs between a revision and now, or between two revisions."""
    from cli import past
    from cli.view import revisions as view

    known = past.read(context.workspace)
    version = known.document.version
    names = [*call.words, f"{version.admin_epoch}.{version.epoch}"][:2]
    old, new = (known.at(name) for name in names)
    labels = [f"{each.get('admin_epoch', '0')}.{each.get('epoch', '0')}" for each in (old, new)]
    if len(call.words) == 1:
        labels[1] = "now"
    text = view.diff(old, new, (labels[0], labels[1]), _obscured(context))
    if context.as_json:
        shown = {"from": labels[0], "to": labels[1], "difference": text.splitlines()}
        context.terminal.show_json(shown)
    elif text:
        context.terminal.page(text)
    else:
        context.terminal.tell("there is no difference")


def undo(context: Context, call: Call) -> None:
    """Take back the last change, or exactly the change that made a revision, as a new version."""
    from cli import past

    _refuse_uncommitted(context)
    known = past.read(context.workspace)
    place = known.find(call.words[0] if call.words else "")
    told = past.take_back(context.workspace, known, place, force=context.is_forced)
    entry = known.entries[place]
    context.terminal.tell(f"revision {entry.name} was taken back ({entry.summary})")
    context.terminal.report(told)


def restore(context: Context, call: Call) -> None:
    """Make the whole configuration as it was at a revision, as a new version."""
    from cli import past

    _refuse_uncommitted(context)
    (name,) = call.words
    known = past.read(context.workspace)
    version = known.document.version
    told = past.go_back(context.workspace, known, name, force=context.is_forced)
    context.terminal.tell(
        f"the configuration is as it was at revision {name}; 'crm configure restore"
        f" {version.admin_epoch}.{version.epoch}' takes that back"
    )
    context.terminal.report(told)


def _refuse_uncommitted(context: Context) -> None:
    if context.has_changes:
        text = "there are changes that are not committed"
        raise CommandFailed("uncommitted-changes", text, "commit them, or drop them with refresh")


COMMANDS = (
    Command("log", log, "[count] [object ...] | revision", most=None,
            summary="show who changed what, when and why; one revision in full"),
    Command("diff", diff, "revision [revision]", least=1, most=2,
            summary="show what differs between a revision and now, or two"),
    Command("undo", undo, "[revision]", most=1, changes=True,
            summary="take back the last change, or exactly the change REVISION"),
    Command("restore", restore, "revision", least=1, most=1, changes=True,
            summary="make everything as it was at REVISION"),
)  # fmt: skip
