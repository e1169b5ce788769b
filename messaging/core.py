"""The whole cluster layer of one node as one machine: packets, peers, views, clients, children.

Responsible for joining its parts: `auth` believes packets, `links` judges peers, `pings` hosts,
`delivery` carries messages, `ccm` agrees on views, `children` keeps programs running. What passes
between them goes through here; they never meet. `clients` speaks with the programs of this node.
Not responsible for sockets, files or processes (`daemon`).

Theory of operation. Before anything is taken in, time is: deadlines that have come are acted on,
so a process that was stopped for a while first learns what that means, then reads old packets.

Order at a client: a message of a peer's client is passed on before the news that the client left;
all clients of a lost node leave before the view without that node is shown. Both hold because
messages, client news and contacts are handled one by one in the order of `delivery`.

With each own heartbeat the watchdog is shown that this node works. How it ends: `departure`.

Source: docs/protocol/membership.md, docs/protocol/links.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from crm.api import membership as api
from crm.api.membership import NodeKind, NodeStatus, ViewEvent
from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import (
    AskAlive,
    Caller,
    HangUp,
    MessageArrived,
    Note,
    PeerAlive,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    error,
    info,
)
from messaging import (
    account,
    apiauth,
    arbitration,
    auth,
    ccm,
    children,
    clients,
    complaints,
    court,
    delivery,
    description,
    events,
    frame,
    link_events,
    links,
    nodelist,
    outrun,
    pings,
    roll,
    rotation,
    standing,
    streams,
    watchdog,
)
from messaging.authkeys import KeyFile
from messaging.clockwork import Clockwork
from messaging.cluster_settings import ClusterSettings
from messaging.departure import EXIT_FAILED, EXIT_STAY_DOWN, Departure
from messaging.events import Effect, Event
from messaging.sending import Sender

VERSION = "3.0.6"
"""The release of Heartbeat whose log lines and commands are followed."""


class Messaging:
    """The machine of `heartbeat`.

    `random_bytes` is its only source of randomness; the session drawn from it is the
    incarnation of this life. `child_plans` are started, in order, when the node is active.
    `doorkeeper` says who may register as a client; without one everybody may. `known_nodes` is the
    list that was kept on disk, if the list of `settings` is not that of ha.cf.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        keys: KeyFile,
        *,
        node: str,
        uuid: str,
        now: float,
        random_bytes: Callable[[int], bytes],
        child_plans: Sequence[children.ChildPlan] = (),
        generation: int = 0,
        doorkeeper: apiauth.Doorkeeper = apiauth.EVERYBODY,
        known_nodes: nodelist.NodeList | None = None,
    ) -> None:
        self._stated = settings
        """As ha.cf states them: what a list does not say is as it is there."""

        settings = known_nodes.applied_to(settings) if known_nodes else settings
        self._settings = settings
        self._node = node
        self._uuid = uuid
        self._generation = generation
        peers = settings.peers_of(node)
        self._wire = auth.Wire(
            keys,
            cluster=settings.cluster,
            node=node,
            peers=peers,
            random_bytes=random_bytes,
            hears_strangers=settings.autojoin != "none",
        )
        session = self._wire.session
        self.incarnation = session.hex()
        self._links = links.Links(settings, node=node, session=session, uuid=uuid, now=now)
        self._pings = pings.Pings(settings, now=now, random_bytes=random_bytes)
        self._sender = Sender(self._wire, settings, self._links.peers)
        self._delivery = delivery.Delivery(
            node,
            session=session,
            compression=settings.compression,
            threshold_bytes=settings.compression_threshold_bytes,
            patience_s=settings.timing.keepalive_s / 4,
            stall_s=settings.timing.stall_s,
            best_link=self._sender.best_link,
        )
        self._rotation = rotation.Rotation(keys, node=node, peers=peers, random_bytes=random_bytes)
        self._ccm = ccm.Ccm(settings, node=node, incarnation=self.incarnation, uuid=uuid, now=now)
        self._court = court.Court(settings, keys, node=node, random_bytes=random_bytes)
        self._consulted_at = now
        self._children = children.Children(child_plans)
        self._roll = roll.Roll(node, known_nodes or nodelist.NodeList(settings.nodes))
        self._wire.is_joining = self._roll.is_joining
        self._status = NodeStatus.UP
        self._clients = clients.Clients(self._greeting(), self._known_nodes(), doorkeeper)
        self._outrun = outrun.Outrun()
        self._complaints = complaints.Complaints()
        self._departure = Departure(node)
        self._has_begun = False
        self._clockwork = Clockwork(
            (self._links, self._follow_links),
            (self._pings, self._follow_links),
            (self._delivery, self._follow_delivery),
            (self._ccm, self._follow_ccm),
            (self._rotation, self._follow_rotation),
            (self._court, self._follow_court),
            (self._children, self._follow_children),
        )

    @property
    def view(self) -> api.View | None:
        """The view this node is in."""
        return self._ccm.view

    @property
    def nodes(self) -> nodelist.NodeList:
        """The nodes of the cluster, as this node knows them."""
        return self._roll.nodes

    @property
    def is_leaving(self) -> bool:
        """Whether the children have stopped for good and the peers are being told."""
        return self._departure.due is not None

    @property
    def counters(self) -> dict[str, int]:
        """Packets by what became of them."""
        return dict(sorted((self._wire.counters + self._complaints.counters).items()))

    # --- the machine ------------------------------------------------------------------------

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what came from the network, a client, a child or the system."""
        if self._departure.has_ended:
            return []
        effects = self._run_clock(now)
        if not isinstance(event, events.DatagramArrived):
            self._clockwork.look_again()
        match event:
            case events.Started(packet_bytes):
                self._delivery.limit_packets(packet_bytes)
                effects += self._begin(now)
            case events.DatagramArrived():
                effects += self._take_datagram(event, now)
            case MessageArrived(peer, message):
                effects += self._follow_clients(self._clients.receive(peer, message), now)
            case PeerConnected(peer, caller):
                effects += self._meet(peer, caller, now)
            case PeerAlive(peer):
                heard = children.ProcessHeard(peer)
                effects += self._follow_children(self._children.receive(heard, now), now)
            case PeerLost(peer):
                effects += self._part_from(peer, now)
            case pings.EchoArrived():
                effects += self._follow_links(self._pings.receive(event, now), now)
            case arbitration.ServerAnswered():
                effects += self._follow_court(self._court.receive(event, now), now)
            case children.ChildStarted() | children.ChildEnded():
                effects += self._follow_children(self._children.receive(event, now), now)
            case events.PacketsDropped(count):
                effects += self._complaints.dropped_by_kernel(count, now)
            case rotation.KeysWritten():
                effects += self._follow_rotation(self._rotation.receive(event, now), now)
            case events.KeysRead(keys):
                self._wire.replace_keys(keys)
                self._court.replace_keys(keys)
                self._rotation.replace_keys(keys)
                effects.append(info("heartbeat", "Rereading authentication file."))
            case events.SettingsRead(settings):
                self._adjust(settings)
            case StopRequested():
                effects += self._stop(now)
        return effects + self._consult(now) + self._consider_exit(now)

    def _adjust(self, settings: ClusterSettings) -> None:
        """Take over what may change while we run; the list of nodes is not ha.cf's any more."""
        self._stated = settings
        self._settings = self._roll.nodes.applied_to(settings)
        self._links.adjust(settings.timing)
        self._pings.adjust(settings.timing)
        self._clients.adjust(self._greeting())

    def tick(self, now: float) -> list[Effect]:
        """Act on the deadlines that have come."""
        if self._departure.has_ended:
            return []
        return self._run_clock(now) + self._consult(now) + self._consider_exit(now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        if self._departure.has_ended or not self._has_begun:
            return None
        soonest = self._clockwork.soonest(self._departure.due)
        if self._court.is_needed:
            ends = self._links.lease.trust_ends(self._consulted_at)
            soonest = ends if soonest is None or (ends is not None and ends < soonest) else soonest
        return soonest

    def _run_clock(self, now: float) -> list[Effect]:
        """Act on the deadlines that have come, before anything else."""
        return self._clockwork.run(now) if self._has_begun else []

    def _begin(self, now: float) -> list[Effect]:
        self._has_begun = True
        effects: list[Effect] = [
            info("heartbeat", f"heartbeat: version {VERSION}"),
            info("heartbeat", f"Heartbeat generation: {self._generation}"),
            info("heartbeat", "Local status now set to: 'up'"),
            *self._sender.everywhere(self._wire.hello(now)),
        ]
        effects += self._follow_links(self._links.tick(now), now)
        return effects + self._follow_links(self._pings.tick(now), now)

    # --- packets ----------------------------------------------------------------------------

    def _take_datagram(self, arrived: events.DatagramArrived, now: float) -> list[Effect]:
        if not self._has_begun:
            return []
        link, source = arrived.link, arrived.source
        received = self._wire.open(arrived.data, now, link)
        effects = self._meet_stranger(received, now) if received.is_stranger else []
        if received.reply is not None:
            destination = "" if received.to_all else source
            effects.append(events.SendDatagram(link, received.reply, destination))
        if received.reason:  # nothing is believed: no deadline moves
            return effects + self._complaints.refused(received.reason, received.sender, source, now)
        if received.is_copy:
            copy = link_events.CopyHeard(
                received.sender, received.session, link, source, arrived.age_s
            )
            news = self._links.receive(copy, now)
            if news:  # else it can only put a deadline off
                self._clockwork.look_again()
            return effects + self._follow_links(news, now)
        self._clockwork.look_again()
        if received.opened:
            opened = link_events.SessionOpened(received.sender, received.session)
            effects += self._follow_links(self._links.receive(opened, now), now)
        if received.body is None:
            return effects
        try:
            message = frame.PACKETS.decode(received.body)
        except RemoteProtocolError as problem:
            return [*effects, *self._complaints.unreadable(received.sender, str(problem), now)]
        for_links: frame.Status | frame.Beat | None = None
        for_streams: frame.Data | frame.Ack | None = None
        match message:
            case frame.Data() | frame.Ack():
                for_streams = message
            case frame.Beat(to=to) if to != self._node:
                pass
            case frame.Status() | frame.Beat():
                for_links = message
        heard = link_events.PacketHeard(
            received.sender, received.session, link, source, for_links, arrived.age_s
        )
        effects += self._follow_links(self._links.receive(heard, now), now)
        if for_streams is not None:
            effects += self._follow_delivery(
                self._delivery.receive(received.sender, received.session, for_streams, now), now
            )
        return effects

    def _meet_stranger(self, received: auth.Received, now: float) -> list[Effect]:
        met = self._roll.meet(
            received.sender,
            is_joining=received.is_joining,
            wants_in=received.wants_in,
            view=self._ccm.view,
            settings=self._settings,
            is_counted=self._ccm.is_counted,
        )
        return self._follow_roll(met, now)

    # --- effects of the parts ---------------------------------------------------------------

    def _follow_links(
        self, outcome: Sequence[link_events.Effect | pings.Effect], now: float
    ) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case link_events.Broadcast(message):
                    effects += self._sender.to_all(message)
                    if self._wire.is_joining:
                        effects += self._sender.everywhere(self._wire.hello(now))
                    effects += [watchdog.ShowLife()] if self._settings.watchdog else []
                    effects += self._follow_links(self._pings.ping_along(now), now)
                case link_events.SayTo(peer, beat):
                    effects += self._sender.to_peer(peer, beat, everywhere=True)
                case link_events.MakeContact(peer, contact):
                    effects += self._make_contact(peer, contact, now)
                case link_events.EndContact():
                    effects += self._end_contact(effect, now)
                case standing.ShowNode():
                    effects += self._show_node(effect, now)
                case standing.ShowLink(node, link, status):
                    shown = api.LinkChanged(node, link, status)
                    effects += self._follow_clients(self._clients.tell(shown), now)
                case link_events.BecomeActive():
                    effects += self._become_active(now)
                case pings.SendEcho() | Note():
                    effects.append(effect)
        return effects

    def _make_contact(self, peer: str, contact: standing.Contact, now: float) -> list[Effect]:
        self._delivery.begin(peer, contact)
        effects = self._follow_clients(self._clients.greet(peer), now)
        self._rotation.receive(rotation.PeerAppeared(peer), now)
        if self._roll.is_changed or self._settings.autojoin != "none":
            effects += self._say_nodes((peer,), now)
        appeared = ccm.PeerAppeared(peer, contact.session.hex())
        effects += self._follow_ccm(self._ccm.receive(appeared, now), now)
        if self._links.peers[peer].announced is NodeStatus.ACTIVE:
            effects += self._follow_ccm(self._ccm.receive(ccm.PeerActivated(peer), now), now)
        return effects

    def _end_contact(self, ended: link_events.EndContact, now: float) -> list[Effect]:
        peer = ended.peer
        self._delivery.end(peer)
        effects = self._follow_clients(self._clients.forget(peer), now)
        vanished = rotation.PeerVanished(peer)
        effects += self._follow_rotation(self._rotation.receive(vanished, now), now)
        lost = ccm.PeerVanished(peer, is_restart=ended.is_restart, free_at=ended.free_at)
        return effects + self._follow_ccm(self._ccm.receive(lost, now), now)

    def _show_node(self, shown: standing.ShowNode, now: float) -> list[Effect]:
        uuid = self._links.peers[shown.node].uuid if shown.node in self._links.peers else ""
        changed = api.NodeChanged(shown.node, shown.kind, shown.status, uuid)
        effects = self._follow_clients(self._clients.tell(changed), now)
        if shown.status is NodeStatus.DEAD and self._is_classic(shown.kind):
            effects.append(info("heartbeat", f"Resources being acquired from {shown.node}."))
        if shown.status is NodeStatus.ACTIVE:
            activated = ccm.PeerActivated(shown.node)
            effects += self._follow_ccm(self._ccm.receive(activated, now), now)
        return effects

    def _is_classic(self, kind: NodeKind = NodeKind.NORMAL) -> bool:
        """Tell whether the log has the lines of haresources mode, about a node of this kind."""
        return kind is NodeKind.NORMAL and self._settings.mode == "haresources"

    def _become_active(self, now: float) -> list[Effect]:
        self._status = NodeStatus.ACTIVE
        effects = self._follow_clients(self._clients.tell(self._own_node()), now)
        return effects if self._wire.is_joining else effects + self._take_part(now)

    def _follow_delivery(self, outcome: Sequence[delivery.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case delivery.Transmit(peer, message, everywhere, is_bulk, link):
                    effects += self._sender.to_peer(
                        peer, message, everywhere=everywhere, is_bulk=is_bulk, link=link
                    )
                case delivery.Deliver(peer, channel, payload):
                    if self._is_in_contact(peer):
                        effects += self._take_message(peer, channel, payload, now)
                case delivery.GiveUp(peer, reason):
                    effects.append(error("heartbeat", f"node {peer} {reason}"))
                    overran = link_events.PeerOverran(peer)
                    effects += self._follow_links(self._links.receive(overran, now), now)
                case Note():
                    effects.append(effect)
        return effects

    def _is_in_contact(self, peer: str) -> bool:
        """Whether what is delivered still counts: what came before may have been a farewell."""
        known = self._links.peers.get(peer)
        return known is not None and known.contact is not None

    def _take_message(
        self, peer: str, channel: streams.Channel, payload: bytes, now: float
    ) -> list[Effect]:
        codec = (
            frame.MEMBERSHIP_MESSAGES if channel is streams.Channel.CONTROL else frame.NODE_MESSAGES
        )
        try:
            message = codec.decode(payload)
        except RemoteProtocolError as problem:
            return [*self._complaints.unreadable(peer, f"message of {peer}: {problem}", now)]
        match message:
            case frame.Join() | frame.LetGo():
                return self._follow_ccm(self._ccm.receive(ccm.Heard(peer, message), now), now)
            case frame.Nodes():
                return self._follow_roll(self._roll.hear(peer, message), now)
            case frame.Clients() | frame.ClientMoved() | frame.ClientData():
                return self._follow_clients(self._clients.hear(peer, message), now)
            case frame.KeyQuestion() | frame.KeyState() | frame.KeyOrder() | frame.KeyDone():
                heard = rotation.Heard(peer, message)
                return self._follow_rotation(self._rotation.receive(heard, now), now)
            case frame.Leaving():
                farewell = self._follow_delivery(self._delivery.acknowledge_all(peer, now), now)
                left = link_events.PeerTookLeave(peer)
                return farewell + self._follow_links(self._links.receive(left, now), now)
        return []

    def _follow_rotation(self, outcome: Sequence[rotation.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case rotation.SayTo(peer, message):
                    payload = frame.NODE_MESSAGES.encode(message)
                    said = self._delivery.send(peer, streams.Channel.CLIENTS, payload, now)
                    effects += self._follow_delivery(said, now)
                case rotation.UseKeys(keys):
                    self._wire.replace_keys(keys)
                    self._court.replace_keys(keys)
                case rotation.WriteKeys() | Tell() | Note():
                    effects.append(effect)
        return effects

    def _follow_ccm(self, outcome: Sequence[ccm.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case ccm.Speak(peers, message):
                    payload = frame.MEMBERSHIP_MESSAGES.encode(message)
                    effects += self._follow_delivery(
                        self._delivery.send_to(peers, streams.Channel.CONTROL, payload, now), now
                    )
                case ccm.Announce(event, view):
                    effects += self._announce(event, view, now)
                case Note():
                    effects.append(effect)
        return effects

    def _consult(self, now: float) -> list[Effect]:
        """Ask arbitrators, where quorum may depend on them, as soon as it may."""
        if not self._court.is_needed or not self._has_begun:
            return []
        self._consulted_at = now
        self._clockwork.look_again()  # what is asked or told may move deadlines
        asked = self._court.consult(
            self._settings.electorate,
            self._ccm.view,
            self._links.lease.trusted(now),
            now,
            reaches_out=self._pings.is_any_up,
            prospect=self._ccm.prospect,
        )
        return self._follow_court(asked, now)

    def _follow_court(self, outcome: Sequence[court.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case court.Rule(rulings):
                    ruled = self._links.receive(link_events.Ruled(rulings), now)
                    effects += self._follow_links(ruled, now)
                    effects += self._follow_ccm(self._ccm.receive(ccm.Ruled(rulings), now), now)
                case arbitration.AskServer() | Note():
                    effects.append(effect)
        return effects

    def _announce(self, event: ViewEvent, view: api.View, now: float) -> list[Effect]:
        installed = api.ViewInstalled(event, view)
        effects = self._follow_clients(self._clients.tell(installed), now)
        names: tuple[str, ...] = ()
        if event is ViewEvent.NOT_PRIMARY:
            return effects
        if event is not ViewEvent.EVICTED and view.quorate:
            names = tuple(member.name for member in view.members)
        changed = link_events.QuorateViewChanged(names)
        return effects + self._follow_links(self._links.receive(changed, now), now)

    def _follow_children(self, outcome: Sequence[children.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case children.VitalChildFailed(name):
                    text = f"this node cannot work without {name}"
                    self._departure.hold_on()
                    effects += self._leave_because(text, now)
                case children.ChildrenGone(in_order):
                    if not in_order:
                        self._departure.hold_on()
                    elif self._is_classic():
                        effects.append(info("heartbeat", "All HA resources relinquished."))
                    effects += self._take_leave(now)
                case children.StartChild() | children.SignalChild() | AskAlive() | Note():
                    effects.append(effect)
        return effects

    # --- clients ----------------------------------------------------------------------------

    def _meet(self, peer: str, caller: Caller | None, now: float) -> list[Effect]:
        """Somebody is on the bus; who it is by the word of the kernel is known outside tests."""
        if caller is None:
            return []
        self._clients.meet(peer, caller)
        attached = children.ProcessAttached(peer, caller.pid)
        return self._follow_children(self._children.receive(attached, now), now)

    def _part_from(self, peer: str, now: float) -> list[Effect]:
        """Somebody is on the bus no more."""
        effects = self._follow_clients(self._clients.disconnect(peer), now)
        detached = children.ProcessDetached(peer)
        return effects + self._follow_children(self._children.receive(detached, now), now)

    def _follow_clients(self, outcome: Sequence[clients.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case clients.SayToPeers(sender=sender) if sender:
                    effects += self._carry(effect, now)
                case clients.SayToPeers(message, node):
                    effects += self._say(message, node, now)
                case clients.DescribeCluster(client, request):
                    effects.append(Tell(client, self._describe(request, now)))
                case clients.ChangeWanted(client, wish):
                    wanted = self._roll.want(
                        client,
                        wish,
                        self._ccm.view,
                        self._status_of,
                        self._settings,
                        is_counted=self._ccm.is_counted,
                    )
                    effects += self._follow_roll(wanted, now)
                case clients.LeaveWanted(reason):
                    effects += self._leave_because(reason, now, EXIT_STAY_DOWN)
                case clients.RotationWanted(client, request):
                    asked = rotation.Asked(client, request)
                    effects += self._follow_rotation(self._rotation.receive(asked, now), now)
                case Tell() | Note():
                    effects.append(effect)
        return effects

    def _carry(self, said: clients.SayToPeers, now: float) -> list[Effect]:
        """Send what a client says, or end the conversation with it when it outruns a peer.

        Nobody else has to suffer for it. It loses what it says now, and knows it; what it said
        before arrives.
        """
        client = said.sender
        slow, waiting_bytes = self._delivery.furthest_behind(self._receivers(said.node))
        if not self._outrun.is_to_blame(client, waiting_bytes):
            assert isinstance(said.message, frame.ClientData)
            self._outrun.note(client, len(said.message.payload))
            return self._say(said.message, said.node, now)
        self._outrun.forget(client)
        text = (
            f"client {client} sends faster than node {slow} can take it, and"
            f" {waiting_bytes // 2**20} MiB wait: its connection is ended"
        )
        lost = self._follow_clients(self._clients.lose(client), now)
        return [error("heartbeat", text), HangUp(client), *lost]

    def _receivers(self, node: str) -> tuple[str, ...]:
        return self._delivery.peers if node == clients.ALL_NODES else (node,)

    def _say(self, message: msgspec.Struct, node: str, now: float) -> list[Effect]:
        """Send a message of the clients' channel to one peer, or to all with contact."""
        receivers = self._receivers(node)
        payload = frame.NODE_MESSAGES.encode(message)
        outcome = self._delivery.send_to(receivers, streams.Channel.CLIENTS, payload, now)
        return self._follow_delivery(outcome, now)

    def _greeting(self) -> api.SignedOn:
        return description.of_self(self._node, self._uuid, self.incarnation, self._settings)

    def _known_nodes(self) -> list[api.NodeChanged]:
        """Every node there is, as it stands when this life begins."""
        peers, hosts = self._links.peers.values(), self._pings.nodes.values()
        return [self._own_node(), *description.news_of_all(peers, hosts)]

    def _own_node(self) -> api.NodeChanged:
        return api.NodeChanged(self._node, NodeKind.NORMAL, self._status, self._uuid)

    def _describe(self, request: int, now: float) -> api.ClusterDescription:
        peers, hosts = self._links.peers.values(), self._pings.nodes.values()
        return api.ClusterDescription(
            request=request,
            node=self._node,
            nodes=description.of_nodes(
                self._own_node(), peers, hosts, self._clients.at, now, self._settings
            ),
            view=self._ccm.view,
            parameters={**self._settings.parameters, "hbversion": VERSION},
            counters=self.counters,
            children=self._children.pids,
            mode=self._settings.mode,
            quorum=account.rules_of(
                self._ccm.view,
                self._settings.electorate,
                self._court.rulings,
                now,
                trouble=self._court.trouble,
                disputed_by=self._ccm.refused,
            ),
        )

    # --- the list of nodes ------------------------------------------------------------------

    def _status_of(self, node: str) -> NodeStatus:
        return self._status if node == self._node else self._links.peers[node].shown

    def _follow_roll(self, outcome: Sequence[roll.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            match effect:
                case roll.Adopt(new):
                    self._settings = new.applied_to(self._stated)
                    self._links.count_by(self._settings.electorate)
                    uuids = {each.node: each.uuid for each in self._links.peers.values()}
                    known = sorted({**uuids, self._node: self._uuid}.items())
                    kept = tuple((name, uuid) for name, uuid in known if uuid)
                    effects.append(events.KeepNodes(new, kept))
                case roll.Admit(node):
                    self._wire.admit(node)
                    self._links.admit(node, now)
                    effects += self._hear_of_session(node, now)
                    added = api.NodeChanged(node, NodeKind.NORMAL, NodeStatus.INIT)
                    effects += self._follow_clients(self._clients.tell(added), now)
                case roll.Dismiss(node):
                    gone = link_events.PeerTookLeave(node)
                    effects += self._follow_links(self._links.receive(gone, now), now)
                    self._wire.dismiss(node)
                    self._links.dismiss(node)
                    self._clients.forget_node(node)
                case roll.CountAnew():
                    effects += self._count_anew(now)
                case roll.WeAreDeleted():
                    text = "this node was deleted from the cluster"
                    effects += self._leave_because(text, now, EXIT_STAY_DOWN)
                case Tell() | Note():
                    effects.append(effect)
        return effects

    def _hear_of_session(self, node: str, now: float) -> list[Effect]:
        """A stranger that is let in has proven its session already."""
        session = self._wire.session_of(node)
        if session is None:
            return []
        opened = link_events.SessionOpened(node, session)
        return self._follow_links(self._links.receive(opened, now), now)

    def _count_anew(self, now: float) -> list[Effect]:
        """The peers hear the list before any round that counts it."""
        self._rotation.replace_peers(self._settings.peers_of(self._node))
        self._clients.adjust(self._greeting())
        effects = self._say_nodes(self._delivery.peers, now)
        changed = ccm.NodesChanged(self._settings.electorate)
        effects += self._follow_ccm(self._ccm.receive(changed, now), now)
        return effects + (self._take_part(now) if self._wire.is_joining else [])

    def _take_part(self, now: float) -> list[Effect]:
        """This node is in the list now: it takes part as one that has been in it all along."""
        self._wire.is_joining = False
        if self._status is not NodeStatus.ACTIVE:
            return []
        effects = self._follow_ccm(self._ccm.receive(ccm.Activated(), now), now)
        if not self._departure.is_begun:
            effects += self._follow_children(self._children.start(now), now)
        return effects

    def _say_nodes(self, peers: tuple[str, ...], now: float) -> list[Effect]:
        payload = frame.MEMBERSHIP_MESSAGES.encode(self._roll.message())
        outcome = self._delivery.send_to(peers, streams.Channel.CONTROL, payload, now)
        return self._follow_delivery(outcome, now)

    # --- the end ----------------------------------------------------------------------------

    def _stop(self, now: float) -> list[Effect]:
        return self._stop_children(now) if self._departure.begin() else []

    def _stop_children(self, now: float) -> list[Effect]:
        return [
            info("heartbeat", "Heartbeat shutdown in progress."),
            *([info("heartbeat", "Giving up all HA resources.")] if self._is_classic() else []),
            *self._follow_children(self._children.stop(now), now),
        ]

    def _leave_because(self, reason: str, now: float, code: int = EXIT_FAILED) -> list[Effect]:
        if not self._departure.begin(code):
            return []
        text = f"{reason}: leaving the cluster"
        return [error("heartbeat", text), *self._stop_children(now)]

    def _take_leave(self, now: float) -> list[Effect]:
        """All children are gone: say so to the peers, and go when they know."""
        kept = self._departure.take_leave(now, self._settings.watchdog)
        return [*kept] if kept else self._say(frame.Leaving(), clients.ALL_NODES, now)

    def _consider_exit(self, now: float) -> list[Effect]:
        departure = self._departure
        if departure.due is None or not (departure.is_due(now) or self._delivery.is_drained()):
            return []
        return [*departure.end(self._settings.watchdog)]
