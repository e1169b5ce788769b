"""Nodes, and the sets of options: property, rsc_defaults, op_defaults.

Source: crm-shell, sections 3 and 4.
"""

from __future__ import annotations

from cli.grammar.pairs import parse_set, render_pair, render_set
from cli.grammar.rules import CannotSay, parse_rule, render_rule, shown_score
from cli.grammar.tokens import Words, quoted
from crm.model.configuration import Item

NODE_TYPES = ("normal", "member", "ping", "remote")
_NODE_SETS = {"attributes": "instance_attributes", "utilization": "utilization"}

OPTION_SETS = {
    "property": ("crm_config", "cluster_property_set", "cib-bootstrap-options"),
    "rsc_defaults": ("rsc_defaults", "meta_attributes", "rsc-options"),
    "op_defaults": ("op_defaults", "meta_attributes", "op-options"),
}
"""For each keyword: the section, the element, and the id of the set used when none is named."""


def parse_node(words: Words) -> Item:
    """Parse `node` after its keyword. The id is left out when only the name is given."""
    made = Item("node")
    word = words.take("a node")
    if word.startswith("$id="):
        made.attributes["id"] = word[4:]
        word = words.take("a node name")
    elif word.endswith(":"):
        made.attributes["id"] = word[:-1]
        word = words.take("a node name")
    name, _, kind = word.removeprefix("id=").partition(":")
    if kind and kind.lower() not in NODE_TYPES:
        words.fail(f"'{kind}' is none of the node types {', '.join(NODE_TYPES)}", back=1)
    made.attributes["uname"] = name
    if kind:
        made.attributes["type"] = kind.lower()
    stops = frozenset(_NODE_SETS)
    while words.left:
        if words.peek().startswith("description="):
            made.attributes["description"] = words.take("a description").partition("=")[2]
        elif words.is_next(*stops):
            keyword = words.take("a keyword").lower()
            made.children.append(parse_set(words, _NODE_SETS[keyword], stops, keyword=keyword))
        else:
            made.children.append(parse_set(words, "instance_attributes", stops))
    return made


def render_node(made: Item, referred: set[str]) -> list[str]:
    """Write a node, part by part."""
    name, kind = made.get("uname"), made.get("type")
    shown = f"{name}:{kind}" if kind and kind != "normal" else name
    parts = [f"node {shown}" if made.id == name or not made.id else f"node {made.id}: {shown}"]
    if made.get("description"):
        parts.append(f"description={quoted(made.get('description'))}")
    keyword_of = {tag: word for word, tag in _NODE_SETS.items()}
    for child in made.children:
        if child.tag not in keyword_of:
            raise CannotSay(made.id)
        parts.append(render_set(child, keyword_of[child.tag], referred))
    return parts


def parse_options(words: Words) -> Item:
    """Parse `property`, `rsc_defaults` or `op_defaults` after the keyword."""
    _section, tag, default_id = OPTION_SETS[words.kind]
    made = Item(tag, {"id": default_id})
    word = words.peek()
    if word.startswith("$id="):
        made.attributes["id"] = words.take("an id")[4:]
    elif word.endswith(":") and "=" not in word:
        made.attributes["id"] = words.take("an id")[:-1]
    if not words.left and made.id == default_id and not word:
        words.fail("expected at least one name=value")
    while words.is_next("rule"):
        words.take("rule")
        made.children.append(parse_rule(words))
    while words.left:
        name, equals, value = words.take("name=value").partition("=")
        if not equals or not name:
            words.fail(f"expected name=value, not '{name}'", back=1)
        if not value:
            words.fail(f"an empty value for '{name}' is not allowed", back=1)
        made.children.append(Item("nvpair", {"name": name, "value": value}))
    return made


def render_options(keyword: str, made: Item, referred: set[str]) -> list[str]:
    """Write a set of options, one pair a part."""
    if "id-ref" in made.attributes:
        return [f"{keyword} $id-ref={made.get('id-ref')}"]
    head = f"{keyword} {made.id}:"
    if made.get("score"):
        head += f" {shown_score(made.get('score'))}:"
    rules = [render_rule(rule, referred) for rule in made.each("rule")]
    pairs = [render_pair(pair) for pair in made.each("nvpair")]
    in_order = [child.tag for child in made.children] == ["rule"] * len(rules) + ["nvpair"] * len(
        pairs
    )
    if not in_order:
        raise CannotSay(made.id)
    return [head, *rules, *pairs]
