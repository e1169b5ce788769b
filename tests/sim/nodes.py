"""A simulated computer: its disk, its processes, its agents, and how it dies and comes back.

Here stands what the shells of the daemons do with effects; everything else is the real cores.
"""

from __future__ import annotations

import heapq
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from crm.api.scheduler import Schedule, Scheduled
from crm.attrd.attributes import Attributes
from crm.cib import revisions
from crm.cib.disk import Append, KeepPromise, Persist, Persisted
from crm.cib.keeper import Keeper, Order
from crm.cib.localcopy import Archive
from crm.cib.operations import Rules
from crm.cib.replica import Replica
from crm.cib.slices import SLICE_BYTES
from crm.cib.store import FILE, Store
from crm.controller.core import Controller
from crm.model.graph import Graph
from crm.model.readxml import cluster as readcluster
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError
from crm.plumbing.kernel import Kernel
from crm.plumbing.machine import Exit, MessageArrived, Note, StopRequested, Tell
from lrmd.operations import AgentEnded, KillAgent, Operations, StartAgent
from messaging.children import ChildEnded, ChildPlan, ChildStarted, SignalChild, StartChild
from messaging.core import Messaging
from pengine import pipeline
from tests.kit.frail_disk import FOLDER, FrailDisk, Interrupted
from tests.sim.agents import World
from tests.sim.engine import Engine
from tests.sim.layers import Heartbeat, Layer
from tests.sim.network import Network
from tests.sim.processes import Bus, Process
from tests.sim.testimony import Place, Testimony, place_of

EPOCH = datetime(2007, 1, 16, 12, 0, tzinfo=UTC)
CHILDREN = tuple(
    ChildPlan(name, name, is_vital=name != "mgmtd")
    for name in ("cib", "lrmd", "attrd", "pengine", "crmd", "mgmtd")
)
RULES = Rules(validate=lambda root: [], upgrade=lambda root: (root, []))
SCHEDULING_S = (0.002, 0.015)
EXIT_DO_NOT_RESPAWN = 100

Makers = dict[str, Callable[..., Any]]
"""How the cores are made, by daemon; a planted bug replaces one."""


def real_makers() -> Makers:
    """The cores as they are."""
    return {
        "heartbeat": Messaging,
        "kernel": _same,
        "store": Store,
        "cib": Replica,
        "crmd": Controller,
        "attrd": Attributes,
        "lrmd": Operations,
        "pengine": Scheduler,
        "mgmtd": Tool,
    }


def _same(disk: FrailDisk) -> Kernel:
    return disk


@dataclass
class Disk:
    """The folder of the CIB, and how long the disk takes for a write. Units: seconds.

    `cuts_power` says what the call is that `folder.interrupt_after` counts to: the power fails
    there, or only the cib is killed.
    """

    folder: FrailDisk = field(default_factory=FrailDisk)
    shortest_s: float = 0.001
    longest_s: float = 0.02
    cuts_power: bool = True


class Scheduler:
    """The pengine's shell as a machine: the pure function, some milliseconds later."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._due: list[tuple[float, int, str, Schedule]] = []

    def receive(self, event: object, now: float) -> list[object]:
        match event:
            case MessageArrived(peer, Schedule() as question):
                delay_s = self._engine.random.uniform(*SCHEDULING_S)
                heapq.heappush(self._due, (now + delay_s, question.request, peer, question))
            case StopRequested():
                return [Exit(0)]
        return []

    def tick(self, now: float) -> list[object]:
        effects: list[object] = []
        while self._due and self._due[0][0] <= now:
            _, _, peer, question = heapq.heappop(self._due)
            effects.append(Tell(peer, self.answer(question)))
        return effects

    def next_deadline(self) -> float | None:
        return self._due[0][0] if self._due else None

    def answer(self, question: Schedule) -> Scheduled:
        try:
            cluster, _ = readcluster.read(xml.parse(question.cib))
        except ConfigurationError:
            return Scheduled(question.request, Graph(question.transition), failed=True)
        wall = datetime.fromtimestamp(question.wall, UTC)
        decision = pipeline.schedule(cluster, wall, question.transition)
        return Scheduled(question.request, decision.graph)


class Tool:
    """Stands in for mgmtd: passes questions of the simulation on and keeps the answers."""

    def __init__(self) -> None:
        self.answers: dict[int, Any] = {}
        self._request = 0

    def ask(self, service: str, make: Callable[[int], Any]) -> tuple[int, Tell]:
        """Make a question; the answer will be under the number."""
        self._request += 1
        return self._request, Tell(service, make(self._request))

    def receive(self, event: object, now: float) -> list[object]:
        match event:
            case MessageArrived(_, message) if hasattr(message, "request"):
                self.answers[message.request] = message
            case StopRequested():
                return [Exit(0)]
            case Tell():
                return [event]
        return []

    def tick(self, now: float) -> list[object]:
        return []

    def next_deadline(self) -> float | None:
        return None


class Node:
    """One computer."""

    def __init__(
        self,
        engine: Engine,
        network: Network,
        world: World,
        *,
        name: str,
        uuid: str,
        nodes: list[str],
        cib: bytes,
        makers: Makers,
        testimony: Testimony,
        layer: Callable[[Node], Layer] = Heartbeat,
        children: tuple[ChildPlan, ...] = CHILDREN,
    ) -> None:
        self.engine = engine
        self.network = network
        self.world = world
        self.name = name
        self.uuid = uuid
        self.disk = Disk()
        self.disk.folder.put(FILE, cib)
        self.is_up = False
        self.life = 0
        self.changed_at = 0.0
        self.slice_bytes = SLICE_BYTES
        self.bus = Bus(engine, name)
        self.testimony = testimony
        self.watchers: list[Callable[[Process, Any], None]] = [testimony.watch]
        self.names = nodes
        self.makers = makers
        self.children = children
        self._clock_offset = engine.random.uniform(0, 1000)
        self._wall_offset = engine.random.uniform(-300, 300)
        self._pid = 100
        self._runs: dict[tuple[int, int], int] = {}
        self._kills: set[tuple[int, int]] = set()
        self._keeper: Keeper | None = None
        self._disk_free_at = 0.0
        self.layer = layer(self)

    # --- clocks ---

    def clock(self) -> float:
        """Monotonic seconds of this computer."""
        return self.engine.now + self._clock_offset

    def wall(self) -> float:
        """Seconds since 1970, as wrong as clocks are."""
        return EPOCH.timestamp() + self.engine.now + self._wall_offset

    # --- life and death ---

    def boot(self) -> None:
        """Power on: heartbeat starts, and the rest follows from it."""
        if self.is_up:
            return
        self.is_up = True
        self.life += 1
        self.changed_at = self.engine.now
        self.engine.remember(self.name, "!", f"boot, life {self.life}")
        self.bus = Bus(self.engine, self.name)
        process = self._start("heartbeat", self.layer.make())
        self.layer.begin(process)

    def crash(self) -> None:
        """Power off: everything in memory is gone, and what runs here."""
        if not self.is_up:
            return
        self.engine.remember(self.name, "!", "crash")
        self._die()
        self.disk.folder.cut_power(self.engine.random)
        self.world.lose(self.name)

    def halt(self) -> None:
        """Every process is killed at once; the disk keeps what it was given."""
        if self.is_up:
            self.engine.remember(self.name, "!", "every process killed")
            self._die()
            self.world.lose(self.name)

    def leave(self) -> None:
        """An administrator stops heartbeat."""
        heartbeat = self.bus.process("heartbeat")
        if heartbeat is not None:
            self.changed_at = self.engine.now
            self.engine.remember(self.name, "!", "asked to leave")
            heartbeat.receive(StopRequested())

    def kill(self, name: str) -> None:
        """A daemon is killed; heartbeat finds out."""
        process = self.bus.process(name)
        if process is not None and self.is_up:
            self.changed_at = self.engine.now
            self.engine.remember(self.name, "!", f"{name} killed")
            self._ended(process, 0, signal.SIGKILL)

    def process(self, name: str) -> Process | None:
        """The living process of a daemon."""
        return self.bus.process(name) if self.is_up else None

    def _die(self) -> None:
        self.is_up = False
        self.changed_at = self.engine.now
        self.layer.end()
        for name in ("heartbeat", *(plan.name for plan in self.children)):
            process = self.bus.process(name)
            if process is not None:
                process.end()

    # --- processes ---

    def _start(self, name: str, machine: Any) -> Process:
        process = Process(self.engine, name, f"{self.name}/{name}", machine, self.clock)
        process.carry_out = getattr(self, f"_carry_out_{name}", process.carry_out)
        process.ended = self._exited
        process.watchers = self.watchers
        self.bus.join(process)
        return process

    def _make(self, name: str) -> Any:
        maker = self.makers[name]
        match name:
            case "cib":
                return self._make_cib(maker)
            case "crmd":
                return maker(new_uuid=self._new_uuid, wall=self.wall, pid=self._pid)
            case "attrd":
                return maker(pid=self._pid)
            case "lrmd":
                incarnation = self.engine.random.randbytes(8).hex()
                return maker(incarnation=incarnation, wall=self.wall)
            case "pengine":
                return maker(self.engine)
        return maker()

    def _make_cib(self, maker: Callable[..., Any]) -> Any:
        """Start a cib from the disk.

        Raises: ConfigurationError or OSError when it cannot start.
        """
        self.disk.folder.restart_process()
        kernel = self.makers["kernel"](self.disk.folder)
        store = self.makers["store"](FOLDER, kernel=kernel)
        self._keeper = Keeper(store, self._say)
        loaded = store.load(RULES)
        history, damage = revisions.restore(
            store.read_journal(), loaded.document, edited=loaded.edited
        )
        for problem in [*loaded.problems, *damage]:
            self.engine.remember(f"{self.name}/cib", "#", str(problem))
        self.testimony.started(self.name, loaded.document, loaded.warrant, loaded.promised)
        return maker(
            loaded.document,
            rules=RULES,
            node=self.name,
            warrant=loaded.warrant,
            promised=loaded.promised,
            wall=lambda: str(int(self.wall())),
            clock=self.wall,
            history=history,
            life=self.engine.random.getrandbits(31),
            fresh=loaded.fresh,
            slice_bytes=self.slice_bytes,
        )

    def _say(self, note: Note) -> None:
        self.engine.remember(f"{self.name}/cib", "#", note.text)

    def _new_uuid(self) -> str:
        return str(UUID(int=self.engine.random.getrandbits(128), version=4))

    def _spawn(self, name: str, life: int) -> None:
        if not self.is_up or life != self.life or self.bus.process(name) is not None:
            return
        self._pid += 1
        try:
            machine = self._make(name)
        except (ConfigurationError, OSError) as problem:
            self.engine.remember(f"{self.name}/{name}", "#", f"cannot start: {problem}")
            ended = ChildEnded(name, EXIT_DO_NOT_RESPAWN)
            self.engine.after(0.002, self._tell_heartbeat, ended, life)
            return
        self._start(name, machine)
        self._tell_heartbeat(ChildStarted(name, self._pid), life)

    def _exited(self, process: Process, code: int) -> None:
        if process.name == "heartbeat":
            self.engine.remember(self.name, "!", f"heartbeat ended with {code}")
            process.end()
            self._die()
            return
        self._ended(process, code, 0)

    def _ended(self, process: Process, code: int, by: int) -> None:
        process.end()
        self.bus.leave(process)
        ended = ChildEnded(process.name, code, by)
        self.engine.after(0.002, self._tell_heartbeat, ended, self.life)

    def tell_heartbeat(self, event: object) -> None:
        """Hand an event to the cluster layer that runs now."""
        self._tell_heartbeat(event, self.life)

    def _tell_heartbeat(self, event: object, life: int) -> None:
        heartbeat = self.process("heartbeat")
        if heartbeat is not None and life == self.life:
            heartbeat.receive(event)

    # --- effects ---

    def _carry_out_heartbeat(self, effect: object) -> None:
        chance = self.engine.random
        match effect:
            case StartChild(name):
                self.engine.after(chance.uniform(0.003, 0.02), self._spawn, name, self.life)
            case SignalChild(name, number):
                process = self.bus.process(name)
                if process is None:
                    return
                if number == signal.SIGKILL:
                    self._ended(process, 0, number)
                else:
                    self.engine.after(0.0005, process.receive, StopRequested())
            case _:
                self.layer.carry_out(effect)

    def _carry_out_cib(self, effect: object) -> None:
        match effect:
            case Persist() | Append() | KeepPromise() | Archive():
                chance = self.engine.random
                length_s = chance.uniform(self.disk.shortest_s, self.disk.longest_s)
                process = self.bus.process("cib")
                # One write after the other, in order, as the shell's one thread does it.
                start = max(self._disk_free_at, self.engine.now)
                self._disk_free_at = start + length_s
                middle = start + length_s * chance.random()
                place = self._place(process, effect)
                self.engine.at(
                    middle, self._reach_disk, effect, self.life, process, start + length_s, place
                )
            case _:
                raise AssertionError(f"cib wants {effect!r}")

    def _reach_disk(
        self,
        effect: Order,
        life: int,
        process: Process,
        ends_at: float,
        place: Place | None,
    ) -> None:
        """The write reaches the disk, though nobody knows it yet; a dead writer's does not."""
        if life != self.life or not self.is_up or not process.alive:
            return
        assert self._keeper is not None, "a living cib has a keeper"
        try:
            result = self._keeper.carry_out(effect)
        except Interrupted as call:
            self.engine.remember(self.name, "!", f"interrupted at {call}")
            if self.disk.cuts_power:
                self.crash()
            else:
                self.kill("cib")
            return
        if result is not None:
            self.engine.at(ends_at, self._tell_end, process, result, place)

    def _place(self, process: Process | None, effect: Order) -> Place | None:
        """Say where the copy stands that is to be written."""
        if process is None or not isinstance(effect, Persist | Append):
            return None
        replica: Any = process.machine
        warrant = replica._copy.warrant
        self.testimony.seen(replica.document, warrant)
        return place_of(replica.document, warrant)

    def _tell_end(self, process: Process, result: Persisted, place: Place | None) -> None:
        if result.ok and place is not None and process.alive:
            self.testimony.kept(self.name, place)
        process.receive(result)

    def _carry_out_lrmd(self, effect: object) -> None:
        process = self.bus.process("lrmd")
        match effect:
            case StartAgent(run, resource):
                life = self.world.lives.get(self.name, 0)
                effect_s, length_s = self.world.begin(resource, self.name, effect.operation)
                after = self.engine.after
                after(effect_s, self.world.take_effect, resource, self.name, effect.operation, life)
                after(length_s, self._agent_ends, process, run, resource, effect.operation, life)
            case KillAgent():
                pass  # simulated agents end long before any timeout
            case _:
                raise AssertionError(f"lrmd wants {effect!r}")

    def _agent_ends(
        self, process: Process, run: int, resource: str, operation: str, life: int
    ) -> None:
        if self.world.lives.get(self.name, 0) == life:
            rc = self.world.outcome(resource, self.name, operation)
            process.receive(AgentEnded(run, rc))
