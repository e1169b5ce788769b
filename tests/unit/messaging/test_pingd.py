from __future__ import annotations

import pytest

from crm.api.attributes import UpdateAttribute
from crm.api.membership import NodeChanged, NodeKind, NodeStatus, SignOn
from crm.plumbing.errors import UsageError
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
)
from messaging.pingd import Effect, PingCounter, Wishes, parse_wishes

SEED = ["-m", "100", "-d", "5s", "-a", "pingd"]


def counter() -> PingCounter:
    machine = PingCounter(parse_wishes(SEED), pid=7)
    machine.receive(PeerConnected("heartbeat"), 0.0)
    machine.receive(PeerConnected("attrd"), 0.0)
    return machine


def ping(machine: PingCounter, node: str, status: NodeStatus) -> list[str | None]:
    event = MessageArrived("heartbeat", NodeChanged(node, NodeKind.PING, status))
    return values(machine.receive(event, 1.0))


def values(effects: list[Effect]) -> list[str | None]:
    return [
        effect.message.value
        for effect in effects
        if isinstance(effect, Tell) and isinstance(effect.message, UpdateAttribute)
    ]


def test_the_options_of_the_tutorial_are_understood() -> None:
    assert parse_wishes(SEED) == Wishes(multiplier=100, dampen_ms=5000, attribute="pingd")


@pytest.mark.parametrize("words", [["-m"], ["-m", "x"], ["-d", "5min"], ["-q", "1"], ["-m", "-1"]])
def test_a_wrong_option_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_wishes(words)


def test_it_signs_on_when_heartbeat_is_there() -> None:
    machine = PingCounter(Wishes(), pid=7)

    effects = machine.receive(PeerConnected("heartbeat"), 0.0)

    assert effects == [Tell("heartbeat", SignOn("pingd", 7))]


def test_each_change_is_told_once() -> None:
    machine = counter()

    assert ping(machine, "r1", NodeStatus.PING) == ["100"]
    assert ping(machine, "r1", NodeStatus.PING) == []
    assert ping(machine, "r2", NodeStatus.PING) == ["200"]
    assert ping(machine, "r1", NodeStatus.DEAD) == ["100"]


def test_nothing_is_told_while_a_ping_node_is_not_yet_judged() -> None:
    machine = counter()

    assert ping(machine, "r1", NodeStatus.INIT) == []
    assert ping(machine, "r1", NodeStatus.DEAD) == ["0"]


def test_a_new_attrd_is_told_the_value_again() -> None:
    machine = counter()
    ping(machine, "r1", NodeStatus.PING)
    machine.receive(PeerLost("attrd"), 2.0)
    assert ping(machine, "r1", NodeStatus.DEAD) == []

    assert values(machine.receive(PeerConnected("attrd"), 3.0)) == ["0"]


def test_only_named_hosts_count() -> None:
    machine = PingCounter(parse_wishes(["-h", "r1"]), pid=7)
    machine.receive(PeerConnected("attrd"), 0.0)

    assert ping(machine, "r2", NodeStatus.PING) == []
    assert ping(machine, "r1", NodeStatus.PING) == ["1"]


def test_at_the_end_zero_is_told_first() -> None:
    machine = counter()
    ping(machine, "r1", NodeStatus.PING)

    assert values(machine.receive(StopRequested(), 5.0)) == ["0"]
    due = machine.next_deadline()
    assert due is not None
    assert machine.tick(due) == [Exit(0)]
