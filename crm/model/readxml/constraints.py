"""Reads `<constraints>`: locations, colocations and orders; sets stay sets."""

from __future__ import annotations

from lxml import etree

from crm.model import options
from crm.model.constraints import (
    Colocation,
    Constraint,
    Discovery,
    Location,
    LossPolicy,
    Order,
    OrderKind,
    ResourceSet,
    TicketDependency,
)
from crm.model.readxml.reader import Reader, children
from crm.model.readxml.rules import read_rule
from crm.model.score import INFINITY, ZERO


def read_constraints(reader: Reader, section: etree._Element | None) -> tuple[Constraint, ...]:
    """Read every constraint that is understood, in document order."""
    found: list[Constraint] = []
    for element in children(section):
        match element.tag:
            case "rsc_location":
                found.append(_read_location(reader, element))
            case "rsc_colocation":
                found.append(_read_colocation(reader, element))
            case "rsc_order":
                order = _read_order(reader, element)
                found += [order] if order is not None else []
            case "rsc_ticket":
                found.append(_read_ticket(reader, element))
            case _:
                key = element.get("id", "")
                reader.complain(
                    "unsupported-constraint", key, f"{element.tag} '{key}' is not observed"
                )
    return tuple(found)


def _read_location(reader: Reader, element: etree._Element) -> Location:
    pattern = element.get("rsc-pattern", "")
    inverted = pattern.startswith("!")
    ids = [element.get("rsc", "")] if element.get("rsc") else []
    role = element.get("role", "")
    for item in children(element, "resource_set"):
        target = reader.resolve(item)
        ids += [ref.get("id", "") for ref in children(target, "resource_ref")]
        if target is not None:
            role = role or target.get("role", "")
    discovery = None
    if text := element.get("resource-discovery"):
        discovery = reader.value(text, element.get("id", ""), Discovery, None)
    rules = [read_rule(reader, rule) for rule in children(element, "rule")]
    return Location(
        id=element.get("id", ""),
        resources=tuple(ids),
        pattern=pattern[1:] if inverted else pattern,
        inverted=inverted,
        node=element.get("node", ""),
        score=reader.score(element, ZERO) if element.get("score") is not None else None,
        rules=tuple(rule for rule in rules if rule is not None),
        role=role,
        discovery=discovery,
    )


def _read_colocation(reader: Reader, element: etree._Element) -> Colocation:
    influence = element.get("influence")
    return Colocation(
        id=element.get("id", ""),
        score=reader.score(element, INFINITY if element.find("resource_set") is not None else ZERO),
        dependent=element.get("rsc", ""),
        primary=element.get("with-rsc", ""),
        dependent_role=element.get("rsc-role", ""),
        primary_role=element.get("with-rsc-role", ""),
        node_attribute=element.get("node-attribute", "#uname"),
        influence=None if influence is None else reader.boolean(element, "influence", True),
        sets=_read_sets(reader, element),
    )


def _read_order(reader: Reader, element: etree._Element) -> Order | None:
    key = element.get("id", "")
    kind = _kind(reader, element)
    if kind is None and element.get("score") is not None:
        kind = OrderKind.OPTIONAL if reader.score(element, ZERO) == 0 else OrderKind.MANDATORY
    symmetrical = None
    if element.get("symmetrical") is not None:
        symmetrical = reader.boolean(element, "symmetrical", True)
    sets = _read_sets(reader, element)
    if not sets and not (element.get("first") and element.get("then")):
        reader.complain("empty-constraint", key, f"order '{key}' does not say first and then")
        return None
    return Order(
        id=key,
        kind=kind or OrderKind.MANDATORY,
        first=element.get("first", ""),
        then=element.get("then", ""),
        first_action=element.get("first-action", ""),
        then_action=element.get("then-action", ""),
        symmetrical=symmetrical,
        require_all=reader.boolean(element, "require-all", True),
        sets=sets,
    )


def _read_ticket(reader: Reader, element: etree._Element) -> TicketDependency:
    key, policy = element.get("id", ""), None
    if text := element.get("loss-policy"):
        policy = reader.value(text.lower(), key, LossPolicy, None)
    return TicketDependency(
        id=key,
        ticket=element.get("ticket", ""),
        resources=(element.get("rsc", ""),) if element.get("rsc") else (),
        role=element.get("rsc-role", ""),
        loss_policy=policy,
        sets=_read_sets(reader, element),
    )


def _kind(reader: Reader, element: etree._Element) -> OrderKind | None:
    text = element.get("kind")
    if text is None:
        return None
    for kind in OrderKind:
        if kind.value.lower() == text.lower():
            return kind
    key = element.get("id", "")
    reader.complain("bad-value", key, f"order '{key}' has the unknown kind '{text}'")
    return OrderKind.MANDATORY


def _read_sets(reader: Reader, element: etree._Element) -> tuple[ResourceSet, ...]:
    found = []
    for item in children(element, "resource_set"):
        target = reader.resolve(item)
        if target is None:
            continue
        has_score = target.get("score") is not None
        found.append(
            ResourceSet(
                id=target.get("id", ""),
                resources=tuple(r.get("id", "") for r in children(target, "resource_ref")),
                sequential=reader.boolean(target, "sequential", True),
                require_all=reader.boolean(target, "require-all", True),
                is_listed=target.get("ordering") == "listed",
                action=target.get("action", ""),
                role=target.get("role", ""),
                kind=_kind(reader, target),
                score=reader.value(
                    target.get("score", ""), target.get("id", ""), options.as_score, ZERO
                )
                if has_score
                else None,
            )
        )
    return tuple(found)
