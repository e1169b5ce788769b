"""Resources: primitive, rsc_template, group, clone, and the old ms.

Parse and render of each statement share this file. Members of groups and clones are parsed as
names (`crm.model.configuration.MEMBER`); putting the real objects there is the editing's job.

Source: crm-shell, sections 3 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cli.grammar.pairs import RESOURCE_SETS, parse_set, render_attributes, render_set
from cli.grammar.rules import CannotSay
from cli.grammar.tokens import Words, quoted
from crm.model.configuration import MEMBER, Item

OP_ATTRIBUTES = (
    "id", "name", "description", "interval", "start-delay", "interval-origin", "timeout",
    "enabled", "record-pending", "role", "on-fail",
)  # fmt: skip
"""Attributes of an operation the schema knows; any other word is a parameter of it."""

CONTAINERS = ("group", "clone", "master")
HOLDERS = (*CONTAINERS, "bundle")
"""What has other resources inside."""

RESOURCES = ("primitive", *HOLDERS)
_AGENT_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*\Z")
_KEYWORDS = frozenset({*RESOURCE_SETS, "operations", "op"})
_OP_KEYWORDS = _KEYWORDS | {"op_params", "op_meta"}
_OP_SETS = {"op_params": "instance_attributes", "op_meta": "meta_attributes"}
_KEYWORD_OF = {tag: keyword for keyword, tag in RESOURCE_SETS.items()}

Providers = Callable[[str], str]
"""Says which provider has an OCF agent of this type, "" when none is known."""


def default_provider(_type: str) -> str:
    """Assume heartbeat's agents, where nothing is known of what is installed."""
    return "heartbeat"


def identifier(words: Words) -> str:
    """Take the id of an object; `id=x` is accepted for `x`."""
    if words.left < 2:
        words.fail("expected an id and more")
    return words.take("an id").removeprefix("$id=").removeprefix("id=")


# --- primitive and rsc_template -----------------------------------------------------------------


def parse_primitive(words: Words, providers: Providers = default_provider) -> Item:
    """Parse a `primitive` or `rsc_template` after its keyword."""
    tag = "template" if words.kind == "rsc_template" else "primitive"
    made = Item(tag, {"id": identifier(words)})
    agent = words.take("an agent such as ocf:heartbeat:IPaddr2")
    if agent.startswith("@") and tag == "primitive":
        made.attributes["template"] = agent[1:]
    else:
        made.attributes |= _agent(words, agent, providers)
    while words.left:
        _parse_resource_part(words, made)
    return made


def _agent(words: Words, text: str, providers: Providers) -> dict[str, str]:
    parts = text.split(":")
    if len(parts) > 3 or not all(_AGENT_PART.match(part) for part in parts):
        words.fail(f"'{text}' is not [CLASS:[PROVIDER:]]TYPE", back=1)
    if len(parts) == 3:
        return {"class": parts[0], "provider": parts[1], "type": parts[2]}
    agent_class = parts[0] if len(parts) == 2 else "ocf"
    if agent_class != "ocf":
        return {"class": agent_class, "type": parts[-1]}
    provider = providers(parts[-1])
    if not provider:
        words.fail(f"no provider has an agent '{parts[-1]}'", back=1)
    return {"class": "ocf", "provider": provider, "type": parts[-1]}


def _parse_resource_part(words: Words, made: Item) -> None:
    word = words.peek()
    if word.startswith("description="):
        made.attributes["description"] = words.take("a description").partition("=")[2]
    elif words.is_next("operations"):
        words.take("operations")
        operations = _operations(made)
        while words.peek().startswith(("$id=", "$id-ref=")):
            name, _, value = words.take("an id").partition("=")
            operations.attributes[name[1:]] = value
        if not operations.attributes:
            words.fail("expected $id=ID or $id-ref=ID after 'operations'")
    elif words.is_next("op"):
        words.take("op")
        _operations(made).children.append(_parse_operation(words))
    elif words.is_next(*RESOURCE_SETS):
        keyword = words.take("a keyword").lower()
        stops = _KEYWORDS
        made.children.append(parse_set(words, RESOURCE_SETS[keyword], stops, keyword=keyword))
    else:  # pairs without a keyword are parameters
        made.children.append(parse_set(words, "instance_attributes", _KEYWORDS))


def _operations(made: Item) -> Item:
    operations = made.first("operations")
    if operations is None:
        operations = Item("operations")
        made.children.append(operations)
    return operations


def _parse_operation(words: Words) -> Item:
    operation = Item("op", {"name": words.take("an operation")})
    parameters: Item | None = None
    while words.left and not words.is_next(*_KEYWORDS):
        if words.is_next(*_OP_SETS):
            keyword = words.take("a keyword").lower()
            operation.children.append(
                parse_set(words, _OP_SETS[keyword], _OP_KEYWORDS, keyword=keyword)
            )
            continue
        name, equals, value = words.take("name=value").partition("=")
        name = name.removeprefix("$")
        if not equals:
            words.fail(f"expected name=value, not '{name}'", back=1)
        if name in OP_ATTRIBUTES:
            if parameters is not None:
                words.fail(f"'{name}' must stand before '{parameters.children[0].get('name')}'",
                           back=1)  # fmt: skip
            operation.attributes[name] = value
            continue
        if parameters is None:
            parameters = Item("instance_attributes")
            operation.children.append(parameters)
        parameters.children.append(Item("nvpair", {"name": name, "value": value}))
    operation.attributes.setdefault("interval", "0")
    return operation


def render_primitive(made: Item, referred: set[str]) -> list[str]:
    """Write a primitive or template, part by part."""
    keyword = "rsc_template" if made.tag == "template" else "primitive"
    agent = f"@{made.get('template')}" if made.get("template") else agent_name(made)
    parts = [f"{keyword} {made.id} {agent}"]
    if made.get("description"):
        parts.append(f"description={quoted(made.get('description'))}")
    for child in made.children:
        if child.tag == "operations":
            parts += _render_operations(child, referred)
        elif child.tag in _KEYWORD_OF:
            parts.append(render_set(child, _KEYWORD_OF[child.tag], referred))
        else:
            raise CannotSay(made.id)
    return parts


def agent_name(made: Item) -> str:
    """Write the agent of a primitive as the shell shows it."""
    agent_class, provider, kind = made.get("class"), made.get("provider"), made.get("type")
    if (agent_class, provider) == ("ocf", "heartbeat"):
        return kind
    return ":".join(part for part in (agent_class, provider, kind) if part)


def _render_operations(operations: Item, referred: set[str]) -> list[str]:
    parts: list[str] = []
    if "id-ref" in operations.attributes:
        parts.append(f"operations $id-ref={operations.get('id-ref')}")
    elif operations.id:
        parts.append(f"operations $id={operations.id}")
    for operation in operations.children:
        if operation.tag != "op":
            raise CannotSay(operations.id)
        without = frozenset({"id", "name"})
        head = ["op", operation.get("name"), *render_attributes(operation.attributes, without)]
        parts.append(" ".join(head))
        for child in operation.children:
            keyword = {tag: word for word, tag in _OP_SETS.items()}.get(child.tag)
            if keyword is None:
                raise CannotSay(operation.id)
            parts.append(render_set(child, keyword, referred))
    return parts


# --- containers ---------------------------------------------------------------------------------


def parse_container(words: Words) -> Item:
    """Parse `group`, `clone`, `ms` or `master` after the keyword."""
    tag = {"ms": "master"}.get(words.kind, words.kind)
    made = Item(tag, {"id": identifier(words)})
    members: list[Item] = []
    stops = frozenset(RESOURCE_SETS)
    while words.left and not words.is_next(*stops) and "=" not in words.peek():
        name = words.take("a resource")
        if any(member.id == name for member in members):
            words.fail(f"'{name}' is listed more than once", back=1)
        members.append(Item(MEMBER, {"id": name}))
    if not members:
        words.fail("expected a resource")
    if tag != "group" and len(members) > 1:
        words.fail(f"a {words.kind} has one resource; '{members[1].id}' is one too many", back=1)
    while words.left:
        if words.peek().startswith("description="):
            made.attributes["description"] = words.take("a description").partition("=")[2]
        elif words.is_next(*stops):
            keyword = words.take("a keyword").lower()
            made.children.append(parse_set(words, RESOURCE_SETS[keyword], stops, keyword=keyword))
        else:
            made.children.append(parse_set(words, "instance_attributes", stops))
    made.children += members
    return made


def render_container(made: Item, referred: set[str]) -> list[str]:
    """Write a group, clone or ms, part by part."""
    keyword = {"master": "ms"}.get(made.tag, made.tag)
    members = [child.id for child in made.each(MEMBER, *RESOURCES)]
    parts = [" ".join([keyword, made.id, *members])]
    if made.get("description"):
        parts.append(f"description={quoted(made.get('description'))}")
    for child in made.children:
        if child.tag in _KEYWORD_OF:
            parts.append(render_set(child, _KEYWORD_OF[child.tag], referred))
        elif child.tag not in (MEMBER, *RESOURCES):
            raise CannotSay(made.id)
    return parts
