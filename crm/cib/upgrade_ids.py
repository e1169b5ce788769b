"""Makes the ids of a converted document valid and unique, and references follow.

Heartbeat 2 let ids hold anything and repeat between elements. In document order of the result,
each id is made of allowed characters, gets the element's name in front when it begins with none
that may begin an id, and makes way when it is taken. Ids of nodes are never touched: they are
uuids, and other places know them.

Source: docs/decisions/0031-dialects.md, "Ids".
"""

from __future__ import annotations

import re
from collections.abc import Container

from lxml import etree

from crm.cib.upgrade_pairs import SET_TAGS
from crm.plumbing import errors
from crm.plumbing.errors import Problem

RESOURCE_TAGS = ("primitive", "group", "clone", "master", "bundle", "template")
_REFERENCES = ("rsc", "with-rsc", "first", "then")
_NO_OWN_ID = frozenset({"node", "acl_target", "acl_group", "role", "resource_ref", "obj_ref"})
"""Elements whose `id` is a uuid, a user, or the name of something else."""

_IDENTIFIED = frozenset(
    {
        *SET_TAGS,
        *RESOURCE_TAGS,
        "nvpair",
        "op",
        "rule",
        "expression",
        "date_expression",
        "date_spec",
        "duration",
        "rsc_location",
        "rsc_order",
        "rsc_colocation",
    }
)
_REFUSED = re.compile(r"[^A-Za-z0-9_.-]")
_MAY_BEGIN = re.compile(r"[A-Za-z_]")


def mend_ids(root: etree._Element) -> list[Problem]:
    """Mend all ids of the configuration in place; report resources that got another name."""
    used: set[str] = set()
    renamed: dict[str, str] = {}
    problems: list[Problem] = []
    for element in root.iter():
        if not isinstance(element.tag, str) or element.tag in _NO_OWN_ID:
            continue
        before = element.get("id")
        if before is None and element.tag not in _IDENTIFIED:
            continue
        after = _free(element, before, used)
        used.add(after)
        element.set("id", after)
        if element.tag in RESOURCE_TAGS and before is not None:
            renamed.setdefault(before, after)
            if after != before:
                problems.append(
                    errors.warning(
                        "resource-renamed",
                        after,
                        f"resource '{before}' is called '{after}' now",
                        "ids are made of letters, digits and _.- and are unique",
                    )
                )
    for constraint in root.iter("rsc_location", "rsc_order", "rsc_colocation"):
        for name in _REFERENCES:
            target = constraint.get(name)
            if target in renamed:
                constraint.set(name, renamed[target])
    return problems


def fill_missing_ids(root: etree._Element) -> None:
    """Make the ids that sets and what is in them lack, in place; those that are there stay."""
    used = {element.get("id", "") for element in root.iter("*")}
    for pair_set in root.iter(*SET_TAGS):
        for element in pair_set.iter(*_IDENTIFIED):
            if element.get("id") is None and element.get("id-ref") is None:
                identity = _free(element, None, used)
                used.add(identity)
                element.set("id", identity)


def unused(wanted: str, used: Container[str]) -> str:
    """Make a valid id like the one wanted that is not in use."""
    return _numbered(_REFUSED.sub("-", wanted), used)


def _free(element: etree._Element, given: str | None, used: set[str]) -> str:
    if given is None:
        wanted = _valid(element, _made(element))
    else:
        wanted = _valid(element, given)
        if wanted in used:
            wanted = _valid(element, _stand_in(element, wanted))
    return _numbered(wanted, used)


def _numbered(wanted: str, used: Container[str]) -> str:
    candidate, number = wanted, 2
    while candidate in used:
        candidate = f"{wanted}-{number}"
        number += 1
    return candidate


def _valid(element: etree._Element, text: str) -> str:
    text = _REFUSED.sub("-", text)
    return text if _MAY_BEGIN.match(text) else f"{element.tag}-{text}"


def _stand_in(element: etree._Element, taken: str) -> str:
    if element.tag == "nvpair" or element.tag in SET_TAGS:
        return _made(element)
    return f"{taken}-{element.tag}"


def _made(element: etree._Element) -> str:
    """Make an id from what the element is and where it stands."""
    owner = _owner_id(element)
    if element.tag == "nvpair":
        return f"{owner}-{element.get('name', 'nvpair')}"
    if element.tag == "op":
        return f"{owner}-{element.get('name', 'op')}-{element.get('interval', '0')}"
    return f"{owner}-{element.tag}" if owner else str(element.tag)


def _owner_id(element: etree._Element) -> str:
    for ancestor in element.iterancestors():
        if (identity := ancestor.get("id")) is not None and ancestor.tag != "operations":
            return identity
    return ""
