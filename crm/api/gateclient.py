"""A tool's end of the gate: one blocking Unix socket, questions and their answers in turn.

Responsible for connecting, checking who serves the socket, request numbers, and keeping events
that arrive between answers. Not for deciding anything, and not for printing. Neither asyncio nor
zmq is imported: a command that asks one question must start fast.

Daemons die and are started again within about a second. A request for one that is away is kept by
the gate for `PATIENCE_S`; a gate that is away itself is looked for as long. A question whose
answer was lost is asked again in that time. A change is not: it may have been made.

Source: docs/protocol/gate.md; faults-and-security, "The client checks the server".
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec

from crm.api import gate
from crm.api.conversations import BY_SERVICE, Languages
from crm.plumbing import accounts
from crm.plumbing.errors import (
    CrmError,
    LocalProtocolError,
    RemoteProtocolError,
    Unreachable,
)
from crm.plumbing.settings import ROOT_VARIABLE

if TYPE_CHECKING:
    from typing import Self

MAX_KEPT_EVENTS = 10_000
PATIENCE_S = 5.0
"""How long a daemon, or the gate itself, may be away before that is an error."""
NOTICE_S = 1.0
"""Who waits longer than this is told what for."""
PAUSE_S = 0.05
"""Between two looks for a gate that is away: nothing tells when its socket is back."""
NOT_CONNECTED = 102
MAX_PATH_BYTES = 107
"""The kernel's limit for the path of a Unix socket; longer ones are reached by descriptor."""

_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("iII")


class Denied(CrmError):
    """The gate did not pass a request on; `code` is the exit code to end with.

    4: not allowed; 102: the daemon is not running. `hint` says what to do.
    """

    def __init__(self, message: str, code: int, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Arrival(NamedTuple):
    """A message that answers no question: an event of `service`."""

    service: str
    message: msgspec.Struct


def installation_root(option: str | Path | None = None) -> Path:
    """Find the installation: what the call says, else $PACEKEEPER_ROOT, else `/`."""
    return Path(option or os.environ.get(ROOT_VARIABLE) or "/").absolute()


USER_VARIABLE = "CIB_user"


def asking_user(environment: Mapping[str, str] = os.environ) -> str:
    """Name the user on whose behalf the environment says to ask; "" is who runs the command.

    Only root and the daemons' users are listened to by the gate when they name another user.
    """
    user = environment.get(USER_VARIABLE, "")
    return "" if user in gate.TRUSTED_USERS else user


Notify = Callable[[str], None]
"""Is given a sentence when a wait takes longer than `NOTICE_S`."""


def connect(
    root: Path,
    *,
    name: str,
    timeout_s: float = 10,
    patience_s: float = PATIENCE_S,
    notify: Notify | None = None,
) -> Session:
    """Open a session at the gate of the installation at `root`; `name` is for its log.

    Units: `timeout_s` bounds the connection and, unless `ask` says otherwise, each answer;
    `patience_s` bounds the wait for a daemon, or the gate, that is being started again.
    Raises: Unreachable if nobody serves the socket; RemoteProtocolError if it is not our gate.
    """
    return Session(
        root / gate.SOCKET,
        name=name,
        timeout_s=timeout_s,
        patience_s=patience_s,
        notify=notify or _say_nothing,
    )


class Session:
    """A conversation with the gate. One thread uses it; close it, or use it in a `with`."""

    def __init__(
        self, path: Path, *, name: str, timeout_s: float, patience_s: float, notify: Notify
    ) -> None:
        self._path = path
        self._name = name
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._notify = notify
        self._user = asking_user()
        self._groups = accounts.groups_of(self._user)
        self._watches = False
        self._request = 0
        self._kept: deque[Arrival] = deque(maxlen=MAX_KEPT_EVENTS)
        self._received = bytearray()
        self._stream, self.server = self._open(_Patience(patience_s, notify))
        """The gate's own greeting: its node stands in `server.node`."""

    def ask(
        self, service: str, message: msgspec.Struct, *, timeout_s: float | None = None
    ) -> msgspec.Struct:
        """Send a request to a daemon and wait for its answer.

        The `request` field is filled in here. Events that arrive meanwhile are kept for `events`.
        A question whose answer was lost with its daemon is asked again; a change never is.

        Raises: Denied if the gate refused it; Unreachable if no answer came in time or the gate
        closed; LocalProtocolError if `message` is none that `service` understands.
        """
        if not hasattr(message, "request"):
            raise LocalProtocolError(f"'{type(message).__name__}' has no answer; use tell")
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        ends_at = time.monotonic() + limit_s
        patience = _Patience(min(self._patience_s, limit_s), self._notify)
        is_question = type(message).__name__ in _languages(service).reading
        while True:
            try:
                return self._ask_once(service, message, ends_at, patience)
            except _AnswerLost as problem:
                if not is_question or patience.is_over:
                    raise
                if problem.session_is_over:
                    if self._watches:  # events were lost as well, which the caller must know
                        raise
                    self._stream.close()
                    self._received.clear()
                    self._stream, self.server = self._open(patience)

    def _ask_once(
        self, service: str, message: msgspec.Struct, ends_at: float, patience: _Patience
    ) -> msgspec.Struct:
        self._request += 1
        number = self._request
        numbered = msgspec.structs.replace(message, request=number)
        envelope = self._wrap(service, numbered, wait_s=patience.remaining_s)
        self._send(envelope, ends_at - time.monotonic())
        while True:
            answer = self._read_patiently(ends_at, patience, service)
            match answer:
                case gate.Refusal(request=request) if request in (0, number):
                    if answer.code == NOT_CONNECTED and answer.taken:
                        raise _DaemonLost(answer.message, answer.code, answer.hint)
                    raise Denied(answer.message, answer.code, answer.hint)
                case gate.Envelope():
                    arrival = self._unwrap(answer)
                    if arrival.service == service and _answers(arrival.message, number):
                        return arrival.message
                    if not hasattr(arrival.message, "request"):
                        self._kept.append(arrival)
                case _:
                    pass  # a refusal of an earlier request whose answer we no longer await

    def _read_patiently(self, ends_at: float, patience: _Patience, service: str) -> msgspec.Struct:
        """Read one frame; say what is waited for when it takes long."""
        if patience.notice_at is None or patience.notice_at >= ends_at:
            return self._read(ends_at)
        try:
            return self._read(patience.notice_at)
        except AnswerTimeout:
            patience.say(f"waiting for {service} on {self.server.node} to answer")
        return self._read(ends_at)

    def tell(self, service: str, message: msgspec.Struct) -> None:
        """Send a message that has no answer."""
        self._send(self._wrap(service, message), self._timeout_s)

    def watch(self) -> None:
        """Ask for events (`CibChanged`, `NodeChanged` …) from now on; read them with `events`."""
        self._watches = True
        self._send(gate.Watch(), self._timeout_s)

    def events(self, *, timeout_s: float | None = None) -> Iterator[Arrival]:
        """Yield events as they come; ends when `timeout_s` passes without one (None: never).

        Raises: Unreachable if the gate closed.
        """
        while True:
            while self._kept:
                yield self._kept.popleft()
            ends_at = None if timeout_s is None else time.monotonic() + timeout_s
            try:
                frame = self._read(ends_at)
            except TimeoutError:
                return
            if isinstance(frame, gate.Refusal):
                raise Denied(frame.message, frame.code, frame.hint)
            if isinstance(frame, gate.Envelope):
                yield self._unwrap(frame)

    def close(self) -> None:
        """End the session; harmless when it is over already."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- frames -----------------------------------------------------------------------------

    def _open(self, patience: _Patience) -> tuple[socket.socket, gate.Greeting]:
        """Connect and greet; a gate that died (its socket is still there) is waited for."""
        was_there = False
        while True:
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.settimeout(self._timeout_s)
            self._stream = stream
            try:
                _connect(stream, self._path)
                _check_server(stream, self._path)
                self._send(gate.Greeting(protocol=gate.PROTOCOL, name=self._name), self._timeout_s)
                return stream, self._greeting()
            except (ConnectionRefusedError, FileNotFoundError) as problem:
                stream.close()
                was_there |= isinstance(problem, ConnectionRefusedError)
                if patience.is_over or not was_there:
                    raise _unreachable(self._path, problem) from problem
                patience.pause(f"waiting for mgmtd to serve '{self._path}' again")
            except OSError as problem:
                stream.close()
                if isinstance(problem, CrmError):
                    raise
                raise _unreachable(self._path, problem) from problem
            except BaseException:
                stream.close()
                raise

    def _greeting(self) -> gate.Greeting:
        answer = self._read(time.monotonic() + self._timeout_s)
        if isinstance(answer, gate.Refusal):
            raise Denied(answer.message, answer.code, answer.hint)
        if not isinstance(answer, gate.Greeting):
            raise RemoteProtocolError(f"'{self._path}' did not greet us first")
        if answer.protocol != gate.PROTOCOL:
            raise RemoteProtocolError(
                f"'{self._path}' speaks protocol {answer.protocol}, we speak {gate.PROTOCOL}"
            )
        return answer

    def _wrap(self, service: str, message: msgspec.Struct, *, wait_s: float = 0) -> gate.Envelope:
        payload = _languages(service).requests.encode(message)
        return gate.Envelope(service, payload, wait_s, self._user, self._groups)

    def _unwrap(self, envelope: gate.Envelope) -> Arrival:
        languages = BY_SERVICE.get(envelope.service)
        if languages is None:
            raise RemoteProtocolError(f"the gate speaks for an unknown '{envelope.service}'")
        return Arrival(envelope.service, languages.replies.decode(envelope.payload))

    def _send(self, message: msgspec.Struct, timeout_s: float) -> None:
        frame = gate.FRAMES.encode(message)
        if len(frame) > gate.MAX_FRAME_BYTES:
            raise LocalProtocolError(
                f"a frame of {len(frame)} bytes exceeds {gate.MAX_FRAME_BYTES} bytes"
            )
        try:
            self._stream.settimeout(max(timeout_s, 0.001))
            self._stream.sendall(_LENGTH.pack(len(frame)) + frame)
        except OSError as problem:
            # The gate may have said why it hangs up before it did.
            with contextlib.suppress(OSError, Unreachable):
                last = self._read(time.monotonic() + 1)
                if isinstance(last, gate.Refusal):
                    raise Denied(last.message, last.code, last.hint) from problem
            if isinstance(problem, TimeoutError):
                raise _unreachable(self._path, problem) from problem
            raise GateLost(self._path) from problem

    def _read(self, ends_at: float | None) -> msgspec.Struct:
        """Read one frame. A `TimeoutError` leaves the bytes that came for the next call."""
        (length,) = _LENGTH.unpack(self._exactly(0, _LENGTH.size, ends_at))
        if length > gate.MAX_FRAME_BYTES:
            raise RemoteProtocolError(f"the gate announces a frame of {length} bytes")
        body = self._exactly(_LENGTH.size, length, ends_at)
        del self._received[: _LENGTH.size + length]
        return gate.FRAMES.decode(body)

    def _exactly(self, start: int, size: int, ends_at: float | None) -> bytes:
        while len(self._received) < start + size:
            self._stream.settimeout(_remaining_s(ends_at, self._path))
            try:
                piece = self._stream.recv(262_144)
            except TimeoutError as problem:
                raise AnswerTimeout(self._path) from problem
            except OSError as problem:
                raise GateLost(self._path) from problem
            if not piece:
                raise GateLost(self._path)
            self._received += piece
        return bytes(self._received[start : start + size])


class _AnswerLost(CrmError):
    """The answer will not come; what was asked may have happened."""

    session_is_over: ClassVar[bool]


class _DaemonLost(Denied, _AnswerLost):
    """The daemon went away before it answered."""

    session_is_over = False


class GateLost(Unreachable, _AnswerLost):
    """The gate ended the connection; what was asked may have happened."""

    session_is_over = True

    def __init__(self, path: Path) -> None:
        super().__init__(f"the gate at '{path}' closed the connection")


class _Patience:
    """How long may still be waited, and when to say so."""

    def __init__(self, limit_s: float, notify: Notify) -> None:
        now = time.monotonic()
        self._ends_at = now + limit_s
        self._notify = notify
        self.notice_at: float | None = now + NOTICE_S
        """When a sentence is due; None when it was said."""

    @property
    def remaining_s(self) -> float:
        """What is left; never below zero."""
        return max(0.0, self._ends_at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.remaining_s == 0

    def say(self, text: str) -> None:
        """Tell what is waited for, once."""
        if self.notice_at is not None:
            self.notice_at = None
            self._notify(text)

    def pause(self, text: str) -> None:
        """Let a moment pass, and say why when it has been long."""
        if self.notice_at is not None and self.notice_at <= time.monotonic():
            self.say(text)
        time.sleep(min(PAUSE_S, self.remaining_s))


class AnswerTimeout(Unreachable, TimeoutError):
    """The gate is there but no answer came in time; what was asked may still happen."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no answer in time from the gate at '{path}'")


def _say_nothing(_text: str) -> None:
    """Wait in silence."""


def _languages(service: str) -> Languages:
    found = BY_SERVICE.get(service)
    if found is None:
        raise LocalProtocolError(f"there is no service '{service}' behind the gate")
    return found


def _answers(message: msgspec.Struct, number: int) -> bool:
    return getattr(message, "request", None) == number


def _remaining_s(ends_at: float | None, path: Path) -> float | None:
    if ends_at is None:
        return None
    remaining_s = ends_at - time.monotonic()
    if remaining_s <= 0:
        raise AnswerTimeout(path)
    return remaining_s


def _connect(stream: socket.socket, path: Path) -> None:
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        stream.connect(os.fspath(path))
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stream.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def _check_server(stream: socket.socket, path: Path) -> None:
    """Refuse a socket that somebody else has put in the gate's place."""
    raw = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    if uid in (0, os.getuid()):
        return
    with contextlib.suppress(KeyError):
        if uid == pwd.getpwnam("hacluster").pw_uid:
            return
    raise RemoteProtocolError(f"'{path}' is served by uid {uid}, not by root or hacluster")


def _unreachable(path: Path, problem: OSError) -> Unreachable:
    if isinstance(problem, PermissionError):
        return Unreachable(f"no permission to talk to '{path}'; join the group haclient")
    if isinstance(problem, TimeoutError):
        return Unreachable(f"'{path}' takes no connections in time; is mgmtd overloaded?")
    reason = problem.strerror or str(problem)
    return Unreachable(f"nobody listens on '{path}' ({reason}); is heartbeat running?")
