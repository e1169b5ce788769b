"""A gate for tools: one document, and what the daemons beside the cib would say.

It serves several sessions at once. What attrd, crmd and stonithd were told is kept in `told`.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import msgspec

from crm.api import attributes, cib, controller, fencing, gate, membership
from crm.api.conversations import BY_SERVICE
from crm.api.membership import Member, NodeDescription, NodeKind, NodeStatus, View
from crm.cib import document as documents
from crm.cib import operations, rules
from crm.cib.query import answer_query
from tests.kit import gate_frames

NODES = (
    NodeDescription("node1", NodeKind.NORMAL, NodeStatus.ACTIVE, "uuid-1"),
    NodeDescription("node2", NodeKind.NORMAL, NodeStatus.DEAD, "uuid-2"),
    NodeDescription("router", NodeKind.PING, NodeStatus.PING),
)
"""node1 is here and in the membership, node2 is lost, router is pinged."""


class ClusterAtTheGate:
    """Serves tools with a document of its own.

    `waited` holds, for each wait, the document as it was then; `unrest` is what a wait ends with
    instead of rest, and with `is_restless` it does not end at all.
    """

    def __init__(self, root: Path) -> None:
        self.document = documents.Document(documents.empty(epoch=1))
        self.told: list[msgspec.Struct] = []
        self.waited: list[bytes] = []
        self.unrest: controller.ControllerReply | None = None
        self.is_restless = False
        self.attributes: list[attributes.AttributeValue] = []
        self.devices: tuple[str, ...] = ()
        self.fencing_rc = 0
        self.watchers: list[socket.socket] = []
        self.nodes = NODES
        self.mode = "crm"
        self.lacks: dict[membership.Capability, str] = {}
        self.parameters: dict[str, str] = {}
        self.pending: tuple[str, ...] = ()
        self.counters: dict[str, int] = {}
        self.rotated = membership.KeyRotated(0, number=2)
        self.refreshed = threading.Event()
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
            if gate_frames.read(stream) is None:
                stream.close()
                return
            threading.Thread(target=self._converse, args=(stream,), daemon=True).start()

    def _converse(self, stream: socket.socket) -> None:
        with stream:
            greeting = gate.Greeting(protocol=gate.PROTOCOL, name="mgmtd", node="node1")
            gate_frames.send(stream, greeting)
            while isinstance(envelope := gate_frames.read(stream), gate.Envelope | gate.Watch):
                if isinstance(envelope, gate.Watch):
                    self.watchers.append(stream)
                    continue
                languages = BY_SERVICE[envelope.service]
                request = languages.requests.decode(envelope.payload)
                if isinstance(request, attributes.RefreshAttributes):
                    self.refreshed.set()
                    continue
                if self.is_restless and isinstance(request, controller.WaitUntilIdle):
                    continue
                if isinstance(request, cib.Query) and not request.user:
                    request = msgspec.structs.replace(
                        request, user=envelope.user, groups=envelope.groups
                    )
                reply = self._answer(request)
                payload = languages.replies.encode(reply)
                gate_frames.send(stream, gate.Envelope(envelope.service, payload))
            self.watchers = [each for each in self.watchers if each is not stream]

    def mark(self, node: str, name: str, value: str | None) -> None:
        """Write what attrd was told into the status; nothing, unless a test does it."""

    def _answer(self, request: msgspec.Struct) -> msgspec.Struct:
        match request:
            case cib.Query():
                return answer_query(self.document, request)
            case cib.Change():
                carried = operations.carry_out(self.document, request.operations, rules.STANDARD)
                return cib.ChangeReply(request.request, carried.outcome, carried.after)
            case attributes.UpdateAttribute():
                self.told.append(request)
                self.mark(request.node, request.name, request.value)
                return attributes.AttributeValues(request.request)
            case attributes.AskAttributes(name=name, node=node):
                found = [
                    each
                    for each in self.attributes
                    if each.name == name and node in ("", each.node)
                ]
                return attributes.AttributeValues(request.request, tuple(found))
            case fencing.AskDevices():
                return fencing.Devices(request.request, self.devices)
            case fencing.Fence(node=node) | fencing.ConfirmDown(node=node):
                self.told.append(request)
                reason = "because the test says so"
                return fencing.Fenced(request.request, node, self.fencing_rc, reason=reason)
            case controller.AskController():
                return controller.ControllerDescription(
                    request.request, "node1", "S_IDLE", dc="node1", pending_actions=self.pending
                )
            case controller.CleanUp():
                self.told.append(request)
                return controller.ControllerReply(request.request)
            case controller.WaitUntilIdle():
                self.waited.append(self.document.text())
                self.come_to_rest()
                answer = self.unrest or controller.ControllerReply(0)
                return msgspec.structs.replace(answer, request=request.request)
            case membership.AskCluster():
                view = View(1, (Member("node1", "uuid-1", 0, 1),), quorate=False)
                return membership.ClusterDescription(
                    request.request,
                    "node1",
                    self.nodes,
                    view,
                    parameters=self.parameters,
                    counters=self.counters,
                    mode=self.mode,
                    stack="corosync" if self.lacks else "heartbeat",
                    lacks=self.lacks,
                )
            case membership.RotateKey():
                self.told.append(request)
                return msgspec.structs.replace(self.rotated, request=request.request)
        raise AssertionError(f"nobody answers {request}")

    def announce(self, service: str, event: msgspec.Struct) -> None:
        """Tell an event to whoever watches."""
        payload = BY_SERVICE[service].replies.encode(event)
        for stream in self.watchers:
            gate_frames.send(stream, gate.Envelope(service, payload))

    def come_to_rest(self) -> None:
        """Do what the scheduler would have done by now; nothing, where nothing runs."""

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self._listener.getsockname())  # says nothing: the thread ends
        self._thread.join(5)
        self._listener.close()
