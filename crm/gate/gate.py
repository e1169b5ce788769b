"""The gate's machine: callers on one side, daemons on the other, a right checked in between.

Not responsible for bytes and sockets (`sessions.py`), nor for the rights themselves
(`authorisation.py`).

Theory of operation
-------------------
A *caller* is one connection. It speaks first, with `Greeting`; until then nothing else is
accepted, and `HANDSHAKE_S` is all the time it gets. A caller without a role is refused at the
greeting, so a stranger's bytes are never decoded further than that one small frame.

A request is passed on under a number of the gate's own, since two callers may use the same one;
the answer gets the caller's number back. An open request is in exactly one entry of `_open`: it
leaves when the answer comes, when the caller leaves, or when its daemon is lost (then the caller
is told 102). The answer to a caller that has left is dropped. Nothing is repeated by the gate:
whether a change whose answer was lost happened is for the caller to find out.

A request for a daemon that is not there is *held* for as long as its caller wishes, at most
`MAX_HOLD_S`: heartbeat starts a lost daemon again within about a second. It was not passed on
yet, so holding a change is as safe as holding a question. A held request counts as open.

Who asks is filled in here, over whatever the caller wrote (`Change.origin`, `Query.user`,
`AskRevisions.user`, `ConfirmDown.user`); root and the daemons' users may ask on behalf of
another user. Watchers whom access lists could restrict are told what was touched, but no content.

*Watchers* get the events of the cib and of heartbeat. A new watcher is first told the last state
of every node, so that it needs no second question. A caller with neither an open request nor a
watch is hung up on after `IDLE_S`.

Invariant: every request a caller sends is answered once, by its answer or by a `Refusal`, as
long as the caller stays.

Source: docs/protocol/gate.md, decision 2 of the design.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from crm.api import attributes, cib, controller, fencing, gate, lrm, membership
from crm.api.conversations import BY_SERVICE
from crm.gate.authorisation import Identity, Role, may_send
from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    debug,
    info,
    warn,
)

HANDSHAKE_S = 5.0
MAX_HOLD_S = 30.0
"""A request waits no longer than this for its daemon, whatever the caller wishes."""
IDLE_S = 600.0
MAX_OPEN_REQUESTS = 64
"""Of one caller; the next request is refused, not queued."""

DENIED = 4
NOT_CONNECTED = 102
TRY_AGAIN = 75
PROTOCOL_ERROR = 76
OPERATION_NOT_KNOWN = 3

SERVICES = (
    membership.SERVICE,
    cib.SERVICE,
    controller.SERVICE,
    attributes.SERVICE,
    lrm.SERVICE,
    fencing.SERVICE,
)

_WATCHED = (
    cib.CibChanged,
    cib.CibReplaced,
    membership.NodeChanged,
    membership.LinkChanged,
    membership.ClientChanged,
    membership.ViewInstalled,
)


# --- events -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerArrived:
    """Somebody connected; the kernel said who."""

    caller: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """A caller sent one frame."""

    caller: int
    frame: msgspec.Struct


@dataclass(frozen=True, slots=True)
class FrameUnreadable:
    """A caller sent bytes that are no frame."""

    caller: int
    reason: str


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """A connection is over."""

    caller: int


Event = (
    CallerArrived
    | FrameArrived
    | FrameUnreadable
    | CallerLeft
    | MessageArrived
    | PeerConnected
    | PeerLost
    | StopRequested
)


# --- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send one frame to a caller."""

    caller: int
    frame: msgspec.Struct


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a caller's connection once what was sent to it is out."""

    caller: int


Effect = SendFrame | HangUp | Tell | Note | Exit


@dataclass(slots=True)
class _Caller:
    """What the gate knows of one connection."""

    identity: Identity
    quiet_since: float
    name: str = ""
    watches: bool = False
    greeted: bool = False
    open_requests: int = 0


@dataclass(frozen=True, slots=True)
class _OpenRequest:
    """Whose question a number of the gate's stands for."""

    caller: int
    service: str
    request: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A request, numbered and signed, whose daemon is awaited."""

    service: str
    message: msgspec.Struct
    until: float


class Gate:
    """The machine behind mgmtd."""

    def __init__(self, node: str, *, pid: int) -> None:
        self._node = node
        self._pid = pid
        self._callers: dict[int, _Caller] = {}
        self._connected: set[str] = set()
        self._open: dict[int, _OpenRequest] = {}
        self._held: dict[int, _Held] = {}
        """By the same numbers as `_open`, in order of arrival; part of it."""
        self._nodes: dict[str, membership.NodeChanged] = {}
        self._number = 0

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in something that happened."""
        match event:
            case CallerArrived():
                self._callers[event.caller] = _Caller(event.identity, quiet_since=now)
                return []
            case FrameArrived():
                return self._take_frame(event.caller, event.frame, now)
            case FrameUnreadable():
                return self._expel(event.caller, PROTOCOL_ERROR, event.reason)
            case CallerLeft():
                return self._forget(event.caller)
            case MessageArrived():
                return self._take_message(event.peer, event.message, now)
            case PeerConnected():
                return self._take_up(event.peer)
            case PeerLost():
                return self._lose(event.peer, now)
            case StopRequested():
                farewells: list[Effect] = [HangUp(caller) for caller in self._callers]
                return [*farewells, info("mgmtd", "shutting down"), Exit(0)]

    def tick(self, now: float) -> list[Effect]:
        """Hang up on callers, and give up on daemons, whose time has come."""
        effects: list[Effect] = []
        for own, held in list(self._held.items()):
            if held.until <= now:
                question = self._open[own]
                self._close_request(own, question, now)
                effects.append(self._absent(question.caller, held.service, question.request))
        for number, caller in list(self._callers.items()):
            due_at = self._due_at(caller)
            if due_at is None or due_at > now:
                continue
            if caller.greeted:
                effects += self._expel(number, TRY_AGAIN, f"nothing was asked for {IDLE_S:g} s")
            else:
                effects += self._expel(number, PROTOCOL_ERROR, f"no greeting in {HANDSHAKE_S:g} s")
        return effects

    def next_deadline(self) -> float | None:
        """Say when the first caller or held request is due."""
        due = [at for caller in self._callers.values() if (at := self._due_at(caller)) is not None]
        due += [held.until for held in self._held.values()]
        return min(due, default=None)

    @staticmethod
    def _due_at(caller: _Caller) -> float | None:
        if not caller.greeted:
            return caller.quiet_since + HANDSHAKE_S
        if caller.watches or caller.open_requests:
            return None
        return caller.quiet_since + IDLE_S

    # --- from callers -----------------------------------------------------------------------

    def _take_frame(self, number: int, frame: msgspec.Struct, now: float) -> list[Effect]:
        caller = self._callers.get(number)
        if caller is None:
            return []  # hung up on while its bytes were on the way
        if not caller.greeted:
            return self._greet(number, caller, frame, now)
        caller.quiet_since = now
        match frame:
            case gate.Envelope():
                return self._pass_on(number, caller, frame, now)
            case gate.Watch():
                return self._begin_watch(number, caller)
            case _:
                kind = type(frame).__name__
                return self._expel(number, PROTOCOL_ERROR, f"'{kind}' is out of place here")

    def _greet(
        self, number: int, caller: _Caller, frame: msgspec.Struct, now: float
    ) -> list[Effect]:
        if not isinstance(frame, gate.Greeting):
            return self._expel(number, PROTOCOL_ERROR, "the first frame must be a greeting")
        if frame.protocol != gate.PROTOCOL:
            return self._expel(
                number,
                PROTOCOL_ERROR,
                f"protocol {frame.protocol} is not spoken here, {gate.PROTOCOL} is",
            )
        identity = caller.identity
        if identity.role is Role.STRANGER:
            return self._expel(
                number,
                DENIED,
                f"user '{identity.user}' (uid {identity.uid}) may not use this cluster",
                hint="add the user to the group haclient (all rights), haoperator or hareader",
            )
        caller.greeted = True
        caller.quiet_since = now
        caller.name = _printable(frame.name)
        return [
            SendFrame(
                number, gate.Greeting(protocol=gate.PROTOCOL, name=gate.SERVICE, node=self._node)
            ),
            debug("mgmtd", f"{caller.name} of {identity.user} (pid {identity.pid}) connected"),
        ]

    def _pass_on(
        self, number: int, caller: _Caller, envelope: gate.Envelope, now: float
    ) -> list[Effect]:
        service = envelope.service
        languages = BY_SERVICE.get(service)
        if languages is None:
            return [_refuse(number, OPERATION_NOT_KNOWN, f"there is no service '{service}' here")]
        try:
            message = languages.requests.decode(envelope.payload)
        except RemoteProtocolError as problem:
            return self._expel(number, PROTOCOL_ERROR, str(problem))
        request: int = getattr(message, "request", 0)
        if not may_send(caller.identity.role, service, type(message)):
            kind = type(message).__name__
            role = caller.identity.role.name.lower()
            text = f"the role '{role}' of user '{caller.identity.user}' may not send {kind}"
            return [
                _refuse(number, DENIED, text, request=request),
                warn("mgmtd", f"denied {kind} to {service} by {caller.name}: {text}"),
            ]
        is_held = service not in self._connected
        if is_held and not (request and envelope.wait_s > 0):
            return [self._absent(number, service, request)]
        if request and caller.open_requests >= MAX_OPEN_REQUESTS:
            text = f"{MAX_OPEN_REQUESTS} requests are open already"
            return [_refuse(number, TRY_AGAIN, text, request=request)]
        signed = self._sign(caller, message)
        if request:
            signed = self._renumber(number, caller, service, signed)
        if is_held:
            until = now + min(envelope.wait_s, MAX_HOLD_S)
            self._held[self._number] = _Held(service, signed, until)
            return []
        return [Tell(service, signed)]

    def _absent(self, caller: int, service: str, request: int) -> SendFrame:
        hint = "look for its messages in the log; heartbeat starts it again by itself"
        text = f"the daemon {service} is not running on {self._node}"
        return _refuse(caller, NOT_CONNECTED, text, request=request, hint=hint)

    def _sign(self, caller: _Caller, message: msgspec.Struct) -> msgspec.Struct:
        """Write over whatever the caller said about who it is.

        Only who is trusted may name another user, to have no more than that user's rights.
        """
        identity = caller.identity
        match message:
            case cib.Change(origin=given):
                user, groups = _asking(identity, given.user, given.groups)
                origin = cib.Origin(caller.name, self._node, user, given.reason, groups)
                return msgspec.structs.replace(message, origin=origin)
            case cib.Query():
                user, groups = _asking(identity, message.user, message.groups)
                return msgspec.structs.replace(message, user=user, groups=groups)
            case cib.AskRevisions() | fencing.ConfirmDown():
                return msgspec.structs.replace(message, user=identity.user)
            case _:
                return message

    def _renumber(
        self, number: int, caller: _Caller, service: str, message: msgspec.Struct
    ) -> msgspec.Struct:
        self._number += 1
        request: int = getattr(message, "request", 0)
        self._open[self._number] = _OpenRequest(number, service, request)
        caller.open_requests += 1
        return msgspec.structs.replace(message, request=self._number)

    def _begin_watch(self, number: int, caller: _Caller) -> list[Effect]:
        caller.watches = True
        return [
            SendFrame(number, _envelope(membership.SERVICE, event))
            for event in self._nodes.values()
        ]

    def _forget(self, number: int) -> list[Effect]:
        caller = self._callers.pop(number, None)
        for own, question in list(self._open.items()):
            if question.caller == number:
                del self._open[own]
                self._held.pop(own, None)
        if caller is None or not caller.greeted:
            return []
        return [debug("mgmtd", f"{caller.name} of {caller.identity.user} left")]

    def _expel(self, number: int, code: int, reason: str, *, hint: str = "") -> list[Effect]:
        caller = self._callers.get(number)
        if caller is None:
            return []
        self._forget(number)
        identity = caller.identity
        return [
            _refuse(number, code, reason, hint=hint),
            HangUp(number),
            info("mgmtd", f"hung up on uid {identity.uid} (pid {identity.pid}): {reason}"),
        ]

    # --- from daemons -----------------------------------------------------------------------

    def _take_up(self, service: str) -> list[Effect]:
        self._connected.add(service)
        effects: list[Effect] = []
        if service == membership.SERVICE:
            effects.append(Tell(service, membership.SignOn(client=gate.SERVICE, pid=self._pid)))
        elif service == cib.SERVICE:
            effects.append(Tell(service, cib.Subscribe()))
        for own, held in list(self._held.items()):
            if held.service == service:
                del self._held[own]
                effects.append(Tell(service, held.message))
        return effects

    def _lose(self, service: str, now: float) -> list[Effect]:
        self._connected.discard(service)
        effects: list[Effect] = []
        for own, question in list(self._open.items()):
            if question.service != service or own in self._held:
                continue
            self._close_request(own, question, now)
            text = f"the daemon {service} went away before it answered"
            effects.append(
                _refuse(
                    question.caller,
                    NOT_CONNECTED,
                    text,
                    request=question.request,
                    hint="whether it was done is not known; look before you repeat it",
                    taken=True,
                )
            )
        return effects

    def _take_message(self, service: str, message: msgspec.Struct, now: float) -> list[Effect]:
        if isinstance(message, _WATCHED):
            if isinstance(message, membership.NodeChanged):
                self._nodes[message.node] = message
            whole, veiled = _envelope(service, message), _envelope(service, _veiled(message))
            return [
                SendFrame(number, whole if caller.identity.is_trusted else veiled)
                for number, caller in self._callers.items()
                if caller.watches
            ]
        own: int = getattr(message, "request", 0)
        question = self._open.get(own)
        if question is None or question.service != service:
            return []  # its caller left, or the message is for daemons only
        self._close_request(own, question, now)
        answer = msgspec.structs.replace(message, request=question.request)
        return [SendFrame(question.caller, _envelope(service, answer))]

    def _close_request(self, own: int, question: _OpenRequest, now: float) -> None:
        del self._open[own]
        self._held.pop(own, None)
        caller = self._callers[question.caller]
        caller.open_requests -= 1
        caller.quiet_since = now


def _asking(identity: Identity, user: str, groups: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Tell whose rights a request has: those of the user named, if the caller may name one."""
    if identity.is_trusted and user:
        return user, groups
    return identity.user, identity.groups


def _veiled(message: msgspec.Struct) -> msgspec.Struct:
    """Leave out of an event what its watcher might have no right to see; it may ask for it."""
    if not isinstance(message, cib.CibChanged):
        return message
    touched = tuple(msgspec.structs.replace(each, value="") for each in message.touched)
    origin = msgspec.structs.replace(message.origin, groups=())
    return msgspec.structs.replace(message, touched=touched, origin=origin, patch=b"")


def _envelope(service: str, message: msgspec.Struct) -> gate.Envelope:
    return gate.Envelope(service=service, payload=BY_SERVICE[service].replies.encode(message))


def _refuse(
    caller: int,
    code: int,
    message: str,
    *,
    request: int = 0,
    hint: str = "",
    taken: bool = False,
) -> SendFrame:
    return SendFrame(
        caller,
        gate.Refusal(code=code, message=message, request=request, hint=hint, taken=taken),
    )


def _printable(name: str) -> str:
    """Keep a caller's own name from forging log lines."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:64])
