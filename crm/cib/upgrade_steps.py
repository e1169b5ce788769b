"""Brings documents of the numbered schemas (pacemaker-1.0 to 3.8) forward to 3.9, step by step.

Each step takes the language over one major version. Words that the newer schema still accepts
(the role names Master and Slave, older option names) stay as they are written.

Source: docs/decisions/0031-dialects.md, "Steps".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lxml import etree

from crm.cib.upgrade_ids import fill_missing_ids
from crm.cib.upgrade_pairs import take
from crm.plumbing import errors
from crm.plumbing.errors import Problem

TARGET = "pacemaker-3.9"
"""The schema every upgraded document is written for."""

_TARGET_NUMBER = (3, 9)
_NAME = re.compile(r"pacemaker-(\d{1,4})(?:\.(\d{1,4}))?\Z")

_RENAMED_CLUSTER_OPTIONS = {
    "crmd-integration-timeout": "join-integration-timeout",
    "crmd-finalization-timeout": "join-finalization-timeout",
    "crmd-transition-delay": "transition-delay",
}


def schema_number(name: str) -> tuple[int, int] | None:
    """Read the number of a schema (`pacemaker-3.9`), or None when it is no such name."""
    if name == "pacemaker-next":
        return (4, 0)
    match = _NAME.match(name)
    return (int(match.group(1)), int(match.group(2) or 0)) if match else None


def bring_forward(root: etree._Element) -> list[Problem]:
    """Bring a document forward in place; a schema as new as ours, or unknown, is left alone."""
    number = schema_number(root.get("validate-with", TARGET))
    if number is None or number >= _TARGET_NUMBER:
        root.set("validate-with", root.get("validate-with", TARGET))
        return []
    problems: list[Problem] = []
    for before, step in _STEPS:
        if number < before:
            problems += step(root)
    fill_missing_ids(root)
    root.set("validate-with", TARGET)
    return problems


def _over_version_1(root: etree._Element) -> list[Problem]:
    """Nodes are members; access lists: users become targets, rights become permissions."""
    for node in root.iterfind("configuration/nodes/node"):
        if node.get("type") == "normal":
            node.set("type", "member")
    modernise_access(root)
    return []


def modernise_access(root: etree._Element) -> None:
    """Make targets of users and permissions of rights, wherever they stand below `root`."""
    for user in list(root.iter("acl_user")):
        user.tag = "acl_target"
        roles = [ref.get("id") for ref in user.findall("role_ref")]
        for ref in user.findall("role_ref"):
            ref.tag = "role"
        rights = [child for child in user if child.tag in {"read", "write", "deny"}]
        if rights and not roles:
            _make_role_of(user, rights)
    for role in list(root.iter("acl_role")):
        for right in [child for child in role if child.tag in {"read", "write", "deny"}]:
            _make_permission(right)


def _make_role_of(user: etree._Element, rights: list[etree._Element]) -> None:
    """Give the rights that stood at a user a role of their own."""
    identity = f"auto-{user.get('id', '')}"
    role = etree.Element("acl_role", id=identity)
    role.extend(rights)
    user.addprevious(role)
    etree.SubElement(user, "role", id=identity)


def _make_permission(right: etree._Element) -> None:
    right.set("kind", str(right.tag))
    right.tag = "acl_permission"
    if (reference := take(right, "ref")) is not None:
        right.set("reference", reference)
    if (tag := take(right, "tag")) is not None:
        right.set("object-type", tag)


def _over_version_2(root: etree._Element) -> list[Problem]:
    """Options that moved to the defaults, and the requirements of operations."""
    for pair in list(root.iterfind("configuration/crm_config/cluster_property_set/nvpair")):
        name = pair.get("name", "").replace("_", "-")
        if name in _RENAMED_CLUSTER_OPTIONS:
            pair.set("name", _RENAMED_CLUSTER_OPTIONS[name])
        elif name in {"default-resource-stickiness", "is-managed-default"}:
            new = "is-managed" if name == "is-managed-default" else "resource-stickiness"
            _move_to_defaults(pair, "rsc_defaults", "rsc-options", new)
        elif name == "default-action-timeout":
            _move_to_defaults(pair, "op_defaults", "op-options", "timeout")
    for operation in list(root.iter("op")):
        requires = take(operation, "requires")
        if requires is not None and operation.get("name") in {"start", "promote"}:
            _require(operation, str(requires))
    return []


def _move_to_defaults(pair: etree._Element, section_tag: str, set_id: str, name: str) -> None:
    pair_set = pair.getparent()
    assert pair_set is not None, "a pair found below a set has a parent"
    configuration = pair_set.getparent().getparent()  # type: ignore[union-attr]  # by its path
    assert configuration is not None, "a set found below crm_config has a grandparent"
    pair_set.remove(pair)
    section = configuration.find(section_tag)
    if section is None:
        section = etree.SubElement(configuration, section_tag)
    target = section.find("meta_attributes")
    if target is None:
        target = etree.SubElement(section, "meta_attributes", id=set_id)
    if all(other.get("name") != name for other in target.findall("nvpair")):
        pair.set("name", name)
        target.append(pair)


def _require(operation: etree._Element, requires: str) -> None:
    """Write an operation's requirement as the resource's, unless that has one."""
    resource = next(operation.iterancestors("primitive", "template"), None)
    if resource is None:
        return
    pairs = resource.findall("meta_attributes/nvpair")
    if any(pair.get("name") == "requires" for pair in pairs):
        return
    target = resource.find("meta_attributes")
    if target is None:
        target = etree.Element("meta_attributes")
        resource.insert(0, target)
    etree.SubElement(target, "nvpair", name="requires", value=requires)


def _over_old_forms(root: etree._Element) -> list[Problem]:
    """Promotable resources that are still written `<master>` become clones."""
    problems: list[Problem] = []
    for master in list(root.iter("master")):
        master.tag = "clone"
        target = master.find("meta_attributes")
        if target is None or target.get("id-ref") is not None:
            target = etree.Element("meta_attributes")
            master.insert(0, target)
        target.insert(0, etree.Element("nvpair", name="promotable", value="true"))
        problems.append(
            errors.warning(
                "element-renamed",
                master.get("id", ""),
                f"'{master.get('id')}' is a clone with promotable=true now",
            )
        )
    return problems


_STEPS: tuple[tuple[tuple[int, int], Callable[[etree._Element], list[Problem]]], ...] = (
    ((2, 0), _over_version_1),
    ((3, 0), _over_version_2),
    (_TARGET_NUMBER, _over_old_forms),
)
"""Each step with the version below which it is needed."""
