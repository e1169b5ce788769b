"""What keeps a valid configuration from being carried out as it is written.

`crm_verify` says it and ends with 78, as the tool it stands for does; a change is never refused
for it, or nobody could enter a first resource before the first fencing device.

Source: docs/decisions/0033-semantics.md; exit codes of Pacemaker's crm_verify on the published
cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lxml import etree

from crm.model import options, roles
from crm.model.readxml.sets import option_sets
from crm.model.resources import joined
from crm.model.roles import Role
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_ON_FAIL_OF_STOP = ("block", "fence", "ignore", "restart")
_NEEDS_FENCING = frozenset({"fencing", "unfencing"})


def check(configuration: etree._Element) -> Iterator[Problem]:
    """Find what a valid configuration may still lack, or says in vain."""
    values = joined(option_sets(configuration))
    fencing = _is_fencing_on(values)
    if fencing:
        yield from _missing_device(configuration, values)
    else:
        yield from _vain_fencing(configuration)
    yield from _unpromotable(configuration)
    yield from _impossible_on_fail(configuration)
    yield from _impossible_constraints(configuration)
    yield from _deprecated(configuration)


# --- fencing --------------------------------------------------------------------------------


def _is_fencing_on(values: Mapping[str, str]) -> bool:
    enabled = options.cluster_option("stonith-enabled")
    assert enabled is not None, "the table of options has it"
    try:
        return options.as_bool(options.setting(values, enabled))
    except ValueError:
        return True


def _missing_device(configuration: etree._Element, values: Mapping[str, str]) -> Iterator[Problem]:
    devices = configuration.iterfind("resources//*[@class='stonith']")
    if next(devices, None) is None and not options.is_true(values.get("have-watchdog", "")):
        yield errors.error(
            "no-fencing-device",
            "stonith-enabled",
            "fencing is on ('stonith-enabled'), but there is no fencing device: no resource is "
            "started",
            "add a resource of class stonith; only if the resources share no data, set "
            "stonith-enabled=false",
        )


def _vain_fencing(configuration: etree._Element) -> Iterator[Problem]:
    for pair in configuration.iterfind("resources//meta_attributes/nvpair[@name='requires']"):
        if pair.get("value", "").lower() in _NEEDS_FENCING:
            yield errors.warning(
                "needs-fencing",
                pair.get("id", ""),
                f"'{_owner(pair)}' requires {pair.get('value')}, but fencing is off "
                "(stonith-enabled)",
                "set stonith-enabled=true, or requires=quorum",
            )
    for operation in configuration.iterfind("resources//op[@on-fail='fence']"):
        yield errors.warning(
            "needs-fencing",
            operation.get("id", ""),
            f"resource '{_owner(operation)}', operation '{operation.get('name')}': on-fail=fence, "
            "but fencing is off (stonith-enabled); the resource is stopped instead",
            "set stonith-enabled=true, or on-fail to stop or block",
        )


def _owner(element: etree._Element) -> str:
    """Name the resource, template or container an element stands in."""
    tags = ("primitive", "template", "group", "clone", "master", "bundle")
    holder = next(element.iterancestors(*tags), None)
    return holder.get("id", "") if holder is not None else ""


# --- roles ----------------------------------------------------------------------------------


def _is_promotable(clone: etree._Element) -> bool:
    if clone.tag == "master":
        return True
    if clone.tag == "bundle":
        return any(container.get("promoted-max", container.get("masters")) for container in clone)
    return any(
        pair.get("name") == "promotable" and options.is_true(pair.get("value", ""))
        for pair in clone.iterfind("meta_attributes/nvpair")
    )


def _unpromotable(configuration: etree._Element) -> Iterator[Problem]:
    for clone in configuration.iter("clone", "master"):
        unique = any(
            pair.get("name") in {"globally-unique", "globally_unique"}
            and options.is_true(pair.get("value", ""))
            for pair in clone.iterfind("meta_attributes/nvpair")
        )
        promotable = _is_promotable(clone)
        if not (promotable or unique):
            continue
        for resource in clone.iter("primitive"):
            agent_class = resource.get("class")
            if agent_class is None or agent_class in {"ocf", "stonith"}:
                continue
            identity = resource.get("id", "")
            if promotable:
                yield errors.error(
                    "not-promotable",
                    identity,
                    f"resource '{identity}' in '{clone.get('id')}' is of class {agent_class}, "
                    "whose agents cannot be promoted",
                    "use an ocf agent that can, or take promotable=true away",
                )
            elif unique:
                yield errors.warning(
                    "not-unique",
                    identity,
                    f"resource '{identity}' in '{clone.get('id')}' is of class {agent_class}, "
                    "whose agents cannot tell their instances apart",
                    "take globally-unique=true away, or use an ocf agent",
                )
    for pair in configuration.iterfind("resources//meta_attributes/nvpair"):
        if pair.get("name") in {"target-role", "target_role"}:
            yield from _impossible_target(pair)


def _impossible_target(pair: etree._Element) -> Iterator[Problem]:
    wanted = roles.parse_or_none(pair.get("value"))
    if wanted is None or wanted <= Role.STARTED:
        return
    if next(pair.iterancestors("template"), None) is not None:
        return  # whoever uses it may be promotable
    if any(_is_promotable(holder) for holder in pair.iterancestors("clone", "master", "bundle")):
        return
    yield errors.warning(
        "bad-target-role",
        pair.get("id", ""),
        f"'{_owner(pair)}' is to be {pair.get('value')}, but is in no promotable clone",
        "set target-role to Started or Stopped, or make its clone promotable=true",
    )


# --- operations and constraints ----------------------------------------------------------------


def _impossible_on_fail(configuration: etree._Element) -> Iterator[Problem]:
    for operation in configuration.iterfind("resources//op[@on-fail]"):
        name, value = operation.get("name"), operation.get("on-fail", "")
        if name == "stop" and value not in _ON_FAIL_OF_STOP and value != "restart-container":
            hint = f"possible are: {', '.join(_ON_FAIL_OF_STOP)}"
        elif value == "demote" and not _may_demote(operation):
            hint = "only promote and a repeated monitor with role=Promoted can have it"
        else:
            continue
        yield errors.warning(
            "bad-on-fail",
            operation.get("id", ""),
            f"resource '{_owner(operation)}', operation '{name}': on-fail={value} is not possible "
            "there and is ignored",
            hint,
        )


def _may_demote(operation: etree._Element) -> bool:
    if operation.get("name") == "promote":
        return True
    role = roles.parse_or_none(operation.get("role"))
    return operation.get("name") == "monitor" and role is Role.PROMOTED


def _impossible_constraints(configuration: etree._Element) -> Iterator[Problem]:
    names = {str(each.get("id")) for each in configuration.iter("tag", "template")}
    for constraint in configuration.iterfind("constraints/rsc_colocation"):
        identity = constraint.get("id", "")
        influence = constraint.get("influence")
        if influence is not None and not _is_boolean(influence):
            yield errors.warning(
                "bad-value",
                identity,
                f"colocation '{identity}': '{influence}' is no value of 'influence'",
                "write true or false",
            )
        if constraint.get("rsc") in names and constraint.get("with-rsc") in names:
            yield errors.warning(
                "two-tags",
                identity,
                f"colocation '{identity}' is ignored: '{constraint.get('rsc')}' and "
                f"'{constraint.get('with-rsc')}' are both tags or templates",
                "name a resource on one side, or write it with resource sets",
            )
    for constraint in configuration.iterfind("constraints/rsc_order[@kind='Serialize']"):
        if options.is_true(constraint.get("symmetrical", "")):
            identity = constraint.get("id", "")
            yield errors.warning(
                "bad-value",
                identity,
                f"order '{identity}': symmetrical=true is ignored with kind=Serialize",
                "take symmetrical away, or write kind=Mandatory",
            )


def _is_boolean(text: str) -> bool:
    try:
        options.as_bool(text)
    except ValueError:
        return False
    return True


def _deprecated(configuration: etree._Element) -> Iterator[Problem]:
    for group in configuration.iter("group"):
        for pair in group.iterfind("meta_attributes/nvpair"):
            name = pair.get("name")
            if name in {"ordered", "collocated"} and not options.is_true(pair.get("value", "")):
                identity = group.get("id", "")
                yield errors.warning(
                    "deprecated",
                    identity,
                    f"group '{identity}': '{name}' is deprecated for groups",
                    "take the resources out of the group and write constraints with a resource set",
                )
    for constraint in configuration.iterfind("constraints/*"):
        identity = constraint.get("id", "")
        if constraint.find("lifetime") is not None:
            yield errors.warning(
                "deprecated",
                identity,
                f"{constraint.tag} '{identity}': <lifetime> is deprecated",
                "write a location whose rule has a date_expression",
            )
        if constraint.tag == "rsc_order" and constraint.get("require-all") is not None:
            yield errors.warning(
                "deprecated",
                identity,
                f"order '{identity}': require-all is deprecated outside of sets",
                "set clone-min of the clone that comes first, or write the order with sets",
            )
