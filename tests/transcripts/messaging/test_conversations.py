"""The conversations of the cluster layer as text, from the cores under a simulated clock.

A line is a moment in milliseconds and what was sent (`a > b`), logged (`a #`), or told to clients
(`a =`); `--` is what the story does. Each file begins with what to look at. `BLESS=1` writes them
anew; the difference is then read line by line.
"""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crm.api import gate
from crm.api import membership as api
from crm.plumbing.machine import MessageArrived
from messaging import events, frame
from tests.kit.messaging import LINK
from tests.kit.overheard import Overheard
from tests.kit.quorum_server import ServerBeside

HERE = Path(__file__).parent


def _agreed(nodes: int = 3, clients: tuple[str, ...] = ("crmd",)) -> Overheard:
    network = Overheard(nodes, clients=clients)
    network.start()
    names = "".join(network.settings.nodes)
    network.run(1.0, until=lambda: network.is_agreed(names))
    network.run(0.5)
    network.begin()
    return network


def _no_heartbeats(message: msgspec.Struct) -> bool:
    return not isinstance(message, frame.Status | frame.Beat)


def handshake() -> Overheard:
    """Two nodes start one after the other: b's first packet is a challenge to a, a's answer
    challenges back, and b's answer to that opens its session. Only then is a heartbeat
    believed, a contact made and a view agreed upon."""
    network = Overheard(2, seed=1)
    network.start("a")
    network.run(0.3)
    network.begin()
    network.start("b")
    network.run(0.05)
    return network


def join() -> Overheard:
    """c starts while a and b are in a view: it is heard, one round of Joins follows, and all three
    install the same view, in which c is born anew."""
    network = Overheard(3)
    network.start("a", "b")
    network.run(4.0)
    network.begin()
    network.keep = _no_heartbeats
    network.start("c")
    network.run(0.06)
    return network


def leave() -> Overheard:
    """c is stopped in order: it says Leaving, the others acknowledge that and agree at once;
    nobody waits for a deadtime."""
    network = _agreed()
    network.keep = _no_heartbeats
    network.remark("c is stopped")
    network.stop("c")
    network.run(0.06)
    return network


def view_change() -> Overheard:
    """c crashes: a and b each wait for their own deadline, then one round of Joins, and both are
    in the next view within a millisecond or two."""
    network = _agreed()
    network.keep = lambda message: isinstance(message, frame.Data | frame.Ack)
    network.remark("c crashes")
    network.crash("c")
    network.run(1.2)
    return network


def retransmission() -> Overheard:
    """Of three messages the second is lost: b sees the hole when the third comes, names it after 5
    ms, and gets it again; both are delivered in order. Then the last message of all is
    lost: nothing follows it, so a repeats it by itself after 50 ms."""
    network = _agreed(2)
    network.keep = _no_heartbeats
    for text in ("one", "two", "three"):
        network.drop = lambda message, text=text: (  # type: ignore[misc]
            text == "two" and isinstance(message, frame.Data) and message.copy == 1
        )
        network.send("a", text.encode(), to="b")
        network.run(0.001)
    network.drop = lambda message: False
    network.run(0.1)
    network.remark("the last message is lost")
    network.drop = lambda message: isinstance(message, frame.Data) and message.copy == 1
    network.send("a", b"last", to="b")
    network.drop = lambda message: False
    network.run(0.1)
    network.remark(f"b's client got {[payload for _, payload in network.lives['b'].payloads()]}")
    return network


def large_message() -> Overheard:
    """A message of 39 pieces: a window of them goes out, what fills it asks for an
    acknowledgement, which makes room for twice as many; the hole of a piece that was overtaken
    closes by itself."""
    network = _agreed(2)
    network.keep = _no_heartbeats
    payload = random.Random(1).randbytes(40 * 1200)
    network.send("a", payload, to="b")
    network.run(0.1)
    whole = [sent for _, sent in network.lives["b"].payloads()] == [payload]
    network.remark(f"b's client got the message: {whole}")
    return network


def replay_refused() -> Overheard:
    """Everything a has said is recorded and played to b: at once, after b was restarted, and after
    a was restarted too. Nothing of it is believed. b answers the recording with challenges,
    which only the living a can throw back."""
    network = _agreed(2)
    tape = [data for name, data in network.tap if name == "a"]

    def play(when: str) -> None:
        listener = network.lives["b"].machine
        before, known = dict(listener.counters), listener._wire.session_of("a")
        network.keep = lambda message: False
        for data in tape:
            network.feed("b", events.DatagramArrived(LINK, "a", data))
        after = listener.counters
        grown = {name: after[name] - before.get(name, 0) for name in sorted(after)}
        dropped = {name: n for name, n in grown.items() if name.startswith("dropped") and n}
        network.remark(f"{len(tape)} packets played {when}: {dropped or 'none dropped'}")
        assert listener._wire.session_of("a") == known, "a recording was believed"

    play("while both live")
    network.crash("b")
    network.run(3.0)
    network.crash("a")
    network.start("b")
    play("to a restarted b, a being away")
    network.keep = lambda message: isinstance(message, frame.Handshake)
    network.start("a")
    network.run(1.5)
    play("when a is restarted too")
    return network


def key_rotation() -> Overheard:
    """Three nodes change their key: the leader a asks all, then orders three steps, each when
    everybody has the one before on its disk. a obeys its own orders like the others,
    unheard."""
    network = _agreed(3, clients=("crmd", gate.SERVICE))
    network.keep = lambda message: isinstance(message, frame.Data)
    network.feed("a", MessageArrived(gate.SERVICE, api.RotateKey(1)))
    network.run(0.1)
    for name, keys in network.keys.items():
        network.remark(f"{name} has keys {[key.number for key in keys.keys]}")
    return network


def quorum_server() -> Overheard:
    """The wire between the only two nodes is cut. Each asks the quorum server before its lease
    ends; the first one gets the tie and goes on without a gap, the other one lets go at the end
    of its lease. When the winner crashes, the server remembers it for a deadtime; then the other
    one gets the tie, and with it quorum."""
    network = Overheard(2)
    server = ServerBeside(network)
    network.start()
    network.run(1.5)
    network.begin()
    network.keep = lambda message: isinstance(message, frame.Data)
    server.write = network.write
    network.remark("the wire is cut")
    network.partition("a", "b")
    network.run(1.2)
    winner = next(name for name, view in network.views().items() if view and view.quorate)
    network.remark(f"{winner} crashes")
    network.crash(winner)
    (left,) = network.lives

    def may_act() -> bool:
        view = network.views()[left]
        return view is not None and view.quorate

    network.run(2.0, until=may_act)
    return network


STORIES: dict[str, Callable[[], Overheard]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        handshake,
        join,
        leave,
        view_change,
        retransmission,
        large_message,
        replay_refused,
        key_rotation,
        quorum_server,
    )
}


@pytest.mark.parametrize("name", STORIES)
def test_the_conversation_is_as_written(name: str) -> None:
    path = HERE / f"{name}.txt"
    story = STORIES[name]
    remarks = [f"# {line}" for line in (inspect.getdoc(story) or "").splitlines()]
    text = "\n".join([*remarks, "", *story().lines]) + "\n"
    if os.environ.get("BLESS"):
        path.write_text(text)
    assert path.read_text() == text
