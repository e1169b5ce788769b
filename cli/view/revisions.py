"""The history of the configuration as text: a line a revision, and the difference of two.

Source: docs/protocol/cib.md, "History".
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence

from cli.edits import objects
from cli.grammar.statements import RANK
from cli.view import configuration as view
from cli.workspace import configuration_of
from crm.api.cib import Revision
from crm.cib import difference
from crm.model.configuration import Item
from crm.model.writexml import configuration as writing

UNKNOWN = "how it was made is not recorded here"


def log(entries: Sequence[Revision]) -> str:
    """List revisions, the newest first."""
    rows = [_row(entry) for entry in reversed(entries)]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(4)]
    return "\n".join(
        "  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]).rstrip() for row in rows
    )


def _row(entry: Revision) -> tuple[str, str, str, str, str]:
    if not entry.is_known:
        return entry.name, "-", "-", "-", entry.reason or UNKNOWN
    why = f"  [{entry.reason}]" if entry.reason else ""
    return entry.name, moment(entry.at), _who(entry), entry.client or "-", entry.summary + why


def moment(at_s: float) -> str:
    """Write a time of day as people sort it; local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s)) if at_s else "-"


def in_full(entry: Revision, difference: str) -> str:
    """Tell all there is to know of one revision, and the commands that lead back."""
    before = f"{entry.before.admin_epoch}.{entry.before.epoch}"
    client = f" with {entry.client}" if entry.client else ""
    lines = [
        f"revision {entry.name}, made from {before}",
        f"when:  {moment(entry.at)}",
        f"who:   {_who(entry)}{client}",
        *([f"why:   {entry.reason}"] if entry.reason else []),
        f"what:  {entry.summary}",
        "",
        *(difference.splitlines() or ["nothing but the version differs"]),
        "",
        f"back:  crm configure undo {entry.name}  takes back this change and nothing else",
        f"       crm configure restore {before}  makes everything as it was before it",
    ]
    return "\n".join(lines)


def _who(entry: Revision) -> str:
    return f"{entry.user or 'cluster'}@{entry.node or '?'}"


def as_json(entries: Sequence[Revision]) -> list[dict[str, object]]:
    """Say the same in plain values, the newest first."""
    return [_plain(entry) for entry in reversed(entries)]


def in_full_as_json(entry: Revision, difference: str) -> dict[str, object]:
    """Say all of one revision in plain values."""
    before = f"{entry.before.admin_epoch}.{entry.before.epoch}"
    return {**_plain(entry), "before": before, "difference": difference.splitlines()}


def _plain(entry: Revision) -> dict[str, object]:
    return {
        "revision": entry.name,
        "known": entry.is_known,
        "at": entry.at,
        "user": entry.user,
        "node": entry.node,
        "client": entry.client,
        "summary": entry.summary,
        "objects": list(entry.objects),
        "reason": entry.reason,
    }


def diff(old: Item, new: Item, names: tuple[str, str], obscured: Sequence[str]) -> str:
    """Show what differs: in the shell's language, or as a patch where that says nothing."""
    before, after = (_statements(document, obscured) for document in (old, new))
    lines: list[str] = []
    for key in [*before, *(key for key in after if key not in before)]:
        lines += _statement_lines(before.get(key, []), after.get(key, []))
    if lines and old.get("validate-with") == new.get("validate-with"):
        return "\n".join([f"--- {names[0]}", f"+++ {names[1]}", *lines])
    return "\n".join(_patch(old, new, names))


def _statements(document: Item, obscured: Sequence[str]) -> dict[str, list[str]]:
    """Write each object as lines, by keyword and name, in the order of display."""
    configuration = configuration_of(document)
    around = view.surroundings(configuration)
    ordered = sorted(objects(configuration), key=lambda each: RANK.get(each.keyword, 99))
    return {
        f"{each.keyword} {each.name}": view.show_one(each, around, obscured).splitlines()
        for each in ordered
    }


def _statement_lines(old: list[str], new: list[str]) -> list[str]:
    """Show what differs in one object, below its first line if that stayed."""
    lines = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    changed = [line for line in lines if not line.startswith("@@")]
    if changed and old[:1] == new[:1]:
        return [f" {old[0]}", *changed]
    return changed


def _patch(old: Item, new: Item, names: tuple[str, str]) -> list[str]:
    trees = [writing.element(document) for document in (old, new)]
    for tree in trees:
        for part in tree.findall("status"):
            tree.remove(part)
        for name in list(tree.attrib):
            if name != "validate-with":
                del tree.attrib[name]
    found = difference.write(trees[0], trees[1], as_cib=True, versions=False)
    if found is None:
        return []
    lines = difference.text_lines(found, trees[0], trees[1])[2:]
    return [f"--- {names[0]}", f"+++ {names[1]}", *lines]
