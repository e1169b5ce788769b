"""The configuration as text: the shell's language, or XML where the language ends.

Source: crm-shell, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lxml import etree

from cli.edits import Located, section
from cli.grammar.statements import RANK, Surroundings, join, render
from crm.model.configuration import Item, referred_ids
from crm.model.writexml.configuration import element

HIDDEN = "******"
_LANGUAGE_ENDS = re.compile(r"[^\x00-\x7f]")


def surroundings(configuration: Item) -> Surroundings:
    """Collect what statements need to know of the rest of the configuration."""
    nodes = configuration.first("nodes")
    names = [node.get("uname") for node in nodes.children] if nodes is not None else []
    return Surroundings(nodes=tuple(names), referred=referred_ids(configuration))


def show(
    configuration: Item,
    chosen: Iterable[Located],
    *,
    obscured: Sequence[str] = (),
    is_sorted: bool = True,
) -> str:
    """Write the chosen objects in the order of display."""
    around = surroundings(configuration)
    ordered = sorted(
        chosen,
        key=lambda each: (RANK.get(each.keyword, 99), each.item.id if is_sorted else ""),
    )
    return "\n".join(show_one(each, around, obscured) for each in ordered)


def show_one(located: Located, around: Surroundings, obscured: Sequence[str] = ()) -> str:
    """Write one object, its comments first."""
    item = _obscure(located.item, obscured) if obscured else located.item
    parts = None if _has_foreign_signs(item) else render(item, around, section=located.section)
    text = join(parts) if parts is not None else as_xml_statement(item)
    return "\n".join([*(f"# {comment}" for comment in item.comments), text])


def _has_foreign_signs(item: Item) -> bool:
    return any(
        _LANGUAGE_ENDS.search(value) for part in item.walk() for value in part.attributes.values()
    )


def as_xml_statement(item: Item) -> str:
    """Write an object the language cannot say as `xml <...>`."""
    shown = item.copy()
    for part in shown.walk():
        if part.tag == "rule" and part.get("boolean-op") == "and":
            del part.attributes["boolean-op"]  # it is so anyway
    made = element(shown)
    etree.indent(made, space="  ")
    return "xml " + " \\\n".join(etree.tostring(made, encoding="ascii").decode().splitlines())


def _obscure(item: Item, patterns: Sequence[str]) -> Item:
    hidden = item.copy()
    expressions = [re.compile(_glob(pattern)) for pattern in patterns]
    for part in hidden.walk():
        if part.tag == "nvpair" and any(each.match(part.get("name")) for each in expressions):
            part.attributes["value"] = HIDDEN
    return hidden


def _glob(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") + r"\Z"


def show_xml(document: Item, chosen: Sequence[Located]) -> str:
    """Write a whole CIB with only the chosen objects."""
    configuration = Item("configuration")
    for name in ("crm_config", "nodes", "resources", "constraints"):
        configuration.children.append(Item(name))
    picked = {id(each.item) for each in chosen}
    for each in chosen:
        if id(each.parent) in picked:
            continue  # shown with its container
        if each.item.tag == "fencing-topology":
            configuration.children.append(each.item)
        else:
            section(configuration, each.section).children.append(each.item)
    attributes = dict(document.attributes)
    made = element(Item("cib", attributes, [configuration]))
    etree.indent(made, space="  ")
    return '<?xml version="1.0" ?>\n' + etree.tostring(made, encoding="unicode") + "\n"


def as_json(chosen: Iterable[Located]) -> list[dict[str, object]]:
    """Say what the chosen objects are, as plain values."""
    return [{"kind": each.keyword, "id": each.item.id, **_plain(each.item)} for each in chosen]


def _plain(item: Item) -> dict[str, object]:
    value: dict[str, object] = {"attributes": dict(item.attributes)}
    if item.children:
        value["children"] = [{"tag": child.tag, **_plain(child)} for child in item.children]
    return value
