"""Who may say what: one table of message types, and the least role that may send each.

Responsible for the decision and nothing else. What is not in the table nobody may send from
outside: the default is no. Messages with which daemons lead each other (taking office, executing
an operation) are not in it on purpose, so not even root sends them through the gate by accident.

Source: faults-and-security 8.10 to 8.15; docs/protocol/gate.md, "Rights".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import msgspec

from crm.api import attributes, cib, controller, fencing, lrm, membership


class Role(enum.IntEnum):
    """What a caller may do; each role may do all that the ones before it may."""

    STRANGER = 0
    READER = 1
    OPERATOR = 2
    ADMINISTRATOR = 3


ROLE_OF_GROUP = {
    "haclient": Role.ADMINISTRATOR,
    "haoperator": Role.OPERATOR,
    "hareader": Role.READER,
}
"""Membership in these groups gives a role; `haclient` has full rights, as in Pacemaker."""

DAEMON_USER = "hacluster"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a caller is, as the kernel says: never what the caller says of itself.

    `is_trusted` tells that no access list holds for the caller (root and the daemons' users),
    who may ask on behalf of another user and then has that user's rights to the CIB.
    """

    uid: int
    pid: int
    user: str
    role: Role
    groups: tuple[str, ...] = ()
    is_trusted: bool = False


LEAST_ROLE: dict[str, dict[type[msgspec.Struct], Role]] = {
    membership.SERVICE: {
        membership.AskCluster: Role.READER,
    },
    cib.SERVICE: {
        cib.Query: Role.READER,
        cib.AskRevisions: Role.READER,
        cib.DescribeCib: Role.READER,
        cib.Change: Role.ADMINISTRATOR,
    },
    controller.SERVICE: {
        controller.AskController: Role.READER,
        controller.WaitUntilIdle: Role.READER,
        controller.CleanUp: Role.OPERATOR,
        controller.FenceNode: Role.ADMINISTRATOR,
    },
    attributes.SERVICE: {
        attributes.AskAttributes: Role.READER,
        attributes.UpdateAttribute: Role.OPERATOR,
        attributes.ClearNode: Role.ADMINISTRATOR,
        attributes.RefreshAttributes: Role.ADMINISTRATOR,
    },
    lrm.SERVICE: {
        lrm.DescribeExecutor: Role.READER,
    },
    fencing.SERVICE: {
        fencing.AskDevices: Role.READER,
        fencing.Fence: Role.ADMINISTRATOR,
        fencing.ConfirmDown: Role.ADMINISTRATOR,
    },
}
"""The table. A dry run of a change writes nothing, but shows secrets; it needs the same role."""


def may_send(role: Role, service: str, kind: type[msgspec.Struct]) -> bool:
    """Tell whether a caller of `role` may send messages of this kind to `service`."""
    least = LEAST_ROLE.get(service, {}).get(kind)
    return least is not None and role is not Role.STRANGER and role >= least


def is_trusted(*, uid: int, own_uid: int, daemon_uid: int | None) -> bool:
    """Tell whether a uid is root, the daemons' user or the user the gate itself runs as."""
    return uid in (0, own_uid) or uid == daemon_uid


def role_of(*, uid: int, groups: frozenset[str], own_uid: int, daemon_uid: int | None) -> Role:
    """Derive a caller's role from its uid and the names of its groups.

    Root, the daemons' user and the user the gate itself runs as (the lab, tests) administrate.
    """
    if is_trusted(uid=uid, own_uid=own_uid, daemon_uid=daemon_uid):
        return Role.ADMINISTRATOR
    return max(
        (role for group, role in ROLE_OF_GROUP.items() if group in groups),
        default=Role.STRANGER,
    )
