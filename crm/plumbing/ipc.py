"""The local bus: ordered typed messages between our own daemons, over pyzmq.

Theory of operation. A server binds one ROUTER socket named after it in a directory that only we
may enter; a dialler connects one DEALER to each server it talks to. Bytes of a codec travel in
two frames: a header (kind, conversation, sequence number) and the payload.

- The dialler speaks first. Each time its connection is made it invents a conversation number and
  says HELLO (its name, pid and incarnation); the server answers WELCOME. From then on both sides
  hold a conversation, and each has told its machine `PeerConnected`.
- Messages are numbered from 1 in each direction. A gap means that something was dropped: the
  side that sees it ends the conversation. Whoever gets a message of a conversation it does not
  know answers BYE. BYE, a lost connection, or a HELLO of a new life ends a conversation with
  `PeerLost`, and the dialler says HELLO again. So nothing is ever lost in silence.
- A dialler learns of a dead server from its socket's monitor. A server gets the number of a
  closed descriptor from its monitor, and asks the ROUTER whether the peer behind it can still be
  reached (it may not believe the number alone, numbers are used again). ZMTP heartbeats find
  frozen processes.
- A server may ask a dialler for a sign of life (ASK). The dialler's event loop answers (ALIVE);
  libzmq's own thread, which would answer for a process whose loop is stuck, has no part in it.
- Nothing is queued beyond libzmq's own queues, which are bounded in messages. A dialler says what
  its loop has TAKEN, so a server knows how many bytes wait for it. Who does not read is dropped.

Only processes of root, of our own user, or of the cluster's user get in: a ZAP handler checks the
uid the kernel reports, and both sides check it again on the first message.

Responsible for a process on the bus: who gets in, and which end a message goes out by. The ends are
`ipc_server` and `ipc_dialler`, what they share is `ipc_seat`.

Source: docs/protocol/local.md, decision 2 of the design.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path

import msgspec
import zmq

from crm.plumbing import ipc_sockets as sockets
from crm.plumbing.codec import Codec
from crm.plumbing.errors import ConfigurationError
from crm.plumbing.ipc_dialler import Dialler
from crm.plumbing.ipc_seat import Conversation, Deliver, Report, Seat, trusted_uids, uid_of
from crm.plumbing.ipc_server import Server
from crm.plumbing.machine import warn
from crm.plumbing.settings import CLUSTER_USER


class _Nothing(msgspec.Struct, frozen=True):
    """What is said by those who are attached only: it is never sent."""


_SILENT = Conversation(Codec(_Nothing), Codec(_Nothing))


class Bus(Seat):
    """This process on the bus: its one server socket and its connections to other servers.

    Must be made inside the process that uses it (libzmq does not survive a fork) and inside its
    running event loop. `deliver` gets events in order; `report` gets lines for the log.
    """

    def __init__(self, directory: Path, name: str, deliver: Deliver, report: Report) -> None:
        prepare_directory(directory)
        super().__init__(directory, name, deliver, report)
        self._gatekeeper = _Gatekeeper(self)
        self._server: Server | None = None
        self._diallers: dict[str, Dialler] = {}

    def serve(self, conversation: Conversation) -> None:
        """Bind the socket of our own name.

        Raises: ConfigurationError if another process of that name serves here.
        """
        assert self._server is None, "one server socket per process"
        self._server = Server(self, conversation)

    def dial(self, server: str, conversation: Conversation) -> None:
        """Connect to a server, now and whenever it comes back."""
        assert server not in self._diallers, f"'{server}' is dialled twice"
        self._diallers[server] = Dialler(self, server, conversation)

    def tell(self, peer: str, message: msgspec.Struct) -> bool:
        """Send a message; False (and a line in the log) when `peer` is not connected."""
        dialler = self._diallers.get(peer)
        if dialler is not None:
            return dialler.tell(message)
        if self._server is not None:
            return self._server.tell(peer, message)
        self.undeliverable(peer, message)
        return False

    def attach(self, server: str) -> None:
        """Connect to a server only so that it can ask for signs of life; nothing is delivered."""
        if server not in self._diallers:
            self._diallers[server] = Dialler(self, server, _SILENT, deliver=lambda _: None)

    def ask_alive(self, peer: str) -> None:
        """Ask a process that dialled us for a sign of life."""
        if self._server is not None:
            self._server.ask_alive(peer)

    def hang_up(self, peer: str) -> None:
        """End the conversation with a process that dialled us; it is told, and may greet anew."""
        if self._server is not None:
            self._server.hang_up(peer)

    def close(self, linger_ms: int = 200) -> None:
        """Close everything; what was just sent has `linger_ms` to leave."""
        for dialler in self._diallers.values():
            dialler.close(linger_ms)
        if self._server is not None:
            self._server.close(linger_ms)
        self._gatekeeper.close()
        self.vacate()


def prepare_directory(directory: Path) -> None:
    """Make the bus directory, for us (or the cluster's user) alone.

    Raises: ConfigurationError if it belongs to somebody who is not one of us.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if status.st_uid not in trusted_uids():
        raise ConfigurationError(f"{directory} belongs to uid {status.st_uid}, expected our own")
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(CLUSTER_USER)
            os.chown(directory, user.pw_uid, user.pw_gid)
    if status.st_mode & 0o777 != 0o700 and os.geteuid() in (0, status.st_uid):
        directory.chmod(0o700)


class _Gatekeeper:
    """Answers libzmq's question "may this connection come in?" by the uid behind it (ZAP)."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        socket = seat.context.socket(zmq.REP)
        socket.linger = 0
        socket.bind("inproc://zeromq.zap.01")
        self._pipe = sockets.Pipe(seat.loop, socket, self._answer)

    def close(self) -> None:
        self._pipe.close()

    def _answer(self) -> None:
        frames = self._pipe.socket.recv_multipart(zmq.NOBLOCK)
        version, request, address = frames[0], frames[1], frames[3].decode(errors="replace")
        if uid_of(address) in self._seat.welcome_uids:
            verdict = [b"200", b"OK", address.encode(), b""]
        else:
            self._seat.counters.refused += 1
            self._seat.report(warn(self._seat.name, f"refused a connection from {address}"))
            verdict = [b"400", b"not one of us", b"", b""]
        self._pipe.socket.send_multipart([version, request, *verdict])
        self._pipe.look_again()
