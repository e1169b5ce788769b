"""Commands of the level `configure` about its history: log, diff, undo.

Source: docs/protocol/cib.md, "History".
"""

from __future__ import annotations

from cli.shell.context import Call, Command, CommandFailed, Context

SHOWN = 20
"""How many revisions `log` shows when no number is given."""


def log(context: Context, call: Call) -> None:
    """Show who changed the configuration, when, what and why; the newest first."""
    from cli import past
    from cli.view import revisions as view

    count = SHOWN
    if call.words:
        word = call.words[0]
        if not (word.isascii() and word.isdigit() and 0 < int(word) < 1_000_000):
            text = f"'{word}' is not a number of revisions"
            raise CommandFailed("wrong-arguments", text, "expected a number above 0, or nothing")
        count = int(word)
    entries = past.entries_of(context.workspace, count)
    if context.as_json:
        context.terminal.show_json(view.as_json(entries))
    elif entries:
        context.terminal.show(view.log(entries))
    else:
        context.terminal.tell("no change of the configuration has been recorded here yet")


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
    obscured = context.preference("obscure-pattern", "passw*").split()
    text = view.diff(old, new, (labels[0], labels[1]), obscured)
    if text:
        context.terminal.show(text)
    else:
        context.terminal.tell("there is no difference")


def undo(context: Context, call: Call) -> None:
    """Take back the last change, or exactly the change that made a revision, as a new version."""
    from cli import past

    if context.has_changes:
        text = "there are changes that are not committed"
        raise CommandFailed("uncommitted-changes", text, "commit them, or drop them with refresh")
    known = past.read(context.workspace)
    place = known.find(call.words[0] if call.words else "")
    told = past.take_back(context.workspace, known, place, force=context.is_forced)
    entry = known.entries[place]
    context.terminal.tell(f"revision {entry.name} was taken back ({entry.summary})")
    context.terminal.report(told)


COMMANDS = (
    Command("log", log, "[count]", most=1, summary="show who changed what, when and why"),
    Command("diff", diff, "revision [revision]", least=1, most=2,
            summary="show what differs between a revision and now, or two"),
    Command("undo", undo, "[revision]", most=1, changes=True,
            summary="take back the last change, or exactly the change REVISION"),
)  # fmt: skip
