"""The step over version 2: what version 3 keeps elsewhere, calls otherwise or does not know.

Cluster options that are defaults of resources or operations; requirements of operations, which
are the resource's; options of operations among their parameters; parameters of fencing devices;
what never had an effect or has none any more.

Source: docs/decisions/0031-dialects.md, "Steps".
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from crm.cib import upgrade_options
from crm.cib.upgrade_pairs import (
    add_pair,
    guarded_twin,
    is_guarded,
    own_meta_set,
    pairs,
    resolved,
    take,
)
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_RESOURCES = ("primitive", "template", "group", "clone", "master", "bundle")
_DEVICE_PARAMETERS = {
    f"pcmk_{verb}_cmd": f"pcmk_{verb}_action"
    for verb in ("list", "monitor", "off", "on", "reboot", "status")
}
_ARGUMENT_MAP, _HOST_ARGUMENT, _MAPPED_ARGUMENT = "pcmk_arg_map", "pcmk_host_argument", "port:"
_WITH_AGENT = frozenset({"primitive", "template"})
_ISOLATION = frozenset({"isolation", "isolation-host", "isolation-instance", "isolation-wrapper"})
_OPERATION_OPTIONS = frozenset(
    {
        "enabled",
        "interval-origin",
        "on-fail",
        "record-pending",
        "role",
        "start-delay",
        "timeout",
    }
)
_OLD_MESSAGING = frozenset(
    {"heartbeat", "openais", "classic openais", "classic openais (with plugin)", "cman"}
)
_RENAMED_CLUSTER_OPTIONS = {
    "crmd-integration-timeout": "join-integration-timeout",
    "crmd-finalization-timeout": "join-finalization-timeout",
    "crmd-transition-delay": "transition-delay",
}
_NOTIFICATION = frozenset({"notification-agent", "notification-recipient"})
_WITH_REQUIREMENTS = frozenset({"start", "promote"})
_SCORE_ATTRIBUTES = ("score-attribute", "score-attribute-mangle")


def over_version_2(root: etree._Element) -> list[Problem]:
    """Bring a document of version 2 to version 3, in place; returns the warnings."""
    configuration = root.find("configuration")
    if configuration is None:
        return []  # the grammar will say so
    for node in configuration.iterfind("nodes/node"):
        if node.get("type") == "normal":
            node.set("type", "member")
    return [
        *_convert_cluster_options(configuration),
        *_convert_resources(configuration),
        *_convert_operations(configuration),
        *_convert_colocations(configuration),
    ]


# --- options of the cluster -----------------------------------------------------------------


def _convert_cluster_options(configuration: etree._Element) -> list[Problem]:
    crm_config = configuration.find("crm_config")
    if crm_config is None:
        return []
    moved = upgrade_options.convert_property_sets(crm_config)
    problems = [*moved.problems, *upgrade_options.write_defaults(configuration, moved)]
    for pair_set in crm_config.findall("cluster_property_set"):
        for pair in pairs(pair_set):
            problems += _convert_cluster_option(pair_set, pair)
    return problems


def _convert_cluster_option(pair_set: etree._Element, pair: etree._Element) -> Iterator[Problem]:
    name, value = pair.get("name", ""), pair.get("value", "")
    if name in _RENAMED_CLUSTER_OPTIONS:
        pair.set("name", _RENAMED_CLUSTER_OPTIONS[name])
    elif name in _NOTIFICATION:
        pair_set.remove(pair)
        yield errors.warning(
            "option-dropped",
            pair_set.get("id", ""),
            f"'{name}={value}' has no effect any more",
            "configure an alert with the agent as its path and the recipient in it",
        )
    elif name == "expected-quorum-votes" or (
        name == "cluster-infrastructure" and value in _OLD_MESSAGING
    ):
        pair_set.remove(pair)  # what a former cluster wrote about itself


# --- resources ------------------------------------------------------------------------------


def _convert_resources(configuration: etree._Element) -> list[Problem]:
    problems: list[Problem] = []
    for resource in configuration.iter(*_RESOURCES):
        subject = resource.get("id", "")
        for pair_set in resource.findall("meta_attributes"):
            if resource.tag in _WITH_AGENT:
                problems += _end_isolation(pair_set, subject)
            problems += _convert_meta(pair_set, subject)
        if resource.tag in _WITH_AGENT:
            for pair_set in resource.findall("instance_attributes"):
                problems += _convert_parameters(pair_set, subject)
    for pair_set in configuration.iterfind("rsc_defaults/meta_attributes"):
        problems += _convert_meta(pair_set, pair_set.get("id", ""))
    return problems


def _convert_meta(pair_set: etree._Element, subject: str) -> Iterator[Problem]:
    for pair in pairs(pair_set):
        name, value = pair.get("name", ""), pair.get("value", "")
        if name == upgrade_options.FAILURE_STICKINESS:
            threshold = upgrade_options.threshold_for(value)
            stated = {other.get("name") for other in pairs(pair_set)}
            if threshold is None or "migration-threshold" in stated:
                pair_set.remove(pair)
            else:
                pair.set("name", "migration-threshold")
                pair.set("value", threshold)
            if threshold is None:
                yield from upgrade_options.lost_failure_stickiness(subject, name, value)


def _end_isolation(pair_set: etree._Element, subject: str) -> Iterator[Problem]:
    """Keep a resource stopped that was to run in a container: it must not run without one."""
    isolation = [pair for pair in pairs(pair_set) if pair.get("name") in _ISOLATION]
    if not isolation:
        return
    for pair in isolation:
        pair_set.remove(pair)
    refused = [pair.get("value") for pair in isolation if pair.get("name") == "isolation"]
    wanted = not any(value is not None and not options.is_true(value) for value in refused)
    stated = any(pair.get("name") == "target-role" for pair in pairs(pair_set))
    if wanted and not stated:
        made = add_pair(pair_set, "target-role", "Stopped")
        if (identity := isolation[0].get("id")) is not None:
            made.set("id", identity)  # the pair's own; one that was borrowed has none
    yield errors.warning(
        "option-dropped",
        subject,
        f"the options isolation* of '{subject}' have no effect any more"
        + ("; it is kept stopped" if wanted and not stated else ""),
        "put the resource into a bundle to run it in a container, then start it",
    )


def _convert_parameters(pair_set: etree._Element, subject: str) -> Iterator[Problem]:
    """Spell the parameters of fencing devices as today."""
    for pair in pairs(pair_set):
        name, value = pair.get("name", ""), pair.get("value", "")
        if name in _DEVICE_PARAMETERS:
            pair.set("name", _DEVICE_PARAMETERS[name])
        elif name == _ARGUMENT_MAP and value.startswith(_MAPPED_ARGUMENT) and "," not in value:
            pair.set("name", _HOST_ARGUMENT)
            pair.set("value", value.removeprefix(_MAPPED_ARGUMENT))
        elif name == _ARGUMENT_MAP:
            pair_set.remove(pair)
            yield errors.warning(
                "option-dropped",
                subject,
                f"'{name}={value}' cannot be said any more",
                f"only the argument for the node's name can be chosen: {_HOST_ARGUMENT}",
            )


# --- operations -----------------------------------------------------------------------------


def _convert_operations(configuration: etree._Element) -> list[Problem]:
    problems: list[Problem] = []
    required = [
        (resource, found)
        for resource in configuration.iter(*_WITH_AGENT)
        if (found := list(_requirements(configuration, resource)))
    ]
    for operation in configuration.iter("op"):
        take(operation, "requires")
        for pair_set in operation.findall("meta_attributes"):
            _remove_requirement(pair_set)
        for pair_set in operation.findall("instance_attributes"):
            _remove_requirement(pair_set)
            problems += _move_operation_options(operation, pair_set)
    for resource, found in required:
        problems += _require(configuration, resource, found)
    return problems


def _requirements(configuration: etree._Element, resource: etree._Element) -> Iterator[str]:
    """List what the operations of a resource require that can require something."""
    for block in resource.findall("operations"):
        for operation in resolved(configuration, block).iterfind("op"):
            if operation.get("name") not in _WITH_REQUIREMENTS:
                continue
            if (requires := operation.get("requires")) is not None:
                yield requires
            for pair in operation.iterfind("*/nvpair"):
                if pair.get("name") == "requires" and pair.get("value") is not None:
                    yield str(pair.get("value"))


def _remove_requirement(pair_set: etree._Element) -> None:
    for pair in pairs(pair_set):
        if pair.get("name") == "requires":
            pair_set.remove(pair)


def _require(
    configuration: etree._Element, resource: etree._Element, found: list[str]
) -> Iterator[Problem]:
    """Write the first requirement as the resource's own, unless that has one."""
    stated = [
        str(pair.get("value"))
        for pair_set in resource.findall("meta_attributes")
        for pair in pairs(resolved(configuration, pair_set))
        if pair.get("name") == "requires"
    ]
    if not stated:
        add_pair(own_meta_set(configuration, resource), "requires", found[0])
    holds, *others = dict.fromkeys([*stated[:1], *found])
    for other in others:
        yield errors.warning(
            "option-overruled",
            resource.get("id", ""),
            f"an operation's 'requires={other}' is left out: 'requires={holds}' holds for the "
            "whole resource",
            "choose one of them for the resource",
        )


def _move_operation_options(
    operation: etree._Element, pair_set: etree._Element
) -> Iterator[Problem]:
    """Take options of an operation out of its parameters, where they could stand as well."""
    moving = [pair for pair in pairs(pair_set) if pair.get("name") in _OPERATION_OPTIONS]
    if not moving:
        return
    metas = operation.findall("meta_attributes")
    stated = {pair.get("name") for meta in metas for pair in pairs(meta)} | set(operation.attrib)
    target = guarded_twin(pair_set) if is_guarded(pair_set) else etree.Element("meta_attributes")
    for pair in moving:
        pair_set.remove(pair)
        if pair.get("name") in stated:
            yield errors.warning(
                "option-overruled",
                operation.get("id", ""),
                f"'{pair.get('name')}={pair.get('value')}' among the parameters is left out: "
                "the operation states the option itself",
                "change it there if this value was meant",
            )
        else:
            target.append(pair)
    if pairs(target):
        pair_set.addprevious(target)


# --- constraints ----------------------------------------------------------------------------


def _convert_colocations(configuration: etree._Element) -> Iterator[Problem]:
    for colocation in configuration.iterfind("constraints/rsc_colocation"):
        for name in _SCORE_ATTRIBUTES:
            if (value := take(colocation, name)) is not None:
                yield errors.warning(
                    "option-dropped",
                    colocation.get("id", ""),
                    f"'{name}={value}' of a colocation has no effect any more",
                    "give the colocation a score; without one it says nothing",
                )
