"""The cib of one node: serves its clients, follows a master, or is the master itself.

Theory of operation
-------------------
The local crmd says whether this node rules (`BecomeMaster`) or whom it follows
(`BecomeFollower`). A master's duties are `mastery`'s, a follower's `following`'s; why no
acknowledged change is lost stands in `vouching`.

A hail of a greater reign ends our own mastery. If our crmd still wants us to rule, we try again a
second later with a greater reign; crmds decide who rules, reigns only order it.

Reads are answered from the local copy at once. Changes go to the master (`forwarding`).
Subscribers hear of every change of the local copy, in order.

What may be lost: any message between nodes. What holds: a promise is never taken back.

Source: docs/protocol/cib.md.
"""

from __future__ import annotations

from collections.abc import Callable

from crm.api import cib as api
from crm.api import controller, membership
from crm.cib import operations, reads, revisions, sayings, wire
from crm.cib.disk import Disk, Mark, Persisted
from crm.cib.document import Document
from crm.cib.following import Following
from crm.cib.forwarding import Forwarding
from crm.cib.localcopy import LocalCopy
from crm.cib.mastery import Mastery
from crm.cib.outbox import Asker, LocalAsker, Outbox, RemoteAsker
from crm.cib.promise import Promise
from crm.cib.slices import SLICE_BYTES
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from crm.plumbing import errors
from crm.plumbing.machine import Exit, MessageArrived, PeerConnected, PeerLost, StopRequested

Event = MessageArrived | PeerConnected | PeerLost | StopRequested | Persisted
REBID_S = 1.0


class Replica:
    """The machine of the cib.

    `warrant` and `promised` come from the disk with the document; `fresh` tells that the
    document is not what the disk holds. `wall` gives the time of day as text, `clock` in seconds
    since 1970; `history` is how the document came about, as far as this node knows. `life` is a
    number (of 31 bits) that no other life of this process had. Effects are those of every machine,
    `Persist`, `KeepPromise` and `Archive`.
    """

    def __init__(
        self,
        document: Document,
        *,
        rules: operations.Rules,
        node: str = "",
        warrant: Warrant = Warrant(),  # noqa: B008 - frozen
        promised: Reign = Reign(),  # noqa: B008 - frozen
        wall: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = lambda: 0.0,
        history: revisions.History | None = None,
        pid: int = 0,
        life: int = 0,
        fresh: bool = False,
        own_user: str = "",
        slice_bytes: int = SLICE_BYTES,
    ) -> None:
        self.node = node
        self._copy = LocalCopy(document, rules, warrant, own_user, history)
        self._disk = Disk()
        if fresh:
            self._disk.want()
        self._outbox = Outbox()
        self._promise = Promise(promised, self._outbox)
        self._forwarding = Forwarding(self._outbox, life)
        self._life = life
        self._wall = wall
        self._clock = clock
        self._pid = pid
        self._view: membership.View | None = None
        self._mastery: Mastery | None = None
        self._wants_to_rule = False
        self._rebid_at: float | None = None
        self._following = Following(
            self._copy,
            self._disk,
            self._outbox,
            self._promise,
            self._forwarding,
            clock=clock,
            slice_bytes=slice_bytes,
        )
        self._stopping = False
        self._early: dict[str, bytes] = {}
        self._slice_bytes = slice_bytes

    # --- the machine --------------------------------------------------------------------------

    def receive(self, event: Event, now: float) -> list[object]:
        """Take in something that happened."""
        match event:
            case MessageArrived(peer=membership.SERVICE, message=message):
                self._from_heartbeat(message, now)
            case MessageArrived(peer=peer, message=message):
                self._from_client(peer, message, now)
            case PeerConnected(peer=membership.SERVICE):
                self._outbox.tell(membership.SERVICE, membership.SignOn(api.SERVICE, self._pid))
            case PeerLost(peer=membership.SERVICE):
                self._view = None
            case PeerLost(peer=peer):
                self._outbox.unsubscribe(peer)
                if peer == controller.SERVICE:
                    # Whether this node rules is for the next life of its crmd to say.
                    self._become_follower("", now)
            case Persisted():
                self._persisted(event, now)
            case StopRequested():
                self._stop()
            case _:
                pass
        return self._conclude(now)

    def tick(self, now: float) -> list[object]:
        """Act on deadlines."""
        if self._rebid_at is not None and now >= self._rebid_at:
            self._rebid_at = None
            if self._wants_to_rule and self._mastery is None:
                self._rule(self.promised.number + 1, now)
        self._promise.tick(now)
        self._copy.discard()
        self._following.read_on(now)
        self._following.give(is_master=self._mastery is not None)
        if self._mastery is not None:
            self._mastery.tick(now)
        self._forwarding.tick(self.document.version, now)
        return self._conclude(now)

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        due = [
            self._rebid_at,
            self._promise.next_deadline(),
            0.0 if self._has_more_to_do else None,
            self._disk.next_deadline(),
            self._forwarding.next_deadline(),
            None if self._mastery is None else self._mastery.next_deadline(),
        ]
        return min((moment for moment in due if moment is not None), default=None)

    @property
    def _has_more_to_do(self) -> bool:
        """Tell whether something goes on in the next turn that would be too long in one."""
        return self._following.has_more_to_do or self._copy.has_discarded

    @property
    def document(self) -> Document:
        """The local copy."""
        return self._copy.document

    @property
    def promised(self) -> Reign:
        """Nobody of an earlier reign is followed."""
        return self._promise.made

    @property
    def warrant(self) -> Warrant:
        """On whose word the local copy was written, and up to where."""
        return self._copy.warrant

    @property
    def is_master(self) -> bool:
        """Tell whether this node orders the changes."""
        return self._mastery is not None

    def _conclude(self, now: float) -> list[object]:
        mark = self._mark()
        write = self._disk.write(
            lambda: self._copy.content(mark), lambda: self._copy.steps(mark), now
        )
        if write is not None:
            self._outbox.add(write)
        if self._stopping and self._disk.may_be_left:
            if not self._disk.is_durable:
                lost = f"{self.document.version} of the CIB is not on this disk"
                self._outbox.error(f"write_cib_contents: Version {lost}: {self._disk.problem}")
            self._outbox.tell(membership.SERVICE, membership.SignOff())
            self._outbox.add(Exit(0))
            self._stopping = False
        return self._outbox.take()

    def _mark(self) -> Mark:
        """Say which place of which sequence the copy is at now."""
        if self._mastery is not None:
            return self._mastery.reign, self._mastery.sequence
        return self._following.reached

    def _stop(self) -> None:
        self._stopping = True
        self._disk.hurry()
        if self._mastery is not None:
            self._step_down()

    # --- clients ------------------------------------------------------------------------------

    def _from_client(self, peer: str, message: object, now: float) -> None:
        match message:
            case api.Query() | api.AskRevisions() | api.AskRights() | api.DescribeCib():
                self._outbox.tell(peer, reads.answer(self._copy, message))
            case api.Change():
                self._asked(LocalAsker(peer, message.request), message, now)
            case api.Subscribe():
                self._outbox.subscribe(peer, message)
            case api.BecomeMaster(request=request, reign=reign):
                self._become_master(reign, now)
                self._outbox.tell(peer, api.RoleTaken(request, self.document.version))
            case api.BecomeFollower(master=master):
                self._become_follower(master, now)
            case api.FetchFrom(request=request, node=node):
                if self._mastery is None:
                    self._refuse_sync(peer, request, (node,))
                else:
                    self._mastery.fetch(peer, request, node, now)
            case api.SyncTo(request=request, nodes=nodes):
                if self._mastery is None:
                    self._refuse_sync(peer, request, nodes)
                else:
                    self._mastery.sync(peer, request, nodes, now)
            case _:
                self._outbox.warn(f"{peer} sent a {type(message).__name__}, which is not for a cib")

    def _asked(self, asker: Asker, change: api.Change, now: float) -> None:
        if self._mastery is not None:
            self._mastery.asked(asker, change, now)
        else:
            self._forwarding.add(asker, change, self.document.version, now)

    def _refuse_sync(self, peer: str, request: int, nodes: tuple[str, ...]) -> None:
        version = self.document.version
        self._outbox.tell(peer, api.SyncDone(request, api.Outcome.NOT_READY, version, nodes))

    # --- roles --------------------------------------------------------------------------------

    def _become_master(self, reign: Reign, now: float) -> None:
        self._wants_to_rule = True
        if self._mastery is None or reign.number > self._mastery.reign.number:
            self._rule(max(reign.number, self.promised.number + 1), now)

    def _rule(self, number: int, now: float) -> None:
        waiting = [] if self._mastery is None else self._mastery.end()
        self._rebid_at = None
        self._following.rule_oneself()
        self._promise.made = Reign(number, self.node)
        self._mastery = Mastery(
            node=self.node,
            reign=self.promised,
            copy=self._copy,
            disk=self._disk,
            outbox=self._outbox,
            wall=self._wall,
            clock=self._clock,
            now=now,
            slice_bytes=self._slice_bytes,
            life=self._life,
        )
        self._outbox.info(f"cib_process_readwrite: We are now in R/W mode (reign {self.promised})")
        self._promise.keep()
        self._following.master_named = ""
        self._forwarding.set_master("", self.document.version, now)
        self._mastery.viewed(self._view, now)
        for asker, change in [*waiting, *self._forwarding.take_back()]:
            self._mastery.asked(asker, change, now)

    def _become_follower(self, master: str, now: float) -> None:
        self._wants_to_rule = False
        self._rebid_at = None
        waiting = self._step_down()
        named = self._following.master_named = "" if master == self.node else master
        self._forwarding.set_master(named, self.document.version, now)
        for asker, change in waiting:
            self._forwarding.add(asker, change, self.document.version, now)

    def _step_down(self) -> list[tuple[Asker, api.Change]]:
        if self._mastery is None:
            return []
        waiting = self._mastery.end()
        self._mastery = None
        self._outbox.info("cib_process_readwrite: We are now in R/O mode")
        local: list[tuple[Asker, api.Change]] = []
        for asker, change in waiting:
            if isinstance(asker, RemoteAsker):
                self._not_master(asker)
            else:
                local.append((asker, change))
        return local

    def _not_master(self, asker: RemoteAsker) -> None:
        refusal = wire.Forwarded(asker.token, api.Outcome.NOT_READY, not_master=True)
        self._outbox.to_node(asker.node, refusal)

    # --- heartbeat ----------------------------------------------------------------------------

    def _from_heartbeat(self, message: object, now: float) -> None:
        match message:
            case membership.SignedOn(node=node):
                self.node = node
            case membership.ViewInstalled(event=event, view=view):
                self._viewed(event, view, now)
            case membership.ClientChanged(client=api.SERVICE) if message.node != self.node:
                self._client_changed(message.node, message.status, now)
            case membership.ClusterMessage(from_client=client) if client != api.SERVICE:
                self._outbox.warn(
                    f"dropped a message of client {client} at {message.from_node}: not its cib"
                )
            case membership.ClusterMessage(from_node=node) if node != self.node:
                self._from_peer(node, message.payload, now)
            case _:
                pass

    def _viewed(self, event: membership.ViewEvent, view: membership.View, now: float) -> None:
        for line in sayings.of_view(event, view):
            self._outbox.info(line)
        match event:
            case membership.ViewEvent.NOT_PRIMARY:
                return  # the view that follows decides
            case membership.ViewEvent.EVICTED:
                self._view = None
            case _:
                self._view = view
        if self._mastery is not None:
            self._mastery.viewed(self._view, now)
        for node in view.lost:
            self._forwarding.lost(node, self.document.version, now)
        early, self._early = self._early, {}
        for node, payload in early.items():
            if self._view is not None and _holds(self._view, node):
                self._from_peer(node, payload, now)

    def _client_changed(self, node: str, status: membership.ClientStatus, now: float) -> None:
        self._outbox.info(
            f"cib_client_status_callback: Status update: Client {node}/{api.SERVICE}"
            f" now has status [{status.value}]"
        )
        gone = status in (membership.ClientStatus.LEAVE, membership.ClientStatus.OFFLINE)
        if gone:
            self._forwarding.lost(node, self.document.version, now)
        if self._mastery is None:
            return
        if gone:
            self._mastery.forget(node)
        else:
            self._mastery.hail(node, again=status is membership.ClientStatus.JOIN)

    # --- the other cibs -----------------------------------------------------------------------

    def _from_peer(self, node: str, payload: bytes, now: float) -> None:
        if self._view is not None and not _holds(self._view, node):
            # Views overlap for a moment when one follows another. Who is not in ours must not end
            # our reign; if it is our view that is late, this is heard when the next one has come.
            self._early[node] = payload
            return
        try:
            message = wire.PEERS.decode(payload)
            self._hear(node, message, now)
        except (errors.RemoteProtocolError, errors.ConfigurationError) as problem:
            self._outbox.error(f"cib_peer_callback: What {node} sent is of no use: {problem}")

    def _hear(self, node: str, message: object, now: float) -> None:
        master = self._mastery
        match message:
            case wire.Hail(reign=reign):
                self._hailed(node, reign, now)
            case wire.Apply(reign=reign) if reign > self.promised:
                self._hailed(node, reign, now)
            case wire.Apply():
                self._following.apply(node, message)
            case wire.Snapshot() if master is not None:
                master.given(node, message, now)
            case wire.Snapshot():
                self._following.install(node, message, now)
            case wire.Give(reign=reign) if reign == self.promised and node == reign.dc:
                self._following.asked_to_give(message, is_master=master is not None)
            case wire.Present() if master is not None:
                self._presented(node, message, now)
            case wire.Acknowledge() if master is not None:
                master.acknowledged(node, message, now)
            case wire.Dismiss(reign=reign) if reign == self.promised and reign.dc == node:
                self._outbox.leave(self._disk.problem or self._promise.problem)
            case wire.Forward(token=token, change=change):
                asker = RemoteAsker(node, token)
                if master is None:
                    self._not_master(asker)
                else:
                    master.asked(asker, change, now)
            case wire.Forwarded():
                reached = None if self._promise.problem else self._mark()
                self._forwarding.answered(message, node, reached, now)
            case _:
                pass  # meant for a role we no longer have

    def _presented(self, node: str, message: wire.Present, now: float) -> None:
        """A greater promise ends our reign; if we are still to rule, a greater one begins."""
        assert self._mastery is not None, "only a master is presented to"
        if message.reign == self._mastery.reign and message.promised > message.reign:
            self._outbox.warn(f"{node} has promised the reign {message.promised}, not ours")
            self._yield(message.promised, now)
            return
        self._mastery.presented(node, message, now)

    def _yield(self, greater: Reign, now: float) -> None:
        self._promise.made = max(self.promised, greater)
        for asker, change in self._step_down():
            self._forwarding.add(asker, change, self.document.version, now)
        if self._wants_to_rule:
            self._rebid_at = now + REBID_S

    def _hailed(self, node: str, reign: Reign, now: float) -> None:
        if reign.dc != node:
            return
        if reign > self.promised:
            if self._mastery is not None:
                self._yield(reign, now)
            self._following.follow(node, reign)
        else:
            self._following.hailed(node, reign)

    # --- the disk -----------------------------------------------------------------------------

    def _persisted(self, event: Persisted, now: float) -> None:
        if event.ticket % 2:
            self._promise_written(event, now)
            return
        content = self._disk.finished(event, now)
        if content is None:
            return
        covers = self._following.write_ended()
        if not event.ok:
            self._outbox.error(sayings.of_failure(content, event))
        elif said := sayings.of_write(content, event):
            self._outbox.info(said)
        if not event.ok and not self._disk.problem:
            return  # it is tried in the other way at once
        if self._mastery is not None:
            self._mastery.written(content.mark, now)
        else:
            self._following.may_be_durable(content.mark if covers else None)

    def _promise_written(self, event: Persisted, now: float) -> None:
        if not self._promise.finished(event, now):
            return
        if self._promise.problem:
            self._tell_of_broken_promise(now)
            return
        if not self._promise.is_kept:
            return  # another has been made meanwhile
        if self._mastery is not None:
            self._mastery.promise_kept = True
            self._mastery.promise_problem = ""
            self._mastery.advance(now)
        else:
            self._following.present()

    def _tell_of_broken_promise(self, now: float) -> None:
        """Name the disk that keeps a reign from being settled, so that nobody waits in vain."""
        reason, is_broken = self._promise.problem, self._promise.is_broken
        if self._mastery is not None:
            self._mastery.promise_problem = reason
            if is_broken:
                self._mastery.own_disk_is_broken()
            self._mastery.advance(now)
        else:
            self._following.tell_of_broken_promise(reason, is_broken=is_broken)


def _holds(view: membership.View, node: str) -> bool:
    return any(member.name == node for member in view.members)
