"""Who may say what: one table of message types, with the role and the rights that each takes.

Responsible for the decision and nothing else. What is not in the table nobody may send from
outside: the default is no. Messages with which daemons lead each other (taking office, executing
an operation) are not in it on purpose, so not even root sends them through the gate by accident.

The least role holds always. Where access lists are in force (the cib knows, and judges), a caller
whom they restrict also needs rights to the parts of the CIB that a request would write or an
answer would show: `needs` names those of a request, `shows` those of an answer, and `without`
takes out of an answer what its caller may not see.

Source: faults-and-security 8.10 to 8.15; docs/protocol/gate.md, "Rights"; decision 0073.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

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


Needs = tuple[cib.Need, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What sending one kind of message takes, and how much of the answer is shown."""

    least: Role
    needs: Callable[[Any], Needs] | None = None  # Any: of the message this is the row of
    shows: Callable[[Any], Needs] | None = None  # Any: of its answer
    without: Callable[[Any, frozenset[int]], msgspec.Struct] | None = None  # Any: its answer


def _administration(_request: object) -> Needs:
    """Name the need of what ends everything on a node: the right to write the CIB itself."""
    return (cib.Need(cib.WholeCib(), write=True),)


def _sight_of_everything(_any: object) -> Needs:
    return (cib.Need(cib.WholeCib(), throughout=True),)


def _cleaned(request: controller.CleanUp) -> Needs:
    part = cib.HistoryPart(request.node, request.resource)
    return (cib.Need(part, write=True, throughout=True),)


def _updated(request: attributes.UpdateAttribute) -> Needs:
    part = cib.AttributePart(request.node, request.name, request.set_id)
    return (cib.Need(part, write=True),)


def _cleared(request: attributes.ClearNode) -> Needs:
    return (cib.Need(cib.AttributePart(request.node), write=True, throughout=True),)


def _rewritten(_request: attributes.RefreshAttributes) -> Needs:
    return (cib.Need(cib.AttributePart(), write=True, throughout=True),)


def _values(answer: attributes.AttributeValues) -> Needs:
    return tuple(cib.Need(cib.AttributePart(value.node, value.name)) for value in answer.values)


def _without_values(
    answer: attributes.AttributeValues, hidden: frozenset[int]
) -> attributes.AttributeValues:
    return msgspec.structs.replace(answer, values=_kept(answer.values, hidden))


def _devices(answer: fencing.Devices) -> Needs:
    return tuple(cib.Need(cib.ObjectPart(name)) for name in answer.names)


def _without_devices(answer: fencing.Devices, hidden: frozenset[int]) -> fencing.Devices:
    return msgspec.structs.replace(answer, names=_kept(answer.names, hidden))


def _without_actions(
    answer: controller.ControllerDescription, hidden: frozenset[int]
) -> controller.ControllerDescription:
    """Leave out the names of actions: they hold those of resources and nodes."""
    return msgspec.structs.replace(answer, pending_actions=()) if hidden else answer


def _without_digest(answer: cib.CibDescription, hidden: frozenset[int]) -> cib.CibDescription:
    """Leave out the digest, by which somebody could try whether a guess of a secret is right."""
    return msgspec.structs.replace(answer, digest="") if hidden else answer


_T = TypeVar("_T")


def _kept(items: tuple[_T, ...], hidden: frozenset[int]) -> tuple[_T, ...]:
    return tuple(item for place, item in enumerate(items) if place not in hidden)


TABLE: dict[str, dict[type[msgspec.Struct], Row]] = {
    membership.SERVICE: {
        membership.AskCluster: Row(Role.READER),
        membership.RotateKey: Row(Role.ADMINISTRATOR, needs=_administration),
        membership.ChangeNodes: Row(Role.ADMINISTRATOR, needs=_administration),
    },
    cib.SERVICE: {
        # Queries, changes and the history are judged by the cib itself, as it carries them out.
        cib.Query: Row(Role.READER),
        cib.AskRevisions: Row(Role.READER),
        cib.DescribeCib: Row(Role.READER, shows=_sight_of_everything, without=_without_digest),
        cib.Change: Row(Role.ADMINISTRATOR),
    },
    controller.SERVICE: {
        controller.AskController: Row(
            Role.READER, shows=_sight_of_everything, without=_without_actions
        ),
        controller.WaitUntilIdle: Row(Role.READER),
        controller.CleanUp: Row(Role.OPERATOR, needs=_cleaned),
        controller.FenceNode: Row(Role.ADMINISTRATOR, needs=_administration),
    },
    attributes.SERVICE: {
        attributes.AskAttributes: Row(Role.READER, shows=_values, without=_without_values),
        attributes.UpdateAttribute: Row(Role.OPERATOR, needs=_updated),
        attributes.ClearNode: Row(Role.ADMINISTRATOR, needs=_cleared),
        attributes.RefreshAttributes: Row(Role.ADMINISTRATOR, needs=_rewritten),
    },
    lrm.SERVICE: {
        # What lrmd remembers holds the parameters of resources, passwords among them.
        lrm.DescribeExecutor: Row(Role.READER, needs=_sight_of_everything),
    },
    fencing.SERVICE: {
        fencing.AskDevices: Row(Role.READER, shows=_devices, without=_without_devices),
        fencing.Fence: Row(Role.ADMINISTRATOR, needs=_administration),
        fencing.ConfirmDown: Row(Role.ADMINISTRATOR, needs=_administration),
    },
}
"""The table. A dry run of a change writes nothing, but shows secrets; it needs the same role."""


def row_of(service: str, kind: type[msgspec.Struct]) -> Row | None:
    """Find what sending messages of this kind to `service` takes; None: nobody may."""
    return TABLE.get(service, {}).get(kind)


def may_send(role: Role, service: str, kind: type[msgspec.Struct]) -> bool:
    """Tell whether a caller of `role` may send messages of this kind to `service`."""
    row = row_of(service, kind)
    return row is not None and role is not Role.STRANGER and role >= row.least


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
