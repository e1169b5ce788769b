"""From the Heartbeat-2 dialect to today's: rules and the three kinds of constraints."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from lxml import etree

from crm.cib.upgrade_pairs import children, replaced, role, score, take
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_CONDITIONS = ("rule", "expression", "date_expression")


def convert(configuration: etree._Element) -> list[Problem]:
    """Convert all constraints below `configuration` in place; returns the warnings."""
    problems: list[Problem] = []
    section = configuration.find("constraints")
    assert section is not None, "the sections were made before"
    for constraint in children(section):
        match constraint.tag:
            case "rsc_location":
                problems += _convert_location(constraint)
            case "rsc_order":
                problems += _convert_lifetime(constraint)
                problems += _unknown_attributes(constraint)
                replaced(constraint, _order_attributes(constraint))
            case "rsc_colocation":
                problems += _convert_lifetime(constraint)
                problems += _one_sided(constraint)
                replaced(constraint, _colocation_attributes(constraint))
    return problems


# --- rules ----------------------------------------------------------------------------------


def convert_rules(owner: etree._Element) -> list[Problem]:
    """Convert the rules directly below an element, with all that is in them."""
    return [problem for rule in owner.findall("rule") for problem in _convert_rule(rule)]


def _convert_rule(rule: etree._Element) -> Iterator[Problem]:
    attribute = rule.get("score_attribute", rule.get("score-attribute"))
    if attribute is not None and rule.get("score") is not None:
        yield errors.warning(
            "option-overruled",
            rule.get("id", ""),
            f"'score_attribute={attribute}' is left out: the rule has the score "
            f"'{rule.get('score')}' as well",
            "remove the score if the attribute shall be the score",
        )
    replaced(rule, _rule_attributes(rule))
    if not any(child.tag in _CONDITIONS for child in children(rule)):
        attributes = {"id": f"{rule.get('id')}-expr"} if rule.get("id") is not None else {}
        _append_expression(rule, attributes, "#uname", "defined")
    for date in rule.findall("date_expression"):
        if date.get("operation") is None:
            date.set("operation", "in_range")
    for nested in rule.findall("rule"):
        yield from _convert_rule(nested)


def _rule_attributes(rule: etree._Element) -> Iterator[tuple[str, str]]:
    scored = False
    for raw_name, raw_value in rule.attrib.items():
        name, value = str(raw_name).replace("_", "-"), str(raw_value)
        match name:
            case "score":
                scored = True
                yield name, score(value)
            case "score-attribute" if rule.get("score") is None:
                scored = True
                yield name, value
            case "score-attribute":
                continue
            case "role":
                yield name, role(value)
            case _:
                yield name, value
    if not scored:
        yield "score", "0"


def _append_expression(
    rule: etree._Element,
    attributes: dict[str, str],
    attribute: str,
    operation: str,
    value: str | None = None,
) -> None:
    rest = {"attribute": attribute, "operation": operation}
    if value is not None:
        rest["value"] = value
    etree.SubElement(rule, "expression", {**attributes, **rest})


def _strip_scores(rule: etree._Element) -> etree._Element:
    for nested in (rule, *rule.iterdescendants("rule")):
        for name in ("score", "score-attribute", "role"):
            take(nested, name)
    return rule


# --- locations ------------------------------------------------------------------------------


def _convert_location(location: etree._Element) -> list[Problem]:
    problems: list[Problem] = []
    lifetime = location.find("lifetime")
    if lifetime is not None:
        location.remove(lifetime)
        problems += convert_rules(lifetime)
    problems += convert_rules(location)
    rules = location.findall("rule")
    identity, node = location.get("id", ""), location.get("node")
    if rules and node is not None:
        problems.append(
            errors.warning(
                "option-dropped",
                identity,
                f"location '{identity}' names the node '{node}' (score "
                f"{location.get('score', '0')}) beside its rules; the rules count",
                "make a second location for the node if both shall count",
            )
        )
    elif rules and location.get("score") is not None:
        problems.append(
            errors.warning(
                "option-dropped",
                identity,
                f"location '{identity}' has the score '{location.get('score')}' beside its rules; "
                "the scores of the rules count",
                "change the score of the rule if that was meant",
            )
        )
    if rules:
        take(location, "node")
        take(location, "score")
    elif node is not None:
        location.set("score", score(location.get("score", "0")))
    if lifetime is not None and lifetime.find("rule") is not None:
        _fold_lifetime(location, lifetime)
    return problems


def _fold_lifetime(location: etree._Element, lifetime: etree._Element) -> None:
    """Say a location's lifetime by rules: each rule holds only while the lifetime does."""
    stem = f"{location.get('id', 'rsc_location')}-lifetime"
    rules = location.findall("rule")
    if not rules:
        top = etree.SubElement(location, "rule", id=stem, score=location.get("score", "0"))
        top.set("boolean-op", "and")
        _append_expression(top, {"id": f"{stem}-node"}, "#uname", "eq", location.get("node", ""))
        top.append(_lifetime_rule(lifetime, stem))
        take(location, "node")
        take(location, "score")
        return
    for rule in rules:
        top = etree.Element("rule", id=stem)
        for name in ("score", "score-attribute", "role"):
            if (value := rule.get(name)) is not None:
                top.set(name, value)
                del rule.attrib[name]
        top.set("boolean-op", "and")
        location.replace(rule, top)
        top.append(rule)
        top.append(_lifetime_rule(lifetime, stem))


def _lifetime_rule(lifetime: etree._Element, stem: str) -> etree._Element:
    """Make one rule of a lifetime's rules: any of them suffices."""
    rules = [_strip_scores(deepcopy(rule)) for rule in lifetime.findall("rule")]
    if len(rules) == 1:
        return rules[0]
    either = etree.Element("rule", {"id": f"{stem}-any", "boolean-op": "or"})
    either.extend(rules)
    return either


# --- orders and colocations -----------------------------------------------------------------


_ORDER_ATTRIBUTES = frozenset(
    {"id", "from", "to", "action", "to_action", "type", "score", "symmetrical"}
)


def _convert_lifetime(constraint: etree._Element) -> list[Problem]:
    problems: list[Problem] = []
    for lifetime in constraint.findall("lifetime"):
        lifetime.attrib.clear()
        problems += convert_rules(lifetime)
    return problems


def _unknown_attributes(order: etree._Element) -> Iterator[Problem]:
    for raw_name, raw_value in order.attrib.items():
        name, value = str(raw_name), str(raw_value)
        if name not in _ORDER_ATTRIBUTES:
            yield errors.warning(
                "attribute-dropped",
                order.get("id", ""),
                f"order '{order.get('id')}': '{name}={value}' is left out, as no order has it",
                f"an order of Heartbeat 2 has: {', '.join(sorted(_ORDER_ATTRIBUTES))}",
            )


def _one_sided(colocation: etree._Element) -> Iterator[Problem]:
    if options.is_true(colocation.get("symmetrical", "")):
        yield errors.warning(
            "option-dropped",
            colocation.get("id", ""),
            "'symmetrical=true' of a colocation has no equivalent: "
            f"'{colocation.get('from')}' is placed relative to '{colocation.get('to')}' only",
            "make a second colocation for the other direction if it is needed",
        )


def _order_attributes(order: etree._Element) -> Iterator[tuple[str, str]]:
    """Turn `from ACTION type to` into `first … then …`."""
    source, target = order.get("from", ""), order.get("to", "")
    action, to_action = order.get("action"), order.get("to_action")
    if (identity := order.get("id")) is not None:
        yield "id", identity
    if order.get("type", "after").strip().lower() == "before":
        yield "first", source
        if action is not None:
            yield "first-action", action
        yield "then", target
        if to_action is not None:
            yield "then-action", to_action
    else:
        yield "first", target
        yield "first-action", to_action or action or "start"
        yield "then", source
        yield "then-action", action or "start"
    if (strength := order.get("score")) is not None:
        yield "kind", "Optional" if score(strength) == "0" else "Mandatory"
    if (symmetrical := order.get("symmetrical")) is not None:
        yield "symmetrical", symmetrical


def _colocation_attributes(colocation: etree._Element) -> Iterator[tuple[str, str]]:
    for raw_name, raw_value in colocation.attrib.items():
        name, value = str(raw_name), str(raw_value)
        match name:
            case "from":
                yield "rsc", value
            case "to":
                yield "with-rsc", value
            case "from_role":
                yield "rsc-role", role(value)
            case "to_role":
                yield "with-rsc-role", role(value)
            case "node_attribute":
                yield "node-attribute", value
            case "score":
                yield name, score(value)
            case "symmetrical":
                continue
            case _:
                yield name, value
