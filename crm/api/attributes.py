"""The conversation with `attrd`: transient node attributes, with dampening."""

from __future__ import annotations

from crm.plumbing.codec import Codec, Message

SERVICE = "attrd"


class UpdateAttribute(Message, frozen=True, omit_defaults=True):
    """Set (or with value None delete) an attribute of a node ("" = the local one).

    A changed value starts a timer of `dampen_ms` (None: keep the known dampening, 0 at first);
    when it fires the values of all nodes are written together. `request` 0 asks for no answer.
    """

    name: str
    value: str | None = None
    node: str = ""
    dampen_ms: int | None = None
    set_id: str = ""
    request: int = 0


class AskAttributes(Message, frozen=True, omit_defaults=True):
    """Ask for an attribute ("" = all) of a node ("" = all); answered by `AttributeValues`."""

    request: int
    name: str = ""
    node: str = ""


class ClearNode(Message, frozen=True):
    """Forget every attribute of a node (it left, or was fenced)."""

    node: str


class RefreshAttributes(Message, frozen=True):
    """Write everything again: a new DC, or a CIB that was replaced."""


class AttributeValue(Message, frozen=True):
    """One attribute of one node."""

    node: str
    name: str
    value: str


class AttributeValues(Message, frozen=True, omit_defaults=True):
    """The answer to `AskAttributes`, and the empty acknowledgement of an update."""

    request: int
    values: tuple[AttributeValue, ...] = ()


TO_ATTRD = Codec(UpdateAttribute, AskAttributes, ClearNode, RefreshAttributes)
FROM_ATTRD = Codec(AttributeValues)
