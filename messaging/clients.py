"""The clients' conversation: who is signed on here and elsewhere, and what each is told.

Responsible for `crm.api.membership` as it is spoken on the local bus: signing on and off, the
state a client is told first, news for all of them, and the messages between clients of different
nodes. Who may register under which name is judged by a `Doorkeeper` (`apiauth`). Not responsible
for how messages reach other nodes (`delivery`), nor for who decides what the news are (`links`,
`pings`, `ccm`).

Theory of operation. A client is known by the name of its bus connection; it speaks first
(`SignOn`) and is told, in this order, who it is, every node, every client, the present view, and
from then on each change as it happens. What was told about nodes and the view is kept here, so
that a late client is told exactly what the others know, never more and never less.

Everything is handled one by one in the order it comes in, so each client sees messages, client
news and views in one and the same order.

Source: docs/protocol/local.md, docs/protocol/membership.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from crm.api import gate
from crm.api import membership as api
from crm.api.membership import ClientStatus, ViewEvent
from crm.plumbing.machine import Caller, Note, Tell, debug, error, warn
from messaging import frame
from messaging.apiauth import Doorkeeper

ALL_NODES = ""

# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SayToPeers:
    """Send a message about or of a client to one peer, or to all there is contact with.

    `sender` is the bus name of the client of this node whose message it is, "" for our own.
    """

    message: msgspec.Struct
    node: str = ALL_NODES
    sender: str = ""


@dataclass(frozen=True, slots=True)
class DescribeCluster:
    """This client asked for the state of the cluster layer; answer it."""

    client: str
    request: int


@dataclass(frozen=True, slots=True)
class ChangeWanted:
    """This client wants the list of nodes changed; answer it."""

    client: str
    wish: api.ChangeNodes


@dataclass(frozen=True, slots=True)
class LeaveWanted:
    """A client says that this node has to leave the cluster."""

    reason: str


@dataclass(frozen=True, slots=True)
class RotationWanted:
    """The gate, which has judged who asks, wants a new key for the cluster."""

    peer: str
    request: int


Effect = SayToPeers | DescribeCluster | LeaveWanted | RotationWanted | ChangeWanted | Tell | Note


class Clients:
    """Who is signed on, here and at the peers, and what they have been told."""

    def __init__(
        self, greeting: api.SignedOn, nodes: Iterable[api.NodeChanged], doorkeeper: Doorkeeper
    ) -> None:
        self._greeting = greeting
        self._doorkeeper = doorkeeper
        self._callers: dict[str, Caller] = {}  # bus name → who that is
        self._node = greeting.node
        self._nodes = {changed.node: changed for changed in nodes}
        self._view: api.View | None = None
        self._names: dict[str, str] = {}  # bus name → client name
        self._remote: dict[str, list[str]] = {}  # node → client names

    def at(self, node: str) -> tuple[str, ...]:
        """The names of the clients that are signed on at a node, sorted."""
        names = self._names.values() if node == self._node else self._remote.get(node, ())
        return tuple(sorted(names))

    # --- local clients ----------------------------------------------------------------------

    def adjust(self, greeting: api.SignedOn) -> None:
        """Tell those who sign on from now on what `greeting` says."""
        self._greeting = greeting

    def meet(self, peer: str, caller: Caller) -> None:
        """Note who the kernel says is behind a bus connection."""
        self._callers[peer] = caller

    def receive(self, peer: str, message: msgspec.Struct) -> list[Effect]:
        """Take in what came over a bus connection."""
        match message:
            case api.SignOn(client, pid):
                return self._sign_on(peer, client, pid)
            case api.SignOff():
                return self.lose(peer)
            case api.SendCluster(to_client, payload, to_node):
                return self._send(peer, to_client, payload, to_node)
            case api.LeaveCluster(reason):
                return self._leave(peer, reason)
            case api.AskCluster(request):
                return [DescribeCluster(peer, request)]
            case api.RotateKey(request):
                if self._names.get(peer) == gate.SERVICE:
                    return [RotationWanted(peer, request)]
                return self._refuse_stranger(peer)
            case api.ChangeNodes():
                if self._names.get(peer) == gate.SERVICE:
                    return [ChangeWanted(peer, message)]
                return self._refuse_stranger(peer)
        return []

    def disconnect(self, peer: str) -> list[Effect]:
        """A bus connection is gone, and with it whoever was signed on over it."""
        self._callers.pop(peer, None)
        return self.lose(peer)

    def lose(self, peer: str) -> list[Effect]:
        """A client is signed on no more."""
        client = self._names.pop(peer, None)
        if client is None:
            return []
        left = api.ClientChanged(self._node, client, ClientStatus.LEAVE)
        return [*self._tell_all(left), SayToPeers(frame.ClientMoved(client, False))]

    def tell(self, news: api.NodeChanged | api.LinkChanged | api.ViewInstalled) -> list[Effect]:
        """Tell every client what has changed, and remember it for those that come later."""
        if isinstance(news, api.NodeChanged):
            self._nodes[news.node] = news
        elif isinstance(news, api.ViewInstalled):
            self._view = None if news.event is ViewEvent.EVICTED else news.view
        return self._tell_all(news)

    def forget_node(self, node: str) -> None:
        """Tell those who sign on from now on nothing of a node that was deleted."""
        self._nodes.pop(node, None)

    def _sign_on(self, peer: str, client: str, pid: int) -> list[Effect]:
        caller = self._callers.get(peer)
        reason = self._doorkeeper.refusal(client, pid, caller)
        if reason:
            return _refusal(peer, client, caller, reason)
        effects: list[Effect] = []
        for other, name in list(self._names.items()):
            if name == client or other == peer:
                effects += self.lose(other)
        effects.append(debug("heartbeat", f"client {client} (pid {pid}) signs on"))
        self._names[peer] = client
        effects += [Tell(peer, message) for message in self._present_state()]
        for other in self._names:
            if other != peer:
                joined = api.ClientChanged(self._node, client, ClientStatus.JOIN)
                effects.append(Tell(other, joined))
        return [*effects, SayToPeers(frame.ClientMoved(client, True))]

    def _present_state(self) -> list[msgspec.Struct]:
        """What a client is told when it signs on, in the promised order."""
        messages: list[msgspec.Struct] = [self._greeting, *self._nodes.values()]
        messages += [
            api.ClientChanged(self._node, client, ClientStatus.ONLINE)
            for client in self._names.values()
        ]
        messages += [
            api.ClientChanged(node, client, ClientStatus.ONLINE)
            for node, clients in sorted(self._remote.items())
            for client in clients
        ]
        if self._view is not None:
            event = ViewEvent.NEW_MEMBERSHIP if self._view.quorate else ViewEvent.INVALID
            everybody = tuple(member.name for member in self._view.members)
            view = msgspec.structs.replace(self._view, new=everybody, lost=())
            messages.append(api.ViewInstalled(event, view))
        return messages

    def _send(self, peer: str, to_client: str, payload: bytes, to_node: str) -> list[Effect]:
        client = self._names.get(peer)
        if client is None:
            return self._refuse_stranger(peer)
        data = frame.ClientData(client, to_client, payload)
        if to_node == self._node:
            return self._hand_over(self._node, data)
        return [SayToPeers(data, to_node, peer)]

    def _leave(self, peer: str, reason: str) -> list[Effect]:
        client = self._names.get(peer)
        return (
            self._refuse_stranger(peer) if client is None else [LeaveWanted(f"{client}: {reason}")]
        )

    def _refuse_stranger(self, peer: str) -> list[Effect]:
        return [warn("heartbeat", f"'{peer}' sends without having signed on")]

    def _tell_all(self, message: msgspec.Struct) -> list[Effect]:
        return [Tell(peer, message) for peer in self._names]

    # --- clients of the peers ---------------------------------------------------------------

    def greet(self, node: str) -> list[Effect]:
        """Contact with a peer has begun: it learns who is signed on here."""
        return [SayToPeers(frame.Clients(self.at(self._node)), node)]

    def hear(
        self, node: str, message: frame.Clients | frame.ClientMoved | frame.ClientData
    ) -> list[Effect]:
        """Take in what a peer says of its clients, or what one of them says to ours."""
        match message:
            case frame.Clients(names):
                self._remote[node] = list(names)
                effects: list[Effect] = []
                for name in names:
                    effects += self._tell_all(api.ClientChanged(node, name, ClientStatus.JOIN))
                return effects
            case frame.ClientMoved(name, joined):
                return self._move(node, name, joined)
            case frame.ClientData():
                return self._hand_over(node, message)

    def forget(self, node: str) -> list[Effect]:
        """Contact with a peer has ended: none of its clients is there any more."""
        effects: list[Effect] = []
        for client in self._remote.pop(node, []):
            effects += self._tell_all(api.ClientChanged(node, client, ClientStatus.LEAVE))
        return effects

    def _move(self, node: str, name: str, joined: bool) -> list[Effect]:
        known = self._remote.setdefault(node, [])
        effects: list[Effect] = []
        if name in known:
            known.remove(name)
            effects += self._tell_all(api.ClientChanged(node, name, ClientStatus.LEAVE))
        if joined:
            known.append(name)
            effects += self._tell_all(api.ClientChanged(node, name, ClientStatus.JOIN))
        return effects

    def _hand_over(self, node: str, data: frame.ClientData) -> list[Effect]:
        message = api.ClusterMessage(node, data.from_client, data.payload)
        return [
            Tell(peer, message) for peer, client in self._names.items() if client == data.to_client
        ]


def _refusal(peer: str, client: str, caller: Caller | None, reason: str) -> list[Effect]:
    who = f"pid {caller.pid}, uid {caller.uid}, gid {caller.gid}" if caller else peer
    text = f"client {client} ({who}) is not authorized to register: {reason}"
    return [error("heartbeat", text), Tell(peer, api.SignOnRefused(client, reason))]
