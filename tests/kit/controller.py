"""A small cluster of controllers for tests: real crmds (and attrds), everything around them faked.

`ControllerCluster` holds one `FakeNode` a node and one shared `World`. Messages travel in
order, one queue for each pair of processes, and are delivered by `run` until nothing is left. The
fakes keep the promises of `crm.api` and nothing more: heartbeat's order of events, a cib that
replicates at once, an executor that runs what it is told (or holds it back), and a scheduler that
knows how to keep single resources on the best node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from crm.api import attributes, cib, controller, lrm, membership, peers, scheduler
from crm.attrd.attributes import Attributes
from crm.controller.core import Controller
from crm.model.graph import Action, ActionKind, Graph, GraphResource, Synapse
from crm.model.version import Reign, Version
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
)

HEARTBEAT, CIB, LRMD, PENGINE, ATTRD = "heartbeat", "cib", "lrmd", "pengine", "attrd"


@dataclass
class World:
    """What is true outside: which resources are active where, and what agents answer."""

    active: dict[str, set[str]] = field(default_factory=dict)
    failing: dict[tuple[str, str, str], int] = field(default_factory=dict)
    log: list[tuple[str, str, str]] = field(default_factory=list)
    preferences: dict[str, list[str]] = field(default_factory=dict)
    standby: set[str] = field(default_factory=set)
    cib: bytes = b"<cib/>"

    def execute(self, node: str, resource: str, operation: str) -> int:
        """Run an agent: idempotent start, stop and monitor."""
        planned = self.failing.get((node, resource, operation))
        here = self.active.setdefault(node, set())
        if operation != "monitor":
            self.log.append((node, resource, operation))
        if planned is not None:
            return planned
        if operation == "start":
            others = [name for name, held in self.active.items() if resource in held]
            assert others in ([], [node]), f"{resource} started on {node}, active on {others}"
            here.add(resource)
        elif operation == "stop":
            here.discard(resource)
        elif operation == "monitor":
            return 0 if resource in here else 7
        return 0


@dataclass
class Document:
    """A fake CIB: what the status operations amount to."""

    version: Version = field(default_factory=lambda: Version(0, 1, 0))
    root: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    states: dict[str, dict[str, object]] = field(default_factory=dict)
    history: dict[str, dict[str, cib.OperationRecord]] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    def copy(self) -> Document:
        return Document(
            self.version,
            dict(self.root),
            dict(self.nodes),
            {name: dict(state) for name, state in self.states.items()},
            {name: dict(ops) for name, ops in self.history.items()},
            {name: dict(values) for name, values in self.attributes.items()},
        )

    def apply(self, operation: cib.Operation) -> list[cib.Touched]:
        """Carry out one operation; return what it changed."""
        match operation:
            case cib.RecordOperations(records=records):
                for record in records:
                    if record.status == 1:
                        key = f"{record.resource}_{record.operation}_{record.interval_ms}"
                        self.history.get(record.node, {}).pop(key, None)
                        continue
                    key = f"{record.resource}_{record.operation}_{record.interval_ms}"
                    if record.interval_ms == 0:
                        key = f"{record.resource}_last"
                    self.history.setdefault(record.node, {})[key] = record
                return [
                    cib.Touched("operation", record.resource, record.node) for record in records
                ]
            case cib.ReplaceHistory(node=node, records=records):
                self.history[node] = {}
                for record in sorted(records, key=lambda record: record.call_id):
                    self.apply(cib.RecordOperations((record,)))
                return [cib.Touched("history", "", node)]
            case cib.EraseHistory(node=node, resource=resource, operation=task):
                for name in [node] if node else list(self.history):
                    kept = {
                        key: record
                        for key, record in self.history.get(name, {}).items()
                        if (resource and record.resource != resource)
                        or (task and record.operation != task)
                    }
                    self.history[name] = kept
                return [cib.Touched("history", resource, node)]
            case cib.SetNodeState():
                state = self.states.setdefault(operation.node, {})
                for name in ("in_membership", "crmd_online", "join", "expected"):
                    if getattr(operation, name) is not None:
                        state[name] = getattr(operation, name)
                return [cib.Touched("node_state", "", operation.node)]
            case cib.ForgetNodeState(node=node, history=history, attributes=values):
                if history:
                    self.history.pop(node, None)
                if values:
                    self.attributes.pop(node, None)
                return [cib.Touched("node_state", "", node)]
            case cib.SetNodeAttribute(node=node, name=name, value=value):
                values_of = self.attributes.setdefault(node, {})
                if values_of.get(name) == value:
                    return []
                if value is None:
                    values_of.pop(name, None)
                else:
                    values_of[name] = value
                return [cib.Touched("attribute", name, node, value or "")]
            case cib.SetCibAttributes(attributes=pairs):
                self.root.update(pairs)
                return [cib.Touched("root")]
            case cib.DescribeNodes(nodes=nodes):
                self.nodes.update({name: uuid for uuid, name in nodes})
                return [cib.Touched("configuration", "nodes")]
            case _:
                return [cib.Touched("configuration", "something")]


@dataclass
class FakeCib:
    """One node's cib; the cluster replicates what the master applies."""

    node: str
    document: Document = field(default_factory=Document)
    reign: Reign = field(default_factory=Reign)
    is_master: bool = False
    outcome: cib.Outcome = cib.Outcome.OK
    subscribers: list[str] = field(default_factory=list)
    is_mute: bool = False
    cannot_write: bool = False


@dataclass
class FakeLrmd:
    """One node's executor."""

    incarnation: str
    reign: Reign = field(default_factory=Reign)
    results: dict[tuple[str, str, int], lrm.OperationFinished] = field(default_factory=dict)
    held: list[lrm.Execute] = field(default_factory=list)
    is_holding: bool = False
    seen: list[lrm.Execute] = field(default_factory=list)


class FakeNode:
    """A node: its processes and what has been said between them."""

    def __init__(self, name: str, cluster: ControllerCluster) -> None:
        self.name = name
        self.uuid = f"uuid-{name}"
        self.cluster = cluster
        self.is_up = True
        self.lives = 0
        self.cib = FakeCib(name)
        self.lrmd = FakeLrmd(f"{name}-1")
        self.crmd: Controller | None = None
        self.attrd: Attributes | None = None
        self.clients: dict[str, None] = {}
        self.view: membership.View | None = None
        self.side = ""
        self.exit_codes: list[int] = []
        self.notes: list[str] = []

    @property
    def members(self) -> tuple[membership.Member, ...]:
        return self.view.members if self.view is not None else ()

    def start(self) -> None:
        """Bring up every daemon of the node."""
        self.lives += 1
        self.start_attrd()
        self.start_crmd()

    def start_crmd(self) -> None:
        number = self.cluster.next_number()
        self.crmd = Controller(
            new_uuid=lambda: f"engine-{self.name}-{number}", wall=lambda: 1000.0, pid=number
        )
        for peer in (HEARTBEAT, CIB, PENGINE, LRMD, ATTRD):
            self.to("crmd", PeerConnected(peer))

    def start_attrd(self) -> None:
        self.attrd = Attributes(pid=1)
        for peer in (HEARTBEAT, CIB):
            self.to("attrd", PeerConnected(peer))

    def to(self, process: str, event: object) -> None:
        """Queue an event for one of the node's machines."""
        self.cluster.queue.append((self, process, self.lives, event))

    def tell(self, process: str, sender: str, message: msgspec.Struct) -> None:
        self.to(process, MessageArrived(sender, message))


Policy = Callable[["ControllerCluster", Document, int], Graph]


class ControllerCluster:
    """Controllers in conversation, with a clock that stands still unless told to go."""

    def __init__(self, *names: str, policy: Policy | None = None) -> None:
        self.now = 0.0
        self.queue: deque[tuple[FakeNode, str, int, object]] = deque()
        self.world = World()
        self.policy = policy or keep_running
        self.nodes = {name: FakeNode(name, self) for name in names}
        self.view: membership.View | None = None
        self.born: dict[str, int] = {}
        self.view_id = 0
        self.graphs: list[Graph] = []
        self.is_scheduler_busy = False
        self.thinking: list[tuple[FakeNode, str, scheduler.Scheduled]] = []
        self.fencing: list[msgspec.Struct] = []
        self.quorum_of = lambda members: 2 * len(members) > len(names)
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def __getitem__(self, name: str) -> FakeNode:
        return self.nodes[name]

    # --- what a test does ------------------------------------------------------------------

    def start_all(self) -> None:
        """Start every node and install the first view, then run."""
        for node in self.nodes.values():
            node.start()
        self.install(list(self.nodes))
        self.run()

    def install(
        self,
        members: Iterable[str],
        *,
        event: membership.ViewEvent | None = None,
        reborn: Iterable[str] = (),
    ) -> None:
        """Agree on a view and tell it to its members."""
        names = sorted(members)
        reborn = set(reborn)
        self.view_id += 1
        known = {m.name for name in names for m in self.nodes[name].members if name not in reborn}
        for name in names:
            if name not in known or name in reborn:
                self.born[name] = self.view_id
        indexes = {name: index for index, name in enumerate(sorted(self.nodes))}
        listed = tuple(
            membership.Member(name, self.nodes[name].uuid, indexes[name], self.born[name])
            for name in names
        )
        for name in names:
            node = self.nodes[name]
            before = {m.name: m.born for m in node.members} if name not in reborn else {}
            fresh = [m.name for m in listed if before.get(m.name) != m.born]
            lost = [n for n in before if n not in names or before[n] != self.born[n]]
            view = membership.View(
                id=self.view_id,
                members=listed,
                quorate=self.quorum_of(names),
                new=tuple(fresh),
                lost=tuple(sorted(lost)),
                total_nodes=len(self.nodes),
            )
            node.view = self.view = view
            word = (
                membership.ViewEvent.NEW_MEMBERSHIP
                if view.quorate
                else membership.ViewEvent.INVALID
            )
            for process in node.clients:
                node.tell(process, HEARTBEAT, membership.ViewInstalled(event or word, view))

    def evict(self, name: str) -> None:
        """Tell one node that the others throw it out; they will go on without it."""
        node = self.nodes[name]
        assert node.view is not None
        for process in node.clients:
            word = membership.ViewEvent.EVICTED
            node.tell(process, HEARTBEAT, membership.ViewInstalled(word, node.view))
        node.view = None

    def lose_quorum_alone(self, name: str) -> None:
        """Tell one member alone that its view, with all in it, has no quorum."""
        node = self.nodes[name]
        assert node.view is not None
        self.view_id += 1
        node.view = msgspec.structs.replace(
            node.view, id=self.view_id, quorate=False, new=(), lost=()
        )
        for process in node.clients:
            event = membership.ViewEvent.INVALID
            node.tell(process, HEARTBEAT, membership.ViewInstalled(event, node.view))

    def release_one(self, name: str) -> None:
        """Let the first operation end that an executor holds back."""
        self._execute(self.nodes[name], self.nodes[name].lrmd.held.pop(0))

    def cut(self, *sides: Iterable[str]) -> None:
        """Part the cluster: nobody hears the other side, each gets its own view."""
        groups = [sorted(side) for side in sides]
        for group in groups:
            for name in group:
                self.nodes[name].side = group[0]
        for node in self.nodes.values():
            for other in self.nodes.values():
                if other.side != node.side:
                    for client in other.clients:
                        for process in node.clients:
                            gone = membership.ClientStatus.LEAVE
                            changed = membership.ClientChanged(other.name, client, gone)
                            node.tell(process, HEARTBEAT, changed)
        for group in groups:
            self.install(group)

    def heal(self) -> None:
        """Join the sides again; whoever was without quorum is a new member."""
        fresh = [
            name for name, node in self.nodes.items() if not node.view or not node.view.quorate
        ]
        for node in self.nodes.values():
            for other in self.nodes.values():
                if other.side != node.side:
                    for client in other.clients:
                        for process in node.clients:
                            there = membership.ClientStatus.ONLINE
                            changed = membership.ClientChanged(other.name, client, there)
                            node.tell(process, HEARTBEAT, changed)
        for node in self.nodes.values():
            node.side = ""
        alive = [name for name, node in self.nodes.items() if node.is_up]
        for name in fresh:
            self.born[name] = self.view_id + 1
        self.install(alive)

    def crash(self, *names: str) -> None:
        """Kill nodes: the survivors are told of the clients, then of the view."""
        for name in names:
            node = self.nodes[name]
            node.is_up = False
            node.view = None
            node.crmd = node.attrd = None
            node.clients.clear()
            node.cib = FakeCib(name, Document(version=Version(0, node.cib.document.version.epoch)))
            node.lrmd = FakeLrmd(f"{name}-{self.next_number()}")
            self.world.active.pop(name, None)
        for name in names:
            self._client_status(name, "attrd", membership.ClientStatus.LEAVE)
            self._client_status(name, "crmd", membership.ClientStatus.LEAVE)
        self.install([name for name, node in self.nodes.items() if node.view is not None])

    def revive(self, name: str) -> None:
        """Start a crashed node again; it becomes a member."""
        self.nodes[name].is_up = True
        self.nodes[name].start()
        self.install([*(n for n, node in self.nodes.items() if node.view is not None), name])

    def kill_crmd(self, name: str) -> None:
        """kill -9 of one crmd; `FakeNode.start_crmd` brings the next life."""
        self.nodes[name].crmd = None
        self.nodes[name].clients.pop("crmd", None)
        self._client_status(name, "crmd", membership.ClientStatus.LEAVE)

    def restart_lrmd(self, name: str) -> None:
        """kill -9 of one executor, and its respawn."""
        node = self.nodes[name]
        node.lrmd = FakeLrmd(f"{name}-{self.next_number()}")
        node.to("crmd", PeerLost(LRMD))
        node.to("crmd", PeerConnected(LRMD))

    def run(self, limit: int = 20_000) -> None:
        """Deliver until nothing is left to deliver."""
        while self.queue:
            limit -= 1
            assert limit > 0, "the cluster does not come to rest"
            node, process, life, event = self.queue.popleft()
            if node.is_up and life == node.lives:
                self._deliver(node, process, event)

    def pass_time(self, seconds: float) -> None:
        """Let time go by, with every deadline in it."""
        end = self.now + seconds
        for _ in range(10_000):
            self.run()
            due = min(
                (
                    deadline
                    for _node, _name, machine in self._machines()
                    if (deadline := machine.next_deadline()) is not None
                ),
                default=end + 1,
            )
            if due > end:
                break
            self.now = max(self.now, due)
            for node, name, machine in list(self._machines()):
                deadline = machine.next_deadline()
                if deadline is not None and deadline <= self.now:
                    self._carry_out(node, name, list(machine.tick(self.now)))
        else:
            raise AssertionError("deadlines do not end")
        self.now = end
        self.run()

    def conclude(self, seconds: float) -> None:
        """Let the scheduler, which is busy, answer what it was asked, after so long."""
        self.pass_time(seconds)
        thinking, self.thinking = self.thinking, []
        for node, process, answer in thinking:
            node.tell(process, PENGINE, answer)
        self.run()

    def release(self, name: str) -> None:
        """Let an executor that was held back finish what it was told."""
        lrmd = self.nodes[name].lrmd
        lrmd.is_holding = False
        held, lrmd.held = lrmd.held, []
        for order in held:
            self._execute(self.nodes[name], order)

    def stop(self, name: str) -> None:
        """Ask a node's crmd to end in order."""
        self.nodes[name].to("crmd", StopRequested())

    def change_configuration(self, name: str) -> None:
        """Let somebody change the configuration through a node's cib."""
        change = cib.Change(1, (cib.XmlOperation(cib.XmlTask.MODIFY),), cib.Origin("cibadmin"))
        self._change(self.nodes[name], "test", change)

    def ask(self, name: str, message: msgspec.Struct) -> None:
        """Let a tool ask a node's crmd."""
        self.nodes[name].tell("crmd", "mgmtd", message)

    # --- what a test looks at --------------------------------------------------------------

    @property
    def dcs(self) -> list[str]:
        """The nodes that hold an office."""
        return [
            name
            for name, node in self.nodes.items()
            if node.crmd is not None and node.crmd.dc == name and node.crmd.state != "S_ELECTION"
        ]

    @property
    def states(self) -> dict[str, str]:
        return {n: node.crmd.state for n, node in self.nodes.items() if node.crmd is not None}

    def where(self, resource: str) -> list[str]:
        return sorted(name for name, held in self.world.active.items() if resource in held)

    def document(self) -> Document:
        """The master's document."""
        (master,) = [n.cib for n in self.nodes.values() if n.cib.is_master and n.is_up]
        return master.document

    # --- delivery --------------------------------------------------------------------------

    def _machines(self) -> Iterator[tuple[FakeNode, str, Controller | Attributes]]:
        for node in self.nodes.values():
            if node.is_up and node.crmd is not None:
                yield node, "crmd", node.crmd
            if node.is_up and node.attrd is not None:
                yield node, "attrd", node.attrd

    def _deliver(self, node: FakeNode, process: str, event: object) -> None:
        machine = node.crmd if process == "crmd" else node.attrd
        if process == "test" or machine is None:
            return
        self._carry_out(node, process, list(machine.receive(event, self.now)))  # type: ignore[arg-type]

    def _carry_out(self, node: FakeNode, process: str, effects: list[Tell | Note | Exit]) -> None:
        for effect in effects:
            match effect:
                case Note(text=text):
                    node.notes.append(text)
                case Exit(code=code):
                    node.exit_codes.append(code)
                    node.crmd = None
                    self._client_gone(node, process)
                case Tell(peer=peer, message=message):
                    self._told(node, process, peer, message)

    def _told(self, node: FakeNode, process: str, peer: str, message: msgspec.Struct) -> None:
        match peer:
            case "heartbeat":
                self._heartbeat(node, process, message)
            case "cib":
                self._cib(node, process, message)
            case "lrmd":
                self._lrmd(node, message)
            case "pengine":
                assert isinstance(message, scheduler.Schedule)
                graph = self.policy(self, node.cib.document, message.transition)
                self.graphs.append(graph)
                answer = scheduler.Scheduled(message.request, graph, sentence="as the test wants")
                if self.is_scheduler_busy:
                    self.thinking.append((node, process, answer))
                else:
                    node.tell(process, PENGINE, answer)
            case "attrd":
                node.tell("attrd", process, message)
            case "crmd":
                node.tell("crmd", process, message)
            case "mgmtd":
                self.answers.append(message)
            case "stonithd":
                self.fencing.append(message)
            case _:
                raise AssertionError(f"nobody is called {peer}")

    @property
    def answers(self) -> list[msgspec.Struct]:
        """What tools were answered."""
        if not hasattr(self, "_answers"):
            self._answers: list[msgspec.Struct] = []
        return self._answers

    # --- heartbeat -------------------------------------------------------------------------

    def _heartbeat(self, node: FakeNode, process: str, message: msgspec.Struct) -> None:
        match message:
            case membership.SignOn(client=client):
                self._sign_on(node, client)
            case membership.SignOff():
                self._client_gone(node, process)
            case membership.SendCluster(to_client=client, payload=payload, to_node=to_node):
                arrived = membership.ClusterMessage(node.name, process, payload)
                for other in self.nodes.values():
                    hears = other.is_up and client in other.clients and other.side == node.side
                    if hears and (to_node == other.name or (not to_node and other is not node)):
                        other.tell(client, HEARTBEAT, arrived)

    def _sign_on(self, node: FakeNode, client: str) -> None:
        node.clients[client] = None
        names = tuple(self.nodes)
        say = membership.SignedOn(node.name, node.uuid, "test", names, f"life-{node.lives}")
        node.tell(client, HEARTBEAT, say)
        for other in self.nodes.values():
            kind, status = membership.NodeKind.NORMAL, membership.NodeStatus.ACTIVE
            changed = membership.NodeChanged(other.name, kind, status, other.uuid)
            node.tell(client, HEARTBEAT, changed)
            for there in other.clients if other.is_up else ():
                online = membership.ClientStatus.ONLINE
                node.tell(client, HEARTBEAT, membership.ClientChanged(other.name, there, online))
        if node.view is not None:
            quorate = node.view.quorate
            events = membership.ViewEvent
            word = events.NEW_MEMBERSHIP if quorate else events.INVALID
            node.tell(client, HEARTBEAT, membership.ViewInstalled(word, node.view))
        self._client_status(node.name, client, membership.ClientStatus.JOIN)

    def _client_gone(self, node: FakeNode, client: str) -> None:
        if node.clients.pop(client, "gone") is None:
            self._client_status(node.name, client, membership.ClientStatus.LEAVE)

    def _client_status(self, name: str, client: str, status: membership.ClientStatus) -> None:
        for other in self.nodes.values():
            if not other.is_up or other.side != self.nodes[name].side:
                continue
            for process in other.clients:
                changed = membership.ClientChanged(name, client, status)
                other.tell(process, HEARTBEAT, changed)

    # --- cib -------------------------------------------------------------------------------

    def _master(self, side: str) -> FakeCib | None:
        masters = [
            n.cib for n in self.nodes.values() if n.is_up and n.cib.is_master and n.side == side
        ]
        return max(masters, key=lambda fake: fake.reign, default=None)

    def _cib(self, node: FakeNode, process: str, message: msgspec.Struct) -> None:
        fake = node.cib
        match message:
            case cib.Subscribe():
                if process not in fake.subscribers:
                    fake.subscribers.append(process)
            case cib.Query(request=request, section=section):
                xml = self.world.cib
                if section == "nodes":
                    inner = "".join(
                        f'<node id="{uuid}" uname="{name}"/>'
                        for name, uuid in fake.document.nodes.items()
                    )
                    xml = f"<nodes>{inner}</nodes>".encode()
                elif section == "status":
                    xml = _status_xml(fake.document, self.nodes)
                reply = cib.QueryReply(request, cib.Outcome.OK, fake.document.version, xml)
                node.tell(process, CIB, reply)
            case cib.DescribeCib() if fake.is_mute:
                return
            case cib.DescribeCib(request=request):
                told = cib.CibDescription(request, fake.document.version, "digest")
                node.tell(process, CIB, told)
            case cib.BecomeMaster(request=request, reign=reign):
                fake.is_master, fake.reign = True, reign
                node.tell(process, CIB, cib.RoleTaken(request, fake.document.version))
            case cib.BecomeFollower(reign=reign):
                fake.is_master, fake.reign = False, max(reign, fake.reign)
            case cib.FetchFrom(request=request, node=source):
                fake.document = self.nodes[source].cib.document.copy()
                node.tell(process, CIB, cib.SyncDone(request, cib.Outcome.OK))
            case cib.SyncTo(request=request, nodes=names):
                missing = []
                for name in names:
                    other = self.nodes[name]
                    if other.is_up and other.side == node.side and not other.cib.cannot_write:
                        other.cib.document = fake.document.copy()
                    else:
                        missing.append(name)
                done = cib.SyncDone(request, cib.Outcome.OK, missing=tuple(missing))
                node.tell(process, CIB, done)
            case cib.Change():
                self._change(node, process, message)

    def _change(self, node: FakeNode, process: str, change: cib.Change) -> None:
        master = self._master(node.side)
        if master is None or node.cib.outcome is not cib.Outcome.OK:
            outcome = cib.Outcome.NOT_READY if master is None else node.cib.outcome
            node.tell(process, CIB, cib.ChangeReply(change.request, outcome))
            return
        touched: list[cib.Touched] = []
        before = master.document.version
        for operation in change.operations:
            touched.extend(master.document.apply(operation))
        is_configuration = any(thing.kind == "configuration" for thing in touched)
        after = (
            Version(before.admin_epoch, before.epoch + 1, 0)
            if is_configuration
            else Version(before.admin_epoch, before.epoch, before.updates + bool(touched))
        )
        master.document.version = after
        for other in self.nodes.values():
            if not other.is_up or other.side != node.side:
                continue
            if other.cib is not master:
                other.cib.document = master.document.copy()
            if touched:
                told = cib.CibChanged(before, after, tuple(touched), change.origin)
                for subscriber in other.cib.subscribers:
                    other.tell(subscriber, CIB, told)
        node.tell(process, CIB, cib.ChangeReply(change.request, cib.Outcome.OK, after))

    # --- lrmd ------------------------------------------------------------------------------

    def _lrmd(self, node: FakeNode, message: msgspec.Struct) -> None:
        fake = node.lrmd
        match message:
            case lrm.DescribeExecutor(request=request):
                told = lrm.ExecutorDescription(
                    request,
                    fake.incarnation,
                    tuple(fake.results.values()),
                    tuple(order.key for order in fake.held),
                    fake.reign,
                )
                node.tell("crmd", LRMD, told)
            case lrm.RaiseReign(reign=reign):
                fake.reign = max(fake.reign, reign)
            case lrm.Execute(reign=reign):
                assert reign >= fake.reign, f"an order of {reign} after {fake.reign}"
                fake.seen.append(message)
                if fake.is_holding:
                    fake.held.append(message)
                else:
                    self._execute(node, message)
            case lrm.Cancel():
                fake.results.pop((message.resource, message.operation, message.interval_ms), None)
                agent = lrm.ResourceAgent("ocf", "Dummy", "pacekeeper")
                cancelled = lrm.OperationFinished(
                    call_id=message.call_id,
                    key=message.key,
                    resource=message.resource,
                    agent=agent,
                    operation=message.operation,
                    interval_ms=message.interval_ms,
                    rc=0,
                    status=1,
                )
                node.tell("crmd", LRMD, cancelled)
            case lrm.Forget(resource=resource):
                for key in [key for key in fake.results if resource in ("", key[0])]:
                    del fake.results[key]

    def _execute(self, node: FakeNode, order: lrm.Execute) -> None:
        rc = self.world.execute(node.name, order.resource, order.operation)
        done = lrm.OperationFinished(
            call_id=order.call_id,
            key=order.key,
            resource=order.resource,
            agent=order.agent,
            operation=order.operation,
            interval_ms=order.interval_ms,
            rc=rc,
            status=0,
            parameters=order.parameters,
            expected_rc=order.expected_rc,
            timeout_ms=order.timeout_ms,
        )
        kind = order.operation if order.interval_ms else "last"
        if order.operation == "stop":
            for key in [key for key in node.lrmd.results if key[0] == order.resource]:
                del node.lrmd.results[key]
        node.lrmd.results[(order.resource, kind, order.interval_ms)] = done
        node.tell("crmd", LRMD, done)

    def monitor_finds(self, name: str, resource: str, rc: int) -> None:
        """Let a recurring monitor end differently from last time."""
        results = self.nodes[name].lrmd.results
        (key,) = [key for key in results if key[0] == resource and key[2]]
        results[key] = msgspec.structs.replace(results[key], rc=rc)
        self.nodes[name].tell("crmd", LRMD, results[key])


def _status_xml(document: Document, nodes: dict[str, FakeNode]) -> bytes:
    states = []
    for name, values in document.attributes.items():
        pairs = "".join(f'<nvpair name="{n}" value="{v}"/>' for n, v in values.items())
        group = f"<instance_attributes>{pairs}</instance_attributes>"
        inner = f"<transient_attributes>{group}</transient_attributes>"
        states.append(f'<node_state id="{nodes[name].uuid}">{inner}</node_state>')
    return f"<status>{''.join(states)}</status>".encode()


# --- a scheduler --------------------------------------------------------------------------


def keep_running(cluster: ControllerCluster, document: Document, transition: int) -> Graph:
    """Keep each resource of the world's preferences on the best node: probe, stop, start."""
    makers = _GraphMaker(transition)
    online = [
        name
        for name, state in sorted(document.states.items())
        if state.get("in_membership") and state.get("crmd_online") and state.get("join") == "member"
    ]
    has_quorum = document.root.get("have-quorum") == "1"
    leaving = [name for name in online if document.attributes.get(name, {}).get("shutdown")]
    stops: dict[str, list[int]] = {name: [] for name in online}
    for resource, wishes in sorted(cluster.world.preferences.items()):
        last = {name: document.history.get(name, {}).get(f"{resource}_last") for name in online}
        unknown = [name for name in online if last[name] is None]
        probes = [makers.act(resource, "monitor", name, expected=7) for name in unknown]
        active = [name for name in online if _is_active(document, name, resource)]
        failed = [name for name in active if _has_failed(document, name, resource)]
        allowed = [
            name
            for name in [*wishes, *online]
            if name in online
            and name not in leaving
            and name not in cluster.world.standby
            and document.attributes.get(name, {}).get(f"fail-count-{resource}#start_0") is None
        ]
        target = allowed[0] if allowed and has_quorum else ""
        before = list(probes)
        stopped = False
        for name in active:
            if name != target or name in failed or len(active) > 1:
                stopped = True
                before.append(makers.act(resource, "stop", name, after=probes))
                stops[name].append(before[-1])
        if target and (target not in active or stopped):
            started = makers.act(resource, "start", target, after=before)
            makers.act(resource, "monitor", target, interval=5000, after=[started])
        elif target and f"{resource}_monitor_5000" not in document.history.get(target, {}):
            makers.act(resource, "monitor", target, interval=5000)
    for name in leaving:
        makers.shutdown(name, after=stops[name])
    return makers.graph()


def _is_active(document: Document, node: str, resource: str) -> bool:
    record = document.history.get(node, {}).get(f"{resource}_last")
    if record is None:
        return False
    if record.operation == "start":
        return True
    if record.operation == "stop":
        return record.rc != 0
    return record.rc == 0


def _has_failed(document: Document, node: str, resource: str) -> bool:
    records = document.history.get(node, {})
    last = records[f"{resource}_last"]
    recurring = records.get(f"{resource}_monitor_5000")
    if last.operation in ("start", "stop") and last.rc != 0:
        return True
    return recurring is not None and recurring.rc != 0 and recurring.call_id > last.call_id


class _GraphMaker:
    """Numbers actions and puts each into a synapse of its own."""

    def __init__(self, transition: int) -> None:
        self._transition = transition
        self._synapses: list[Synapse] = []

    def act(
        self,
        resource: str,
        task: str,
        node: str,
        *,
        interval: int = 0,
        expected: int | None = None,
        after: Iterable[int] = (),
    ) -> int:
        number = len(self._synapses) + 1
        action = Action(
            id=number,
            kind=ActionKind.RESOURCE,
            task=task,
            key=f"{resource}_{task}_{interval}",
            node=node,
            resource=GraphResource(resource, "ocf", "Dummy", "pacekeeper"),
            interval_ms=interval,
            expected_rc=expected,
        )
        self._synapses.append(Synapse(number, (action,), tuple(after)))
        return number

    def shutdown(self, node: str, after: Iterable[int]) -> None:
        number = len(self._synapses) + 1
        action = Action(
            id=number,
            kind=ActionKind.CLUSTER,
            task="do_shutdown",
            key=f"do_shutdown-{node}",
            node=node,
        )
        self._synapses.append(Synapse(number, (action,), tuple(after)))

    def graph(self) -> Graph:
        return Graph(self._transition, tuple(self._synapses))


def cib_with(resources: str, *, options: str = "", nodes: str = "", defaults: str = "") -> bytes:
    """A whole CIB around some resources."""
    return (
        '<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">'
        f"<configuration><crm_config>{options}</crm_config><nodes>{nodes}</nodes>"
        f"<resources>{resources}</resources><constraints/>"
        f"<rsc_defaults>{defaults}</rsc_defaults></configuration><status/></cib>"
    ).encode()


def decoded(message: membership.SendCluster) -> msgspec.Struct:
    """Read what one crmd says to another."""
    return peers.PEERS.decode(message.payload)


def tool_wait(request: int) -> controller.WaitUntilIdle:
    """A tool's request to wait."""
    return controller.WaitUntilIdle(request)


def fail_count(resource: str, operation: str, interval_ms: int = 0) -> str:
    """The attribute that counts failures."""
    return f"fail-count-{resource}#{operation}_{interval_ms}"


def update(name: str, value: str | None, **more: object) -> attributes.UpdateAttribute:
    """An update as a client sends it."""
    return attributes.UpdateAttribute(name=name, value=value, **more)  # type: ignore[arg-type]
