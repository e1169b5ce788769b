"""From the Heartbeat-2 dialect to today's: the root, the options of the cluster, the nodes.

Resources and constraints have modules of their own beside this one; here stands their order.
The document is rebuilt in place and belongs to the caller.

Source: docs/decisions/0031-dialects.md.
"""

from __future__ import annotations

from lxml import etree

from crm.cib import upgrade_constraints, upgrade_ids, upgrade_resources
from crm.cib.upgrade_pairs import SET_TAGS, add_pair, children, is_guarded, pairs, unwrap
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_ROOT_KEPT = ("crm_feature_set", "admin_epoch", "epoch", "num_updates")
_ROOT_RENAMED = {"dc_uuid": "dc-uuid", "remote_access_port": "remote-tls-port"}
_TO_RESOURCE_DEFAULTS = {
    "default-resource-stickiness": "resource-stickiness",
    "is-managed-default": "is-managed",
    "default-migration-threshold": "migration-threshold",
}
_TO_OPERATION_DEFAULTS = {"default-action-timeout": "timeout"}
_FAILURE_STICKINESS = "default-resource-failure-stickiness"
_DROPPED = frozenset({"short-resource-names"})
_OLD_OPTIONS = frozenset(
    {
        *_TO_RESOURCE_DEFAULTS,
        *_TO_OPERATION_DEFAULTS,
        *_DROPPED,
        _FAILURE_STICKINESS,
        "transition-idle-timeout",
    }
)


def convert(root: etree._Element, target: str) -> tuple[etree._Element, list[Problem]]:
    """Convert a document in place; returns it with all warnings."""
    problems: list[Problem] = []
    _convert_root(root, target)
    configuration = _sections(root)
    for tag in SET_TAGS:
        for pair_set in list(configuration.iter(tag)):
            unwrap(pair_set)
    problems += _convert_options(configuration)
    _convert_nodes(configuration)
    problems += upgrade_resources.convert(configuration)
    problems += upgrade_constraints.convert(configuration)
    problems += upgrade_ids.mend_ids(configuration)
    _empty_status(root)
    return root, problems


def _convert_root(root: etree._Element, target: str) -> None:
    old = {str(name): str(value) for name, value in root.attrib.items()}
    root.attrib.clear()
    root.set("validate-with", target)
    for name in _ROOT_KEPT:
        if name in old:
            root.set(name, old[name])
        elif name != "crm_feature_set":
            root.set(name, "0")
    quorum = old.get("have_quorum", old.get("have-quorum"))
    if quorum is not None:
        root.set("have-quorum", "1" if _is_true(quorum) else "0")
    for before, after in _ROOT_RENAMED.items():
        if (value := old.get(before, old.get(after))) is not None:
            root.set(after, value)


def _is_true(text: str) -> bool:
    try:
        return options.as_bool(text)
    except ValueError:
        return False


def _sections(root: etree._Element) -> etree._Element:
    """Make sure that the four sections exist, in their order; returns the configuration."""
    configuration = root.find("configuration")
    if configuration is None:
        configuration = etree.Element("configuration")
        root.insert(0, configuration)
    for position, tag in enumerate(("crm_config", "nodes", "resources", "constraints")):
        section = configuration.find(tag)
        if section is None:
            section = etree.Element(tag)
        configuration.insert(position, section)
    return configuration


def _empty_status(root: etree._Element) -> None:
    for status in root.findall("status"):
        root.remove(status)
    etree.SubElement(root, "status")


# --- options of the cluster -----------------------------------------------------------------


def _convert_options(configuration: etree._Element) -> list[Problem]:
    crm_config = configuration.find("crm_config")
    assert crm_config is not None, "the sections were made before"
    sets = crm_config.findall("cluster_property_set")
    for pair_set in sets:
        _spell_names(pair_set)
    moved = _Moved()
    has_delay = any(
        pair.get("name") == "cluster-delay" for pair_set in sets for pair in pairs(pair_set)
    )
    for pair_set in sets:
        _convert_property_set(pair_set, moved, has_delay=has_delay)
    if not any(
        pair.get("name") == "stonith-enabled" for pair_set in sets for pair in pairs(pair_set)
    ):
        _state_old_default(crm_config)
    for pair_set in crm_config.findall("cluster_property_set"):
        if not pairs(pair_set):
            crm_config.remove(pair_set)
    _write_defaults(configuration, "rsc_defaults", "rsc-options", moved.resource)
    _write_defaults(configuration, "op_defaults", "op-options", moved.operation)
    return moved.problems


class _Moved:
    """Options on their way from the property sets to the defaults of resources and operations."""

    def __init__(self) -> None:
        self.resource: dict[str, str] = {}
        self.operation: dict[str, str] = {}
        self.problems: list[Problem] = []

    def take(self, pair_set: etree._Element, name: str, value: str) -> None:
        """Remember an option that moves; the first one in the document wins."""
        if name == _FAILURE_STICKINESS:
            if value.strip().upper() not in {"-INFINITY", "-INF"}:
                if value.strip() != "0":
                    self._warn("option-dropped", name, f"'{name}={value}' has no equivalent")
                return
            name, value = "migration-threshold", "1"
            self.resource.setdefault(name, value)
        elif name in _TO_RESOURCE_DEFAULTS:
            self.resource.setdefault(_TO_RESOURCE_DEFAULTS[name], value)
        else:
            self.operation.setdefault(_TO_OPERATION_DEFAULTS[name], value)
        if is_guarded(pair_set):
            self._warn(
                "guard-lost",
                pair_set.get("id", ""),
                f"'{name}' now holds always: the rule or score of its set does not move with it",
            )

    def _warn(self, code: str, subject: str, message: str) -> None:
        self.problems.append(errors.warning(code, subject, message))


def _spell_names(pair_set: etree._Element) -> None:
    """Spell known options with hyphens; of an option given twice the first stays."""
    seen: set[str] = set()
    for pair in pairs(pair_set):
        name = pair.get("name", "")
        spelled = name.replace("_", "-")
        if spelled in _OLD_OPTIONS or options.cluster_option(spelled) is not None:
            pair.set("name", spelled)
            name = spelled
        if name in seen:
            pair_set.remove(pair)
        seen.add(name)


def _convert_property_set(pair_set: etree._Element, moved: _Moved, *, has_delay: bool) -> None:
    moving = {*_TO_RESOURCE_DEFAULTS, *_TO_OPERATION_DEFAULTS, _FAILURE_STICKINESS}
    upgrade_constraints.convert_rules(pair_set)
    for pair in pairs(pair_set):
        name, value = pair.get("name", ""), pair.get("value", "")
        if name in moving:
            moved.take(pair_set, name, value)
            pair_set.remove(pair)
        elif name in _DROPPED or (name == "transition-idle-timeout" and has_delay):
            pair_set.remove(pair)
        elif name == "transition-idle-timeout":
            pair.set("name", "cluster-delay")
        elif name == "stonith-action" and value.strip().lower() == "poweroff":
            pair.set("value", "off")


def _state_old_default(crm_config: etree._Element) -> None:
    """Say that nodes are not fenced: what was left unsaid then means the opposite today."""
    sets = crm_config.findall("cluster_property_set")
    same = [pair_set for pair_set in sets if pair_set.get("id") == "cib-bootstrap-options"]
    if same:
        target = same[0]
    else:
        target = etree.SubElement(crm_config, "cluster_property_set", id="cib-bootstrap-options")
    add_pair(target, "stonith-enabled", "false")


def _write_defaults(
    configuration: etree._Element, tag: str, identity: str, values: dict[str, str]
) -> None:
    if not values:
        return
    section = configuration.find(tag)
    if section is None:
        section = etree.SubElement(configuration, tag)
    pair_set = etree.SubElement(section, "meta_attributes", id=identity)
    for name, value in values.items():
        add_pair(pair_set, name, value)


# --- nodes ----------------------------------------------------------------------------------


def _convert_nodes(configuration: etree._Element) -> None:
    nodes = configuration.find("nodes")
    assert nodes is not None, "the sections were made before"
    for node in children(nodes):
        if node.get("type") == "ping":
            nodes.remove(node)
        elif node.get("type") == "normal":
            node.set("type", "member")
        for pair_set in node.findall("instance_attributes"):
            upgrade_constraints.convert_rules(pair_set)
