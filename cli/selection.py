"""Which objects a person means: ids, globs, `type:`, `tag:`, `related:`, `changed`.

Source: crm-shell, section 2, "configure show".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from cli.edits import EditRefused, Located, find, objects
from cli.grammar.resources import agent_name
from cli.grammar.statements import ALIASES
from crm.model.configuration import Item
from crm.plumbing.errors import error

_PREFIXES = ("type:", "tag:", "related:", "obscure:")


def select(configuration: Item, base: Item, terms: Sequence[str]) -> list[Located]:
    """Find the objects the terms mean: their union, cut by terms after `and`.

    Raises: EditRefused if a plain id does not exist.
    """
    everything = list(objects(configuration))
    terms = [term for term in terms if not term.startswith("obscure:")]
    if not terms:
        return everything
    current: set[int] = set()
    limit: set[int] | None = None
    for term in [*terms, "and"]:
        if term == "and":
            limit = current if limit is None else limit & current
            current = set()
            continue
        current |= {id(each.item) for each in _mean(configuration, base, everything, term)}
    return [each for each in everything if limit is None or id(each.item) in limit]


def _mean(configuration: Item, base: Item, everything: list[Located], term: str) -> list[Located]:
    if term == "changed":
        return [each for each in everything if _is_changed(base, each)]
    if term.startswith("type:"):
        kind = ALIASES.get(term[5:], term[5:])
        return [each for each in everything if each.keyword == kind]
    if term.startswith("tag:"):
        named = _tagged(configuration, term[4:])
        return [each for each in everything if each.item.id in named]
    if term.startswith("related:"):
        return _related(everything, term[8:])
    if any(sign in term for sign in "*?["):
        return [each for each in everything if fnmatch.fnmatchcase(each.item.id, term)
                or fnmatch.fnmatchcase(each.name, term)]  # fmt: skip
    found = find(configuration, term)
    if found is None:
        raise EditRefused(error("unknown-object", term, f"object '{term}' does not exist"))
    return [found]


def _is_changed(base: Item, located: Located) -> bool:
    before = find(base, located.item.id or located.name)
    return before is None or before.item != located.item


def _tagged(configuration: Item, name: str) -> set[str]:
    tags = configuration.first("tags")
    for tag in tags.children if tags is not None else []:
        if tag.id == name:
            return {child.id for child in tag.children}
    return set()


def _related(everything: list[Located], name: str) -> list[Located]:
    """Find an object and the constraints and containers that name it."""
    return [
        each
        for each in everything
        if name in (each.item.id, each.item.get("type"), agent_name(each.item))
        or name == ":".join(each.item.get(part) for part in ("class", "provider", "type"))
        or name in each.item.attributes.values()
        or any(
            part.id == name and part.tag in ("resource_ref", "obj_ref", "role")
            for part in each.item.walk()
        )
        or any(child.id == name for child in each.item.children)
    ]
