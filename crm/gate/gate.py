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

Who asks is filled in here, over whatever the caller wrote (`Change.origin`, the `user` of other
messages); root and the daemons' users may ask on behalf of another user. Watchers whom access
lists could restrict are told that something changed, but no content.

What a caller whom access lists could restrict wants of a daemon other than the cib may take
rights to parts of the CIB (`authorisation.TABLE`). The cib is *asked first*: the request is kept
in its entry of `_open`, and passed on when the cib has no objection. The parts an answer shows
are asked for when it has come, and what is denied is taken out. Without a cib nothing is judged,
so nothing is passed on.

*Watchers* get the events of the cib and of heartbeat. A new watcher is first told the last state
of every node, so that it needs no second question. A caller with neither an open request nor a
watch is hung up on after `IDLE_S`.

Invariant: every request a caller sends is answered once, by its answer or by a `Refusal`, as
long as the caller stays.

Source: docs/protocol/gate.md, decision 2 of the design.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from crm.api import attributes, cib, controller, fencing, gate, lrm, membership
from crm.api.conversations import BY_SERVICE
from crm.gate.authorisation import (
    Identity,
    Needs,
    Role,
    Row,
    may_send,
    row_of,
)
from crm.gate.signing import Subject, first_unfit, placed, sign, subject_of, veiled
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
DATA_ERROR = 65
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
    """Whose question a number of the gate's stands for.

    `service` is whose answer is awaited: that of `addressee`, or of the cib, which judges. Until
    it has, `onward` is what goes to the addressee then; afterwards `answer` is what came back.
    `until` is how long the addressee may be away.
    """

    caller: int
    service: str
    request: int
    addressee: str
    row: Row
    subject: Subject
    until: float = 0.0
    onward: msgspec.Struct | None = None
    answer: msgspec.Struct | None = None

    @property
    def is_taken(self) -> bool:
        """Tell whether the addressee has the request."""
        return self.onward is None

    @property
    def is_judged(self) -> bool:
        """Tell whether the cib is asked for rights just now."""
        return self.onward is not None or self.answer is not None


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
        row = row_of(service, type(message))
        if row is None or not may_send(caller.identity.role, service, type(message)):
            kind = type(message).__name__
            role = caller.identity.role.name.lower()
            text = f"the role '{role}' of user '{caller.identity.user}' may not send {kind}"
            return [
                _refuse(number, DENIED, text, request=request),
                warn("mgmtd", f"denied {kind} to {service} by {caller.name}: {text}"),
            ]
        if sign_at_fault := first_unfit(message):
            text = f"{type(message).__name__} holds {sign_at_fault}, which no XML can hold"
            return [_refuse(number, DATA_ERROR, text, request=request)]
        subject = subject_of(caller.identity, envelope.user, envelope.groups)
        signed = sign(message, caller.identity, subject, name=caller.name, node=self._node)
        is_judged = row.needs is not None and not subject.is_trusted
        first = cib.SERVICE if is_judged else service
        is_held = first not in self._connected
        until = now + min(envelope.wait_s, MAX_HOLD_S)
        if is_held and not (request and envelope.wait_s > 0):
            return [self._absent(number, first, request)]
        is_awaited = bool(request) or is_judged
        if is_awaited and caller.open_requests >= MAX_OPEN_REQUESTS:
            text = f"{MAX_OPEN_REQUESTS} requests are open already"
            return [_refuse(number, TRY_AGAIN, text, request=request)]
        if is_awaited:
            signed = self._renumber(number, caller, service, signed)
            question = _OpenRequest(number, service, request, service, row, subject, until)
            if is_judged:
                question = dataclasses.replace(question, service=first, onward=signed)
                signed = self._ask_rights(self._number, subject, row.needs, signed)
            self._open[self._number] = question
        if is_held:
            self._held[self._number] = _Held(first, signed, until)
            return []
        return [Tell(first, signed)]

    def _absent(self, caller: int, service: str, request: int) -> SendFrame:
        hint = "look for its messages in the log; heartbeat starts it again by itself"
        text = f"the daemon {service} is not running on {self._node}"
        return _refuse(caller, NOT_CONNECTED, text, request=request, hint=hint)

    def _renumber(
        self, number: int, caller: _Caller, service: str, message: msgspec.Struct
    ) -> msgspec.Struct:
        self._number += 1
        caller.open_requests += 1
        if not getattr(message, "request", 0):
            return message
        return msgspec.structs.replace(message, request=self._number)

    def _ask_rights(
        self,
        own: int,
        subject: Subject,
        needs: Callable[[Any], Needs] | None,  # Any: see `Row`
        message: msgspec.Struct,
    ) -> cib.AskRights:
        assert needs is not None, "only a row that names its needs is judged"
        needed = needs(placed(message, self._node))
        return cib.AskRights(own, needed, subject.user, subject.groups)

    @property
    def _is_watched(self) -> bool:
        return any(caller.watches for caller in self._callers.values())

    def _begin_watch(self, number: int, caller: _Caller) -> list[Effect]:
        subscription = self._subscribe(cib.Subscribe()) if not self._is_watched else []
        caller.watches = True
        nodes = [
            SendFrame(number, _envelope(membership.SERVICE, event))
            for event in self._nodes.values()
        ]
        return [*subscription, *nodes]

    def _subscribe(self, subscription: cib.Subscribe) -> list[Effect]:
        """Hear of changes while somebody watches: else each would be passed to us for nothing."""
        is_there = cib.SERVICE in self._connected
        return [Tell(cib.SERVICE, subscription)] if is_there else []

    def _forget(self, number: int) -> list[Effect]:
        caller = self._callers.pop(number, None)
        for own, question in list(self._open.items()):
            if question.caller == number:
                del self._open[own]
                self._held.pop(own, None)
        if caller is None or not caller.greeted:
            return []
        was_last = caller.watches and not self._is_watched
        return [
            *(self._subscribe(cib.Subscribe(sections=())) if was_last else []),
            debug("mgmtd", f"{caller.name} of {caller.identity.user} left"),
        ]

    def _expel(self, number: int, code: int, reason: str, *, hint: str = "") -> list[Effect]:
        caller = self._callers.get(number)
        if caller is None:
            return []
        identity = caller.identity
        return [
            *self._forget(number),
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
        elif service == cib.SERVICE and self._is_watched:
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
            if not question.is_taken:
                effects.append(self._absent(question.caller, service, question.request))
                continue
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
            whole, rest = _envelope(service, message), _envelope(service, veiled(message))
            return [
                SendFrame(number, whole if caller.identity.is_trusted else rest)
                for number, caller in self._callers.items()
                if caller.watches
            ]
        own: int = getattr(message, "request", 0)
        question = self._open.get(own)
        if question is None or question.service != service:
            return []  # its caller left, or the message is for daemons only
        if isinstance(message, cib.Rights):
            return self._take_judgement(own, question, message, now)
        if question.is_judged:
            return []  # the cib is asked for its judgement, not for this
        shows = question.row.shows
        if shows is not None and not question.subject.is_trusted:
            return self._judge_answer(own, question, message, now)
        return self._send_answer(own, question, message, now)

    def _send_answer(
        self, own: int, question: _OpenRequest, message: msgspec.Struct, now: float
    ) -> list[Effect]:
        self._close_request(own, question, now)
        answer = msgspec.structs.replace(message, request=question.request)
        return [SendFrame(question.caller, _envelope(question.addressee, answer))]

    # --- rights -----------------------------------------------------------------------------

    def _take_judgement(
        self, own: int, question: _OpenRequest, rights: cib.Rights, now: float
    ) -> list[Effect]:
        """Pass a request on that the cib allows, or an answer with what it lets be seen."""
        if question.answer is not None:
            assert question.row.without is not None, "what shows something can leave it out"
            shown = question.row.without(question.answer, frozenset(rights.denied))
            return self._send_answer(own, question, shown, now)
        if question.onward is None:
            return []  # it was not asked
        if rights.denied:
            self._close_request(own, question, now)
            return self._denied(question, rights)
        addressee, onward = question.addressee, question.onward
        is_away = addressee not in self._connected
        if is_away and not (question.request and now < question.until):
            self._close_request(own, question, now)
            return [self._absent(question.caller, addressee, question.request)]
        if not question.request:
            self._close_request(own, question, now)
            return [Tell(addressee, onward)]
        self._open[own] = dataclasses.replace(question, service=addressee, onward=None)
        if is_away:
            self._held[own] = _Held(addressee, onward, question.until)
            return []
        return [Tell(addressee, onward)]

    def _denied(self, question: _OpenRequest, rights: cib.Rights) -> list[Effect]:
        kind = type(question.onward).__name__
        why = rights.findings[0].message if rights.findings else "access lists do not allow it"
        hint = rights.findings[0].hint if rights.findings else ""
        text = f"{kind} to {question.addressee} is not allowed: {why}"
        name = self._callers[question.caller].name
        return [
            _refuse(question.caller, DENIED, text, request=question.request, hint=hint),
            warn("mgmtd", f"denied {name}: {text}"),
        ]

    def _judge_answer(
        self, own: int, question: _OpenRequest, answer: msgspec.Struct, now: float
    ) -> list[Effect]:
        """Ask what of an answer its caller may see."""
        if cib.SERVICE not in self._connected:
            self._close_request(own, question, now)
            return [self._absent(question.caller, cib.SERVICE, question.request)]
        judged = dataclasses.replace(question, service=cib.SERVICE, answer=answer)
        self._open[own] = judged
        asked = self._ask_rights(own, question.subject, question.row.shows, answer)
        return [Tell(cib.SERVICE, asked)]

    def _close_request(self, own: int, question: _OpenRequest, now: float) -> None:
        del self._open[own]
        self._held.pop(own, None)
        caller = self._callers[question.caller]
        caller.open_requests -= 1
        caller.quiet_since = now


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
