"""The gate's socket and the blocking client, joined over a real Unix socket."""

import asyncio
import contextlib
import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.api import cib, gate, gateclient
from crm.api.conversations import BY_SERVICE
from crm.gate.gate import CallerArrived, FrameArrived, FrameUnreadable
from crm.gate.sessions import MAX_GREETING_BYTES, Sessions
from crm.model.version import Version
from crm.plumbing.errors import ConfigurationError, LocalProtocolError, Unreachable
from tests.kit import gate_frames

MOST_BYTES = 300_000


class Doorman:
    """Answers greetings and describes a cib; runs a loop in a thread of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: list[object] = []
        self.silent = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.sessions = Sessions(
            self.root / gate.SOCKET, self.loop, self._receive, most_incoming_bytes=MOST_BYTES
        )
        self.loop.call_soon(self._ready.set)
        self.loop.run_forever()
        self.sessions.close()
        self.loop.close()

    def _receive(self, event: object) -> None:
        self.seen.append(event)
        if isinstance(event, FrameUnreadable):
            self.sessions.send(event.caller, gate.Refusal(code=76, message=event.reason))
            self.sessions.hang_up(event.caller)
        if not isinstance(event, FrameArrived) or self.silent:
            return
        if isinstance(event.frame, gate.Greeting):
            answer = gate.Greeting(protocol=gate.PROTOCOL, name="mgmtd", node="node1")
            self.sessions.send(event.caller, answer)
        elif isinstance(event.frame, gate.Envelope):
            request = BY_SERVICE["cib"].requests.decode(event.frame.payload)
            assert isinstance(request, cib.DescribeCib)
            notice = cib.CibReplaced(Version(0, 9, 0))
            reply = cib.CibDescription(request.request, Version(0, 1, 2), "digest")
            for message in (notice, reply):
                payload = BY_SERVICE["cib"].replies.encode(message)
                self.sessions.send(event.caller, gate.Envelope("cib", payload))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)


@pytest.fixture
def doorman(tmp_path: Path) -> Iterator[Doorman]:
    made = Doorman(tmp_path)
    yield made
    made.close()


def raw(root: Path) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(5)
    gateclient._connect(stream, root / gate.SOCKET)
    return stream


def test_a_question_gets_its_answer_and_events_are_kept(doorman: Doorman) -> None:
    with gateclient.connect(doorman.root, name="test") as session:
        assert session.server.node == "node1"
        reply = session.ask("cib", cib.DescribeCib(request=0))
        kept = list(session.events(timeout_s=0.01))
    assert reply == cib.CibDescription(1, Version(0, 1, 2), "digest")
    assert kept == [gateclient.Arrival("cib", cib.CibReplaced(Version(0, 9, 0)))]


def test_the_kernel_says_who_called(doorman: Doorman) -> None:
    with gateclient.connect(doorman.root, name="test"):
        pass
    (arrived,) = [each for each in doorman.seen if isinstance(each, CallerArrived)]
    assert (arrived.identity.uid, arrived.identity.pid) == (os.getuid(), os.getpid())


def test_a_path_longer_than_the_kernel_allows_still_works(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    doorman = Doorman(deep)
    try:
        with gateclient.connect(deep, name="test") as session:
            assert session.server.name == "mgmtd"
    finally:
        doorman.close()


def test_a_second_gate_on_the_same_path_is_refused_and_the_first_stays(doorman: Doorman) -> None:
    loop = asyncio.new_event_loop()
    with pytest.raises(ConfigurationError, match="another mgmtd"):
        Sessions(doorman.root / gate.SOCKET, loop, lambda event: None)
    loop.close()
    with gateclient.connect(doorman.root, name="test") as session:
        assert session.server.name == "mgmtd"


def test_nobody_listening_names_the_socket_and_asks_for_heartbeat(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"run/heartbeat/mgmtd.*is heartbeat running\?"):
        gateclient.connect(tmp_path, name="test")


def test_a_gate_that_says_nothing_is_given_up_in_time(doorman: Doorman) -> None:
    doorman.silent = True
    with pytest.raises(gateclient.AnswerTimeout):
        gateclient.connect(doorman.root, name="test", timeout_s=0.05)


def test_a_service_that_does_not_exist_is_our_own_mistake(doorman: Doorman) -> None:
    with (
        gateclient.connect(doorman.root, name="test") as session,
        pytest.raises(LocalProtocolError),
    ):
        session.ask("nobody", cib.DescribeCib(request=0))


@pytest.mark.parametrize(
    "hostile",
    [
        struct.pack("!I", 2**32 - 1),
        struct.pack("!I", MAX_GREETING_BYTES + 1),
        struct.pack("!I", 4) + b"\xc1\xc1\xc1\xc1",
        struct.pack("!I", 0),
    ],
)
def test_hostile_bytes_cost_the_sender_its_connection_and_nobody_else(
    doorman: Doorman, hostile: bytes
) -> None:
    stream = raw(doorman.root)
    stream.sendall(hostile)
    received = b""
    while piece := stream.recv(4096):
        received += piece
    stream.close()
    refusal = gate.FRAMES.decode(received[4:])
    assert isinstance(refusal, gate.Refusal)
    with gateclient.connect(doorman.root, name="test") as session:
        assert session.ask("cib", cib.DescribeCib(request=0))


def test_a_frame_in_single_bytes_is_put_together(doorman: Doorman) -> None:
    stream = raw(doorman.root)
    frame = gate.FRAMES.encode(gate.Greeting(protocol=gate.PROTOCOL, name="slow"))
    for byte in struct.pack("!I", len(frame)) + frame:
        stream.sendall(bytes([byte]))
    assert len(stream.recv(4096)) > 4
    stream.close()


def greeted(root: Path) -> socket.socket:
    """Open a connection that has been greeted."""
    stream = raw(root)
    gate_frames.send(stream, gate.Greeting(protocol=gate.PROTOCOL, name="test"))
    assert isinstance(gate_frames.read(stream), gate.Greeting)
    return stream


def test_half_sent_frames_of_one_user_take_up_a_bounded_room(doorman: Doorman) -> None:
    streams = [greeted(doorman.root) for _ in range(4)]
    for stream in streams[:3]:
        stream.sendall(struct.pack("!I", gate.MAX_FRAME_BYTES) + b"x" * 90_000)
    with gateclient.connect(doorman.root, name="other") as session:
        # Its answer shows that all that was sent before has been read.
        assert session.ask("cib", cib.DescribeCib(request=0))
        assert not [each for each in doorman.seen if isinstance(each, FrameUnreadable)]
        streams[3].sendall(struct.pack("!I", gate.MAX_FRAME_BYTES) + b"x" * 90_000)
        refusal = gate_frames.read(streams[3])
        assert isinstance(refusal, gate.Refusal)
        assert f"more than {MOST_BYTES} bytes are being sent at once" in refusal.message
        assert gate_frames.read(streams[3]) is None, "it is closed"
        assert session.ask("cib", cib.DescribeCib(request=0))
    for stream in streams:
        stream.close()


def test_what_was_sent_by_who_left_or_was_expelled_is_not_counted_any_more(
    doorman: Doorman,
) -> None:
    for _ in range(5):
        leaving = greeted(doorman.root)
        leaving.sendall(struct.pack("!I", gate.MAX_FRAME_BYTES) + b"x" * 200_000)
        leaving.close()
        expelled = greeted(doorman.root)
        expelled.sendall(struct.pack("!I", 4) + b"\xc1" * 4 + b"x" * 60_000)
        assert isinstance(gate_frames.read(expelled), gate.Refusal)
        expelled.close()
    with gateclient.connect(doorman.root, name="test") as session:
        for _ in range(5):
            assert session.ask("cib", cib.DescribeCib(request=0))
        assert not any(
            "at once" in e.reason for e in doorman.seen if isinstance(e, FrameUnreadable)
        )


def test_running_out_of_descriptors_costs_the_newcomer_only(doorman: Doorman) -> None:
    with gateclient.connect(doorman.root, name="early") as session:
        newcomer = socket.socket(socket.AF_UNIX)
        newcomer.settimeout(5)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = _use_up_descriptors()
        try:
            gateclient._connect(newcomer, doorman.root / gate.SOCKET)
            refused = newcomer.recv(4096)
        finally:
            for descriptor in spare:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        newcomer.close()
        refusal = gate.FRAMES.decode(refused[4:])
        assert isinstance(refusal, gate.Refusal)
        assert "descriptors" in refusal.message
        assert session.ask("cib", cib.DescribeCib(request=0))
    with gateclient.connect(doorman.root, name="late") as session:
        assert session.server.name == "mgmtd"


def _use_up_descriptors() -> list[int]:
    """Open descriptors until no more can be had, with the limit set just above those in use."""
    in_use = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 8, hard))
    spare: list[int] = []
    with contextlib.suppress(OSError):
        while True:
            spare.append(os.open("/dev/null", os.O_RDONLY))
    return spare
