"""The tools at the running cluster: a gate with a cib of one document behind it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.tools import crm_shadow, crm_ticket
from crm.api import cib, gate
from crm.api.conversations import BY_SERVICE
from crm.cib import document as documents
from crm.cib import operations, rules
from crm.cib.query import answer_query
from crm.model.exit_codes import Exit


class CibAtTheGate:
    """Serves one tool after the other with a document of its own."""

    def __init__(self, root: Path) -> None:
        self.document = documents.Document(documents.empty(epoch=1))
        path = root / gate.SOCKET
        path.parent.mkdir(parents=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            stream, _address = self._listener.accept()
            with stream:
                if _read(stream) is None:
                    return
                _send(stream, gate.Greeting(protocol=gate.PROTOCOL, name="mgmtd", node="node1"))
                while isinstance(envelope := _read(stream), gate.Envelope):
                    reply = self._answer(BY_SERVICE["cib"].requests.decode(envelope.payload))
                    _send(stream, gate.Envelope("cib", BY_SERVICE["cib"].replies.encode(reply)))

    def _answer(self, request: object) -> msgspec.Struct:
        if isinstance(request, cib.Query):
            return answer_query(self.document, request)
        assert isinstance(request, cib.Change)
        carried = operations.carry_out(self.document, request.operations, rules.STANDARD)
        return cib.ChangeReply(request.request, carried.outcome, carried.after)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self._listener.getsockname())  # says nothing: the thread ends
        self._thread.join(5)
        self._listener.close()


def _send(stream: socket.socket, message: msgspec.Struct) -> None:
    frame = gate.FRAMES.encode(message)
    stream.sendall(struct.pack("!I", len(frame)) + frame)


def _read(stream: socket.socket) -> msgspec.Struct | None:
    head = stream.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    return gate.FRAMES.decode(stream.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CibAtTheGate]:
    for name in ("CIB_file", "CIB_shadow", "CIB_shadow_dir"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    monkeypatch.setenv("CIB_shadow_dir", str(tmp_path))
    made = CibAtTheGate(tmp_path)
    yield made
    made.close()


def test_a_ticket_is_granted_in_the_running_cluster(
    served: CibAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_ticket.main(["-t", "A", "-g", "-f"]) == 0
    assert crm_ticket.main(["-t", "A", "-G", "granted"]) == 0
    assert capsys.readouterr().out == "true\n"


def test_a_shadow_of_the_running_cluster_is_committed_to_it(
    served: CibAtTheGate, tmp_path: Path
) -> None:
    assert crm_shadow.main(["-b", "-c", "s1"]) == 0
    path = tmp_path / "shadow.s1"
    node = '<nodes><node id="1" uname="node1"/></nodes>'
    path.write_text(path.read_text().replace("<nodes/>", node))
    assert crm_shadow.main(["-C", "s1", "-f"]) == 0
    assert served.document.by_id("1") is not None
    assert served.document.version.epoch == 2


def test_without_a_cluster_the_tools_are_not_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIB_file", raising=False)
    assert crm_ticket.main(["-l", "--root", str(tmp_path)]) == Exit.NOT_CONNECTED
