"""Rights, tags, alerts and fencing levels: role, acl_target, acl_group, tag, alert, topology.

Source: crm-shell, sections 3 and 4.
"""

from __future__ import annotations

import re

from cli.grammar.pairs import parse_set, render_set
from cli.grammar.resources import identifier
from cli.grammar.rules import CannotSay
from cli.grammar.tokens import Words, quoted
from crm.model.configuration import Item

RIGHTS = ("read", "write", "deny")
SHORTCUTS = {
    "meta": ("//primitive[@id='{0}']/meta_attributes", "/nvpair[@name='{1}']"),
    "params": ("//primitive[@id='{0}']/instance_attributes", "/nvpair[@name='{1}']"),
    "utilization": ("//primitive[@id='{0}']/utilization",),
    "location": ("//rsc_location[@id='cli-prefer-{0}' and @rsc='{0}']",),
    "property": ("//crm_config/cluster_property_set", "/nvpair[@name='{0}']"),
    "node": ("//nodes/node", "[@uname='{0}']"),
    "nodeattr": ("//nodes/node/instance_attributes", "/nvpair[@name='{0}']"),
    "nodeutil": ("//nodes/node/utilization", "[@uname='{0}']"),
    "status": ("/cib/status",),
    "cib": ("/cib",),
}
"""Each shortcut's XPath, and what each further `:WORD` appends; {N} is the N-th word."""

_WORDS_NEEDED = {"meta": 1, "params": 1, "utilization": 1, "location": 1}
_PLAIN = r"([A-Za-z0-9_.:-]+)"
_SELECTIONS = ("nodes", "fencing", "resources", "attributes")


# --- role ---------------------------------------------------------------------------------------


def parse_role(words: Words) -> Item:
    """Parse `role` after its keyword."""
    made = Item("acl_role", {"id": identifier(words)})
    if words.peek().startswith("description="):
        made.attributes["description"] = words.take("a description").partition("=")[2]
    while words.left:
        right = words.take("a right").lower()
        if right not in RIGHTS:
            words.fail(f"'{right}' is none of {', '.join(RIGHTS)}", back=1)
        made.children += _parse_permissions(words, right)
    if not made.children:
        words.fail("expected read, write or deny")
    return made


def _parse_permissions(words: Words, right: str) -> list[Item]:
    """Parse what stands after a right: each thing it is for makes a permission of its own."""
    common = {"kind": right}
    while words.left:
        word = words.peek()
        if word.startswith("description="):
            common["description"] = word.partition("=")[2]
        elif word.endswith(":") and len(word) > 1:
            common["id"] = word[:-1]
        else:
            break
        words.take("an attribute")
    made: list[Item] = []
    typed: dict[str, str] = {}
    while words.left and not (words.is_next(*RIGHTS) and (made or typed)):
        word = words.take("what the right is for")
        name, _, value = word.partition(":")
        if name == "xpath":
            made.append(Item("acl_permission", {"xpath": value}))
        elif name in ("ref", "reference"):
            made.append(Item("acl_permission", {"reference": value}))
        elif name in ("type", "tag", "object-type"):
            typed["object-type"] = value
        elif name in ("attribute", "attr"):
            typed["attribute"] = value
        elif name in SHORTCUTS:
            made.append(Item("acl_permission", {"xpath": _expand(words, word)}))
        else:
            words.fail(f"'{word}' is no xpath:, ref:, type: or shortcut", back=1)
    if "attribute" in typed and "object-type" not in typed:
        words.fail("'attribute:' needs 'type:' as well", back=1)
    if typed:
        made.append(Item("acl_permission", typed))
    if not made:
        words.fail(f"expected what the right '{right}' is for")
    for each in made:
        each.attributes = common | each.attributes
        common.pop("id", None)  # only one can have it
    return made


def _expand(words: Words, text: str) -> str:
    name, *arguments = text.split(":")
    parts = SHORTCUTS[name]
    needed = _WORDS_NEEDED.get(name, 0)
    most = max(needed, needed + len(parts) - 1)
    if not needed <= len(arguments) <= most:
        words.fail(f"'{name}' takes {needed} to {most} words after it", back=1)
    used = parts[: 1 + len(arguments) - needed]
    return "".join(used).format(*arguments)


def _shortened(xpath: str) -> str:
    for name, parts in SHORTCUTS.items():
        for count in range(len(parts), 0, -1):
            pattern = re.escape("".join(parts[:count]))
            for number in (0, 1):
                mark = re.escape(f"{{{number}}}")
                if mark in pattern:
                    pattern = pattern.replace(mark, _PLAIN, 1).replace(mark, rf"\{number + 1}")
            found = re.fullmatch(pattern, xpath)
            if found:
                return ":".join([name, *found.groups()])
    escaped = xpath.replace('"', '\\"')
    return f'xpath:"{escaped}"'


def render_role(made: Item, _referred: set[str]) -> list[str]:
    """Write a role, one permission a part."""
    parts = [f"role {made.id}"]
    if made.get("description"):
        parts.append(f"description={quoted(made.get('description'))}")
    for permission in made.children:
        if permission.tag != "acl_permission":
            raise CannotSay(made.id)
        words = [permission.get("kind")]
        if permission.get("description"):
            words.append(f"description={quoted(permission.get('description'))}")
        if permission.get("xpath"):
            words.append(_shortened(permission.get("xpath")))
        if permission.get("reference"):
            words.append(f"ref:{permission.get('reference')}")
        if permission.get("attribute"):
            words.append(f"attr:{permission.get('attribute')}")
        if permission.get("object-type"):
            words.append(f"type:{permission.get('object-type')}")
        parts.append(" ".join(words))
    return parts


# --- acl_target, acl_group, tag -----------------------------------------------------------------


def parse_target(words: Words) -> Item:
    """Parse `acl_target` or `acl_group` after the keyword."""
    made = Item(words.kind, {"id": identifier(words)})
    while words.left:
        made.children.append(Item("role", {"id": words.take("a role")}))
    return made


def render_target(made: Item, _referred: set[str]) -> list[str]:
    """Write who has which roles."""
    return [f"{made.tag} {made.id}", *(role.id for role in made.each("role"))]


def parse_tag(words: Words) -> Item:
    """Parse `tag` after its keyword."""
    made = Item("tag", {"id": identifier(words).removesuffix(":")})
    while words.left:
        made.children.append(Item("obj_ref", {"id": words.take("an object")}))
    if not made.children:
        words.fail("expected an object")
    return made


def render_tag(made: Item, _referred: set[str]) -> list[str]:
    """Write a tag."""
    return [" ".join(["tag", made.id, *(child.id for child in made.each("obj_ref"))])]


# --- fencing_topology ---------------------------------------------------------------------------


def parse_topology(words: Words, nodes: list[str]) -> Item:
    """Parse `fencing_topology` after its keyword; `nodes` get the levels named for all."""
    made = Item("fencing-topology")
    target: dict[str, str] | None = None
    index = 0
    for_all: list[str] = []
    while words.left:
        word = words.take("devices")
        if word.endswith(":"):
            target, index = {"target": word[:-1]}, 0
        elif word.startswith("pattern:"):
            target, index = {"target-pattern": word[8:]}, 0
        elif word.startswith("attr:"):
            name, _, value = word[5:].partition("=")
            if target is None or target.get("target-attribute") != name:
                index = 0  # as ever: the levels of one attribute are counted through
            target = {"target-attribute": name, "target-value": value}
        elif target is None:
            for_all.append(word)
        else:
            index += 1
            made.children.append(_level(target, index, word))
    for node in nodes if for_all else []:
        for number, devices in enumerate(for_all, 1):
            made.children.append(_level({"target": node}, number, devices))
    if not made.children:
        words.fail("expected fencing devices")
    return made


def _level(target: dict[str, str], index: int, devices: str) -> Item:
    return Item("fencing-level", {**target, "index": str(index), "devices": devices})


def render_topology(made: Item, _referred: set[str], nodes: list[str]) -> list[str]:
    """Write the fencing levels: once when all nodes have the same, else a target a part."""
    by_target: dict[str, list[tuple[int, str]]] = {}
    for level in made.children:
        if level.get("target"):
            target = f"{level.get('target')}:"
        elif level.get("target-pattern"):
            target = f"pattern:{level.get('target-pattern')}"
        else:
            target = f"attr:{level.get('target-attribute')}={level.get('target-value')}"
        entry = (int(level.get("index", "0")), level.get("devices"))
        by_target.setdefault(target, []).append(entry)
    lines = {
        target: " ".join(devices for _index, devices in sorted(levels))
        for target, levels in by_target.items()
    }
    if sorted(lines) == sorted(f"{node}:" for node in nodes) and len(set(lines.values())) == 1:
        return [f"fencing_topology {next(iter(lines.values()))}"]
    return ["fencing_topology", *(f"{target} {lines[target]}" for target in lines)]


# --- alert --------------------------------------------------------------------------------------


def parse_alert(words: Words) -> Item:
    """Parse `alert` after its keyword."""
    made = Item("alert", {"id": identifier(words)})
    made.attributes["path"] = words.take("a path")
    current = made
    in_braces = False
    recipients = 0
    stops = frozenset({"attributes", "meta", "select", "to", "}"})
    sets = {"attributes": "instance_attributes", "meta": "meta_attributes"}
    while words.left:
        if words.peek().startswith("description="):
            current.attributes["description"] = words.take("a description").partition("=")[2]
        elif words.is_next("to"):
            words.take("to")
            in_braces = words.is_next("{")
            if in_braces:
                words.take("{")
            recipients += 1
            current = Item("recipient", {"id": f"{made.id}-recipient-{recipients}"})
            current.attributes["value"] = words.take("a recipient")
            made.children.append(current)
        elif words.is_next("}") and in_braces:
            words.take("}")
            in_braces = False
            current = made
        elif words.is_next("select"):
            words.take("select")
            made.children.append(_parse_selection(words))
        elif words.is_next(*sets):
            keyword = words.take("a keyword").lower()
            current.children.append(parse_set(words, sets[keyword], stops, keyword=keyword))
        else:
            words.fail(f"'{words.peek()}' is not understood here")
    if in_braces:
        words.fail("the '{' is not closed")
    return made


def _parse_selection(words: Words) -> Item:
    made = Item("select")
    while words.is_next(*_SELECTIONS):
        if words.is_next("attributes") and "=" in words.peek(1):
            break  # not what is selected, but attributes of the alert
        kind = words.take("a kind").lower()
        part = Item(f"select_{kind}")
        if kind == "attributes" and words.is_next("{"):
            words.take("{")
            while not words.is_next("}"):
                part.children.append(Item("attribute", {"name": words.take("'}'")}))
            words.take("}")
        made.children.append(part)
    if not made.children:
        words.fail(f"expected some of {', '.join(_SELECTIONS)}")
    return made


def render_alert(made: Item, referred: set[str]) -> list[str]:
    """Write an alert, part by part."""
    parts = [f"alert {made.id} {quoted(made.get('path'))}"]
    if made.get("description"):
        parts.append(f"description={quoted(made.get('description'))}")
    keywords = {"instance_attributes": "attributes", "meta_attributes": "meta"}
    if len(made.each("select")) > 1:
        raise CannotSay(made.id)
    for child in made.children:
        if child.tag in keywords:
            parts.append(render_set(child, keywords[child.tag], referred))
        elif child.tag == "select":
            parts.append(_render_selection(child))
        elif child.tag == "recipient" and not child.get("description"):
            words = [quoted(child.get("value"))]
            words += [render_set(part, keywords[part.tag], referred) for part in child.children]
            # Without braces the sets that follow would be those of the recipient.
            at = made.children.index(child)
            if any(later.tag in keywords for later in made.children[at:]):
                words = ["{", *words, "}"]
            parts.append(" ".join(["to", *words]))
        else:
            raise CannotSay(made.id)
    return parts


def _render_selection(made: Item) -> str:
    words = ["select"]
    for part in made.children:
        words.append(part.tag.removeprefix("select_"))
        if part.children:
            words += ["{", *(child.get("name") for child in part.children), "}"]
    return " ".join(words)
