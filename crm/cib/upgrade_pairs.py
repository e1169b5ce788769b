"""Sets of pairs of old dialects: unwrapped, found, made, and words in today's spelling.

What the upgrade from Heartbeat 2 and the steps of the numbered schemas do with pairs alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy

from lxml import etree

from crm.model import score as scores

SET_TAGS = ("cluster_property_set", "instance_attributes", "meta_attributes", "utilization")

_ROLES = {
    "master": "Promoted",
    "promoted": "Promoted",
    "slave": "Unpromoted",
    "unpromoted": "Unpromoted",
    "started": "Started",
    "stopped": "Stopped",
}
_SCORE = re.compile(r"([+-]?\d+)(\.\d*)?\Z")

RENAMED_OPTIONS = {
    "master-max": "promoted-max",
    "master-node-max": "promoted-node-max",
}


def children(element: etree._Element) -> list[etree._Element]:
    """List the child elements without comments and processing instructions."""
    return [child for child in element if isinstance(child.tag, str)]


def unwrap(pair_set: etree._Element) -> None:
    """Take the pairs of a set out of their `<attributes>` wrapper, which ends the set."""
    for wrapper in pair_set.findall("attributes"):
        pair_set.remove(wrapper)
        pair_set.extend(list(wrapper))


def pairs(pair_set: etree._Element) -> list[etree._Element]:
    """List the pairs of an unwrapped set."""
    return pair_set.findall("nvpair")


def is_guarded(pair_set: etree._Element) -> bool:
    """Tell whether a set holds only sometimes, or ranks among others: it has a rule or score."""
    return pair_set.get("score") is not None or pair_set.find("rule") is not None


def guarded_twin(pair_set: etree._Element) -> etree._Element:
    """Make an empty set of meta attributes that holds whenever this set does.

    Its id is the set's with `-meta`; what guards it gets ids later, with all missing ids.
    """
    twin = etree.Element("meta_attributes", id=f"{pair_set.get('id')}-meta")
    if (score := pair_set.get("score")) is not None:
        twin.set("score", score)
    for rule in pair_set.findall("rule"):
        copied = deepcopy(rule)
        for element in copied.iter("*"):
            take(element, "id")
        twin.append(copied)
    return twin


def resolved(configuration: etree._Element, element: etree._Element) -> etree._Element:
    """Give what an element with `id-ref` stands for, or itself when there is no such thing."""
    reference = element.get("id-ref")
    if reference is None:
        return element
    for candidate in configuration.iter(element.tag):
        if candidate.get("id") == reference:
            return candidate
    return element


def own_meta_set(configuration: etree._Element, resource: etree._Element) -> etree._Element:
    """Find or make a set of meta attributes that always holds, and for this resource alone."""
    shared = {other.get("id-ref") for other in configuration.iter("meta_attributes")}
    for pair_set in resource.findall("meta_attributes"):
        owned = pair_set.get("id-ref") is None and pair_set.get("id") not in shared
        if owned and not is_guarded(pair_set):
            return pair_set
    made = etree.Element("meta_attributes")
    resource.insert(0, made)
    return made


def add_pair(pair_set: etree._Element, name: str, value: str) -> etree._Element:
    """Append a pair; its id is made later, with all missing ids."""
    return etree.SubElement(pair_set, "nvpair", name=name, value=value)


def hyphenated(name: str) -> str:
    """Spell the name of an option as today."""
    name = name.replace("_", "-")
    return RENAMED_OPTIONS.get(name, name)


def role(text: str) -> str:
    """Spell a role as today; unknown words stay for the checks to name."""
    return _ROLES.get(text.strip().lower(), text)


def score(text: str) -> str:
    """Spell a score as today: fractions cut off, INFINITY in capitals; else as it was."""
    word = text.strip()
    if match := _SCORE.match(word):
        return scores.text(scores.parse(match.group(1)))
    try:
        return scores.text(scores.parse(word))
    except ValueError:
        return text


def is_default(value: str) -> bool:
    """Tell whether a value means "as if this were not given"."""
    return value.strip().lower() in {"default", "#default"}


def take(element: etree._Element, name: str) -> str | None:
    """Remove an attribute and give its value, or None when the element has none."""
    value = element.get(name)
    if value is not None:
        del element.attrib[name]
    return value


def replaced(element: etree._Element, attributes: Iterator[tuple[str, str]]) -> None:
    """Give an element these attributes instead of its own, in this order."""
    wanted = list(attributes)
    element.attrib.clear()
    for name, value in wanted:
        element.set(name, value)
