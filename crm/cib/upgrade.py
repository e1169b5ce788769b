"""Brings a CIB of any accepted dialect to today's (`pacemaker-3.9`), on a copy.

Two ways in: the dialect of Heartbeat 2, which is converted in one go (`crm.cib.upgrade_heartbeat2`
and its neighbours), and the numbered schemas since 1.0, which are brought forward in steps. What
loses its meaning on the way is reported as a warning; nothing is invented.

Not done here: judging whether the result is valid (`crm.cib.schema`, `crm.cib.semantics`).

Source: docs/decisions/0031-dialects.md.
"""

from __future__ import annotations

import copy
import enum

import msgspec
from lxml import etree

from crm.cib import upgrade_heartbeat2, upgrade_steps
from crm.cib.upgrade_steps import TARGET
from crm.plumbing.errors import Problem


class Dialect(enum.Enum):
    """Which family of configuration languages a document is written in."""

    HEARTBEAT_2 = "heartbeat-2"
    PACEMAKER = "pacemaker"
    UNCHECKED = "none"


class Upgrade(msgspec.Struct, frozen=True):
    """The document in today's dialect, and what was lost or needs a look."""

    root: etree._Element
    problems: list[Problem] = msgspec.field(default_factory=list)


_HEARTBEAT_2_SCHEMAS = frozenset({"pacemaker-0.6", "pacemaker-0.7", "transitional-0.6"})


_OLD_ROOT_ATTRIBUTES = (
    "have_quorum",
    "dc_uuid",
    "num_peers",
    "ccm_transition",
    "cib_feature_revision",
    "generated",
    "ignore_dtd",
    "remote_access_port",
)
_OLD_ATTRIBUTES = {
    "rsc_order": ("from", "to"),
    "rsc_colocation": ("from", "to"),
    "op": ("prereq", "disabled", "on_fail", "start_delay"),
    "rule": ("boolean_op", "score_attribute"),
    "primitive": ("is_managed", "resource_stickiness", "restart_type", "multiple_active"),
    "group": ("is_managed", "resource_stickiness", "ordered", "collocated"),
    "clone": ("is_managed", "notify", "ordered", "interleave", "globally_unique"),
}
"""Attributes only Heartbeat 2 wrote."""


def dialect_of(root: etree._Element) -> Dialect:
    """Tell which dialect a `<cib>` is written in.

    `validate-with` decides. Where it is missing, a document that uses today's forms counts as
    today's; everything else is taken for Heartbeat 2, which knew no such attribute.
    """
    schema = root.get("validate-with")
    if schema in _HEARTBEAT_2_SCHEMAS:
        return Dialect.HEARTBEAT_2
    if schema == "none":
        return Dialect.UNCHECKED
    if schema is not None:
        return Dialect.PACEMAKER
    if root.find("configuration") is None:
        return Dialect.PACEMAKER  # no configuration at all: nothing to convert, much to refuse
    if has_old_forms(root) or not _has_new_forms(root):
        return Dialect.HEARTBEAT_2
    return Dialect.PACEMAKER


def has_old_forms(root: etree._Element) -> bool:
    """Tell whether a CIB, or a part of one, uses words only Heartbeat 2 had."""
    if any(name in root.attrib for name in _OLD_ROOT_ATTRIBUTES):
        return True
    if next(root.iter("attributes", "master_slave"), None) is not None:
        return True
    if root.find("configuration/crm_config/nvpair") is not None:
        return True
    return any(
        element.get(name) is not None
        for tag, names in _OLD_ATTRIBUTES.items()
        for element in root.iter(tag)
        for name in names
    )


def _has_new_forms(root: etree._Element) -> bool:
    if root.get("have-quorum") is not None or root.get("dc-uuid") is not None:
        return True
    new = next(root.iter("rsc_defaults", "op_defaults", "acls", "tags", "alerts", "bundle"), None)
    if new is not None or next(root.iter("nvpair", "resource_set"), None) is not None:
        return True
    relations = root.iter("rsc_order", "rsc_colocation")
    return any(each.get("first") or each.get("with-rsc") for each in relations)


def upgrade(root: etree._Element) -> Upgrade:
    """Bring a document to today's dialect; the one passed in is left as it is.

    A document that is already newer than the target, or that asks not to be checked
    (`validate-with="none"`), comes back as a copy without changes.
    """
    result = copy.deepcopy(root)
    match dialect_of(result):
        case Dialect.UNCHECKED:
            return Upgrade(result)
        case Dialect.PACEMAKER:
            return Upgrade(result, upgrade_steps.bring_forward(result))
        case Dialect.HEARTBEAT_2:
            converted, problems = upgrade_heartbeat2.convert(result, TARGET)
            return Upgrade(converted, problems)
