"""Two ends of the bus in one event loop: who hears what, and who learns that the other is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import zmq

from crm.plumbing.codec import Codec, Message
from crm.plumbing.errors import ConfigurationError
from crm.plumbing.ipc import Bus
from crm.plumbing.ipc_dialler import TAKEN_EVERY_BYTES
from crm.plumbing.ipc_seat import BusEvent, Conversation
from crm.plumbing.machine import (
    Caller,
    MessageArrived,
    Note,
    PeerAlive,
    PeerConnected,
    PeerLost,
)


class Ask(Message, frozen=True):
    number: int
    body: bytes = b""


class Answer(Message, frozen=True):
    number: int
    body: bytes = b""


TALK = Conversation(Codec(Ask), Codec(Answer))
STRANGE = Conversation(Codec(Answer), Codec(Ask))


class End:
    """One process on the bus, with everything it was told."""

    def __init__(self, directory: Path, name: str) -> None:
        self.events: list[BusEvent] = []
        self.notes: list[Note] = []
        self._news = asyncio.Event()
        self.bus = Bus(directory, name, self._deliver, self._note)

    def _deliver(self, event: BusEvent) -> None:
        self.events.append(event)
        self._news.set()

    def _note(self, note: Note) -> None:
        self.notes.append(note)
        self._news.set()

    async def noted(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.notes) < count:
                self._news.clear()
                await self._news.wait()

    async def heard(self, count: int) -> list[BusEvent]:
        async with asyncio.timeout(5):
            while len(self.events) < count:
                self._news.clear()
                await self._news.wait()
        return self.events

    def close(self) -> None:
        if not self.bus.context.closed:
            self.bus.close(0)


Enter = Callable[[Path, str], End]


def play(scene: Callable[[Enter], Awaitable[None]]) -> None:
    """Run a scene and close whoever entered it, also when it ends badly.

    A context that is collected with its sockets open waits for them for ever.
    """

    async def whole() -> None:
        with contextlib.ExitStack() as leaving:

            def enter(directory: Path, name: str) -> End:
                end = End(directory, name)
                leaving.callback(end.close)
                return end

            await scene(enter)

    asyncio.run(whole())


@pytest.fixture
def bus_dir(tmp_path: Path) -> Path:
    return tmp_path / ("deep" * 20) / ("deeper" * 10) / "bus"


def test_messages_arrive_in_order_both_ways_also_below_a_very_long_path(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        client.bus.dial("cib", TALK)
        server.bus.serve(TALK)
        await client.heard(1)
        for number in range(500):
            assert client.bus.tell("cib", Ask(number))
        await server.heard(501)
        for number in range(500):
            assert server.bus.tell("crmd", Answer(number))
        await client.heard(501)
        assert server.events == [
            PeerConnected("crmd"),
            *(MessageArrived("crmd", Ask(n)) for n in range(500)),
        ]
        assert client.events == [
            PeerConnected("cib"),
            *(MessageArrived("cib", Answer(n)) for n in range(500)),
        ]
        client.bus.close()
        server.bus.close()

    play(scene)


def test_a_server_is_told_by_the_kernel_who_has_dialled(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        (event, *_) = await server.heard(1)
        assert isinstance(event, PeerConnected)
        assert event.caller == Caller(os.getuid(), os.getgid(), os.getpid())

    play(scene)


def test_who_is_attached_gives_signs_of_life_and_is_told_nothing(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "heartbeat"), enter(bus_dir, "lrmd")
        server.bus.serve(TALK)
        client.bus.attach("heartbeat")
        await server.heard(1)
        server.bus.ask_alive("lrmd")
        server.bus.ask_alive("nobody")
        assert await server.heard(2) == [PeerConnected("lrmd"), PeerAlive("lrmd")]
        assert client.events == []

    play(scene)


def test_a_dialler_gives_signs_of_life_between_its_messages(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "heartbeat"), enter(bus_dir, "crmd")
        server.bus.serve(TALK)
        client.bus.dial("heartbeat", TALK)
        client.bus.attach("heartbeat")
        await client.heard(1)
        client.bus.tell("heartbeat", Ask(1))
        await server.heard(2)
        server.bus.ask_alive("crmd")
        await server.heard(3)
        client.bus.tell("heartbeat", Ask(2))
        assert await server.heard(4) == [
            PeerConnected("crmd"),
            MessageArrived("crmd", Ask(1)),
            PeerAlive("crmd"),
            MessageArrived("crmd", Ask(2)),
        ]

    play(scene)


def test_a_server_learns_that_its_dialler_is_gone(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        client.bus.close()
        assert await server.heard(2) == [PeerConnected("crmd"), PeerLost("crmd")]
        assert not server.bus.tell("crmd", Answer(1))
        server.bus.close()

    play(scene)


def test_a_dialler_loses_its_server_and_finds_its_next_life(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        first, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        first.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        first.bus.tell("crmd", Answer(7))
        first.bus.close()
        await client.heard(3)
        assert not client.bus.tell("cib", Ask(1))
        second = enter(bus_dir, "cib")
        second.bus.serve(TALK)
        events = await client.heard(4)
        assert events == [
            PeerConnected("cib"),
            MessageArrived("cib", Answer(7)),
            PeerLost("cib"),
            PeerConnected("cib"),
        ]
        client.bus.close()
        second.bus.close()

    play(scene)


def test_a_new_life_of_a_dialler_replaces_the_old_one(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, old, new = enter(bus_dir, "cib"), enter(bus_dir, "crmd"), enter(bus_dir, "crmd")
        server.bus.serve(TALK)
        old.bus.dial("cib", TALK)
        await server.heard(1)
        new.bus.dial("cib", TALK)
        events = await server.heard(3)
        assert events == [PeerConnected("crmd"), PeerLost("crmd"), PeerConnected("crmd")]
        server.bus.tell("crmd", Answer(3))
        assert (await new.heard(2))[1] == MessageArrived("cib", Answer(3))
        for end in (old, new, server):
            end.bus.close()

    play(scene)


def test_a_message_of_another_family_is_dropped_and_the_conversation_goes_on(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.serve(STRANGE)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        client.bus.tell("cib", Ask(1))
        client.bus.tell("cib", Ask(2))
        server.bus.tell("crmd", Ask(3))
        server.bus.tell("crmd", Answer(4))
        await client.heard(2)
        assert client.events == [PeerConnected("cib"), MessageArrived("cib", Answer(4))]
        assert client.bus.counters.undecodable == 1
        await server.noted(2)
        assert server.events == [PeerConnected("crmd")]
        assert server.bus.counters.undecodable == 2
        assert any("dropped a message from 'crmd'" in note.text for note in server.notes)
        client.bus.close()
        server.bus.close()

    play(scene)


def test_a_second_server_of_the_same_name_is_refused(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        first, second = enter(bus_dir, "cib"), enter(bus_dir, "cib")
        first.bus.serve(TALK)
        with pytest.raises(ConfigurationError, match="another 'cib' runs already"):
            second.bus.serve(TALK)
        first.bus.close()
        second.bus.close()

    play(scene)


def test_a_peer_that_does_not_read_is_dropped_and_told_so(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.queue_messages = client.bus.queue_messages = 10
        server.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        # No turn of the loop happens here, so the server reads nothing.
        sent = 0
        while client.bus.tell("cib", Ask(sent, b"x" * 100_000)):
            sent += 1
            assert sent < 10_000
        assert client.events[-1] == PeerLost("cib")
        assert await client.heard(3) == [
            PeerConnected("cib"),
            PeerLost("cib"),
            PeerConnected("cib"),
        ]
        client.bus.tell("cib", Ask(-1))
        await server.heard(sent + 4)
        assert server.events[-3:] == [
            PeerLost("crmd"),
            PeerConnected("crmd"),
            MessageArrived("crmd", Ask(-1)),
        ]
        client.bus.close()
        server.bus.close()

    play(scene)


def test_a_dialler_for_which_too_many_bytes_wait_is_dropped_and_finds_its_way_back(
    bus_dir: Path,
) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.max_unread_bytes = 1_000_000
        server.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        await server.heard(1)
        # No turn of the loop happens here, so the client reads nothing.
        sent = 0
        while server.bus.tell("crmd", Answer(sent, b"x" * 100_000)):
            sent += 1
        assert 8 <= sent <= 10
        assert server.events == [PeerConnected("crmd"), PeerLost("crmd")]
        assert "'crmd' does not read its messages" in server.notes[-2].text

        await client.heard(sent + 3)
        assert client.events[-2:] == [PeerLost("cib"), PeerConnected("cib")]
        client.bus.close()
        server.bus.close()

    play(scene)


def test_a_dialler_that_reads_is_never_dropped_however_much_it_is_sent(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.max_unread_bytes = 3 * TAKEN_EVERY_BYTES
        server.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        await server.heard(1)
        for number in range(40):
            assert server.bus.tell("crmd", Answer(number, b"x" * (TAKEN_EVERY_BYTES // 2)))
            await client.heard(number + 2)
            client.bus.tell("cib", Ask(number))  # what it has taken is said before this
            await server.heard(number + 2)
        client.bus.close()
        server.bus.close()

    play(scene)


def test_a_server_can_hang_up_and_be_called_again(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server, client = enter(bus_dir, "cib"), enter(bus_dir, "crmd")
        server.bus.serve(TALK)
        client.bus.dial("cib", TALK)
        await client.heard(1)
        await server.heard(1)
        server.bus.hang_up("crmd")
        server.bus.hang_up("nobody")

        assert await client.heard(3) == [
            PeerConnected("cib"),
            PeerLost("cib"),
            PeerConnected("cib"),
        ]
        client.bus.close()
        server.bus.close()

    play(scene)


def test_garbage_on_the_socket_is_survived(bus_dir: Path) -> None:
    async def scene(enter: Enter) -> None:
        server = enter(bus_dir, "cib")
        server.bus.serve(TALK)
        stranger = zmq.Context()
        socket = stranger.socket(zmq.DEALER)
        socket.connect(server.bus.endpoint("cib"))
        for frames in ([b""], [b"x" * 17, b"y"], [b"\x01" + b"\0" * 16, b"\xff"], [b"a"] * 9):
            socket.send_multipart(frames)
        client = enter(bus_dir, "crmd")
        client.bus.dial("cib", TALK)
        await client.heard(1)
        client.bus.tell("cib", Ask(1))
        await server.heard(2)
        assert server.events == [PeerConnected("crmd"), MessageArrived("crmd", Ask(1))]
        stranger.destroy(0)
        client.bus.close()
        server.bus.close()

    play(scene)
