"""A peer that is heard and takes nothing, and a node that never wakes up wholly: both bounded."""

from __future__ import annotations

import pytest

from messaging import frame
from messaging.link_events import EndContact, PacketHeard, SessionOpened
from messaging.links import Links
from messaging.streams import Channel
from tests.kit.messaging import TIMING, settings
from tests.kit.streams import STALL_S, Wire

K = TIMING.keepalive_s


@pytest.mark.parametrize("channel", list(Channel))
def test_a_peer_that_acknowledges_nothing_is_given_up_with_the_reason(channel: Channel) -> None:
    wire = Wire()
    wire.send("a", b"hello")
    wire.run(1.0)
    wire.loss = 1.0
    wire.send("a", b"is anybody there?", channel)

    wire.run(0.9 * STALL_S)
    assert wire.given_up == []
    wire.run(0.3 * STALL_S)

    assert wire.given_up == ["b"]
    assert f"has acknowledged nothing for {STALL_S:g} s" in wire.notes[-1]
    assert wire.ends["a"].peers == ()


def test_a_stream_that_moves_on_slowly_is_not_given_up() -> None:
    wire = Wire(loss=0.5)
    for number in range(40):
        wire.send("a", bytes([number]) * 900)
    wire.run(20 * STALL_S)

    assert wire.given_up == []
    assert len(wire.got["b"]) == 40


def test_a_sender_that_was_paused_blames_nobody() -> None:
    wire = Wire()
    wire.send("a", b"hello")
    wire.run(1.0)
    wire.loss = 1.0
    wire.send("a", b"the last word before the pause")
    wire.loss = 0.0
    wire.now += 10 * STALL_S

    wire.run(1.0)

    assert wire.given_up == []
    assert wire.got["b"] == [b"hello", b"the last word before the pause"]


def test_nothing_that_waits_is_no_stall() -> None:
    wire = Wire()
    wire.send("a", b"hello")
    wire.run(5 * STALL_S)
    assert wire.given_up == []


# --- deafness ------------------------------------------------------------------------------

PEER = b"peer's life"


def status(stamp: float, echo: float) -> frame.Status:
    """What a peer says at `stamp` that last heard us at `echo`."""
    hearing = frame.Hearing(b"our life", int(echo * 1e6) + 1, 0, 0)
    return frame.Status("active", int(stamp * 1e6), 1000, 200, "uuid", 3, {"a": hearing})


def in_contact() -> Links:
    machine = Links(settings(3), node="a", session=b"our life", uuid="u", now=0.0)
    machine.receive(SessionOpened("b", PEER), 0.01)
    machine.receive(PacketHeard("b", PEER, "eth1", "b", status(0.02, 0.01)), 0.02)
    assert machine.peers["b"].contact is not None
    return machine


def hear_deaf_peer(machine: Links, now: float) -> bool:
    """Hear a peer that has heard nothing of us since 0.01 s; tells whether it is given up."""
    effects = machine.receive(PacketHeard("b", PEER, "eth1", "b", status(now, 0.01)), now)
    return any(isinstance(each, EndContact) for each in effects)


def test_a_deaf_peer_is_given_up_though_this_node_is_stopped_again_and_again() -> None:
    machine, now, ran_s = in_contact(), 0.02, 0.0
    stop_s = 2 * TIMING.drowsy_s
    while not hear_deaf_peer(machine, now):
        due = machine.next_deadline()
        ran_s += min(due - now, K / 4)
        now = min(due, now + K / 4) + stop_s
        machine.tick(now)
        assert ran_s < 3 * TIMING.deadtime_s, "a doubt without end hides a deaf peer"
    assert now > TIMING.deadtime_s


def test_a_node_that_was_stopped_once_does_not_call_its_peer_deaf_at_once() -> None:
    machine = in_contact()
    now = 3 * TIMING.deadtime_s
    machine.tick(now)
    assert not hear_deaf_peer(machine, now)
    assert hear_deaf_peer(machine, now + TIMING.grace_s + 0.01)
