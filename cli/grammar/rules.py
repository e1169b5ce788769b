"""Rules: `rule [$id=ID] [$role=ROLE] [SCORE:] EXPRESSION [and|or EXPRESSION]...`.

Parse and render of a rule stand side by side. What the language cannot say (nested rules, a rule
of both `and` and `or`) is not rendered: the object is then shown as XML.

Source: crm-shell, section 3, "RULE".
"""

from __future__ import annotations

from cli.grammar.tokens import Words, quoted
from crm.model.configuration import Item

COMPARISONS = ("lt", "gt", "lte", "gte", "eq", "ne")
TYPES = ("string", "version", "number", "integer")
DATE_OPERATIONS = {
    "lt": "lt", "gt": "gt", "in": "in_range", "in_range": "in_range",
    "spec": "date_spec", "date_spec": "date_spec",
}  # fmt: skip
DATE_FIELDS = (
    "hours", "minutes", "seconds", "monthdays", "weekdays", "yearsdays", "yeardays", "months",
    "weeks", "years", "weekyears", "moon",
)  # fmt: skip
DURATION_FIELDS = ("hours", "minutes", "seconds", "days", "months", "weeks", "years")
SOURCES = ("meta", "param")
INFINITE_WORDS = {"inf", "infinity"}


class CannotSay(Exception):
    """This object cannot be written in the shell's language; show it as XML."""


# --- scores -------------------------------------------------------------------------------------


def is_score(word: str) -> bool:
    """Tell whether a word is written as a score: it ends with a colon."""
    return word.endswith(":") and len(word) > 1


def score_attributes(word: str) -> dict[str, str]:
    """Turn `100:`, `-inf:`, `mandatory:` or `pingd:` into the XML attribute for it."""
    text = word.rstrip(":")
    known = score_value(text)
    return {"score": known} if known is not None else {"score-attribute": text}


def score_value(text: str) -> str | None:
    """Write a score as the CIB does, or None if the text is no score."""
    lower = text.lower()
    if lower in ("+inf", "+infinity"):
        return "+INFINITY"
    if lower in INFINITE_WORDS or lower == "mandatory":
        return "INFINITY"
    if lower in ("-inf", "-infinity"):
        return "-INFINITY"
    if lower == "advisory":
        return "0"
    digits = text[1:] if text[:1] in "+-" else text
    return text if digits.isdigit() else None


def shown_score(value: str) -> str:
    """Write a score of the CIB as the shell shows it."""
    return value.replace("INFINITY", "inf").replace("infinity", "inf")


# --- parsing ------------------------------------------------------------------------------------


def parse_rule(words: Words) -> Item:
    """Parse what stands after the word `rule`."""
    rule = Item("rule")
    while words.peek().startswith(("$id", "$role", "role=", "id=", "$id-ref")):
        name, _, value = words.take("an attribute").partition("=")
        rule.attributes[name.lstrip("$")] = value
    if "id-ref" in rule.attributes:
        return rule
    if is_score(words.peek()):
        rule.attributes |= score_attributes(words.take("a score"))
    else:
        rule.attributes["score"] = "INFINITY"
    rule.children.append(_parse_expression(words))
    joined_by = ""
    while words.is_next("and", "or"):
        word = words.peek().lower()
        if joined_by and word != joined_by:
            words.fail(f"'and' and 'or' cannot be mixed in one rule, '{joined_by}' came first")
        joined_by = word
        words.take(word)
        rule.children.append(_parse_expression(words))
    if joined_by == "or":
        rule.attributes["boolean-op"] = "or"
    return rule


def _parse_expression(words: Words) -> Item:
    if words.is_next("date"):
        words.take("date")
        return _parse_date(words)
    if words.is_next("defined", "not_defined"):
        operation = words.take("an operation").lower()
        return Item("expression", {"operation": operation, "attribute": words.take("an attribute")})
    attribute = words.take("an attribute name or 'date'")
    kind, _, operation = words.take("a comparison").rpartition(":")
    if operation.lower() not in COMPARISONS:
        words.fail(f"'{operation}' is none of {', '.join(COMPARISONS)}", back=1)
    if kind and kind.lower() not in TYPES:
        words.fail(f"'{kind}' is none of the types {', '.join(TYPES)}", back=1)
    expression = Item("expression", {"operation": operation.lower(), "attribute": attribute})
    if kind:
        expression.attributes["type"] = kind.lower()
    value = words.take("a value")
    for source in SOURCES:
        if value.startswith(source + "{") and value.endswith("}"):
            expression.attributes["value"] = value[len(source) + 1 : -1]
            expression.attributes["value-source"] = source
            return expression
    expression.attributes["value"] = value
    return expression


def _parse_date(words: Words) -> Item:
    word = words.take("a date operation")
    operation = DATE_OPERATIONS.get(word.lower())
    if operation is None:
        words.fail(f"'{word}' is none of lt, gt, in, spec", back=1)
    date = Item("date_expression", {"operation": operation})
    if operation == "lt":
        date.attributes["end"] = words.take("a date")
    elif operation == "gt":
        date.attributes["start"] = words.take("a date")
    elif operation == "date_spec":
        date.children.append(Item("date_spec", _parse_fields(words, DATE_FIELDS)))
        if not date.children[0].attributes:
            words.fail(f"expected a field, one of {', '.join(DATE_FIELDS)}")
    else:
        _parse_range(words, date)
    return date


def _parse_range(words: Words, date: Item) -> None:
    found = _parse_fields(words, ("start", "end", *DURATION_FIELDS))
    for name in ("start", "end"):
        if name in found:
            date.attributes[name] = found.pop(name)
    if found:
        date.children.append(Item("duration", found))
    if not date.attributes.keys() & {"start", "end"}:
        words.fail("expected start=DATE or end=DATE")
    if "start" not in date.attributes and not found:
        words.fail("expected start=DATE together with end=DATE")


def _parse_fields(words: Words, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    while "=" in words.peek():
        name, _, value = words.peek().partition("=")
        if name not in known:
            break  # the next thing, or a mistake its reader will find
        words.take("a field")
        found[name] = value
    return found


# --- rendering ----------------------------------------------------------------------------------


def render_rule(rule: Item, referred: set[str]) -> str:
    """Write a rule with the word `rule` in front.

    Raises: CannotSay if the rule is nested or otherwise beyond the language.
    """
    if "id-ref" in rule.attributes:
        return f"rule $id-ref={rule.get('id-ref')}"
    parts = ["rule"]
    if rule.id in referred:
        parts.append(f"$id={rule.id}")
    if rule.get("role"):
        parts.append(f"$role={rule.get('role')}")
    if "score-attribute" in rule.attributes:
        parts.append(f"{rule.get('score-attribute')}:")
    elif (score := shown_score(rule.get("score", "INFINITY"))) != "inf":
        parts.append(f"{score}:")
    if not rule.children:
        raise CannotSay(rule.id)
    joint = f" {rule.get('boolean-op', 'and')} "
    parts.append(joint.join(_render_expression(child) for child in rule.children))
    return " ".join(parts)


def _render_expression(expression: Item) -> str:
    if expression.tag == "date_expression":
        return _render_date(expression)
    if expression.tag != "expression":
        raise CannotSay(expression.id)
    operation, attribute = expression.get("operation"), expression.get("attribute")
    if operation in ("defined", "not_defined"):
        return f"{operation} {attribute}"
    kind = expression.get("type").replace("string", "")
    value = expression.get("value")
    if expression.get("value-source") in SOURCES:
        value = f"{expression.get('value-source')}{{{value}}}"
    return f"{attribute} {kind + ':' if kind else ''}{operation} {value}"


def _render_date(date: Item) -> str:
    operation = date.get("operation")
    if operation == "lt":
        return f"date lt {_date_value(date.get('end'))}"
    if operation == "gt":
        return f"date gt {_date_value(date.get('start'))}"
    fields = {name: date.get(name) for name in ("start", "end") if date.get(name)}
    for child in date.children:
        fields |= {name: value for name, value in child.attributes.items() if name != "id"}
    word = "spec" if operation == "date_spec" else "in"
    pairs = " ".join(f"{name}={_date_value(value)}" for name, value in fields.items())
    return f"date {word} {pairs}"


def _date_value(value: str) -> str:
    return quoted(value)
