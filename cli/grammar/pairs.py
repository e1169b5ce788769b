"""Attribute sets: `[params] [$id=ID | $id-ref=REF] [SCORE:] [rule RULE] NAME=VALUE ...`.

Source: crm-shell, section 3, "attr_list".
"""

from __future__ import annotations

from collections.abc import Mapping

from cli.grammar.rules import (
    CannotSay,
    is_score,
    parse_rule,
    render_rule,
    score_attributes,
    shown_score,
)
from cli.grammar.tokens import Words, quoted
from crm.model.configuration import Item

RESOURCE_SETS = {
    "params": "instance_attributes",
    "meta": "meta_attributes",
    "utilization": "utilization",
}
"""The keyword of each set of a resource, and its element."""


def parse_set(words: Words, tag: str, stops: frozenset[str], *, keyword: str = "") -> Item:
    """Parse one attribute set, up to one of the keywords in `stops` or the end."""
    made = Item(tag)
    while words.left and not words.is_next(*stops):
        word = words.peek()
        if word.startswith(("$id=", "$id-ref=")):
            name, _, value = words.take("an id").partition("=")
            made.attributes[name[1:]] = value
        elif is_score(word) and not made.children and "=" not in word:
            made.attributes |= score_attributes(words.take("a score"))
        elif word.lower() == "rule":
            words.take("rule")
            made.children.append(parse_rule(words))
        else:
            made.children.append(parse_pair(words))
    if not made.children and not keyword and "id-ref" not in made.attributes:
        words.fail(f"expected at least one name=value after '{words.last()}'")
    return made


def parse_pair(words: Words) -> Item:
    """Parse `NAME=VALUE`, `NAME`, `$ID:NAME=VALUE`, `@ID` or `@ID:NAME`."""
    word = words.take("name=value")
    if word.startswith("@"):
        reference, _, name = word[1:].partition(":")
        return Item("nvpair", {"id-ref": reference} | ({"name": name} if name else {}))
    attributes: dict[str, str] = {}
    if word.startswith("$") and ":" in word:
        attributes["id"], _, word = word[1:].partition(":")
    name, equals, value = word.partition("=")
    if not name:
        words.fail(f"expected name=value, not '{word}'", back=1)
    attributes["name"] = name
    if equals:
        attributes["value"] = value
    return Item("nvpair", attributes)


def render_set(made: Item, keyword: str, referred: set[str]) -> str:
    """Write an attribute set after its keyword ("" for none)."""
    parts = [keyword] if keyword else []
    if "id-ref" in made.attributes:
        return " ".join([*parts, f"$id-ref={made.get('id-ref')}"])
    # An id that would be made again just so is not worth showing.
    if made.id in referred and not made.id.endswith(f"-{made.tag}"):
        parts.append(f"$id={made.id}")
    if made.get("score"):
        parts.append(f"{shown_score(made.get('score'))}:")
    parts += [render_rule(rule, referred) for rule in made.each("rule")]
    parts += [render_pair(pair) for pair in made.each("nvpair")]
    if len(made.each("rule", "nvpair")) != len(made.children):
        raise CannotSay(made.id)
    return " ".join(parts)


def render_pair(pair: Item) -> str:
    """Write one pair."""
    if "id-ref" in pair.attributes:
        name = pair.get("name")
        return f"@{pair.get('id-ref')}" + (f":{name}" if name else "")
    if "value" not in pair.attributes:
        return pair.get("name")
    return f"{pair.get('name')}={quoted(pair.get('value'))}"


def render_attributes(attributes: Mapping[str, str], without: frozenset[str]) -> list[str]:
    """Write XML attributes as pairs, leaving some out."""
    return [f"{name}={quoted(value)}" for name, value in attributes.items() if name not in without]
