"""Whole small daemons for the tests of the scaffold; forked by a nursery."""

from __future__ import annotations

import threading

from crm.plumbing.codec import Codec, Message
from crm.plumbing.daemon import Conversation, Plan, Shell, parse_options, run
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    PeerConnected,
    StopRequested,
    Tell,
    info,
)


class Double(Message, frozen=True):
    number: int


class Doubled(Message, frozen=True):
    number: int


TALK = Conversation(Codec(Double), Codec(Doubled))


class Doubler:
    def receive(self, event: object, now: float) -> list[object]:
        match event:
            case MessageArrived(peer, Double(number)):
                if number < 0:
                    raise ValueError("negative")
                return [info("doubler", f"doubling {number}"), Tell(peer, Doubled(2 * number))]
            case StopRequested():
                return [info("doubler", "stopping in order"), Exit(0)]
        return []

    def tick(self, now: float) -> list[object]:
        return []

    def next_deadline(self) -> float | None:
        return None


class Asker(Doubler):
    def __init__(self, number: int) -> None:
        self.number = number

    def receive(self, event: object, now: float) -> list[object]:
        match event:
            case PeerConnected("doubler"):
                return [Tell("doubler", Double(self.number))]
            case MessageArrived("doubler", Doubled(number)):
                return [Exit(number)]
        return super().receive(event, now)


def doubler(argv: list[str]) -> int:
    return run(Plan("doubler", Doubler(), serves=TALK), parse_options("doubler", argv))


def stumbler(argv: list[str]) -> int:
    def stumble() -> None:
        raise ValueError("stumbled")

    def started(shell: Shell) -> None:
        threading.Thread(target=stumble, daemon=True).start()

    return run(Plan("stumbler", Doubler(), started=started), parse_options("stumbler", argv))


def asker(argv: list[str]) -> int:
    options = parse_options("asker", argv)
    machine = Asker(int(options.extra[0]))
    return run(Plan("asker", machine, dials={"doubler": TALK}), options)
