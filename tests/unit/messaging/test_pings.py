"""Ping nodes: tokens, answers and deadlines."""

from __future__ import annotations

import itertools
from dataclasses import replace

from crm.api.membership import NodeStatus
from messaging.cluster_settings import PingTarget
from messaging.pings import MAX_TOKENS, EchoArrived, Pings, SendEcho
from messaging.standing import ShowNode
from tests.kit.messaging import TIMING, settings


def pinger(*targets: PingTarget) -> Pings:
    numbers = itertools.count(1)
    return Pings(
        replace(settings(2), pings=targets),
        now=0.0,
        random_bytes=lambda count: next(numbers).to_bytes(count, "big"),
    )


ROUTER = PingTarget("router", ("router",))
GROUP = PingTarget("outside", ("one", "two"))


def echoes(effects: list[object]) -> list[SendEcho]:
    return [effect for effect in effects if isinstance(effect, SendEcho)]


def shown(effects: list[object]) -> list[tuple[str, NodeStatus]]:
    return [(e.node, e.status) for e in effects if isinstance(e, ShowNode)]


def test_every_host_of_a_group_is_pinged_once_a_keepalive() -> None:
    pings = pinger(ROUTER, GROUP)
    assert [echo.host for echo in echoes([*pings.tick(0.0)])] == ["router", "one", "two"]
    assert pings.next_deadline() == TIMING.keepalive_s
    assert echoes([*pings.tick(TIMING.keepalive_s / 2)]) == []


def test_a_ping_that_is_nearly_due_goes_along_with_a_heartbeat() -> None:
    pings = pinger(ROUTER)
    pings.tick(0.0)
    assert pings.ping_along(0.3 * TIMING.keepalive_s) == []
    now = 0.6 * TIMING.keepalive_s
    assert len(pings.ping_along(now)) == 1
    assert pings.next_deadline() == now + TIMING.keepalive_s


def test_an_answer_with_its_own_token_is_believed_and_no_other() -> None:
    pings = pinger(ROUTER, GROUP)
    sent = {echo.host: echo.token for echo in echoes([*pings.tick(0.0)])}
    assert shown([*pings.receive(EchoArrived("router", sent["one"]), 0.1)]) == []
    assert shown([*pings.receive(EchoArrived("router", b"invented"), 0.1)]) == []
    believed = pings.receive(EchoArrived("router", sent["router"]), 0.1)
    assert shown([*believed]) == [("router", NodeStatus.PING)]


def test_a_token_ages() -> None:
    pings = pinger(ROUTER)
    (first,) = echoes([*pings.tick(0.0)])
    for count in range(1, MAX_TOKENS + 1):
        pings.tick(count * TIMING.keepalive_s)
    assert pings.receive(EchoArrived("router", first.token), 1.0) == []


def test_a_group_lives_while_one_of_its_hosts_does() -> None:
    pings = pinger(GROUP)
    now = 0.0
    for _ in range(20):
        now = pings.next_deadline() or now
        effects = [*pings.tick(now)]
        assert ("outside", NodeStatus.DEAD) not in shown(effects)
        two = echoes(effects)[1]
        pings.receive(EchoArrived("two", two.token), now)
    assert shown([*pings.tick(now + TIMING.deadping_s)]) == [("outside", NodeStatus.DEAD)]


def test_a_host_that_never_answered_is_dead_when_initdead_has_passed() -> None:
    pings = pinger(ROUTER)
    assert shown([*pings.tick(TIMING.initdead_s - 0.01)]) == []
    assert shown([*pings.tick(TIMING.initdead_s)]) == [("router", NodeStatus.DEAD)]
    assert shown([*pings.tick(TIMING.initdead_s + 5)]) == []


def test_without_ping_nodes_there_is_nothing_to_do() -> None:
    assert pinger().next_deadline() is None
