"""The warm runner: a small process that has our agents loaded and starts every agent for lrmd.

Theory of operation. It is single-threaded and holds no lock, so it may fork: one of our own agents
costs a fork instead of an interpreter start. Programs are started by posix_spawn. It listens to
the kernel's news of addresses as well, since it has the library for that loaded. Its standard
input is a stream socket to lrmd, which speaks first; orders come in, starts and ends go out. When
the socket ends, lrmd is gone: whatever runs is killed, since the next lrmd would not know of it,
and the process ends.

Not responsible for timeouts (lrmd sends `KillRun`) and not for what a result means.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys
import time
from typing import TextIO

from crm.plumbing import process
from crm.plumbing.codec import Message
from crm.plumbing.errors import RemoteProtocolError
from lrmd import agents_built_in, rtnetlink
from lrmd.agentkit import agent
from lrmd.commands import (
    FROM_RUNNER,
    TO_RUNNER,
    AddressesGone,
    AddressNewsLost,
    Command,
    Frames,
    KillRun,
    RunCommand,
    RunStarted,
    frame,
)
from lrmd.spawn import Children


class WarmRunner:
    """Serves one lrmd over `peer` until it hangs up; passes `news` of addresses on to it."""

    def __init__(self, peer: socket.socket, news: rtnetlink.AddressNews) -> None:
        self._peer = peer
        self._news = news
        self._frames = Frames()
        self._epoll = select.epoll()
        self._epoll.register(peer.fileno(), select.EPOLLIN)
        self._epoll.register(news.fileno(), select.EPOLLIN)
        self._children = Children(self._epoll, run_built_in)

    def serve(self) -> None:
        """Work until lrmd is gone, then leave nothing running."""
        try:
            self._tell(AddressNewsLost())
            while self._serve_once():
                pass
        finally:
            self._children.kill_all()

    def _serve_once(self) -> bool:
        deadline = self._children.next_deadline()
        wait_s = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        for fd, _ in self._epoll.poll(wait_s):
            if fd == self._peer.fileno():
                if not self._obey():
                    return False
                continue
            if fd == self._news.fileno():
                self._hear_news()
                continue
            ended = self._children.ready(fd)
            if ended is not None:
                self._tell(ended)
        self._children.enforce(time.monotonic())
        return True

    def _obey(self) -> bool:
        data = self._peer.recv(256 * 1024)
        if not data:
            return False
        for payload in self._frames.feed(data):
            match TO_RUNNER.decode(payload):
                case RunCommand(run, command):
                    started = self._children.start(run, command)
                    self._tell(RunStarted(run, started) if isinstance(started, int) else started)
                case KillRun(run):
                    self._children.kill(run, time.monotonic())
        return True

    def _hear_news(self) -> None:
        try:
            removed = self._news.removed()
        except OSError:  # ENOBUFS: more changed at once than the socket holds
            self._tell(AddressNewsLost())
            return
        if removed:
            self._tell(AddressesGone(tuple(str(address) for address in removed)))

    def _tell(self, message: Message) -> None:
        self._peer.sendall(frame(FROM_RUNNER.encode(message)))


def run_built_in(command: Command) -> int:
    """Run one of our own agents in this process; return its exit code."""
    provider, _, name = command.built_in.partition("/")
    kind = agents_built_in.BUILT_IN[provider, name]
    with _stream(1) as out, _stream(2) as errors:
        return agent.run(kind, command.argv[0], environ=command.environment, out=out, errors=errors)


def _stream(fd: int) -> TextIO:
    return os.fdopen(fd, "w", encoding="utf-8", errors="replace", closefd=False)


def main() -> int:
    """Serve the lrmd at the other end of standard input."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    process.set_title("lrmd-runner")
    os.umask(0o022)
    os.chdir("/")
    rtnetlink.warm_up()
    with rtnetlink.AddressNews() as news, socket.socket(fileno=os.dup(0)) as peer:
        gc.collect()
        gc.freeze()
        try:
            WarmRunner(peer, news).serve()
        except (ConnectionError, RemoteProtocolError):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
