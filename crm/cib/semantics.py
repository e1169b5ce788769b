"""What a grammar cannot see: ids used twice, names that lead nowhere, values that mean nothing.

`check` is what every change of a configuration must pass: its errors refuse the change, its
warnings are shown. It looks at each object and at what that refers to, so it may be given a part
of a configuration. `check_relations` needs the whole and only warns: of orders that go round, of
colocations that contradict each other. `check_policy` adds what a valid configuration may still
lack before the cluster does what it says (fencing devices, agents that can be promoted); it is
what `crm_verify` says, and never refuses a change, or nobody could enter a first resource.

Source: docs/decisions/0033-semantics.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from lxml import etree

from crm.cib import semantics_policy, semantics_relations, semantics_values
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_MOST_PROBLEMS = 100
"""Enough to read. To look for one more costs as much as for the first."""

NOT_DONE_AS_WRITTEN = frozenset({"repeated-operation"})
"""Warnings of `check` that count as those of `check_policy` do: in `crm_verify`'s exit code."""

_RESOURCE_TAGS = ("primitive", "group", "clone", "master", "bundle")
_REFERENCE_TAGS = frozenset({"resource_ref", "obj_ref", "role"})
"""Elements whose `id` names another object."""

_OWN_IDS = frozenset({"node", "acl_target", "acl_group"})
"""Elements whose `id` comes from elsewhere: a uuid, a user."""

_NO_OWN_ID = _REFERENCE_TAGS | _OWN_IDS

_CONSTRAINT_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "rsc_location": ("rsc",),
    "rsc_colocation": ("rsc", "with-rsc"),
    "rsc_order": ("first", "then"),
    "rsc_ticket": ("rsc",),
}
_ARTICLES = {
    "resource": "a resource",
    "template": "a template",
    "role": "a role",
    "object": "an object",
}
_WHAT = {"rsc_location": "location", "rsc_colocation": "colocation", "rsc_order": "order"}


def check(root: etree._Element) -> list[Problem]:
    """Find what makes no sense in a document that follows the schema, errors first."""
    configuration = root.find("configuration")
    if configuration is None:
        return []
    problems = [
        problem
        for finder in (
            _repeated_ids(configuration),
            _dangling_constraints(configuration),
            _dangling_references(configuration),
            semantics_values.check(configuration, root.get("validate-with", "")),
        )
        for problem in itertools.islice(finder, _MOST_PROBLEMS)
    ]
    problems.sort(key=lambda problem: problem.severity is errors.Severity.WARNING)
    return problems[:_MOST_PROBLEMS]


def check_relations(root: etree._Element) -> list[Problem]:
    """Find objects of a whole, valid configuration that do not go together; only warnings."""
    configuration = root.find("configuration")
    if configuration is None:
        return []
    return list(itertools.islice(semantics_relations.check(configuration), _MOST_PROBLEMS))


def check_policy(root: etree._Element) -> list[Problem]:
    """Find what keeps a valid configuration from being carried out as written."""
    configuration = root.find("configuration")
    if configuration is None:
        return []
    return list(itertools.islice(semantics_policy.check(configuration), _MOST_PROBLEMS))


# --- ids and references ---------------------------------------------------------------------


def _repeated_ids(configuration: etree._Element) -> Iterator[Problem]:
    owners: dict[str, etree._Element] = {}
    for element in configuration.iter("*"):
        identity = element.get("id")
        if identity is None:
            continue
        first = owners.setdefault(identity, element)
        if first is element or element.tag in _NO_OWN_ID:
            continue
        if first.tag in _NO_OWN_ID:
            owners[identity] = element
            continue
        yield errors.error(
            "repeated-id",
            identity,
            f"the id '{identity}' is used twice, by {_kind(first)} and by {_kind(element)}",
            "give one of them another id, and change what refers to it",
        )


def _kind(element: etree._Element) -> str:
    parent = element.getparent()
    owner = parent.get("id") if parent is not None else None
    return f"<{element.tag}> in '{owner}'" if owner else f"<{element.tag}>"


def _constrained_names(configuration: etree._Element) -> list[str]:
    """List what constraints may name: resources, templates and tags."""
    return [
        str(element.get("id"))
        for element in configuration.iter(*_RESOURCE_TAGS, "template", "tag")
        if element.get("id") is not None
    ]


def _dangling_constraints(configuration: etree._Element) -> Iterator[Problem]:
    names = _constrained_names(configuration)
    known = frozenset(names)
    for constraint in configuration.iterfind("constraints/*"):
        identity = constraint.get("id", "")
        kind = _WHAT.get(str(constraint.tag), str(constraint.tag))
        targets = [
            value
            for attribute in _CONSTRAINT_REFERENCES.get(str(constraint.tag), ())
            if (value := constraint.get(attribute)) is not None
        ]
        targets += [ref.get("id", "") for ref in constraint.iter("resource_ref")]
        for target in dict.fromkeys(targets):
            if target not in known:
                yield _unknown("unknown-resource", f"{kind} '{identity}'", identity, target, names)


def _unknown(code: str, who: str, subject: str, target: str, known: Iterable[str]) -> Problem:
    near = options.nearest(target, known)
    what = code.removeprefix("unknown-")
    article = "an" if what[0] in "aeiou" else "a"
    return errors.error(
        code,
        subject,
        f"{who} names '{target}', which does not exist",
        f"there is {article} {what} '{near}'" if near else f"add the {what} first, or name another",
    )


def _dangling_references(configuration: etree._Element) -> Iterator[Problem]:
    templates = dict.fromkeys(str(each.get("id")) for each in configuration.iter("template"))
    for primitive in configuration.iter("primitive"):
        if (target := primitive.get("template")) is not None and target not in templates:
            identity = primitive.get("id", "")
            who = f"resource '{identity}'"
            yield _unknown("unknown-template", who, identity, target, templates)
    roles = dict.fromkeys(str(each.get("id")) for each in configuration.iter("acl_role"))
    for role in configuration.iterfind("acls/*/role"):
        if (target := role.get("id", "")) not in roles:
            parent = role.getparent()
            user = parent.get("id", "") if parent is not None else ""
            yield _unknown("unknown-role", f"user '{user}'", user, target, roles)
    yield from _dangling_permissions(configuration)
    borrowers = configuration.findall(".//*[@id-ref]")
    if not borrowers:
        return
    known = {element.get("id") for element in configuration.iter("*")}
    for borrower in borrowers:
        if (target := borrower.get("id-ref", "")) not in known:
            similar = [str(each.get("id")) for each in configuration.iter(str(borrower.tag))]
            yield _unknown("unknown-object", _kind(borrower), target, target, similar)


def _dangling_permissions(configuration: etree._Element) -> Iterator[Problem]:
    """Find rights to objects that are gone: with the next object of that id they would be back."""
    permissions = configuration.findall("acls/acl_role/acl_permission[@reference]")
    if not permissions:
        return
    root = configuration.getroottree().getroot()
    known = {element.get("id"): None for element in root.iter("*")}
    for permission in permissions:
        if (target := permission.get("reference", "")) not in known:
            role = permission.getparent()
            who = f"permission '{permission.get('id')}' of role '{role.get('id')}'"  # type: ignore[union-attr]
            similar = [identity for identity in known if identity is not None]
            yield _unknown("unknown-object", who, permission.get("id", ""), target, similar)
