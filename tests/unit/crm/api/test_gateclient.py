"""The tool's end of the gate: what it does while a daemon, or the gate itself, is away.

The gate here is a listening socket and a list of what it says to each frame it gets.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crm.api import cib, gate, gateclient
from crm.api.conversations import BY_SERVICE
from crm.plumbing.errors import Unreachable
from tests.kit import gate_frames

CHANGE = cib.Change(request=0, operations=(), origin=cib.Origin(client="test"))
LOST = gate.Refusal(code=102, message="the daemon cib went away", request=1, taken=True)


class ScriptedGate:
    """Serves one connection after the other; answers each request by the next line of a script.

    A line is a refusal, `REPLY`, or None to hang up.
    """

    def __init__(self, root: Path, script: list[gate.Refusal | str | None]) -> None:
        self.asked: list[tuple[str, float]] = []
        self._script = script
        path = root / gate.SOCKET
        path.parent.mkdir(parents=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while self._script:
            stream, _address = self._listener.accept()
            with stream:
                self._converse(stream)

    def _converse(self, stream: socket.socket) -> None:
        if gate_frames.read(stream) is None:
            return
        gate_frames.send(stream, gate.Greeting(protocol=gate.PROTOCOL, name="mgmtd", node="node1"))
        while self._script:
            envelope = gate_frames.read(stream)
            if not isinstance(envelope, gate.Envelope):
                return
            request = BY_SERVICE["cib"].requests.decode(envelope.payload)
            self.asked.append((type(request).__name__, envelope.wait_s))
            line = self._script.pop(0)
            if line is None:
                return
            if isinstance(line, gate.Refusal):
                gate_frames.send(stream, line)
                continue
            number: int = getattr(request, "request", 0)
            reply = cib.QueryReply(request=number, outcome=cib.Outcome.OK, xml=b"<cib/>")
            payload = BY_SERVICE["cib"].replies.encode(reply)
            gate_frames.send(stream, gate.Envelope("cib", payload))

    def close(self) -> None:
        self._script.clear()
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self._listener.getsockname())  # wakes the thread if it accepts
        self._thread.join(5)
        self._listener.close()


Serve = Callable[[list[gate.Refusal | str | None]], ScriptedGate]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[ScriptedGate] = []

    def start(script: list[gate.Refusal | str | None]) -> ScriptedGate:
        made.append(ScriptedGate(tmp_path, script))
        return made[0]

    yield start
    made[0].close()


def test_a_question_whose_daemon_died_is_asked_again(serve: Serve, tmp_path: Path) -> None:
    scripted = serve([LOST, "reply"])
    with gateclient.connect(tmp_path, name="test") as session:
        reply = session.ask("cib", cib.Query(request=0))
    assert isinstance(reply, cib.QueryReply)
    assert [kind for kind, _wait in scripted.asked] == ["Query", "Query"]


def test_a_change_whose_daemon_died_is_never_sent_again(serve: Serve, tmp_path: Path) -> None:
    scripted = serve([LOST, "reply"])
    with (
        gateclient.connect(tmp_path, name="test") as session,
        pytest.raises(gateclient.Denied, match="went away"),
    ):
        session.ask("cib", CHANGE)
    assert [kind for kind, _wait in scripted.asked] == ["Change"]


def test_a_question_survives_the_death_of_the_gate(serve: Serve, tmp_path: Path) -> None:
    scripted = serve([None, "reply"])
    with gateclient.connect(tmp_path, name="test") as session:
        assert isinstance(session.ask("cib", cib.Query(request=0)), cib.QueryReply)
    assert [kind for kind, _wait in scripted.asked] == ["Query", "Query"]


def test_a_change_does_not_survive_the_death_of_the_gate(serve: Serve, tmp_path: Path) -> None:
    scripted = serve([None, "reply"])
    with (
        gateclient.connect(tmp_path, name="test") as session,
        pytest.raises(Unreachable, match="closed the connection"),
    ):
        session.ask("cib", CHANGE)
    assert [kind for kind, _wait in scripted.asked] == ["Change"]


def test_the_gate_is_asked_to_wait_no_longer_than_the_caller_would(
    serve: Serve, tmp_path: Path
) -> None:
    scripted = serve(["reply", "reply"])
    with gateclient.connect(tmp_path, name="test") as session:
        session.ask("cib", cib.Query(request=0))
        session.ask("cib", cib.Query(request=0), timeout_s=2)
    first, second = (wait for _kind, wait in scripted.asked)
    assert 4 < first <= gateclient.PATIENCE_S
    assert 1 < second <= 2


def test_a_socket_nobody_serves_any_more_is_given_a_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / gate.SOCKET
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(Unreachable, match="is heartbeat running"):
        gateclient.connect(tmp_path, name="test", patience_s=0.1)


def test_a_socket_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(Unreachable, match="is heartbeat running"):
        gateclient.connect(tmp_path, name="test", patience_s=3600, notify=said.append)
    assert not said


def test_a_long_wait_is_announced_once() -> None:
    said: list[str] = []
    patience = gateclient._Patience(60, said.append)
    patience.say("waiting for cib on node1 to answer")
    patience.say("waiting for cib on node1 to answer")
    assert said == ["waiting for cib on node1 to answer"]


def test_every_question_is_among_the_messages_of_its_conversation() -> None:
    for languages in BY_SERVICE.values():
        names = {member.__name__ for member in languages.requests.members}
        assert languages.reading <= names
    assert "Change" not in BY_SERVICE["cib"].reading
