"""Who asks: written over whatever a caller says of itself, and kept out of what others see.

Responsible for whose rights a request has and for the user's name in messages, which the daemons
behind the gate take for true. Not responsible for what the user may do (`authorisation`).

Source: faults-and-security 8.14, "the end user's identity end to end"; docs/protocol/gate.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from crm.api import attributes, cib, controller, fencing, gate
from crm.gate.authorisation import Identity

_UNFIT = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose rights a request has; no access list restricts who `is_trusted`."""

    user: str
    groups: tuple[str, ...]
    is_trusted: bool


def subject_of(
    identity: Identity,
    user: str,
    groups: tuple[str, ...],
    *,
    otherwise: Subject | None = None,
) -> Subject:
    """Tell whose rights a request has: those of the user named, if the caller may name one."""
    if identity.is_trusted and user:
        return Subject(user, groups, user in gate.TRUSTED_USERS)
    return otherwise or Subject(identity.user, identity.groups, identity.is_trusted)


def sign(
    message: msgspec.Struct, identity: Identity, subject: Subject, *, name: str, node: str
) -> msgspec.Struct:
    """Write over whatever the caller said about who it is.

    Only who is trusted may name another user, to have no more than that user's rights. `name` is
    the caller's program, `node` where it runs.
    """
    match message:
        case cib.Change(origin=given):
            asking = subject_of(identity, given.user, given.groups, otherwise=subject)
            origin = cib.Origin(name, node, asking.user, given.reason, asking.groups)
            return msgspec.structs.replace(message, origin=origin)
        case cib.Query(user=user, groups=groups):
            asking = subject_of(identity, user, groups, otherwise=subject)
            return msgspec.structs.replace(message, user=asking.user, groups=asking.groups)
        case cib.AskRevisions():
            return msgspec.structs.replace(message, user=subject.user, groups=subject.groups)
        case (
            controller.CleanUp() | controller.FenceNode() | fencing.Fence() | fencing.ConfirmDown()
        ):
            return msgspec.structs.replace(message, user=subject.user)
        case _:
            return message


def first_unfit(part: object) -> str:
    """Name the first character of a message's texts that XML has no place for; "" if there is none.

    What passes the gate ends up in a CIB or a log sooner or later, and there it would end the
    daemon that writes it.
    """
    match part:
        case str():
            unfit = _UNFIT.search(part)
            return "" if unfit is None else f"U+{ord(unfit[0]):04X}"
        case msgspec.Struct():
            inner: Iterable[object] = (getattr(part, name) for name in part.__struct_fields__)
        case tuple():
            inner = part
        case dict():
            inner = (*part, *part.values())
        case _:
            return ""
    return next((found for each in inner if (found := first_unfit(each))), "")


def placed(message: msgspec.Struct, node: str) -> msgspec.Struct:
    """Name the node of a message that means this one by "": for the cib that would be each."""
    match message:
        case attributes.UpdateAttribute(node="") | attributes.ClearNode(node=""):
            return msgspec.structs.replace(message, node=node)
        case _:
            return message


def veiled(message: msgspec.Struct) -> msgspec.Struct:
    """Leave out of an event what its watcher might have no right to see; it may ask for it."""
    if not isinstance(message, cib.CibChanged):
        return message
    origin = cib.Origin(message.origin.client, message.origin.node)
    return msgspec.structs.replace(message, touched=(), origin=origin, patch=b"")
