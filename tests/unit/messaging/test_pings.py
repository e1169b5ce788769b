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


def run(pings: Pings, until: float) -> list[tuple[str, NodeStatus]]:
    """Tick whenever due, up to a moment; what was shown meanwhile."""
    said: list[tuple[str, NodeStatus]] = []
    while (due := pings.next_deadline()) is not None and due <= until:
        said += shown([*pings.tick(due)])
    return said


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
    assert run(pings, now + TIMING.deadping_s) == [("outside", NodeStatus.DEAD)]


def test_a_host_that_never_answered_is_dead_when_initdead_has_passed() -> None:
    pings = pinger(ROUTER)
    assert run(pings, TIMING.initdead_s - 0.01) == []
    assert run(pings, TIMING.initdead_s) == [("router", NodeStatus.DEAD)]
    assert run(pings, TIMING.initdead_s + 5) == []


def heard_at_first(*targets: PingTarget) -> Pings:
    """Pings that have been answered once, at 0.1 s."""
    pings = pinger(*targets)
    for echo in echoes([*pings.tick(0.0)]):
        pings.receive(EchoArrived(echo.host, echo.token), 0.1)
    return pings


def test_an_observer_that_was_paused_pings_before_it_calls_a_host_dead() -> None:
    pings = heard_at_first(ROUTER)
    after = 0.1 + 10 * TIMING.deadping_s
    effects = [*pings.tick(after)]
    assert shown(effects) == []
    (echo,) = echoes(effects)
    due = pings.next_deadline()
    assert due is not None and due > after

    pings.receive(EchoArrived(echo.host, echo.token), after + TIMING.grace_s / 2)

    assert shown([*pings.tick(after + TIMING.grace_s)]) == []


def test_a_heartbeat_after_the_pause_does_not_hide_it() -> None:
    pings = heard_at_first(ROUTER)
    after = 0.1 + 10 * TIMING.deadping_s
    assert len(echoes([*pings.ping_along(after)])) == 1
    assert shown([*pings.tick(after)]) == []


def test_a_host_that_is_dead_is_called_so_when_the_grace_is_over() -> None:
    pings = heard_at_first(ROUTER)
    after = 0.1 + 10 * TIMING.deadping_s
    pings.tick(after)
    assert shown([*pings.tick(after + TIMING.grace_s)]) == [("router", NodeStatus.DEAD)]


def test_a_host_that_never_answered_waits_for_the_grace_as_well() -> None:
    pings = pinger(ROUTER)
    pings.tick(0.0)
    after = 2 * TIMING.initdead_s
    assert shown([*pings.tick(after)]) == []
    assert shown([*pings.tick(after + TIMING.grace_s)]) == [("router", NodeStatus.DEAD)]


def test_pauses_without_end_do_not_hide_a_dead_host_for_ever() -> None:
    pings = heard_at_first(ROUTER)
    ran_s, now, dead = 0.0, 0.1, False
    while not dead and ran_s < 3 * TIMING.deadping_s:
        now += TIMING.keepalive_s + 2 * TIMING.drowsy_s  # a pause in each keepalive
        ran_s += TIMING.keepalive_s
        dead = bool(shown([*pings.tick(now)]))
    assert dead


def test_an_ipv6_host_is_asked_in_its_own_version() -> None:
    pings = pinger(PingTarget("gw", ("gw",), by_ipv6=True), PingTarget("net", ("one", "fd00::1")))
    asked = [(echo.host, echo.is_ipv6) for echo in echoes([*pings.tick(0.0)])]
    assert asked == [("gw", True), ("one", False), ("fd00::1", True)]


def test_without_ping_nodes_there_is_nothing_to_do() -> None:
    assert pinger().next_deadline() is None
