"""Names of peers: asked for in threads, known when the answer comes, kept when none comes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from messaging.cluster_settings import Medium, MediumKind
from messaging.media import names, udp


class Resolver:
    """Stands in for the system's: each question waits until the test lets it be answered."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.may_answer = threading.Event()
        self.asked_in: list[threading.Thread] = []

    def finish(self) -> None:
        """Let every question be answered, and wait for those who asked."""
        self.may_answer.set()
        for thread in threading.enumerate():
            if thread.name.startswith("look up "):
                thread.join()

    def ask(self, name: str, *_: object) -> list[tuple[object, ...]]:
        self.asked_in.append(threading.current_thread())
        self.may_answer.wait(10)
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")
        return [(0, 0, 0, "", (self.answers[name], 0))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made.ask)
    yield made
    made.finish()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def finish(resolver: Resolver, loop: asyncio.AbstractEventLoop) -> None:
    """Let all questions be answered, and the loop take the answers in."""
    resolver.finish()
    loop.call_soon(loop.stop)
    loop.run_forever()


def link_to_a_name(
    port: int, loop: asyncio.AbstractEventLoop, also: tuple[str, ...] = ()
) -> udp.UdpLink:
    media = [Medium(MediumKind.UCAST, "lo", port, each) for each in ("node-b", *also)]
    return udp.UdpLink(media, lambda *_: None, loop)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.2", 0))
        made.settimeout(5)
        yield made


def test_nothing_waits_for_a_resolver_and_others_are_sent_to_meanwhile(
    resolver: Resolver, loop: asyncio.AbstractEventLoop, listener: socket.socket
) -> None:
    link = link_to_a_name(listener.getsockname()[1], loop, also=("127.0.0.2",))
    try:
        link.open()
        link.send(b"one", "")

        assert listener.recv(100) == b"one"
        resolver.finish()
        assert [each is threading.main_thread() for each in resolver.asked_in] == [False]
    finally:
        link.close()


def test_a_peer_is_sent_to_as_soon_as_its_address_is_known(
    resolver: Resolver, loop: asyncio.AbstractEventLoop, listener: socket.socket
) -> None:
    resolver.answers["node-b"] = "127.0.0.2"
    link = link_to_a_name(listener.getsockname()[1], loop)
    try:
        link.open()
        link.send(b"too early", "")
        finish(resolver, loop)
        link.send(b"now", "")

        assert listener.recv(100) == b"now"
    finally:
        link.close()


class Clock:
    """The part of a loop that `Names` uses, with a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_soon_threadsafe(self, call: Callable[..., None], *arguments: str) -> None:
        self.calls.append(lambda: call(*arguments))


class Asker:
    """`Names` whose answers come at once."""

    def __init__(self, resolver: Resolver) -> None:
        self.clock = Clock()
        self.resolver = resolver
        self.learnt = 0
        self.names = names.Names(
            ["node-b"],
            is_ipv6=False,
            loop=self.clock,  # type: ignore[arg-type]
            learnt=self.note,
        )

    def note(self) -> None:
        self.learnt += 1

    def look_up(self) -> None:
        self.names.look_up()
        self.resolver.finish()
        while self.clock.calls:
            self.clock.calls.pop(0)()


def test_an_unknown_name_is_asked_for_each_second_and_told_of_once(
    resolver: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    asker = Asker(resolver)
    for moment in (0.0, 0.5, 1.0, 2.0):
        asker.clock.now = moment
        asker.look_up()

    assert len(resolver.asked_in) == 3
    assert asker.names.address("node-b") is None
    assert [record.getMessage() for record in caplog.records] == [
        "nothing is sent to 'node-b' until its address is known: temporary failure"
    ]


def test_a_known_name_is_asked_for_each_minute_and_keeps_its_address_without_an_answer(
    resolver: Resolver,
) -> None:
    asker = Asker(resolver)
    resolver.answers["node-b"] = "192.0.2.1"
    asker.look_up()
    asker.clock.now = names.AGAIN_S - 1.0
    asker.look_up()
    assert (len(resolver.asked_in), asker.learnt) == (1, 1)

    resolver.answers.clear()
    asker.clock.now = names.AGAIN_S
    asker.look_up()
    assert (asker.names.address("node-b"), asker.learnt) == ("192.0.2.1", 1)

    resolver.answers["node-b"] = "192.0.2.2"
    asker.clock.now = 2 * names.AGAIN_S
    asker.look_up()
    assert (asker.names.address("node-b"), asker.learnt) == ("192.0.2.2", 2)
