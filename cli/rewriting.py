"""A text of statements taken as the new form of a configuration, or of some objects in it.

Responsible for the order in which the statements of a text are carried out: what is gone first,
then what is new, members before what holds them, then what changed as it stands in the text.
Not responsible for where the text comes from. Pure functions on the `<configuration>` item; some
of the statements may have been carried out when one is refused, so callers work on a copy.

Source: crm-shell, section 2, "configure": load, edit and filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cli import edits, removals
from cli.edits import EditRefused, Located, section
from cli.grammar.settings import OPTION_SETS
from cli.grammar.statements import ALIASES, RANK, Surroundings, keyword_of, parse_tokens
from cli.grammar.tokens import StatementError, split
from crm.model.configuration import Item
from crm.model.readxml.configuration import read
from crm.plumbing import xml
from crm.plumbing.errors import Problem, error

TOPOLOGY = "fencing-topology"
"""The one object without an id."""


class Statement(NamedTuple):
    """One statement of a text: its object, its keyword, where it stood, and how."""

    item: Item
    keyword: str
    line: int = 0
    is_xml: bool = False


def statements(text: str, around: Surroundings, name: str) -> list[Statement]:
    """Parse the statements of a text; comments go with the statement they stand before or in.

    Raises: EditRefused with every line's problem.
    """
    found: list[Statement] = []
    problems: list[Problem] = []
    comments: list[str] = []
    pending = ""
    number = 1
    for at, line in enumerate([*text.splitlines(), ""], 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            comments.append(stripped.lstrip("# "))
            continue
        if not pending:
            number = at
        if stripped.endswith("\\"):
            pending += stripped[:-1] + " "
            continue
        whole, pending = (pending + stripped).strip(), ""
        if not whole:
            continue
        try:
            made = _parse(whole, around)
        except (EditRefused, StatementError) as problem:
            problems += [each._replace(subject=f"{name}:{number}") for each in problem.problems]
        else:
            made.item.comments = tuple(dict.fromkeys(comments)) or made.item.comments
            found.append(made._replace(line=number))
        comments = []
    if problems:
        raise EditRefused(*problems)
    return found


def _parse(line: str, around: Surroundings) -> Statement:
    tokens = split(line)
    keyword = tokens[0].text.lower()
    if keyword == "xml":
        item = xml_object(line.split(None, 1)[1] if len(tokens) > 1 else "")
        return Statement(item, keyword_of(item), is_xml=True)
    if keyword == "monitor":
        raise EditRefused(error("not-an-object", "", "'monitor' is a command, not an object"))
    return Statement(parse_tokens(line, tokens, around), ALIASES.get(keyword, keyword))


def xml_object(text: str) -> Item:
    """Read one object written as XML.

    Raises: EditRefused if it is none; ConfigurationError if it is not well-formed.
    """
    item = read(xml.parse(text.strip().strip("'").encode()))
    if item.tag not in edits.SECTION_OF:
        raise EditRefused(error("unknown-element", item.tag, f"<{item.tag}> is no object"))
    return item


def put_xml(configuration: Item, item: Item) -> None:
    """Add an object that was written as XML, or put it in the place of the one with its id."""
    existing = edits.find(configuration, item.id) if item.id else None
    if existing is not None:
        existing.parent.children[existing.parent.children.index(existing.item)] = item
        return
    section(configuration, edits.SECTION_OF[item.tag]).children.append(item)


def load(
    configuration: Item, text: str, around: Surroundings, name: str, *, replaces: bool = False
) -> None:
    """Carry out the statements of a text; objects that exist get their new form.

    Sets of options are merged into those there are, unless it `replaces` them.

    Raises: EditRefused with the problems, each with its line.
    """
    given = statements(text, around, name)
    problems: list[Problem] = []
    new: list[Statement] = []
    known: list[Statement] = []
    for each in given:
        (known if _existing(configuration, each) else new).append(each)
    new.sort(key=lambda each: RANK.get(each.keyword, len(RANK)))
    for each in [*new, *known]:
        try:
            _carry_out(configuration, each, replaces=replaces)
        except EditRefused as problem:
            problems += [at._replace(subject=f"{name}:{each.line}") for at in problem.problems]
    if problems:
        raise EditRefused(*problems)


def _existing(configuration: Item, statement: Statement) -> Located | None:
    item = statement.item
    if statement.keyword == "fencing_topology":
        return edits.find(configuration, "fencing_topology")
    name = item.get("uname") if item.tag == "node" else item.id
    return edits.find(configuration, name) if name else None


def _carry_out(configuration: Item, statement: Statement, *, replaces: bool) -> None:
    item, keyword = statement.item, statement.keyword
    if statement.is_xml:
        put_xml(configuration, item)
        return
    existing = _existing(configuration, statement)
    merges = keyword in OPTION_SETS and not replaces
    if existing is None or merges:
        edits.add(configuration, item, keyword)
        return
    edits.put_in_place(configuration, existing, item)


def _names(given: Iterable[Statement]) -> set[str]:
    """Collect the names of the objects of a text."""
    found = {name for each in given for name in (each.item.id, each.item.get("uname")) if name}
    return found | {each.item.tag for each in given if each.item.tag == TOPOLOGY}


def _delete_the_unnamed(
    configuration: Item, objects: Iterable[Located], given: Iterable[Statement]
) -> None:
    """Delete those of some objects that statements leave out."""
    kept = _names(given)
    for each in objects:
        is_kept = not kept.isdisjoint((each.item.id, each.name, each.item.tag))
        if not is_kept and edits.find(configuration, each.item.id or each.item.tag) is not None:
            removals.delete(configuration, each.item.id or each.item.tag)


def rewrite(
    configuration: Item, chosen: Sequence[Located], text: str, around: Surroundings, name: str
) -> None:
    """Make chosen objects what a text says: those it leaves out are deleted, others are changed.

    Raises: EditRefused with the problems, each with its line.
    """
    _delete_the_unnamed(configuration, chosen, statements(text, around, name))
    load(configuration, text, around, name, replaces=True)


def push(
    configuration: Item, everything: Iterable[Located], text: str, around: Surroundings, name: str
) -> None:
    """Make the set of objects equal to that of a text; sets of options it names are merged.

    Raises: EditRefused with the problems, each with its line.
    """
    _delete_the_unnamed(configuration, everything, statements(text, around, name))
    load(configuration, text, around, name)
