"""Constraints: location, colocation, order, rsc_ticket, and the resource sets in them.

Parse and render of each statement share this file.

Source: crm-shell, sections 3 and 4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cli.grammar.resources import identifier
from cli.grammar.rules import (
    CannotSay,
    is_score,
    parse_rule,
    render_rule,
    score_attributes,
    score_value,
    shown_score,
)
from cli.grammar.tokens import Words, quoted
from crm.model.configuration import Item

ROLES = ("Stopped", "Started", "Master", "Slave", "Promoted", "Unpromoted")
ACTIONS = ("start", "promote", "demote", "stop")
KINDS = ("Mandatory", "Optional", "Serialize")
DEGENERATE = "_rsc_set_"
_BRACKETS = {"(": ")", "[": "]"}
_SET_OPTIONS = ("sequential", "require-all")
_LOCATION_ATTRIBUTES = ("role", "resource-discovery")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


# --- resource sets ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Qualifier:
    """What may stand after `RSC:`: a role or an action, and the words allowed."""

    name: str
    words: tuple[str, ...]

    def check(self, words: Words, resource: str, text: str) -> str:
        """Find the proper spelling of a qualifier, or complain."""
        proper = {word.lower(): word for word in self.words}.get(text.lower(), "")
        if not proper:
            allowed = ", ".join(self.words)
            words.fail(f"'{text}' is no {self.name} for '{resource}', expected {allowed}", back=1)
        return proper


ROLE = Qualifier("role", ROLES)
ACTION = Qualifier("action", ACTIONS)


@dataclass(frozen=True)
class _Reference:
    """One `RSC[:Q]`."""

    resource: str
    qualifier: str


def _split_brackets(words: Words) -> None:
    word = words.peek()
    if len(word) > 1 and (word[0] in "([" or word[-1] in ")]"):
        words.replace_next([piece for piece in re.split(r"([()\[\]])", word) if piece])


def _reference(words: Words, qualifier: Qualifier) -> _Reference:
    resource, _, text = words.take("a resource").partition(":")
    if not resource:
        words.fail("expected a resource", back=1)
    return _Reference(resource, qualifier.check(words, resource, text) if text else "")


def _boolean(words: Words, name: str, value: str) -> bool:
    if value.lower() not in _TRUE + _FALSE:
        words.fail(f"{name} is 'true' or 'false', not '{value}'", back=1)
    return value.lower() in _TRUE


def _new_set(qualifier: Qualifier, text: str) -> Item:
    return Item("resource_set", {qualifier.name: text} if text else {})


def _parse_sets(words: Words, qualifier: Qualifier) -> tuple[list[_Reference], list[Item]]:
    """Parse `RSC[:Q] ...` with brackets: plain references, or sets when there are any.

    Stops at a word with `=` outside brackets.
    """
    plain: list[_Reference] = []
    sets: list[Item] = []
    forced = bracketed = False
    open_set: Item | None = None
    while words.left:
        _split_brackets(words)
        word = words.peek()
        if word == DEGENERATE:
            words.take(word)
            forced = True
        elif word in _BRACKETS:
            bracketed = True
            open_set = None
            sets += _parse_bracket(words, qualifier)
        elif word in _BRACKETS.values():
            words.fail(f"'{word}' closes nothing")
        elif word.partition("=")[0] in _SET_OPTIONS and open_set is not None:
            name, _, value = words.take("an option").partition("=")
            if not _boolean(words, name, value):  # what holds anyway is not written down
                open_set.attributes[name] = "false"
            bracketed = True
        elif "=" in word:
            break
        else:
            found = _reference(words, qualifier)
            plain.append(found)
            if open_set is None or open_set.get(qualifier.name) != found.qualifier:
                open_set = _new_set(qualifier, found.qualifier)
                sets.append(open_set)
            open_set.children.append(Item("resource_ref", {"id": found.resource}))
    if not forced and not bracketed and len(plain) == 2:
        return plain, []
    if not sets:
        words.fail("expected a resource")
    if not forced and not bracketed and len(plain) == 1:
        words.fail("expected a second resource")
    return [], sets


def _parse_bracket(words: Words, qualifier: Qualifier) -> list[Item]:
    """Parse sets in brackets: one, or more where the role or action changes."""
    opening = words.take("a bracket")
    closing = _BRACKETS[opening]
    sets: list[Item] = []
    options: dict[str, bool] = {"sequential": False}
    if opening == "[":
        options = {"require-all": False, "sequential": False}
    while True:
        if not words.left:
            words.fail(f"the '{opening}' is not closed")
        _split_brackets(words)
        word = words.peek()
        if word == closing:
            break
        if word in _BRACKETS:
            words.fail("resource sets cannot be nested")
        if word in _BRACKETS.values():
            words.fail(f"'{opening}' is closed by '{closing}', not '{word}'")
        if "=" in word:
            name, _, value = words.take("an option").partition("=")
            if name not in _SET_OPTIONS:
                words.fail(f"'{name}' is none of sequential, require-all", back=1)
            options[name] = _boolean(words, name, value)
            continue
        found = _reference(words, qualifier)
        if not sets or sets[-1].get(qualifier.name) != found.qualifier:
            sets.append(_new_set(qualifier, found.qualifier))
        sets[-1].children.append(Item("resource_ref", {"id": found.resource}))
    if not sets:
        words.fail("a resource set is empty")
    words.take(closing)
    for made in sets:
        made.attributes |= {name: "false" for name, value in options.items() if not value}
    return sets


def _render_sets(made: Item, qualifier: Qualifier) -> str:
    sets = made.each("resource_set")
    parts: list[str] = []
    before: str | None = None
    for part in sets:
        suffix = f":{part.get(qualifier.name)}" if part.get(qualifier.name) else ""
        names = [f"{reference.id}{suffix}" for reference in part.children]
        any_of = part.get("require-all", "true").lower() in _FALSE
        parallel = part.get("sequential", "true").lower() in _FALSE
        unusual = part.attributes.keys() - {"id", qualifier.name, "require-all", "sequential"}
        if unusual or "id-ref" in part.attributes:
            raise CannotSay(made.id)
        if any_of:
            names = ["[", *names, *([] if parallel else ["sequential=true"]), "]"]
        elif parallel:
            names = ["(", *names, ")"]
        parts += names
        ends_open = not (any_of or parallel)
        if ends_open and before == part.get(qualifier.name):
            raise CannotSay(made.id)  # read again, the two would be one
        before = part.get(qualifier.name) if ends_open else None
    plain = not any(part in ("(", "[") for part in parts)
    if plain and sum(len(part.children) for part in sets) <= 2:
        parts.insert(0, DEGENERATE)
    return " ".join(parts)


# --- location -----------------------------------------------------------------------------------


def parse_location(words: Words) -> Item:
    """Parse `location` after its keyword."""
    made = Item("rsc_location", {"id": identifier(words)})
    target = words.take("a resource")
    if target == "{":
        made.children += _parse_location_set(words)
    elif target == "//":
        words.fail("expected a pattern between the slashes", back=1)
    elif len(target) > 2 and target[0] == target[-1] == "/":
        made.attributes["rsc-pattern"] = target[1:-1]
    else:
        made.attributes["rsc"] = target
    _parse_location_attributes(words, made)
    if words.is_next("rule"):
        while words.is_next("rule"):
            words.take("rule")
            made.children.append(parse_rule(words))
    elif is_score(words.peek()):
        made.attributes |= score_attributes(words.take("a score"))
        made.attributes["node"] = words.take("a node")
    else:
        words.fail("expected SCORE: NODE or rule RULE")
    _parse_location_attributes(words, made)
    if words.left:
        words.fail(f"'{words.peek()}' is not understood here")
    return made


def _parse_location_attributes(words: Words, made: Item) -> None:
    while "=" in words.peek():
        name, _, value = words.peek().removeprefix("$").partition("=")
        if name not in _LOCATION_ATTRIBUTES:
            words.fail(f"'{name}' is none of {', '.join(_LOCATION_ATTRIBUTES)}")
        words.take("an attribute")
        if name == "role":
            value = ROLE.check(words, made.id, value)
        made.attributes[name] = value


def _parse_location_set(words: Words) -> list[Item]:
    sets: list[Item] = []
    open_set: Item | None = None
    while not words.is_next("}"):
        if not words.left:
            words.fail("the '{' is not closed")
        _split_brackets(words)
        if words.peek() in _BRACKETS:
            sets += _parse_bracket(words, ROLE)
            open_set = None
            continue
        if is_score(words.peek()):
            words.fail("expected '}' before the score")
        found = _reference(words, ROLE)
        if open_set is None or open_set.get("role") != found.qualifier:
            open_set = _new_set(ROLE, found.qualifier)
            sets.append(open_set)
        open_set.children.append(Item("resource_ref", {"id": found.resource}))
    words.take("}")
    if not sets:
        words.fail("the set of resources is empty", back=1)
    return sets


def render_location(made: Item, referred: set[str]) -> list[str]:
    """Write a location constraint, part by part."""
    _refuse_unknown(
        made, {"rsc", "rsc-pattern", "score", "score-attribute", "node", *_LOCATION_ATTRIBUTES}
    )
    head = ["location", made.id]
    if made.get("rsc-pattern"):
        head.append(f"/{made.get('rsc-pattern')}/")
    elif made.get("rsc"):
        head.append(made.get("rsc"))
    else:
        head += ["{", _render_sets(made, ROLE).removeprefix(DEGENERATE + " "), "}"]
    head += [f"{name}={made.get(name)}" for name in _LOCATION_ATTRIBUTES if made.get(name)]
    if made.get("node"):
        score = made.get("score-attribute") or shown_score(made.get("score"))
        return [" ".join([*head, f"{score}:", made.get("node")])]
    if "score" in made.attributes:
        raise CannotSay(made.id)
    return [" ".join(head), *(render_rule(rule, referred) for rule in made.each("rule"))]


# --- colocation ---------------------------------------------------------------------------------


def parse_colocation(words: Words) -> Item:
    """Parse `colocation` after its keyword."""
    made = Item("rsc_colocation", {"id": identifier(words)})
    if not is_score(words.peek()):
        words.fail("expected SCORE:")
    made.attributes |= score_attributes(words.take("a score"))
    plain, sets = _parse_sets(words, ROLE)
    for prefix, found in zip(("rsc", "with-rsc"), plain, strict=False):
        made.attributes[prefix] = found.resource
        if found.qualifier:
            made.attributes[f"{prefix}-role"] = found.qualifier
    made.children += sets
    while words.left:
        name, _, value = words.peek().partition("=")
        if name != "node-attribute":
            words.fail(f"'{words.peek()}' is not understood here")
        words.take("an attribute")
        made.attributes[name] = value
    return made


def render_colocation(made: Item, _referred: set[str]) -> list[str]:
    """Write a colocation constraint."""
    _refuse_unknown(
        made,
        {"score", "score-attribute", "rsc", "with-rsc", "rsc-role", "with-rsc-role",
         "node-attribute"},
    )  # fmt: skip
    score = made.get("score-attribute") or shown_score(made.get("score", "INFINITY"))
    parts = ["colocation", made.id, f"{score}:"]
    if made.get("rsc"):
        parts += [
            _qualified(made, "rsc", "rsc-role"),
            _qualified(made, "with-rsc", "with-rsc-role"),
        ]
    else:
        parts.append(_render_sets(made, ROLE))
    if made.get("node-attribute"):
        parts.append(f"node-attribute={made.get('node-attribute')}")
    return [" ".join(parts)]


# --- order --------------------------------------------------------------------------------------


def parse_order(words: Words) -> Item:
    """Parse `order` after its keyword."""
    made = Item("rsc_order", {"id": identifier(words)})
    if is_score(words.peek()):
        made.attributes["kind"] = _kind(words)
    plain, sets = _parse_sets(words, ACTION)
    for prefix, found in zip(("first", "then"), plain, strict=False):
        made.attributes[prefix] = found.resource
        if found.qualifier:
            made.attributes[f"{prefix}-action"] = found.qualifier
    made.children += sets
    while words.left:
        name, _, value = words.take("an attribute").partition("=")
        if name != "symmetrical":
            words.fail(f"'{name}' is not understood here", back=1)
        made.attributes[name] = "true" if _boolean(words, name, value) else "false"
    return made


def _kind(words: Words) -> str:
    text = words.take("a kind").rstrip(":")
    for kind in KINDS:
        if kind.lower() == text.lower():
            return kind
    score = score_value(text)
    if score is None:
        words.fail(f"'{text}' is none of {', '.join(KINDS)}", back=1)
    return "Optional" if score == "0" else "Mandatory"


def render_order(made: Item, _referred: set[str]) -> list[str]:
    """Write an order constraint."""
    _refuse_unknown(
        made,
        {"kind", "score", "first", "then", "first-action", "then-action", "symmetrical"},
    )
    parts = ["order", made.id]
    if made.get("kind"):
        parts.append(f"{made.get('kind')}:")
    elif made.get("score"):
        parts.append(f"{shown_score(made.get('score'))}:")
    if made.get("first"):
        parts += [
            _qualified(made, "first", "first-action"),
            _qualified(made, "then", "then-action"),
        ]
    else:
        parts.append(_render_sets(made, ACTION))
    if made.get("symmetrical"):
        parts.append(f"symmetrical={made.get('symmetrical')}")
    return [" ".join(parts)]


# --- rsc_ticket ---------------------------------------------------------------------------------


def parse_ticket(words: Words) -> Item:
    """Parse `rsc_ticket` after its keyword."""
    made = Item("rsc_ticket", {"id": identifier(words)})
    if not is_score(words.peek()):
        words.fail("expected TICKET:")
    made.attributes["ticket"] = words.take("a ticket").rstrip(":")
    found: list[_Reference] = []
    if words.left == 1 or (words.left and "=" in words.peek(1)):
        found.append(_reference(words, ROLE))
        made.attributes["rsc"] = found[0].resource
        if found[0].qualifier:
            made.attributes["rsc-role"] = found[0].qualifier
    else:
        plain, sets = _parse_sets(words, ROLE)
        for reference in plain:  # two plain resources still make one set
            if not sets or sets[-1].get("role") != reference.qualifier:
                sets.append(_new_set(ROLE, reference.qualifier))
            sets[-1].children.append(Item("resource_ref", {"id": reference.resource}))
        made.children += sets
    while words.left:
        name, _, value = words.take("an attribute").partition("=")
        if name != "loss-policy" or value not in ("stop", "demote", "fence", "freeze"):
            words.fail("expected loss-policy=stop, demote, fence or freeze", back=1)
        made.attributes[name] = value
    return made


def render_ticket(made: Item, _referred: set[str]) -> list[str]:
    """Write a ticket constraint."""
    _refuse_unknown(made, {"ticket", "rsc", "rsc-role", "loss-policy"})
    parts = ["rsc_ticket", made.id, f"{made.get('ticket')}:"]
    if made.get("rsc"):
        parts.append(_qualified(made, "rsc", "rsc-role"))
    else:
        parts.append(_render_sets(made, ROLE).removeprefix(DEGENERATE + " "))
    if made.get("loss-policy"):
        parts.append(f"loss-policy={quoted(made.get('loss-policy'))}")
    return [" ".join(parts)]


def _qualified(made: Item, name: str, qualifier: str) -> str:
    suffix = made.get(qualifier)
    return made.get(name) + (f":{suffix}" if suffix else "")


def _refuse_unknown(made: Item, known: set[str]) -> None:
    if made.attributes.keys() - known - {"id"}:
        raise CannotSay(made.id)
