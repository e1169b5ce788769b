"""From the Heartbeat-2 dialect to today's: the root, the options of the cluster, the nodes.

Resources and constraints have modules of their own beside this one; here stands their order.
The document is rebuilt in place and belongs to the caller.

Source: docs/decisions/0031-dialects.md.
"""

from __future__ import annotations

from lxml import etree

from crm.cib import upgrade_constraints, upgrade_ids, upgrade_options, upgrade_resources
from crm.cib.upgrade_pairs import SET_TAGS, add_pair, children, pairs, take, unwrap
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_BOOTSTRAP = "cib-bootstrap-options"
_ROOT_KEPT = ("crm_feature_set", "admin_epoch", "epoch", "num_updates")
_ROOT_OF_TODAY = (
    "remote-clear-port",
    "no-quorum-panic",
    "update-origin",
    "update-client",
    "update-user",
    "execution-date",
)
"""What the releases between Heartbeat 2 and Pacemaker 1.0 may have written already."""

_ROOT_MEANINGLESS = frozenset(
    {
        "cib_feature_revision",
        "cib-last-written",
        "cib_last_written",
        "ccm_transition",
        "debug_source",
        "generated",
        "ignore_dtd",
        "num_peers",
        "timestamp",
        "validate-with",
    }
)
"""What a cluster of Heartbeat 2 wrote about itself."""

_ROOT_RENAMED = {"dc_uuid": "dc-uuid", "remote_access_port": "remote-tls-port"}


def convert(root: etree._Element, target: str) -> tuple[etree._Element, list[Problem]]:
    """Convert a document in place; returns it with all warnings."""
    problems = _convert_root(root, target)
    configuration = _sections(root)
    _gather_options(configuration)
    for tag in SET_TAGS:
        for pair_set in list(configuration.iter(tag)):
            unwrap(pair_set)
    problems += _convert_options(configuration)
    problems += _convert_nodes(configuration)
    problems += upgrade_resources.convert(configuration)
    problems += upgrade_constraints.convert(configuration)
    problems += upgrade_ids.mend_ids(configuration)
    _empty_status(root)
    return root, problems


def _convert_root(root: etree._Element, target: str) -> list[Problem]:
    old = {str(name): str(value) for name, value in root.attrib.items()}
    root.attrib.clear()
    root.set("validate-with", target)
    for name in _ROOT_KEPT:
        if name in old:
            root.set(name, old[name])
        elif name != "crm_feature_set":
            root.set(name, "0")
    for name in _ROOT_OF_TODAY:
        if name in old:
            root.set(name, old[name])
    quorum = old.get("have_quorum", old.get("have-quorum"))
    if quorum is not None:
        root.set("have-quorum", "1" if options.is_true(quorum) else "0")
    for before, after in _ROOT_RENAMED.items():
        if (value := old.get(before, old.get(after))) is not None:
            root.set(after, value)
    known = {*_ROOT_KEPT, *_ROOT_MEANINGLESS, *root.attrib, *_ROOT_RENAMED, "have_quorum"}
    return [
        errors.warning(
            "attribute-dropped",
            "cib",
            f"'{name}={value}' of the root is left out: it means nothing today",
            "options of the cluster stand in crm_config",
        )
        for name, value in old.items()
        if name not in known
    ]


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


def _gather_options(configuration: etree._Element) -> None:
    """Put options that stand in crm_config without a set (early releases) into one."""
    crm_config = configuration.find("crm_config")
    assert crm_config is not None, "the sections were made before"
    unwrap(crm_config)
    loose = pairs(crm_config)
    if not loose:
        return
    target = _bootstrap_options(crm_config)
    crm_config.insert(0, target)
    target[:0] = loose


def _bootstrap_options(crm_config: etree._Element) -> etree._Element:
    """Find or make the property set the cluster itself began with, if that holds always."""
    for pair_set in crm_config.findall("cluster_property_set"):
        if pair_set.get("id") == _BOOTSTRAP and pair_set.find("rule") is None:
            return pair_set
    return etree.SubElement(crm_config, "cluster_property_set", id=_BOOTSTRAP)


def _empty_status(root: etree._Element) -> None:
    for status in root.findall("status"):
        root.remove(status)
    etree.SubElement(root, "status")


# --- options of the cluster -----------------------------------------------------------------


def _convert_options(configuration: etree._Element) -> list[Problem]:
    crm_config = configuration.find("crm_config")
    assert crm_config is not None, "the sections were made before"
    problems: list[Problem] = []
    for pair_set in crm_config.findall("cluster_property_set"):
        problems += upgrade_constraints.convert_rules(pair_set)
    moved = upgrade_options.convert_property_sets(crm_config)
    sets = crm_config.findall("cluster_property_set")
    if not any(
        pair.get("name") == "stonith-enabled" for pair_set in sets for pair in pairs(pair_set)
    ):
        _state_old_default(crm_config)
    for pair_set in crm_config.findall("cluster_property_set"):
        if not pairs(pair_set):
            crm_config.remove(pair_set)
    for pair in (*moved.resource.values(), *moved.operation.values()):
        take(pair, "id")
    return [*problems, *moved.problems, *upgrade_options.write_defaults(configuration, moved)]


def _state_old_default(crm_config: etree._Element) -> None:
    """Say that nodes are not fenced: what was left unsaid then means the opposite today."""
    add_pair(_bootstrap_options(crm_config), "stonith-enabled", "false")


# --- nodes ----------------------------------------------------------------------------------


def _convert_nodes(configuration: etree._Element) -> list[Problem]:
    problems: list[Problem] = []
    nodes = configuration.find("nodes")
    assert nodes is not None, "the sections were made before"
    for node in children(nodes):
        if node.get("type") == "ping":
            nodes.remove(node)
            problems.append(
                errors.warning(
                    "node-dropped",
                    node.get("uname", node.get("id", "")),
                    f"the ping node '{node.get('uname', node.get('id'))}' is left out: "
                    "ping nodes are no nodes of the cluster",
                    "a clone of ocf:pacemaker:ping watches connectivity",
                )
            )
        elif node.get("type") == "normal":
            node.set("type", "member")
        for pair_set in node.findall("instance_attributes"):
            problems += upgrade_constraints.convert_rules(pair_set)
    return problems
