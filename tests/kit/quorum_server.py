"""A quorum server beside the simulated network of `tests.kit.messaging`."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace

from crm.plumbing.errors import RemoteProtocolError
from messaging import arbitration, ballot
from messaging.quorumserver import QuestionArrived, QuorumServer, SendAnswer
from tests.kit.messaging import KEYS, Network, random_bytes

HOST = "qs"
QUICK_S = (0.0004, 0.0016)
SOURCE = ("192.0.2.1", 5561)


class ServerBeside:
    """One server that all nodes of a network ask; wires to it may be cut, slow, or lossy.

    It hears a question the moment it is sent: no hold can begin, and so end, earlier.
    """

    def __init__(
        self,
        network: Network,
        *,
        seed: int = 0,
        make: Callable[..., QuorumServer] = QuorumServer,
    ) -> None:
        self.make = make
        self.network = network
        self.rng = random.Random(f"server {seed}")
        self.cut: set[str] = set()
        self.delay_s = QUICK_S
        self.loss = 0.0
        self.recorded: list[bytes] = []
        self.write: Callable[[str], None] = lambda _: None
        """Told in words what is asked and answered."""

        self._ears = [
            ballot.Sealer(
                KEYS,
                network.settings.cluster,
                is_server=is_server,
                random_bytes=random_bytes(random.Random(0)),
            )
            for is_server in (True, False)
        ]
        network.settings = replace(network.settings, quorum_server=HOST, quorum_port=5561)
        for name in network.settings.nodes:
            network.devices[name] = self._wire_of(name)
        self.machine: QuorumServer | None = None
        self.start()

    @property
    def longest_s(self) -> float:
        """The longest hold, which is what a start waits for."""
        return self.network.settings.timing.deadtime_s + 0.1

    def start(self) -> None:
        """Begin a life that remembers nothing."""
        self._opened_at = self.network.now + self.longest_s
        self.machine = self.make(
            {self.network.settings.cluster: KEYS},
            now=self.network.now,
            random_bytes=random_bytes(self.rng),
            longest_s=self.longest_s,
        )

    def stop(self) -> None:
        """End without a word."""
        self.machine = None

    @property
    def is_troubled(self) -> bool:
        """Whether some of the nodes may get no answer, or a late one, or none yet."""
        is_right = self.machine is not None and not self.cut and not self.loss
        is_quick = self.delay_s == QUICK_S
        return not (is_right and is_quick and self.network.now > self._opened_at)

    def mend(self) -> None:
        """End all trouble but the wait after a start."""
        self.cut.clear()
        self.loss = 0.0
        self.delay_s = QUICK_S
        if self.machine is None:
            self.start()

    def hear(self, data: bytes) -> list[bytes]:
        """Hand a datagram to the server; gives its answers."""
        if self.machine is None:
            return []
        effects = self.machine.receive(QuestionArrived(data, SOURCE), self.network.now)
        return [effect.data for effect in effects if isinstance(effect, SendAnswer)]

    def _wire_of(self, name: str) -> Callable[[object], None]:
        def look(effect: object) -> None:
            if not isinstance(effect, arbitration.AskServer) or name in self.cut:
                return
            self.recorded.append(effect.data)
            self.write(f"{name} > {HOST}  {self._told(effect.data)}")
            if self.rng.random() < self.loss:
                return
            for answer in self.hear(effect.data):
                self.write(f"{HOST} > {name}  {self._told(answer)}")
                if self.rng.random() >= self.loss:
                    delay_s = self.rng.uniform(*self.delay_s)
                    self.network.deliver(name, arbitration.ServerAnswered(answer), delay_s)

        return look

    def _told(self, data: bytes) -> str:
        for ear in self._ears:
            with contextlib.suppress(RemoteProtocolError):
                message = ear.open(data)
                if isinstance(message, ballot.Ask) and not message.token:
                    return "Ask: which token is good"
                if isinstance(message, ballot.Ask):
                    return f"Ask: the tie for {' '.join(message.members)}, {message.lease_ms} ms"
                assert isinstance(message, ballot.Answer), "there is nothing else"
                what = message.reason or ("granted" if message.granted else "ask with this token")
                return f"Answer: {what}"
        raise AssertionError("what was sent can be read")
