"""A network of replicas with slow disks and a slow, lossy wire, all from one seed.

It plays heartbeat (views, client status, ordered messages), the disks (a write may end, fail, or
be lost in a crash), and the crmds (who rules). Time is virtual.
"""

from __future__ import annotations

import functools
import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from crm.api import cib as api
from crm.api import membership
from crm.cib import ahead, revisions
from crm.cib import document as documents
from crm.cib.disk import Append, KeepPromise, Persist, Persisted
from crm.cib.localcopy import Archive
from crm.cib.operations import Rules
from crm.cib.replica import Replica
from crm.cib.slices import SLICE_BYTES
from crm.cib.warrants import Warrant, pair_of
from crm.model.version import Reign
from crm.plumbing import xml
from crm.plumbing.machine import Exit, MessageArrived, Note, Tell

NAP_S = 0.0002
"""Between two ticks of a machine whose deadline is past others have their turn."""

LENIENT = Rules(validate=lambda _: [], upgrade=lambda root: (root, []))
"""Rules that let everything pass, as fast as that goes."""


def document(data: bytes | None = None) -> documents.Document:
    return documents.Document(documents.empty() if data is None else xml.parse(data))


def create(identity: str, section: str = "resources") -> api.XmlOperation:
    text = f'<primitive id="{identity}" class="ocf" provider="pacekeeper" type="Dummy"/>'
    return api.XmlOperation(api.XmlTask.CREATE, text.encode(), section)


@dataclass
class Disk:
    """What survives a crash."""

    data: bytes | None = None
    journal: bytes = b""
    warrant: Warrant = field(default_factory=Warrant)
    promised: Reign = field(default_factory=Reign)
    broken: bool = False
    worn_out: bool = False
    archived: list[Archive] = field(default_factory=list)
    ahead: bytes = b""
    late: list[bytes] = field(default_factory=list)
    """What the next whole write adds to the journal first (the store remembers it)."""
    may_append: bool = True

    def read(self) -> tuple[documents.Document, Warrant]:
        """Read what a new life of the process finds, as the store does."""
        copy = document(self.data)
        return led_on(copy, self.warrant.without_quorum(copy.version), self.ahead)

    def read_journal(self) -> bytes:
        late = [revisions.encode(step.revision) for step in steps_of(self.ahead)]
        known = self.journal.split(b"\n")
        return self.journal + b"".join(line for line in late if line[:-1] not in known)


def steps_of(lines: bytes) -> tuple[ahead.Step, ...]:
    return ahead.decode(ahead.header("0" * 64) + lines).steps


def led_on(
    copy: documents.Document, warrant: Warrant, lines: bytes
) -> tuple[documents.Document, Warrant]:
    """Repeat the changes that are ahead of a document."""
    for step in steps_of(lines):
        ahead.repeat(copy, step)
        warrant = step.leads_to
    return copy, warrant


def _note(disk: Disk, effect: Persist) -> None:
    """Write the history, as the store does before the configuration."""
    before = b"" if effect.journal.whole else disk.journal + b"".join(disk.late)
    disk.journal = before + b"".join(effect.journal.lines)
    disk.late = []


@dataclass
class Node:
    name: str
    disk: Disk = field(default_factory=Disk)
    replica: Replica | None = None
    life: int = 0
    replies: list[object] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    told: list[object] = field(default_factory=list)


class Network:
    """Nodes named n1, n2 …; `rng` decides every delay."""

    def __init__(self, size: int, seed: int = 0, *, loss: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.loss = loss
        self.slice_bytes = self.rng.choice((1, 500, SLICE_BYTES))
        self.now = 0.0
        self.nodes = {f"n{i + 1}": Node(f"n{i + 1}") for i in range(size)}
        self.groups: list[tuple[str, ...]] = []
        self.acknowledged: list[str] = []
        self.outcomes: dict[tuple[str, int], api.ChangeReply] = {}
        self.contents: dict[Warrant, str] = {}
        self._tokens: dict[tuple[str, int], str] = {}
        self._view = 0
        self._request = 0
        self._reign = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._last: dict[tuple[str, str], float] = {}
        self._busy_until: dict[str, float] = {}
        self._rested: dict[str, float] = {}
        for name in self.nodes:
            self.start(name)

    # --- what a test does -----------------------------------------------------------------

    def start(self, name: str) -> None:
        node = self.nodes[name]
        node.life += 1
        stored, warrant = node.disk.read()
        history, _ = revisions.restore(node.disk.read_journal(), stored)
        node.disk.late = [revisions.encode(step.revision) for step in steps_of(node.disk.ahead)]
        node.replica = Replica(
            stored,
            rules=LENIENT,
            node=name,
            warrant=warrant,
            promised=max(node.disk.promised, warrant.written),
            wall=lambda: "",
            clock=lambda: 1000.0 + self.now,
            history=history,
            life=node.life,
            slice_bytes=self.slice_bytes,
            fresh=bool(node.disk.ahead),
        )
        self.give(name, MessageArrived("crmd", api.Subscribe()))

    def crash(self, name: str) -> None:
        self.nodes[name].replica = None
        self.nodes[name].life += 1

    def alive(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.replica is not None]

    def partition(self, *groups: Iterable[str], lost: Iterable[str] = ()) -> None:
        """Cut the network into groups, and tell each of its living members the view."""
        old = self.groups
        self.groups = [tuple(g) for g in groups]
        self._view += 1
        for group in self.groups:
            members = [n for n in group if self.nodes[n].replica is not None]
            before = next((set(g) for g in old if group and members and members[0] in g), set())
            view = membership.View(
                id=self._view,
                members=tuple(
                    membership.Member(n, f"uuid-{n}", i, self._view) for i, n in enumerate(members)
                ),
                quorate=2 * len(members) > len(self.nodes),
                new=tuple(n for n in members if n not in before),
                lost=tuple(sorted((before - set(members)) | set(lost))),
                total_nodes=len(self.nodes),
                votes_needed=len(self.nodes) // 2 + 1,
            )
            event = (
                membership.ViewEvent.NEW_MEMBERSHIP
                if view.quorate
                else membership.ViewEvent.INVALID
            )
            for name in members:
                # A node hears of views in their order.
                moment = self.now + self.rng.uniform(0.0005, 0.02)
                moment = max(moment, self._last.get(("", name), 0.0))
                self._last["", name] = moment
                self.later(
                    lambda name=name, view=view, event=event: self.give(
                        name,
                        MessageArrived("heartbeat", membership.ViewInstalled(event, view)),
                    ),
                    life_of=name,
                    at=moment,
                )

    def rule(self, master: str, followers: Iterable[str]) -> None:
        """Let the crmds say who rules."""
        self._reign += 1
        reign = Reign(self._reign, master)
        self.later(
            lambda: self.give(master, MessageArrived("crmd", api.BecomeMaster(0, reign))),
            life_of=master,
            at=self._in_order("crmd", master),
        )
        for name in followers:
            if name != master:
                order = MessageArrived("crmd", api.BecomeFollower(master, reign))
                at = self._in_order("crmd", name)
                self.later(functools.partial(self.give, name, order), life_of=name, at=at)

    def elect(self) -> None:
        """Let the first living member of each group rule it."""
        for group in self.groups:
            members = [n for n in group if self.nodes[n].replica is not None]
            if members:
                self.rule(members[0], members)

    def change(self, name: str, *operations: api.Operation, **options: object) -> int:
        """Ask a node for a change; what it creates counts as a token when it is answered OK."""
        self._request += 1
        request = self._request
        for operation in operations:
            counts = not options.get("force")
            if counts and isinstance(operation, api.XmlOperation) and operation.xml:
                token = xml.parse(operation.xml).get("id")
                if token:
                    self._tokens[name, request] = token
        message = api.Change(request, operations, api.Origin("test"), **options)  # type: ignore[arg-type]
        self.give(name, MessageArrived("tool", message))
        return request

    def run(self, seconds: float, limit: int = 200_000) -> None:
        """Let time pass."""
        end = self.now + seconds
        for _ in range(limit):
            deadlines = [
                (max(deadline, self._rested.get(name, 0.0)), name)
                for name, node in self.nodes.items()
                if node.replica is not None
                and (deadline := node.replica.next_deadline()) is not None
            ]
            due = min(deadlines, default=(float("inf"), ""))
            event = self._heap[0][0] if self._heap else float("inf")
            moment = min(due[0], event)
            if moment > end:
                self.now = end
                return
            self.now = max(self.now, moment)
            if event <= due[0]:
                heapq.heappop(self._heap)[2]()
            else:
                self._tick(due[1])
        raise AssertionError("the network does not come to rest")

    # --- how it works ---------------------------------------------------------------------

    def later(self, action: Callable[[], None], *, life_of: str, at: float | None = None) -> None:
        node, life = self.nodes[life_of], self.nodes[life_of].life
        moment = self.now + self.rng.uniform(0.0005, 0.02) if at is None else at
        self._count += 1

        def act() -> None:
            if node.life == life:
                action()

        heapq.heappush(self._heap, (moment, self._count, act))

    def _in_order(self, sender: str, name: str) -> float:
        """A moment for a message that overtakes no earlier one of this local sender."""
        soon = self.now + self.rng.uniform(0.0005, 0.02)
        moment = max(soon, self._last.get((sender, name), 0.0) + 1e-6)
        self._last[sender, name] = moment
        return moment

    def give(self, name: str, event: object) -> None:
        replica = self.nodes[name].replica
        if replica is not None:
            self._carry_out(name, replica.receive(event, self.now))  # type: ignore[arg-type]

    def _tick(self, name: str) -> None:
        replica = self.nodes[name].replica
        assert replica is not None
        self._rested[name] = self.now + NAP_S
        self._carry_out(name, replica.tick(self.now))

    def _carry_out(self, name: str, effects: list[object]) -> None:
        node = self.nodes[name]
        for effect in effects:
            match effect:
                case Tell("heartbeat", membership.SendCluster(_, payload, to_node)):
                    for target in [to_node] if to_node else list(self.nodes):
                        if to_node or target != name:
                            self._send(name, target, payload)
                case Tell("tool", api.ChangeReply() as reply):
                    self._answered(name, reply)
                case Tell(_, message):
                    node.told.append(message)
                case Note(_, _, text):
                    node.notes.append(f"{self.now:.4f} {text}")
                case Persist() | Append() | KeepPromise():
                    self._write(node, effect)
                case Archive():
                    node.disk.archived.append(effect)
                case Exit():
                    self.crash(name)

    def _answered(self, name: str, reply: api.ChangeReply) -> None:
        self.outcomes[name, reply.request] = reply
        token = self._tokens.get((name, reply.request))
        if token is not None and reply.outcome is api.Outcome.OK:
            self.acknowledged.append(token)
            self._check_durable(token)

    def _check_durable(self, token: str) -> None:
        """What is acknowledged is on the disks of a majority at that moment (I2)."""
        copies = [node.disk.read()[0] for node in self.nodes.values()]
        holders = sum(copy.by_id(token) is not None for copy in copies)
        assert 2 * holders > len(self.nodes), f"{token} was acknowledged with {holders} copies"

    def _connected(self, one: str, other: str) -> bool:
        return one == other or any(one in g and other in g for g in self.groups)

    def _send(self, sender: str, target: str, payload: bytes) -> None:
        if not self._connected(sender, target) or self.rng.random() < self.loss:
            return
        moment = max(
            self.now + self.rng.uniform(0.0002, 0.01), self._last.get((sender, target), 0.0)
        )
        self._last[sender, target] = moment
        message = membership.ClusterMessage(sender, api.SERVICE, payload)

        def arrive() -> None:
            if self._connected(sender, target):
                self.give(target, MessageArrived("heartbeat", message))

        self.later(arrive, life_of=target, at=moment)

    def _write(self, node: Node, effect: Persist | Append | KeepPromise) -> None:
        """A write reaches the disk some time before its end is known; one after the other."""
        start = max(self.now, self._busy_until.get(node.name, 0.0))
        moment = start + self.rng.choice((0.001, 0.005, 0.08)) * self.rng.random()
        self._busy_until[node.name] = moment + 0.0005
        if node.disk.broken or node.disk.worn_out:
            reason = "Input/output error" if node.disk.worn_out else "No space left on device"
            failed = Persisted(effect.ticket, False, reason, is_broken=node.disk.worn_out)
            self.later(lambda: self.give(node.name, failed), life_of=node.name, at=moment)
            return

        if isinstance(effect, Persist):
            between = start + (moment - start) * self.rng.random()
            self.later(lambda: _note(node.disk, effect), life_of=node.name, at=between)

        def reach() -> None:
            match effect:
                case KeepPromise(reign=reign):
                    node.disk.promised = reign
                case Append(lines=lines, journal=journal):
                    node.disk.ahead += b"".join(lines)
                    node.disk.late += journal.lines
                case Persist(data=data, warrant=warrant):
                    node.disk.data, node.disk.warrant, node.disk.ahead = data, warrant, b""
            self._check_content(node.disk)

        self.later(reach, life_of=node.name, at=moment)
        done = Persisted(effect.ticket, True, may_append=node.disk.may_append)
        self.later(lambda: self.give(node.name, done), life_of=node.name, at=moment + 0.0005)

    def _check_content(self, disk: Disk) -> None:
        """On one warrant, one version names one configuration (I3).

        What was changed without quorum or by hand may be anything.
        """
        copy, key = disk.read()
        if key.written == Reign() or key.settled != pair_of(copy.version):
            return
        digest = copy.digest()
        assert self.contents.setdefault(key, digest) == digest, f"two contents for {key}"

    # --- what a test looks at ---------------------------------------------------------------

    def replica(self, name: str) -> Replica:
        replica = self.nodes[name].replica
        assert replica is not None, f"{name} is down"
        return replica

    def missing(self, name: str) -> list[str]:
        """Name the acknowledged tokens that this node's copy lacks."""
        copy = self.replica(name).document
        return [token for token in self.acknowledged if copy.by_id(token) is None]

    def heal(self) -> None:
        """End all trouble and let the cluster come to rest."""
        self.loss = 0.0
        for node in self.nodes.values():
            node.disk.broken = False
        for name, node in self.nodes.items():
            if node.replica is None:
                self.start(name)
        self.partition(tuple(self.nodes))
        self.elect()
        self.run(60.0)
