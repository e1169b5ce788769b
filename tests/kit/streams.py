"""Two ends of the streams between two nodes, and a bad cable between them."""

from __future__ import annotations

import heapq
import itertools
import random

from crm.plumbing.machine import Note
from messaging import frame
from messaging.delivery import Deliver, Delivery, Effect, GiveUp, Transmit
from messaging.standing import Contact
from messaging.streams import Channel

STALL_S = 5.0
SESSIONS = {"a": b"session-a", "b": b"session-b"}


def packet_bytes(message: frame.Data | frame.Ack) -> int:
    """How long the sealed packet with a message is."""
    return frame.HEADER_BYTES + len(frame.PACKETS.encode(message)) + frame.TAG_BYTES


class Wire:
    """Two deliveries and a bad cable."""

    def __init__(self, seed: int = 0, loss: float = 0.0, duplication: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.loss = loss
        self.duplication = duplication
        self.now = 0.0
        self.ends = {name: Delivery(name, session=SESSIONS[name], stall_s=STALL_S) for name in "ab"}
        self.ends["a"].begin("b", Contact(SESSIONS["b"], 0, 0))
        self.ends["b"].begin("a", Contact(SESSIONS["a"], 0, 0))
        self.carries = frame.MAX_PACKET_BYTES
        """Longer packets are dropped without a word."""

        self.notes: list[str] = []
        self.got: dict[str, list[bytes]] = {"a": [], "b": []}
        self.given_up: list[str] = []
        self.sent = 0
        self._air: list[tuple[float, int, str, frame.Data | frame.Ack]] = []
        self._numbers = itertools.count()

    def send(self, name: str, payload: bytes, channel: Channel = Channel.CLIENTS) -> None:
        peer = "b" if name == "a" else "a"
        self.carry_out(name, self.ends[name].send(peer, channel, payload, self.now))

    def carry_out(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Transmit(peer, message):
                    self.sent += 1
                    if packet_bytes(message) > self.carries:
                        continue
                    for _ in range(1 + (self.rng.random() < self.duplication)):
                        if self.rng.random() >= self.loss:
                            at = self.now + self.rng.uniform(0.0001, 0.004)
                            heapq.heappush(self._air, (at, next(self._numbers), peer, message))
                case Deliver(_, _, payload):
                    self.got[name].append(payload)
                case GiveUp(peer, reason):
                    self.given_up.append(peer)
                    self.notes.append(reason)
                case Note(text=text):
                    self.notes.append(text)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            due = [
                (deadline, name)
                for name, machine in self.ends.items()
                if (deadline := machine.next_deadline()) is not None
            ]
            soonest = min(due, default=(end, ""))
            if self._air and self._air[0][0] <= min(soonest[0], end):
                at, _, name, message = heapq.heappop(self._air)
                self.now = max(self.now, at)
                peer = "b" if name == "a" else "a"
                self.carry_out(
                    name, self.ends[name].receive(peer, SESSIONS[peer], message, self.now)
                )
            elif soonest[0] < end:
                self.now = max(self.now, soonest[0])
                self.carry_out(soonest[1], self.ends[soonest[1]].tick(self.now))
            else:
                self.now = end
                return
