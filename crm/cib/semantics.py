"""What a grammar cannot see: ids used twice, names that lead nowhere, values that mean nothing.

`check` is what every change of a configuration must pass: its errors refuse the change, its
warnings are shown. `check_policy` adds what a valid configuration may still lack before the
cluster does anything with it (fencing devices, agents that can be promoted); it is what
`crm_verify` says, and never refuses a change, or nobody could enter a first resource.

Source: docs/decisions/0033-semantics.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from lxml import etree

from crm.model import options
from crm.model.options import Kind, Option
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_MOST_PROBLEMS = 200
_DURATIONS = ("interval", "timeout", "start-delay")
_SAME_OPTION = 0.8
_SAME_NAME = 0.85
"""Options and nodes whose names agree this much are one, misspelt."""

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
_WHAT = {"rsc_location": "location", "rsc_colocation": "colocation", "rsc_order": "order"}


def check(root: etree._Element) -> list[Problem]:
    """Find what makes no sense in a document that follows the schema, errors first."""
    configuration = root.find("configuration")
    if configuration is None:
        return []
    problems: list[Problem] = []
    for finder in (
        _repeated_ids,
        _dangling_constraints,
        _dangling_references,
        _impossible_operations,
        _unreadable_options,
        _unlikely_nodes,
    ):
        problems += finder(configuration)
    problems.sort(key=lambda problem: problem.severity is errors.Severity.WARNING)
    return problems[:_MOST_PROBLEMS]


def check_policy(root: etree._Element) -> list[Problem]:
    """Find what keeps a valid configuration from being carried out as written."""
    configuration = root.find("configuration")
    if configuration is None:
        return []
    return [
        *_missing_fencing(configuration),
        *_unpromotable(configuration),
        *_deprecated(configuration),
    ]


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
            "give one of them another id",
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


def _unknown(code: str, who: str, subject: str, target: str, known: list[str]) -> Problem:
    near = options.nearest(target, known)
    what = code.removeprefix("unknown-")
    article = "an" if what[0] in "aeiou" else "a"
    return errors.error(
        code,
        subject,
        f"{who} names '{target}', which does not exist",
        f"there is {article} {what} '{near}'"
        if near
        else f"there is no {what} with a similar name",
    )


def _dangling_references(configuration: etree._Element) -> Iterator[Problem]:
    templates = [str(each.get("id")) for each in configuration.iter("template")]
    for primitive in configuration.iter("primitive"):
        if (target := primitive.get("template")) is not None and target not in templates:
            identity = primitive.get("id", "")
            who = f"resource '{identity}'"
            yield _unknown("unknown-template", who, identity, target, templates)
    roles = [str(each.get("id")) for each in configuration.iter("acl_role")]
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
            yield _unknown("unknown-object", f"<{borrower.tag}>", target, target, similar)


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


# --- values ---------------------------------------------------------------------------------


def _impossible_operations(configuration: etree._Element) -> Iterator[Problem]:
    for operations in configuration.iter("operations"):
        owner = operations.getparent()
        resource = owner.get("id", "") if owner is not None else ""
        seen: dict[tuple[str, int], str] = {}
        for operation in operations.iterfind("op"):
            if any(_duration_ms(operation, name) is None for name in _DURATIONS):
                yield from _unreadable_durations(operation, resource)
            interval_ms = _duration_ms(operation, "interval")
            if interval_ms is None:
                continue
            key = (operation.get("name", ""), interval_ms)
            identity = operation.get("id", "")
            if key in seen:
                yield errors.warning(
                    "repeated-operation",
                    identity,
                    f"resource '{resource}': operation '{identity}' repeats '{seen[key]}': "
                    f"{key[0]} with an interval of {interval_ms} ms",
                    "give them different intervals; the later one is ignored",
                )
            seen.setdefault(key, identity)


def _duration_ms(operation: etree._Element, name: str) -> int | None:
    """Read one of an operation's durations: 0 when it is not given, None when it is none."""
    try:
        return options.as_duration_ms(operation.get(name, "0"))
    except ValueError:
        return None


def _unreadable_durations(operation: etree._Element, resource: str) -> Iterator[Problem]:
    for name in _DURATIONS:
        value = operation.get(name)
        if value is None:
            continue
        try:
            options.as_duration_ms(value)
        except ValueError as problem:
            # Old files hold P10S for PT10S; what was taken once is not refused now.
            report = errors.warning if value.lstrip().startswith("P") else errors.error
            yield report(
                "bad-duration",
                operation.get("id", ""),
                f"resource '{resource}', operation '{operation.get('name')}', {name}: {problem}",
                "for example 10s, 2min or 500ms",
            )


def _unreadable_options(configuration: etree._Element) -> Iterator[Problem]:
    """Look at the options of the cluster and of resources: misspelt names, impossible values.

    A name nothing known comes near to is somebody's own option, and none of our business.
    """
    for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair"):
        option = options.cluster_option(pair.get("name", ""))
        yield from _judge(pair, option, "cluster option", options.CLUSTER_OPTIONS)
    known_meta = {
        **options.RESOURCE_OPTIONS,
        **options.CLONE_OPTIONS,
        **options.GROUP_OPTIONS,
    }
    for pair_set in configuration.iter("meta_attributes"):
        parent = pair_set.getparent()
        if parent is None or parent.tag in {"op", "op_defaults", "alert", "recipient"}:
            continue
        for pair in pair_set.iterfind("nvpair"):
            option = options.meta_option(pair.get("name", ""))
            who = f"option of {parent.tag} '{parent.get('id', '')}'".replace(" ''", "")
            yield from _judge(pair, option, who, known_meta)


def _judge(
    pair: etree._Element, option: Option | None, who: str, known: Mapping[str, Option]
) -> Iterator[Problem]:
    name, value = pair.get("name"), pair.get("value")
    if name is None or value is None or value == "#default":
        return
    subject = pair.get("id", name)
    if option is None:
        near = options.nearest(name.replace("_", "-"), known)
        if near is not None and _likeness(name.replace("_", "-"), near) >= _SAME_OPTION:
            yield errors.warning(
                "unknown-option",
                subject,
                f"{who}: '{name}' is not known",
                f"there is an option '{near}'",
            )
    elif option.kind is not Kind.TEXT and (complaint := options.complaint(option, value)):
        near = options.nearest(value, option.values)
        yield errors.warning(
            "bad-option-value",
            subject,
            f"{who} '{name}': {complaint}",
            f"did you mean '{near}'?" if near else "",
        )


def _unlikely_nodes(configuration: etree._Element) -> Iterator[Problem]:
    """Look for misspelt nodes in locations; nodes that are to come yet have no similar name."""
    nodes = _node_names(configuration)
    for location in configuration.iterfind("constraints/rsc_location"):
        node = location.get("node")
        if node is None or node in nodes:
            continue
        near = options.nearest(node, nodes)
        if near is not None and _looks_misspelt(node, near):
            identity = location.get("id", "")
            yield errors.warning(
                "unknown-node",
                identity,
                f"location '{identity}' names the node '{node}', which does not exist",
                f"there is a node '{near}'",
            )


def _node_names(configuration: etree._Element) -> list[str]:
    """List all names a location may give a node: remote and guest nodes are resources."""
    names = [node.get("uname", "") for node in configuration.iterfind("nodes/node")]
    names += [
        primitive.get("id", "")
        for primitive in configuration.iter("primitive")
        if (primitive.get("provider"), primitive.get("type")) == ("pacemaker", "remote")
    ]
    names += [
        pair.get("value", "")
        for pair in configuration.iterfind("resources//nvpair")
        if pair.get("name") == "remote-node"
    ]
    return names


def _looks_misspelt(name: str, near: str) -> bool:
    """Tell a slip of the keyboard from the next number: node3 is not node2 misspelt."""
    stem, near_stem = name.rstrip("0123456789"), near.rstrip("0123456789")
    return stem != near_stem and _likeness(name, near) >= _SAME_NAME


def _likeness(left: str, right: str) -> float:
    return difflib.SequenceMatcher(None, left, right).ratio()


# --- policy ---------------------------------------------------------------------------------


def _options_in_force(configuration: etree._Element) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair"):
        values.setdefault(pair.get("name", ""), pair.get("value", ""))
    return values


def _missing_fencing(configuration: etree._Element) -> Iterator[Problem]:
    enabled = options.cluster_option("stonith-enabled")
    assert enabled is not None, "the table of options has it"
    values = _options_in_force(configuration)
    try:
        if not options.as_bool(options.setting(values, enabled)):
            return
    except ValueError:
        return
    devices = configuration.iterfind("resources//*[@class='stonith']")
    if next(devices, None) is None and not _has_watchdog(values):
        for text in (
            "Resource start-up disabled since no STONITH resources have been defined",
            "Either configure some or disable STONITH with the stonith-enabled option",
            "NOTE: Clusters with shared data need STONITH to ensure data integrity",
        ):
            yield errors.error("no-fencing-device", "stonith-enabled", text)


def _has_watchdog(values: Mapping[str, str]) -> bool:
    try:
        return options.as_bool(values.get("have-watchdog", "false"))
    except ValueError:
        return False


def _unpromotable(configuration: etree._Element) -> Iterator[Problem]:
    for clone in configuration.iter("clone", "master"):
        promotable = clone.tag == "master" or any(
            pair.get("name") == "promotable" and pair.get("value", "").lower() in {"true", "1"}
            for pair in clone.iterfind("meta_attributes/nvpair")
        )
        if not promotable:
            continue
        for resource in clone.iter("primitive"):
            agent_class = resource.get("class")
            if agent_class is not None and agent_class not in {"ocf", "stonith"}:
                identity = resource.get("id", "")
                yield errors.error(
                    "not-promotable",
                    identity,
                    f"Resource {identity} is of type {agent_class} and therefore cannot be used "
                    "as a promotable clone resource",
                )


def _deprecated(configuration: etree._Element) -> Iterator[Problem]:
    for group in configuration.iter("group"):
        for pair in group.iterfind("meta_attributes/nvpair"):
            if pair.get("name") in {"ordered", "collocated"}:
                identity = group.get("id", "")
                yield errors.warning(
                    "deprecated",
                    identity,
                    f"group '{identity}': '{pair.get('name')}' is deprecated for groups",
                    "use constraints with a resource set instead",
                )
    for constraint in configuration.iterfind("constraints/*"):
        if constraint.find("lifetime") is not None:
            identity = constraint.get("id", "")
            yield errors.warning(
                "deprecated",
                identity,
                f"'{identity}': a lifetime is deprecated",
                "say it by a rule with a date_expression",
            )
