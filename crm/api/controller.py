"""The conversation with `crmd`, for tools (through mgmtd)."""

from __future__ import annotations

from crm.plumbing.codec import Codec, Message

SERVICE = "crmd"


class AskController(Message, frozen=True):
    """Ask for DC, state and progress; answered by `ControllerDescription`."""

    request: int


class CleanUp(Message, frozen=True, omit_defaults=True):
    """Forget the history of a resource ("" = all) on a node ("" = all) and probe again.

    With `failures_only` only failed operations and fail counts are forgotten. `user`, for the
    log, is filled in by the gate.
    """

    request: int
    resource: str = ""
    node: str = ""
    failures_only: bool = False
    user: str = ""


class WaitUntilIdle(Message, frozen=True):
    """Answer (`ControllerReply`) once the cluster has a DC and nothing left to do."""

    request: int


class FenceNode(Message, frozen=True, omit_defaults=True):
    """Have a node fenced by the next transition; `user`, for the log, is the gate's word."""

    request: int
    node: str
    user: str = ""


class ControllerDescription(Message, frozen=True, omit_defaults=True):
    """What the local crmd knows: its state (S_IDLE …), the DC, the running transition."""

    request: int
    node: str
    state: str
    dc: str = ""
    transition: int = -1
    pending_actions: tuple[str, ...] = ()
    feature_set: str = ""


class ControllerReply(Message, frozen=True, omit_defaults=True):
    """A request was carried out, or why it was not. `code` is a classic exit code."""

    request: int
    code: int = 0
    message: str = ""


TO_CRMD = Codec(AskController, CleanUp, WaitUntilIdle, FenceNode)
FROM_CRMD = Codec(ControllerDescription, ControllerReply)
