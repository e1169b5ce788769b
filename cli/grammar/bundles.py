"""Bundles: `bundle ID {docker|podman} K=V ... [network ...] [storage ...] [primitive RSC]`.

Parse and render share this file. The primitive is parsed as a name, as members of groups are.

Source: crm-shell, section 3, "bundle".
"""

from __future__ import annotations

from cli.grammar.pairs import parse_set, render_attributes, render_set
from cli.grammar.resources import RESOURCES, identifier
from cli.grammar.rules import CannotSay
from cli.grammar.tokens import Words, quoted
from crm.model.configuration import MEMBER, Item

RUNTIMES = ("docker", "podman")
_MAPPINGS = {"network": "port-mapping", "storage": "storage-mapping"}
_KEYWORDS = frozenset({*RUNTIMES, *_MAPPINGS, "meta", "primitive"})
_FIRST_PARTS = (*RUNTIMES, *_MAPPINGS)


def parse_bundle(words: Words) -> Item:
    """Parse `bundle` after its keyword."""
    made = Item("bundle", {"id": identifier(words)})
    if not words.is_next(*RUNTIMES):
        words.fail(f"expected what runs the containers, one of {', '.join(RUNTIMES)}")
    while words.left:
        if words.peek().startswith("description="):
            made.attributes["description"] = words.take("a description").partition("=")[2]
            continue
        keyword = words.take("a part").lower()
        if keyword in _FIRST_PARTS:
            if made.first(keyword) is not None:
                words.fail(f"a bundle has one '{keyword}'", back=1)
            made.children.append(_parse_part(words, keyword))
        elif keyword == "meta":
            made.children.append(parse_set(words, "meta_attributes", _KEYWORDS, keyword=keyword))
        elif keyword == "primitive":
            made.children.append(Item(MEMBER, {"id": words.take("a resource")}))
        else:
            words.fail(f"'{keyword}' is none of {', '.join(sorted(_KEYWORDS))}", back=1)
    made.children.sort(key=_place)
    return made


def _place(part: Item) -> int:
    """Order the parts as the schema wants them; what else there is keeps its order."""
    return _FIRST_PARTS.index(part.tag) if part.tag in _FIRST_PARTS else len(_FIRST_PARTS)


def _parse_part(words: Words, tag: str) -> Item:
    made = Item(tag)
    current = made
    mapping = _MAPPINGS.get(tag, "")
    while words.left and not words.is_next(*_KEYWORDS):
        if mapping and words.is_next(mapping):
            words.take(mapping)
            current = Item(mapping)
            made.children.append(current)
            continue
        name, equals, value = words.take("name=value").partition("=")
        if not equals or not name:
            words.fail(f"expected name=value, not '{name}'", back=1)
        current.attributes[name] = value
    return made


def render_bundle(made: Item, referred: set[str]) -> list[str]:
    """Write a bundle, part by part."""
    parts = [f"bundle {made.id}"]
    if made.get("description"):
        parts.append(f"description={quoted(made.get('description'))}")
    for child in sorted(made.children, key=lambda each: each.tag in (MEMBER, *RESOURCES)):
        if child.tag in _FIRST_PARTS:
            parts.append(_render_part(child))
        elif child.tag == "meta_attributes":
            parts.append(render_set(child, "meta", referred))
        elif child.tag in (MEMBER, *RESOURCES):
            parts.append(f"primitive {child.id}")
        else:
            raise CannotSay(made.id)
    return parts


def _render_part(part: Item) -> str:
    words = [part.tag, *render_attributes(part.attributes, frozenset())]
    for child in part.children:
        if child.tag != _MAPPINGS.get(part.tag):
            raise CannotSay(part.id)
        words += [child.tag, *render_attributes(child.attributes, frozenset())]
    return " ".join(words)
