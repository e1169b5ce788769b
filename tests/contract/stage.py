"""A few simulated computers with nothing on them but a cluster layer and clients that listen."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from crm.api import membership as api
from crm.api.membership import ClientStatus, ViewEvent
from crm.plumbing.machine import Exit, MessageArrived, PeerConnected, PeerLost, StopRequested, Tell
from messaging.children import ChildPlan
from tests.sim.agents import World
from tests.sim.engine import Engine
from tests.sim.layers import Heartbeat, Layer
from tests.sim.network import Network
from tests.sim.nodes import Makers, Node, real_makers
from tests.sim.processes import Process
from tests.sim.rings import ClosedGroupLayer, Rings
from tests.sim.testimony import Testimony

TALKERS = ("crmd", "attrd", "mgmtd")
"""The clients that sign on by themselves;"""
QUIET = "stonithd"
"""this one waits until it is told to."""

PATIENCE_S = 40.0
"""So long (virtual) something that must happen may take."""

WORDS_OF_A_VIEW = (ViewEvent.NEW_MEMBERSHIP, ViewEvent.INVALID)

StackMaker = Callable[[Engine, Network, list[str]], Callable[[Node], Layer]]


def _messaging(engine: Engine, network: Network, names: list[str]) -> Callable[[Node], Layer]:
    return Heartbeat


def _closed_groups(engine: Engine, network: Network, names: list[str]) -> Callable[[Node], Layer]:
    return functools.partial(ClosedGroupLayer, Rings(engine, network, names))


STACKS: dict[str, StackMaker] = {"messaging": _messaging, "closed-groups": _closed_groups}


@dataclass(frozen=True)
class Told:
    """One thing a client was told, and when."""

    at: float
    message: msgspec.Struct


class Ear:
    """One life of a client: it keeps what it is told, and says what the test wants said."""

    def __init__(self, stage: Stage, node: str, client: str) -> None:
        self.node = node
        self.client = client
        self.told: list[Told] = []
        self.is_connected = False
        self.began_at = stage.engine.now
        self.process: Process | None = None
        self._stage = stage

    def receive(self, event: object, now: float) -> list[Any]:
        match event:
            case PeerConnected("heartbeat"):
                self.is_connected = True
                is_talker = self.client in TALKERS
                return [Tell("heartbeat", api.SignOn(self.client, 1))] if is_talker else []
            case PeerLost("heartbeat"):
                self.is_connected = False
            case MessageArrived("heartbeat", message):
                self.told.append(Told(self._stage.engine.now, message))
                return self._stage.greeting(self, message)
            case Tell():
                return [event]
            case StopRequested():
                return [Exit(0)]
        return []

    def tick(self, now: float) -> list[Any]:
        return []

    def next_deadline(self) -> float | None:
        return None

    @property
    def messages(self) -> list[msgspec.Struct]:
        """What was told, in order."""
        return [told.message for told in self.told]

    @property
    def signed_on(self) -> list[list[Told]]:
        """What was told in each time of being signed on."""
        starts = [
            place for place, told in enumerate(self.told) if isinstance(told.message, api.SignedOn)
        ]
        return [self.told[a:b] for a, b in itertools.pairwise([*starts, len(self.told)])]

    @property
    def ended_at(self) -> float:
        """When the client ended; infinite while it lives."""
        assert self.process is not None
        return math.inf if self.process.ended_at is None else self.process.ended_at

    def texts(self) -> list[str]:
        """The cluster messages of other clients, as text; greetings left out."""
        return [
            message.payload.decode()
            for message in self.messages
            if isinstance(message, api.ClusterMessage) and not message.payload.startswith(b"hello")
        ]

    def view(self) -> api.View | None:
        """The view that was told last, if it still holds."""
        view = None
        for message in self.messages:
            if isinstance(message, api.ViewInstalled):
                if message.event in WORDS_OF_A_VIEW:
                    view = message.view
                elif message.event is ViewEvent.EVICTED:
                    view = None
        return view


def of(told: Iterable[Told], kind: type[Any]) -> Iterator[Any]:
    """The messages of one kind."""
    return (each.message for each in told if isinstance(each.message, kind))


class Computer(Node):
    """A computer whose clients know the process they are."""

    def _start(self, name: str, machine: Any) -> Process:
        process = super()._start(name, machine)
        if isinstance(machine, Ear):
            machine.process = process
        return process


class Stage:
    """The computers, their network, and every client that ever was."""

    def __init__(
        self, stack: str, nodes: int = 3, *, seed: int = 1, plants: Makers | None = None
    ) -> None:
        self.engine = Engine(seed)
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.network = Network(self.engine, self.names)
        self.ears: list[Ear] = []
        self.greets = False
        self.sent: dict[int, dict[tuple[str, str], list[int]]] = {}
        """By client life: the numbers it sent to a node ("*": all) and client."""
        layer = STACKS[stack](self.engine, self.network, self.names)
        children = (*TALKERS, QUIET)
        self.nodes = {
            name: Computer(
                self.engine,
                self.network,
                World(self.engine),
                name=name,
                uuid=f"uuid-{name}",
                nodes=self.names,
                cib=b"<cib/>",
                makers=real_makers()
                | {client: functools.partial(self._listen, name, client) for client in children}
                | (plants or {}),
                testimony=Testimony(),
                layer=layer,
                children=tuple(ChildPlan(client, client) for client in children),
            )
            for name in self.names
        }

    def _listen(self, node: str, client: str, **_: object) -> Ear:
        ear = Ear(self, node, client)
        self.ears.append(ear)
        return ear

    # --- what happens -------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Switch computers on (all without names)."""
        for name in names or self.names:
            self.nodes[name].boot()

    def started(self, *names: str) -> Stage:
        """Switch computers on and wait until they agree; gives the stage."""
        self.start(*names)
        self.agree(*(names or self.names))
        return self

    def split(self, *groups: str) -> None:
        """Cut every wire between groups, each a text of names: "n1 n2"."""
        self.network.split([group.split() for group in groups])

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.engine.run_until(self.engine.now + seconds)

    def await_(self, holds: Callable[[], bool], what: str) -> None:
        """Let time pass until something holds that must."""
        end = self.engine.now + PATIENCE_S
        while not holds():
            assert self.engine.now < end, f"{what} does not come about within {PATIENCE_S} s"
            self.run(0.01)

    def agree(self, *names: str) -> None:
        """Let time pass until these nodes have one view of exactly themselves."""
        self.await_(lambda: self._is_agreed(names), f"one view of {' '.join(names)}")
        self.run(0.1)

    def _is_agreed(self, names: tuple[str, ...]) -> bool:
        views = [self.view(name, client) for name in names for client in TALKERS]
        first = views[0]
        if first is None or {member.name for member in first.members} != set(names):
            return False
        return all(view is not None and view.members == first.members for view in views)

    def say(self, node: str, message: msgspec.Struct, *, client: str = "crmd") -> None:
        """Let a client say something to its cluster layer."""
        process = self.nodes[node].process(client)
        assert process is not None, f"{client} does not run on {node}"
        process.receive(Tell("heartbeat", message))

    def send(
        self, node: str, *, client: str = "crmd", to_client: str = "crmd", to: str = ""
    ) -> str:
        """Let a client send the next number of its stream to a node ("": to all); gives it."""
        ear = self.ear(node, client)
        streams = self.sent.setdefault(id(ear), {})
        number = 1 + sum(len(known) for (node, _), known in streams.items() if node == (to or "*"))
        streams.setdefault((to or "*", to_client), []).append(number)
        text = f"{self.ears.index(ear)} {to or '*'} {number}"
        self.say(node, api.SendCluster(to_client, text.encode(), to), client=client)
        return text

    def greeting(self, ear: Ear, message: msgspec.Struct) -> list[Any]:
        """Where clients greet: each says hello to each it hears of, at once."""
        match message:
            case api.ClientChanged(node, ear.client, ClientStatus.JOIN | ClientStatus.ONLINE) if (
                self.greets and node != ear.node
            ):
                hello = f"hello of {self.ears.index(ear)}".encode()
                return [Tell("heartbeat", api.SendCluster(ear.client, hello, node))]
        return []

    # --- what is to be seen -------------------------------------------------------------------

    def ear(self, node: str, client: str = "crmd") -> Ear:
        """The present (or last) life of a client."""
        return [ear for ear in self.ears if (ear.node, ear.client) == (node, client)][-1]

    def view(self, node: str, client: str = "crmd") -> api.View | None:
        """The view that a client was told."""
        lives = [ear for ear in self.ears if (ear.node, ear.client) == (node, client)]
        return lives[-1].view() if lives else None

    def answer(self, node: str, question: msgspec.Struct, kind: type[Any], client: str) -> Any:
        """Ask something and wait for the answer to it."""
        before = len(self.ear(node, client).told)
        self.say(node, question, client=client)

        def answers() -> list[Any]:
            return list(of(self.ear(node, client).told[before:], kind))

        self.await_(lambda: bool(answers()), f"an answer to {question}")
        return answers()[0]
