"""What crmds say to each other, as payloads of cluster messages.

Four short conversations: who decides (`Announce`, `Vote`, `NoVote`), who belongs (`JoinOffer`,
`JoinRequest`, `JoinAck`, `JoinConfirm`), what to run and how it ended (`ExecuteOrders`,
`OperationReport` and their like), and a tool's request on its way to the DC (`ToolRequest`).
Every order carries the reign of the DC that gives it; a member obeys only the reign it joined.

Source: docs/protocol/election.md, docs/protocol/join.md, docs/protocol/transition.md.
"""

from __future__ import annotations

from crm.api.controller import CleanUp, FenceNode, WaitUntilIdle
from crm.api.lrm import ExecutorDescription, OperationFinished, ResourceAgent
from crm.model.version import Reign, Version
from crm.plumbing.codec import Codec, Message

CLIENT = "crmd"
"""The client name under which crmds talk to each other through heartbeat."""


# --- who decides ----------------------------------------------------------------------------


class Announce(Message, frozen=True, omit_defaults=True):
    """A crmd is here and knows no DC (classic: join_announce)."""

    reign: int = 0


class Vote(Message, frozen=True, omit_defaults=True):
    """The sender stands for DC. `reign` is the greatest reign number it has heard of."""

    election: int
    feature_set: str
    reign: int = 0


class NoVote(Message, frozen=True, omit_defaults=True):
    """The sender gives way to `owner` in its election of that number."""

    owner: str
    election: int
    reign: int = 0


class Goodbye(Message, frozen=True):
    """The sender's crmd ends in order: its resources are stopped, nobody waits for its return."""


# --- who belongs ----------------------------------------------------------------------------


class JoinOffer(Message, frozen=True, omit_defaults=True):
    """The DC invites a member to join its round `join`."""

    join: int
    reign: Reign
    feature_set: str = ""


class JoinRequest(Message, frozen=True, omit_defaults=True):
    """A member accepts an offer and says what its CIB is.

    `known_reign` above the offered one makes the DC offer again under a greater reign.
    """

    join: int
    version: Version
    digest: str
    known_reign: Reign
    feature_set: str = ""


class JoinAck(Message, frozen=True, omit_defaults=True):
    """The DC has everybody's request: the member's CIB follows from now on."""

    join: int
    reign: Reign


class JoinConfirm(Message, frozen=True, omit_defaults=True):
    """A member has joined; this is all its executor remembers."""

    join: int
    description: ExecutorDescription


class QuorumSeen(Message, frozen=True):
    """The DC sees to it that the members of a view without quorum let go in order."""

    view: int


# --- what to run ----------------------------------------------------------------------------


class Order(Message, frozen=True, omit_defaults=True):
    """One operation to run at a member. `cancel` stops repeating it instead.

    `key` is the transition key, `expected_rc` None when success is expected.
    Units: milliseconds.
    """

    action: int
    key: str
    resource: str
    agent: ResourceAgent
    operation: str
    interval_ms: int = 0
    timeout_ms: int = 20_000
    start_delay_ms: int = 0
    parameters: dict[str, str] = {}
    meta: dict[str, str] = {}
    expected_rc: int | None = None
    cancel: bool = False


class ExecuteOrders(Message, frozen=True, omit_defaults=True):
    """The DC has operations run at the receiver."""

    reign: Reign
    orders: tuple[Order, ...]


class ForgetResource(Message, frozen=True, omit_defaults=True):
    """The DC has the executor of the receiver forget a resource ("" = all)."""

    reign: Reign
    resource: str = ""


class OperationReport(Message, frozen=True, omit_defaults=True):
    """Results of the sender's executor, asked for or not."""

    results: tuple[OperationFinished, ...]


class ExecutorLost(Message, frozen=True):
    """The sender's executor is gone; what it was running is unknown."""


class ExecutorRestarted(Message, frozen=True):
    """The sender's executor is back and remembers this."""

    description: ExecutorDescription


class ShutdownRequest(Message, frozen=True):
    """The sender asks the DC to move its resources off and then let it stop."""


class ShutdownOrder(Message, frozen=True):
    """The DC lets the receiver stop: nothing of the cluster runs there any more."""

    reign: Reign


# --- a tool's request on its way to the DC ----------------------------------------------------


class ToolRequest(Message, frozen=True):
    """A tool asked the sender for something only the DC can do; `token` is the sender's."""

    token: int
    request: CleanUp | WaitUntilIdle | FenceNode


class ToolAnswer(Message, frozen=True, omit_defaults=True):
    """The DC's answer to the `ToolRequest` of that token. `code` is a classic exit code."""

    token: int
    code: int = 0
    message: str = ""


PEERS = Codec(
    Announce,
    Vote,
    NoVote,
    Goodbye,
    JoinOffer,
    JoinRequest,
    JoinAck,
    JoinConfirm,
    QuorumSeen,
    ExecuteOrders,
    ForgetResource,
    OperationReport,
    ExecutorLost,
    ExecutorRestarted,
    ShutdownRequest,
    ShutdownOrder,
    ToolRequest,
    ToolAnswer,
)
