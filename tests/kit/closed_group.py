"""A second cluster layer, shaped like one on Corosync: the contract's words on a closed group.

Responsible for what an adapter would have to do on `cpg` and `votequorum`: number the views, find
out who lived before and since when (`born`, `incarnation`), know the clients of all nodes, leave
a margin, and refuse what the stack has not. Not responsible for the group itself (`sim.rings`).
It is written from docs/protocol/cluster-layer.md and shares nothing with the views, the delivery
and the table of clients of `messaging`. Starting children is every stack's, hence theirs.

Theory of operation. The group delivers messages in one order to all, its own ones to the sender
too, and says who is in it (`Configured`) between the same two messages to all who go on together.
After each configuration everybody says `Hello`: its life, its clients, the view it comes from; and
once more, when the votes are counted. As soon as all members have said a Hello with the same
quorum in this ring, the view is known: each computes it from the same Hellos at the same place in
the stream. A view with quorum waits until those it leaves out have had their margin.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crm.api import gate
from crm.api import membership as api
from crm.api.membership import Capability, ClientStatus, Member, NodeKind, NodeStatus, ViewEvent
from crm.plumbing.codec import Codec, Message
from crm.plumbing.machine import (
    Exit,
    HangUp,
    MessageArrived,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    error,
    info,
    warn,
)
from messaging.children import ChildPlan, Children, ChildrenGone, VitalChildFailed

STACK = "corosync"
LACKS = {
    Capability.LINKS: "corosync-cfgtool -s shows its links",
    Capability.PACKET_COUNTERS: "corosync-cmapctl -m stats shows its counters",
    Capability.PARAMETERS: "corosync-cmapctl shows its settings",
    Capability.KEY_ROTATION: "make a key with corosync-keygen and copy it to all nodes",
    Capability.NODE_CHANGES: "change the nodelist of corosync.conf, then corosync-cfgtool -R",
}
EXIT_STAY_DOWN = 150
ANYBODY = 0
"""In the place of the id of a node: whoever is away."""

MAX_AHEAD_BYTES = 4 * 2**20
"""So much of one node may be on its way; who says more is hung up on."""

# --- what the group tells -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configured:
    """The ring `seq` consists of these node ids.

    `left` are those of the former ring that are gone, and whether they said so; an id that is in
    `left` and in `members` is that of a node that has started anew.
    """

    seq: int
    members: tuple[int, ...]
    left: tuple[tuple[int, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message to the group, also our own, in the order that holds for all."""

    sender: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class VotesCounted:
    """Whether the ring `seq` has enough votes."""

    seq: int
    quorate: bool


# --- what is wanted of it -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Multicast:
    """Send to all of the group, ourselves included."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    """Leave the group in order."""


# --- what the members say to each other -----------------------------------------------------


class Hello(Message, frozen=True, omit_defaults=True):
    """Who speaks in this ring, and which view it comes from."""

    seq: int
    incarnation: str
    clients: tuple[str, ...] = ()
    quorate: bool | None = None
    view: int = 0
    cookie: str = ""
    was_quorate: bool = False
    born: int = 0
    highest: int = 0
    owed: tuple[tuple[int, int], ...] = ()
    """Nodes that may not be left out yet, and for how many milliseconds; `ANYBODY`: all."""


class Moved(Message, frozen=True):
    """A client of the speaker has signed on or off."""

    client: str
    joined: bool


class Said(Message, frozen=True):
    """What a client says to a client, of one node ("": of all others)."""

    from_client: str
    to_client: str
    to_node: str
    payload: bytes


GROUP = Codec(Hello, Moved, Said)


@dataclass
class _Peer:
    incarnation: str
    clients: list[str] = field(default_factory=list)


class ClosedGroup:
    """The machine of one node. `nodes` are the names by id; `settle_s` is how long a life that
    finds no quorum waits for those that are away, `margin_s` how long they have to stop."""

    def __init__(
        self,
        nodes: Mapping[int, str],
        *,
        own_id: int,
        incarnation: str,
        now: float,
        margin_s: float,
        settle_s: float,
        child_plans: tuple[ChildPlan, ...] = (),
    ) -> None:
        self._names = dict(nodes)
        self._id = own_id
        self._node = nodes[own_id]
        self.incarnation = incarnation
        self._margin_s = margin_s
        self._children = Children(child_plans)
        self._statuses = dict.fromkeys(nodes.values(), NodeStatus.INIT)
        self._ring = Configured(0, ())
        self._hellos: dict[int, Hello] = {}
        self._peers: dict[int, _Peer] = {}
        self._quorate: bool | None = None
        self._owed: dict[int, float] = {ANYBODY: now + settle_s}
        self._installed: tuple[int, bool] | None = None
        self._pending: tuple[float, api.View, str] | None = None
        self._cookie = ""
        self._highest = 0
        self._callers: dict[str, str] = {}  # bus name → client
        self._ahead: collections.Counter[str] = collections.Counter()
        self._exit_code: int | None = None
        self.view: api.View | None = None

    # --- the machine --------------------------------------------------------------------------

    def receive(self, event: object, now: float) -> list[Any]:
        """Take in what the group, a client or a child says."""
        match event:
            case Configured():
                return self._configure(event, now)
            case VotesCounted(seq, quorate) if seq == self._ring.seq:
                self._quorate = quorate
                return self._say_hello(now)
            case Delivered(sender, payload):
                return self._hear(sender, GROUP.decode(payload), len(payload), now)
            case MessageArrived(peer, message):
                return self._serve(peer, message, now)
            case PeerLost(peer):
                return self._sign_off(peer)
            case StopRequested():
                return self._stop(0, now)
            case PeerConnected() | VotesCounted():
                return []
        return self._follow(self._children.receive(event, now), now)  # type: ignore[arg-type]

    def tick(self, now: float) -> list[Any]:
        """Install the view whose time has come."""
        effects = self._follow(self._children.tick(now), now)
        if self._pending is not None and now >= self._pending[0]:
            effects += self._install(*self._pending[1:])
        return effects

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        due = [self._children.next_deadline(), self._pending and self._pending[0]]
        return min((moment for moment in due if moment is not None), default=None)

    # --- the group ----------------------------------------------------------------------------

    def _configure(self, ring: Configured, now: float) -> list[Any]:
        is_first = not self._ring.members
        self._ring, self._quorate, self._pending = ring, None, None
        self._hellos = {}
        effects: list[Any] = []
        for one, in_order in ring.left:
            effects += self._lose(one, now, in_order=in_order)
        if is_first:
            effects += self._show(self._node, NodeStatus.ACTIVE)
            effects += self._follow(self._children.start(now), now)
        return [*effects, *self._say_hello(now)]

    def _lose(self, one: int, now: float, *, in_order: bool) -> list[Any]:
        peer = self._peers.pop(one, None)
        if peer is None:
            return []
        if not in_order and self.view is not None and self.view.quorate:
            self._owed[one] = now + self._margin_s
        node = self._names[one]
        effects: list[Any] = []
        for client in peer.clients:
            effects += self._tell_all(api.ClientChanged(node, client, ClientStatus.LEAVE))
        return effects + self._show(node, NodeStatus.DEAD)

    def _say_hello(self, now: float) -> list[Any]:
        view = self.view
        self._owed = {one: at for one, at in self._owed.items() if at > now}
        born = next((m.born for m in view.members if m.name == self._node), 0) if view else 0
        hello = Hello(
            seq=self._ring.seq,
            incarnation=self.incarnation,
            clients=tuple(sorted(self._callers.values())),
            quorate=self._quorate,
            view=view.id if view else 0,
            cookie=self._cookie,
            was_quorate=view.quorate if view else False,
            born=born,
            highest=self._highest,
            owed=tuple(
                (one, math.ceil((at - now) * 1000)) for one, at in sorted(self._owed.items())
            ),
        )
        return [Multicast(GROUP.encode(hello))]

    def _hear(self, sender: int, message: object, length: int, now: float) -> list[Any]:
        match message:
            case Hello(seq=seq) if seq == self._ring.seq:
                self._hellos[sender] = message
                effects = [] if sender == self._id else self._meet(sender, message)
                return effects + self._consider(now)
            case Said():
                return self._pass_on(sender, message, length)
            case Moved(client, joined) if sender in self._peers:
                return self._move(self._peers[sender], self._names[sender], client, joined)
        return []

    def _meet(self, sender: int, hello: Hello) -> list[Any]:
        if sender in self._peers:
            return []
        node = self._names[sender]
        self._peers[sender] = _Peer(hello.incarnation, list(hello.clients))
        effects = self._show(node, NodeStatus.ACTIVE)
        for client in hello.clients:
            effects += self._tell_all(api.ClientChanged(node, client, ClientStatus.JOIN))
        return effects

    def _move(self, peer: _Peer, node: str, client: str, joined: bool) -> list[Any]:
        effects: list[Any] = []
        if client in peer.clients:
            peer.clients.remove(client)
            effects += self._tell_all(api.ClientChanged(node, client, ClientStatus.LEAVE))
        if joined:
            peer.clients.append(client)
            effects += self._tell_all(api.ClientChanged(node, client, ClientStatus.JOIN))
        return effects

    def _pass_on(self, sender: int, said: Said, length: int) -> list[Any]:
        if sender == self._id:
            self._ahead[said.from_client] = max(0, self._ahead[said.from_client] - length)
            return []
        if sender not in self._peers or said.to_node not in ("", self._node):
            return []
        return self._hand_over(self._names[sender], said)

    def _hand_over(self, node: str, said: Said) -> list[Any]:
        message = api.ClusterMessage(node, said.from_client, said.payload)
        return [Tell(at, message) for at, name in self._callers.items() if name == said.to_client]

    # --- views --------------------------------------------------------------------------------

    def _consider(self, now: float) -> list[Any]:
        """Make a view of the Hellos, if all have said the same of the quorum in this ring."""
        quorate = self._hellos[self._id].quorate if self._id in self._hellos else None
        everybody = set(self._hellos) == set(self._ring.members)
        if quorate is None or not everybody:
            return []
        if any(hello.quorate is not quorate for hello in self._hellos.values()):
            return []
        if self._installed == (self._ring.seq, quorate):
            return []
        self._installed = (self._ring.seq, quorate)
        self._pending = None
        view, cookie = self._compute(quorate)
        self._highest = view.id
        free_at = self._free_at(view, now) if quorate else now
        if free_at <= now:
            return self._install(view, cookie)
        self._pending = (free_at, view, cookie)
        return []

    def _base(self) -> Hello:
        """The view that goes on: the one with quorum, or else the latest."""
        return max(self._hellos.values(), key=lambda each: (each.was_quorate, each.view))

    def _compute(self, quorate: bool) -> tuple[api.View, str]:
        base = self._base()
        known = max(hello.highest for hello in self._hellos.values())
        number = max(self._ring.seq, known + 1)
        members = tuple(
            Member(
                name=self._names[one],
                uuid=str(one),
                index=one,
                born=hello.born if hello.cookie and hello.cookie == base.cookie else number,
                incarnation=hello.incarnation,
            )
            for one, hello in sorted(self._hellos.items())
        )
        before = set(self.view.members) if self.view else set()
        lost = {member.name for member in before - set(members)} - {self._node}
        oldest = min(members, key=lambda member: (member.born, member.name))
        view = api.View(
            id=number,
            members=members,
            quorate=quorate,
            new=tuple(sorted(member.name for member in set(members) - before)),
            lost=tuple(sorted(lost)),
            total_nodes=len(self._names),
            leader=oldest.name,
            votes_needed=1 if len(self._names) == 2 else len(self._names) // 2 + 1,
        )
        return view, f"{number}-{oldest.incarnation}"

    def _free_at(self, view: api.View, now: float) -> float:
        """When everybody this view leaves out has let go; who is in it, or back, is not."""
        is_known = len(view.members) == len(self._names) or self._base().was_quorate
        owed = [
            now + left_ms / 1000
            for hello in self._hellos.values()
            for one, left_ms in hello.owed
            if one not in self._hellos and not (is_known and one == ANYBODY)
        ]
        return max(owed, default=now)

    def _install(self, view: api.View, cookie: str) -> list[Any]:
        self.view, self._cookie, self._pending = view, cookie, None
        event = ViewEvent.NEW_MEMBERSHIP if view.quorate else ViewEvent.INVALID
        text = f"ring {self._ring.seq}: view {view.id}, {event.value}"
        return [info(STACK, text), *self._tell_all(api.ViewInstalled(event, view))]

    # --- the clients of this node -------------------------------------------------------------

    def _serve(self, peer: str, message: msgspec.Struct, now: float) -> list[Any]:
        match message:
            case api.SignOn(client):
                return self._sign_on(peer, client)
            case api.SignOff():
                return self._sign_off(peer)
            case api.AskCluster(request):
                return [Tell(peer, self._describe(request))]
            case api.RotateKey(request) if self._callers.get(peer) == gate.SERVICE:
                problem = f"{STACK} keeps its key itself: {LACKS[Capability.KEY_ROTATION]}"
                return [Tell(peer, api.KeyRotated(request, problem=problem))]
            case api.ChangeNodes(request) if self._callers.get(peer) == gate.SERVICE:
                problem = f"{STACK} keeps its nodes itself: {LACKS[Capability.NODE_CHANGES]}"
                nodes = tuple(self._names.values())
                return [Tell(peer, api.NodesReply(request, nodes, problem))]
            case api.SendCluster() if peer in self._callers:
                return self._send(peer, message)
            case api.LeaveCluster(reason) if peer in self._callers:
                text = f"{self._callers[peer]}: {reason}: leaving the cluster"
                return [error(STACK, text), *self._stop(EXIT_STAY_DOWN, now)]
        return [warn(STACK, f"'{peer}' says what it may not: {type(message).__name__}")]

    def _sign_on(self, peer: str, client: str) -> list[Any]:
        effects: list[Any] = []
        for other, name in list(self._callers.items()):
            if other == peer or name == client:
                effects += self._sign_off(other)
        self._callers[peer] = client
        effects += [Tell(peer, message) for message in self._present_state()]
        joined = api.ClientChanged(self._node, client, ClientStatus.JOIN)
        effects += [Tell(other, joined) for other in self._callers if other != peer]
        return [*effects, Multicast(GROUP.encode(Moved(client, True)))]

    def _sign_off(self, peer: str) -> list[Any]:
        client = self._callers.pop(peer, None)
        if client is None:
            return []
        self._ahead.pop(client, None)
        left = api.ClientChanged(self._node, client, ClientStatus.LEAVE)
        return [*self._tell_all(left), Multicast(GROUP.encode(Moved(client, False)))]

    def _present_state(self) -> list[msgspec.Struct]:
        own_uuid = str(self._id)
        nodes = tuple(self._names.values())
        margin_ms = int(self._margin_s * 1000)
        state: list[msgspec.Struct] = [
            api.SignedOn(
                self._node, own_uuid, "ring", nodes, self.incarnation, margin_ms=margin_ms
            ),
            *(self._node_changed(node) for node in nodes),
        ]
        here = [(self._node, client) for client in self._callers.values()]
        there = [
            (self._names[one], name) for one, p in sorted(self._peers.items()) for name in p.clients
        ]
        state += [api.ClientChanged(*each, ClientStatus.ONLINE) for each in [*here, *there]]
        if self.view is not None:
            everybody = tuple(member.name for member in self.view.members)
            view = msgspec.structs.replace(self.view, new=everybody, lost=())
            event = ViewEvent.NEW_MEMBERSHIP if view.quorate else ViewEvent.INVALID
            state.append(api.ViewInstalled(event, view))
        return state

    def _send(self, peer: str, wish: api.SendCluster) -> list[Any]:
        said = Said(self._callers[peer], wish.to_client, wish.to_node, wish.payload)
        if wish.to_node == self._node:
            return self._hand_over(self._node, said)
        payload = GROUP.encode(said)
        self._ahead[said.from_client] += len(payload)
        if self._ahead[said.from_client] > MAX_AHEAD_BYTES:
            text = f"client {said.from_client} sends faster than the group can take it"
            return [error(STACK, text), HangUp(peer), *self._sign_off(peer)]
        return [Multicast(payload)]

    def _node_changed(self, node: str) -> api.NodeChanged:
        uuid = next(str(one) for one, name in self._names.items() if name == node)
        return api.NodeChanged(node, NodeKind.NORMAL, self._statuses[node], uuid)

    def _show(self, node: str, status: NodeStatus) -> list[Any]:
        self._statuses[node] = status
        return self._tell_all(self._node_changed(node))

    def _tell_all(self, message: msgspec.Struct) -> list[Any]:
        return [Tell(peer, message) for peer in self._callers]

    def _describe(self, request: int) -> api.ClusterDescription:
        clients = {self._node: list(self._callers.values())}
        clients |= {self._names[one]: peer.clients for one, peer in self._peers.items()}
        nodes = tuple(
            api.NodeDescription(
                name,
                NodeKind.NORMAL,
                self._statuses[name],
                str(one),
                clients=tuple(sorted(clients.get(name, ()))),
                weight=1,
            )
            for one, name in self._names.items()
        )
        return api.ClusterDescription(
            request,
            self._node,
            nodes,
            self.view,
            children=self._children.pids,
            stack=STACK,
            lacks=LACKS,
        )

    # --- the children, and the end ------------------------------------------------------------

    def _follow(self, outcome: list[Any], now: float) -> list[Any]:
        effects: list[Any] = []
        for effect in outcome:
            match effect:
                case VitalChildFailed(name):
                    text = f"this node cannot work without {name}: leaving the cluster"
                    effects += [error(STACK, text), *self._stop(1, now)]
                case ChildrenGone(in_order):
                    effects += [LeaveGroup()] if in_order else []
                    effects.append(Exit(self._exit_code or 0))
                case _:
                    effects.append(effect)
        return effects

    def _stop(self, code: int, now: float) -> list[Any]:
        if self._exit_code is not None:
            return []
        self._exit_code = code
        return self._follow(self._children.stop(now), now)
