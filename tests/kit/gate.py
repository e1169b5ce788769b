"""A gate with callers and daemons around it, driven by hand."""

from __future__ import annotations

import msgspec

from crm.api import gate
from crm.api.conversations import BY_SERVICE
from crm.gate.authorisation import Identity, Role
from crm.gate.gate import (
    SERVICES,
    CallerArrived,
    Effect,
    FrameArrived,
    Gate,
    HangUp,
    SendFrame,
)
from crm.plumbing.machine import MessageArrived, PeerConnected, Tell


def identity(
    role: Role = Role.ADMINISTRATOR, *, uid: int = 1000, trusted: bool = False
) -> Identity:
    user = f"user{uid}"
    return Identity(uid=uid, pid=4711, user=user, role=role, groups=("g",), is_trusted=trusted)


class GateBench:
    """A gate whose time is `now`; every daemon is connected unless said otherwise."""

    def __init__(self, *, connected: tuple[str, ...] = SERVICES) -> None:
        self.gate = Gate("node1", pid=99)
        self.now = 100.0
        self.greetings: list[Effect] = []
        for service in connected:
            self.greetings += self.gate.receive(PeerConnected(service), self.now)

    def caller(
        self,
        number: int,
        role: Role = Role.ADMINISTRATOR,
        *,
        greets: bool = True,
        trusted: bool = False,
    ) -> None:
        who = identity(role, uid=1000 + number, trusted=trusted)
        self.gate.receive(CallerArrived(number, who), self.now)
        if greets:
            self.frame(number, gate.Greeting(protocol=gate.PROTOCOL, name="test"))

    def frame(self, number: int, frame: msgspec.Struct) -> list[Effect]:
        return self.gate.receive(FrameArrived(number, frame), self.now)

    def say(
        self,
        number: int,
        service: str,
        message: msgspec.Struct,
        *,
        wait_s: float = 0,
        user: str = "",
        groups: tuple[str, ...] = (),
    ) -> list[Effect]:
        payload = BY_SERVICE[service].requests.encode(message)
        envelope = gate.Envelope(service, payload, wait_s, user, groups)
        return self.frame(number, envelope)

    def answer(self, service: str, message: msgspec.Struct) -> list[Effect]:
        return self.gate.receive(MessageArrived(service, message), self.now)


def told(effects: list[Effect]) -> list[Tell]:
    return [each for each in effects if isinstance(each, Tell)]


def sent(effects: list[Effect]) -> list[SendFrame]:
    return [each for each in effects if isinstance(each, SendFrame)]


def refusals(effects: list[Effect]) -> list[gate.Refusal]:
    return [each.frame for each in sent(effects) if isinstance(each.frame, gate.Refusal)]


def hung_up(effects: list[Effect]) -> list[int]:
    return [each.caller for each in effects if isinstance(each, HangUp)]


def unwrap(effect: SendFrame) -> msgspec.Struct:
    assert isinstance(effect.frame, gate.Envelope)
    return BY_SERVICE[effect.frame.service].replies.decode(effect.frame.payload)
