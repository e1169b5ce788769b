"""One table of every statement: its keyword, its elements, how to parse it, how to render it.

Responsible for finding the right grammar for a line or an object, and for the order of display.

Source: crm-shell, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cli.grammar import acls, bundles, constraints, resources, settings
from cli.grammar.rules import CannotSay
from cli.grammar.tokens import Token, Words, split
from crm.model.configuration import Item

ALIASES = {
    "collocation": "colocation",
    "master": "ms",
    "rsc-template": "rsc_template",
    "rsc-ticket": "rsc_ticket",
}


@dataclass(frozen=True)
class Surroundings:
    """What a statement may need to know of the rest: nodes, references, installed agents."""

    nodes: tuple[str, ...] = ()
    referred: set[str] = field(default_factory=set)
    providers: resources.Providers = resources.default_provider


Parse = Callable[[Words], Item]
Render = Callable[[Item, set[str]], list[str]]

_PARSE: dict[str, Parse] = {
    "node": settings.parse_node,
    "group": resources.parse_container,
    "clone": resources.parse_container,
    "ms": resources.parse_container,
    "bundle": bundles.parse_bundle,
    "tag": acls.parse_tag,
    "location": constraints.parse_location,
    "colocation": constraints.parse_colocation,
    "order": constraints.parse_order,
    "rsc_ticket": constraints.parse_ticket,
    "property": settings.parse_options,
    "rsc_defaults": settings.parse_options,
    "op_defaults": settings.parse_options,
    "role": acls.parse_role,
    "acl_target": acls.parse_target,
    "acl_group": acls.parse_target,
    "alert": acls.parse_alert,
}

_RENDER: dict[str, Render] = {
    "node": settings.render_node,
    "template": resources.render_primitive,
    "primitive": resources.render_primitive,
    "group": resources.render_container,
    "clone": resources.render_container,
    "master": resources.render_container,
    "bundle": bundles.render_bundle,
    "tag": acls.render_tag,
    "rsc_location": constraints.render_location,
    "rsc_colocation": constraints.render_colocation,
    "rsc_order": constraints.render_order,
    "rsc_ticket": constraints.render_ticket,
    "acl_role": acls.render_role,
    "acl_target": acls.render_target,
    "acl_group": acls.render_target,
    "alert": acls.render_alert,
}

KEYWORDS = (*_PARSE, "primitive", "rsc_template", "fencing_topology")
"""Every keyword that begins a statement."""

_RANKS: tuple[tuple[str, ...], ...] = (
    ("node",),
    ("rsc_template",),
    ("primitive",),
    ("bundle",),
    ("group",),
    ("ms",),
    ("clone",),
    ("tag",),
    ("location", "colocation", "order"),
    ("rsc_ticket", "fencing_topology"),
    ("property",),
    ("rsc_defaults",),
    ("op_defaults",),
    ("role",),
    ("acl_target", "acl_group", "user"),
    ("alert",),
)
RANK = {keyword: rank for rank, keywords in enumerate(_RANKS) for keyword in keywords}
"""Where a kind stands in the display."""

_KEYWORD_OF_TAG = {
    "template": "rsc_template",
    "master": "ms",
    "rsc_location": "location",
    "rsc_colocation": "colocation",
    "rsc_order": "order",
    "cluster_property_set": "property",
    "acl_role": "role",
    "acl_user": "user",
    "fencing-topology": "fencing_topology",
}


def keyword_of(item: Item, section: str = "") -> str:
    """Find the keyword of an object; sets of defaults are told apart by their section."""
    if section in ("rsc_defaults", "op_defaults"):
        return section
    return _KEYWORD_OF_TAG.get(item.tag, item.tag)


def parse(line: str, around: Surroundings | None = None) -> Item:
    """Parse one statement given as a line.

    Raises: StatementError if it cannot be understood.
    """
    return parse_tokens(line, split(line), around or Surroundings())


def parse_tokens(line: str, tokens: Sequence[Token], around: Surroundings) -> Item:
    """Parse one statement given as words; the first is its keyword.

    Raises: StatementError if it cannot be understood.
    """
    assert tokens, "an empty line is no statement"
    keyword = tokens[0].text.lower()
    keyword = ALIASES.get(keyword, keyword)
    words = Words(line, tokens, keyword)
    words.take("a statement")
    if keyword in ("primitive", "rsc_template"):
        made = resources.parse_primitive(words, around.providers)
    elif keyword == "fencing_topology":
        made = acls.parse_topology(words, list(around.nodes))
    elif keyword in _PARSE:
        made = _PARSE[keyword](words)
    else:
        words.fail(f"there is no statement '{tokens[0].text}'", back=1)
    if words.left:
        words.fail(f"'{words.peek()}' is not understood here")
    return made


def render(item: Item, around: Surroundings, *, section: str = "") -> list[str] | None:
    """Write an object as the parts of a statement, or None when the language cannot say it."""
    keyword = keyword_of(item, section)
    try:
        if keyword in settings.OPTION_SETS:
            return settings.render_options(keyword, item, around.referred)
        if keyword == "fencing_topology":
            return acls.render_topology(item, around.referred, list(around.nodes))
        render_item = _RENDER.get(item.tag)
        return render_item(item, around.referred) if render_item else None
    except CannotSay:
        return None


def join(parts: Sequence[str]) -> str:
    """Put the parts of a statement below each other."""
    return " \\\n\t".join(parts)
