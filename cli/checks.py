"""What the shell checks beyond the CIB itself: agents, their parameters, values, patterns.

Responsible for findings about objects a person has just changed, which need knowledge of this
installation (the agents) or of people's habits. The grammar and the sense of the CIB are checked
by `crm.cib`.

Source: crm-shell, section 2, "Semantic checks".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.edits import Located, objects
from cli.grammar.resources import CONTAINERS
from cli.view.agents import required_of
from crm.api.lrm import ResourceAgent
from crm.model.configuration import Item
from crm.model.options import cluster_option, complaint
from crm.plumbing.errors import ConfigurationError, Problem, UsageError, error, warning
from lrmd import catalog

_COMMON_PARAMETERS = ("trace_ra", "trace_file", "CRM_meta_", "pcmk_", "OCF_CHECK_LEVEL")


def check(configuration: Item, base: Item, root: Path) -> list[Problem]:
    """Check the objects that differ from `base`."""
    before = {each.item.id: each.item for each in objects(base)}
    changed = [each for each in objects(configuration) if before.get(each.item.id) != each.item]
    everything = list(objects(configuration))
    has_primitives = any(each.item.tag == "primitive" for each in everything)
    problems: list[Problem] = []
    for located in changed:
        match located.item.tag:
            case "primitive":
                problems += _check_primitive(located.item, root)
            case "rsc_location":
                problems += _check_pattern(located.item)
                problems += _check_targets(located.item, everything)
            case "rsc_colocation" | "rsc_order":
                problems += _check_targets(located.item, everything)
            case "cluster_property_set" if has_primitives:
                problems += _check_values(located.item)
    return problems


# --- agents -------------------------------------------------------------------------------------


def _check_primitive(item: Item, root: Path) -> Iterator[Problem]:
    if item.get("template") or item.get("class") not in catalog.CLASSES:
        if item.get("class"):
            yield _no_agent(item, "error")
        return
    agent = ResourceAgent(
        agent_class=item.get("class"), provider=item.get("provider"), type=item.get("type")
    )
    if isinstance(catalog.locate(root, agent), Problem):
        yield _no_agent(item, "warning")
        return
    try:
        known = required_of(catalog.metadata(root, agent))
    except (UsageError, ConfigurationError):
        return  # an agent that does not describe itself cannot be checked
    if known:  # scripts that only have a made-up description take anything
        yield from _check_parameters(item, known)


def _no_agent(item: Item, severity: str) -> Problem:
    name = ":".join(filter(None, (item.get("class"), item.get("provider"), item.get("type"))))
    if severity == "error":
        classes = ", ".join(catalog.CLASSES)
        return error("unknown-class", item.id, f"'{item.id}': there is no class "
                     f"'{item.get('class')}'", f"known: {classes}")  # fmt: skip
    return warning(
        "unknown-agent",
        item.id,
        f"'{item.id}': the agent {name} is not installed on this node",
        "it must be on every node that may run the resource; see: crm ra list",
    )


def _check_parameters(item: Item, known: dict[str, bool]) -> Iterator[Problem]:
    given: dict[str, str] = {}
    by_reference = False
    for made in item.each("instance_attributes"):
        by_reference |= "id-ref" in made.attributes
        for pair in made.each("nvpair"):
            by_reference |= "id-ref" in pair.attributes
            given[pair.get("name")] = pair.get("value")
    for name in given:
        if name and name not in known and not name.startswith(_COMMON_PARAMETERS):
            yield error(
                "unknown-parameter",
                item.id,
                f"'{item.id}': the agent has no parameter '{name}'",
                f"it has: {', '.join(known) or 'none'}",
            )
    if by_reference:
        return
    for name, required in known.items():
        if required and name not in given:
            yield error(
                "parameter-missing", item.id, f"'{item.id}': the parameter '{name}' is required"
            )


# --- constraints --------------------------------------------------------------------------------


def _check_pattern(item: Item) -> Iterator[Problem]:
    pattern = item.get("rsc-pattern")
    if not pattern:
        return
    try:
        re.compile(pattern)
    except re.error as problem:
        text = f"'{item.id}': '{pattern}' is no regular expression: {problem.msg}"
        yield error("invalid-pattern", item.id, text)


def _check_targets(item: Item, everything: Iterable[Located]) -> Iterator[Problem]:
    """A constraint on an instance inside a clone does not say which instance it means."""
    inside = {each.item.id: each.parent for each in everything if each.parent.tag in CONTAINERS}
    for attribute in ("rsc", "with-rsc", "first", "then"):
        container = inside.get(item.get(attribute))
        if container is None:
            continue
        name = item.get(attribute)
        if container.tag == "group" and item.tag != "rsc_location":
            yield warning(
                "member-constrained",
                item.id,
                f"'{item.id}' names '{name}', which is grouped",
                f"constraints should apply to the group '{container.id}'",
            )
        elif container.tag != "group":
            yield error(
                "member-ambiguous",
                item.id,
                f"'{item.id}' names '{name}', of which there are several instances",
                f"name the {container.tag} '{container.id}'",
            )


# --- options ------------------------------------------------------------------------------------


def _check_values(item: Item) -> Iterator[Problem]:
    for pair in item.each("nvpair"):
        option = cluster_option(pair.get("name"))
        said = complaint(option, pair.get("value")) if option is not None else ""
        if said:
            text = f"the property '{pair.get('name')}' cannot be '{pair.get('value')}'"
            yield error("invalid-value", pair.get("name"), text, said)
