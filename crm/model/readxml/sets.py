"""Reads sets of name-value pairs: options, meta attributes, parameters, node attributes."""

from __future__ import annotations

from lxml import etree

from crm.model.readxml.reader import Reader, children
from crm.model.readxml.rules import read_rule
from crm.model.resources import AttributeSet, joined
from crm.model.score import INFINITY, ZERO, Score

_FIRST_OPTIONS = "cib-bootstrap-options"


def read_set(reader: Reader, element: etree._Element) -> AttributeSet | None:
    """Read one set, following `id-ref` on the set and on its pairs."""
    found = reader.resolve(element)
    if found is None:
        return None
    values = []
    for pair in found.iter("nvpair"):
        target = reader.resolve(pair)
        if target is None:
            continue
        name, value = pair.get("name") or target.get("name"), target.get("value")
        if name and value is not None:
            values.append((name, value))
    rule_element = next(children(found, "rule"), None)
    score: Score = reader.score(found, ZERO)
    return AttributeSet(
        id=found.get("id", ""),
        values=tuple(values),
        score=INFINITY if found.get("id") == _FIRST_OPTIONS else score,
        rule=None if rule_element is None else read_rule(reader, rule_element),
    )


def option_sets(configuration: etree._Element) -> tuple[AttributeSet, ...]:
    """Read the sets of cluster options of a configuration, the most important first."""
    section = configuration.find("crm_config")
    return read_sets(Reader(configuration), section, "cluster_property_set")


def options_in_force(configuration: etree._Element | None) -> dict[str, str]:
    """Read what the cluster options of a configuration say at any time, whatever sets say it.

    For whoever judges a document and not a moment: sets that hold under a rule are left out.
    """
    if configuration is None:
        return {}
    return joined(item for item in option_sets(configuration) if item.rule is None)


def read_sets(reader: Reader, parent: etree._Element | None, tag: str) -> tuple[AttributeSet, ...]:
    """Read all sets of one tag below an element, the most important first.

    Of sets with equal scores the last one written is the most important, as it is published.
    """
    found = [read_set(reader, child) for child in children(parent, tag)]
    sets = [item for item in reversed(found) if item is not None]
    return tuple(sorted(sets, key=lambda item: -item.score))
