"""The conversation with the cluster layer: nodes, views, and ordered messages between nodes.

This is the whole contract of that layer, under the service name `heartbeat`: whatever stack keeps
its promises can take the place of `messaging`. They are numbered in docs/protocol/cluster-layer.md,
and tests/contract holds any stack to them. A client signs on under a name; from then on it is
told, in this order, who it is (`SignedOn`), the state of every node (`NodeChanged`), which clients
run where (`ClientChanged`), the current view (`ViewInstalled`), and afterwards every change.

What is promised for cluster messages: first in, first out per sending node; each arrives at most
once at each client; a message to all does not come back to the node of the sender; a message to a
client that is not signed on is dropped. A client is told `ClientChanged(..., LEAVE)` only after the
last message of that life of the peer.

A client that sends faster than a peer can take it loses its connection: the message that was too
much is lost, those before it arrive, and the client may sign on again.

Source: Heartbeat's client API and CCM events, docs/protocol/cluster-layer.md, decision 0005.
"""

from __future__ import annotations

import enum

from crm.plumbing.codec import Codec, Message

SERVICE = "heartbeat"


class NodeKind(enum.Enum):
    """A node that can hold resources and vote, or a host that is only pinged."""

    NORMAL = "normal"
    PING = "ping"


class NodeStatus(enum.Enum):
    """The classic status words of a node."""

    INIT = "init"
    UP = "up"
    ACTIVE = "active"
    DEAD = "dead"
    PING = "ping"


class LinkStatus(enum.Enum):
    """Whether a node is heard over one medium."""

    UP = "up"
    DEAD = "dead"


class ClientStatus(enum.Enum):
    """Whether a client of that name is signed on at a node.

    JOIN and LEAVE are the moment of the change; ONLINE is said to who signs on.
    OFFLINE, Heartbeat's word for who is not, is not said by `messaging`: nobody asks.
    """

    JOIN = "join"
    LEAVE = "leave"
    ONLINE = "online"
    OFFLINE = "offline"


class ViewEvent(enum.Enum):
    """The classic events of CCM, by the words of the log lines.

    NEW_MEMBERSHIP (with quorum) and INVALID (without) bring a view, and every stack says them. A
    stack may say NOT_PRIMARY while a view is sought, PRIMARY_RESTORED when it was the old one after
    all, and EVICTED when the others go on without this node; or bring the next view at once.
    """

    NEW_MEMBERSHIP = "NEW MEMBERSHIP"
    INVALID = "INVALID"
    NOT_PRIMARY = "NOT PRIMARY"
    PRIMARY_RESTORED = "PRIMARY RESTORED"
    EVICTED = "EVICTED"


class Member(Message, frozen=True, omit_defaults=True):
    """One member of a view.

    `uuid` names the node in the CIB, and any text will do that stays with it. `index` is the number
    that the stack has for it, for the log. `born` is the id of the view in which this life of the
    node joined; `incarnation` tells its lives apart. `votes` is what it counts for in this view.
    """

    name: str
    uuid: str
    index: int
    born: int
    incarnation: str = ""
    votes: int = 1


class View(Message, frozen=True, omit_defaults=True):
    """One agreed membership: the same on each of its members.

    `id` grows with every view and with every change of `quorate`; of two nodes that were told the
    same id in a quorate view, both were told the same members. `leader` may be "". Members with
    `votes_needed` have quorum by themselves, whoever else is asked; 0: nobody can say.

    A member that restarted faster than it was missed is in both `new` and `lost`: its resources
    and everything else it held are in an unknown state. `new` and `lost` are relative to the view
    this node had before.
    """

    id: int
    members: tuple[Member, ...]
    quorate: bool
    new: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    total_nodes: int = 0
    leader: str = ""
    votes_needed: int = 0


class Capability(enum.Enum):
    """What a cluster layer may lack.

    Its questions are answered all the same, with an empty list or with a `problem`.
    """

    LINKS = "links"
    PACKET_COUNTERS = "packet-counters"
    PARAMETERS = "parameters"
    KEY_ROTATION = "key-rotation"
    NODE_CHANGES = "node-changes"


# --- from clients to heartbeat --------------------------------------------------------------


class SignOn(Message, frozen=True):
    """Register under a client name; answered by `SignedOn` and the current state.

    Who may not register under that name (apiauth in ha.cf) is answered by `SignOnRefused`.
    """

    client: str
    pid: int


class SignOff(Message, frozen=True):
    """Leave in order: peers are told LEAVE."""


class SendCluster(Message, frozen=True, omit_defaults=True):
    """Send `payload` to the client `to_client` of one node ("": of every other node)."""

    to_client: str
    payload: bytes
    to_node: str = ""


class LeaveCluster(Message, frozen=True):
    """This node has to leave the cluster in order, as if an administrator had stopped it."""

    reason: str


class AskCluster(Message, frozen=True):
    """Ask for the state of the cluster layer; answered by `ClusterDescription`."""

    request: int


class RotateKey(Message, frozen=True):
    """Give the cluster a new key while it runs; answered by `KeyRotated`."""

    request: int


class ChangeNodes(Message, frozen=True, omit_defaults=True):
    """Add a node to the running cluster, or delete one; answered by `NodesReply`.

    Or give the node `weigh` so many `votes`, or say that the node `place` is at a `site`. One at a
    time: the next change has to wait for the view that counts this one.
    """

    request: int
    add: str = ""
    delete: str = ""
    weigh: str = ""
    votes: int = 0
    place: str = ""
    site: str = ""


# --- from heartbeat to clients --------------------------------------------------------------


class SignedOn(Message, frozen=True, omit_defaults=True):
    """Who and where we are. `mode` is "crm" or "haresources".

    `margin_ms` is how long a node that is told it has no quorum has to stop what runs on it, before
    others may be told that they have quorum without it. 0: the stack cannot promise any, and only
    fencing makes certain that two sides do not run the same.
    """

    node: str
    uuid: str
    cluster: str
    nodes: tuple[str, ...]
    incarnation: str
    mode: str = "crm"
    margin_ms: int = 0


class SignOnRefused(Message, frozen=True):
    """This caller may not register under this name; nothing else it says is listened to."""

    client: str
    reason: str


class NodeChanged(Message, frozen=True, omit_defaults=True):
    """A node is, or now has become, what is said here."""

    node: str
    kind: NodeKind
    status: NodeStatus
    uuid: str = ""


class LinkChanged(Message, frozen=True):
    """A node is heard, or no longer heard, over one medium."""

    node: str
    link: str
    status: LinkStatus


class ClientChanged(Message, frozen=True):
    """A client signed on or off (or died) at a node, the local node included."""

    node: str
    client: str
    status: ClientStatus


class ClusterMessage(Message, frozen=True):
    """A message of a client at another node (or at our own, if it names our own)."""

    from_node: str
    from_client: str
    payload: bytes


class ViewInstalled(Message, frozen=True):
    """A CCM event. NOT_PRIMARY and EVICTED carry the view that was current until now."""

    event: ViewEvent
    view: View


class NodesReply(Message, frozen=True, omit_defaults=True):
    """The list of nodes was changed, or why it was not (`problem`)."""

    request: int
    nodes: tuple[str, ...] = ()
    problem: str = ""


class LinkDescription(Message, frozen=True):
    """One link of one node, with the silence on it in milliseconds (-1: never heard)."""

    name: str
    status: LinkStatus
    silent_ms: int = -1


class NodeDescription(Message, frozen=True, omit_defaults=True):
    """One node with its links, as `cl_status` shows it.

    `trouble` says why there is no contact with it, and whose fault that is, as far as known.
    """

    node: str
    kind: NodeKind
    status: NodeStatus
    uuid: str = ""
    links: tuple[LinkDescription, ...] = ()
    clients: tuple[str, ...] = ()
    weight: int = 100
    site: str = ""
    trouble: str = ""


class QuorumVerdict(enum.Enum):
    """What a rule of the quorum says; on a tie the next rule is asked."""

    YES = "yes"
    NO = "no"
    TIE = "tie"


class QuorumRule(Message, frozen=True, omit_defaults=True):
    """One of the rules by which quorum is judged, and what it says of the present members.

    `verdict` is None where a rule before it has decided. `votes` of `all_votes` are those of the
    members, as this rule counts. `server` is the quorum server it asks, `held_ms` for how long the
    members have had the tie from it without a break (-1: they have it not). `trouble` says why a
    rule says no, or could not say yes, where it knows.
    """

    name: str
    verdict: QuorumVerdict | None = None
    votes: int = 0
    all_votes: int = 0
    server: str = ""
    held_ms: int = -1
    trouble: str = ""


class ClusterDescription(Message, frozen=True, omit_defaults=True):
    """The answer to `AskCluster`. `counters` are packets by reason (sent, received, dropped-…).

    `quorum` are the rules that decide whether the view has quorum, in the order in which they are
    asked; empty where the stack does not say.
    `mode` is that of `SignedOn`. `parameters` are directives of ha.cf by name, for whoever wants to
    see them: as the file has them, the others as it would (`keepalive`: "3", "1000ms").
    `stack` is the name by which an administrator knows the cluster layer, `lacks` is what it does
    not have, and for each what to use in its place.
    """

    request: int
    node: str
    nodes: tuple[NodeDescription, ...]
    view: View | None = None
    parameters: dict[str, str] = {}
    counters: dict[str, int] = {}
    children: dict[str, int] = {}
    mode: str = "crm"
    stack: str = "heartbeat"
    lacks: dict[Capability, str] = {}
    quorum: tuple[QuorumRule, ...] = ()


class KeyRotated(Message, frozen=True, omit_defaults=True):
    """How the rotation of the key ended: the number of the new key, or what stopped it."""

    request: int
    number: int = -1
    problem: str = ""


TO_HEARTBEAT = Codec(SignOn, SignOff, SendCluster, LeaveCluster, AskCluster, RotateKey, ChangeNodes)
TO_CLIENT = Codec(
    SignedOn,
    SignOnRefused,
    NodeChanged,
    LinkChanged,
    ClientChanged,
    ClusterMessage,
    ViewInstalled,
    ClusterDescription,
    KeyRotated,
    NodesReply,
)
