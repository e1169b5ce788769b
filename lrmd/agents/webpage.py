"""`ocf:pacekeeper:webpage`: an HTTP page that names the node it is served from.

The visible end of a cluster: whoever fetches the page sees who holds the address. The server is a
small detached process that answers from memory; it survives restarts of lrmd and of the cluster
software, as any service does.
"""

from __future__ import annotations

import html
import ipaddress
import selectors
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from crm.model.outcomes import ExitCode
from lrmd.agentkit import agent, background
from lrmd.agentkit.outcome import OK, Outcome, failed, misconfigured, not_running
from lrmd.agentkit.parameters import Kind, Parameter

FETCH_TIMEOUT_S = 5.0
STOP_PATIENCE_S = 5.0
MAX_CLIENTS = 200
MAX_REQUEST_BYTES = 8192
CLIENT_PATIENCE_S = 5.0
NODE_HEADER = "X-Pacekeeper-Node"


def _port_complaint(text: str) -> str:
    return "" if 0 < int(text) < 65536 else "expected a port from 1 to 65535"


class Webpage(agent.Agent):
    """Runs when the page can be fetched and comes from our server."""

    name = "webpage"
    short = "Serves a web page that names its node"
    long = (
        "Serves one HTTP page that says which node it comes from. For demonstrations and tests: "
        "a client that fetches the page sees a service move and measures the gap."
    )
    parameters = (
        Parameter(
            "port",
            "TCP port",
            "The port the page is served on.",
            kind=Kind.INTEGER,
            default="80",
            check=_port_complaint,
        ),
        Parameter(
            "ip",
            "Address to serve on",
            "The address the page is served on; all addresses if it is not set. It must be there "
            "before the page is started: order the address first.",
        ),
        Parameter(
            "text",
            "Text on the page",
            "A sentence shown on the page below the name of the node.",
            default="This page is kept available by a cluster.",
        ),
    )

    def start(self) -> Outcome:
        """Start the server; it listens when this returns."""
        if self._server() is not None:
            return OK
        listener = self._listen()
        content = page(self.node, self.values["text"])
        with listener:
            background.detach(
                self._pidfile(),
                "webpage",
                lambda: Server(listener, content).serve(),
                keep=(listener.fileno(),),
            )
        return OK

    def stop(self) -> Outcome:
        """End the server."""
        if not background.end(self._pidfile(), patience_s=STOP_PATIENCE_S):
            raise failed(f"the server of {self._where()} does not end")
        return OK

    def monitor(self) -> Outcome:
        """Fetch the page from our server."""
        if self._server() is None:
            return not_running()
        try:
            answer = self._fetch()
        except OSError as problem:
            return Outcome(ExitCode.ERROR, f"{self._where()} does not answer: {problem}")
        if not answer.startswith(b"HTTP/1.0 200"):
            return Outcome(ExitCode.ERROR, f"{self._where()} answers {answer[:40]!r}")
        return OK

    def validate(self) -> None:
        """Check that `ip` is an address."""
        if self.values["ip"]:
            try:
                ipaddress.ip_address(self.values["ip"])
            except ValueError:
                raise misconfigured(
                    f"ip is '{self.values['ip']}', expected an IPv4 or IPv6 address"
                ) from None

    def _server(self) -> int | None:
        return background.find(self._pidfile())

    def _pidfile(self) -> Path:
        return self.state_dir() / f"webpage-{self.instance.replace('/', '_')}.pid"

    def _where(self) -> str:
        return f"port {self.values['port']} of {self.values['ip'] or 'all addresses'}"

    def _listen(self) -> socket.socket:
        address = (self.values["ip"], self.values.integer("port"))
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(64)
        except OSError as problem:
            listener.close()
            raise failed(f"cannot serve on {self._where()}: {problem.strerror}") from problem
        return listener

    def _fetch(self) -> bytes:
        target = (self.values["ip"] or "127.0.0.1", self.values.integer("port"))
        with socket.create_connection(target, timeout=FETCH_TIMEOUT_S) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(4096)


def page(node: str, text: str) -> bytes:
    """Make the whole answer: header and page."""
    body = (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(node)}</title></head>\n'
        f"<body><h1>This is node {html.escape(node)}</h1>\n"
        f"<p>{html.escape(text)}</p></body></html>\n"
    ).encode()
    head = (
        "HTTP/1.0 200 OK\r\n"
        "Content-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"{NODE_HEADER}: {node}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


_REFUSAL = b"HTTP/1.0 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Client:
    """One visitor; `since` in monotonic seconds, for those who never ask."""

    connection: socket.socket
    since: float
    asked: bytearray = field(default_factory=bytearray)


class Server:
    """Answers every request with the same bytes, one process for all visitors."""

    def __init__(self, listener: socket.socket, content: bytes) -> None:
        self._listener = listener
        self._content = content
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._clients: dict[int, Client] = {}

    def serve(self) -> None:
        """Answer until the process is ended."""
        while True:
            self.serve_once(CLIENT_PATIENCE_S if self._clients else None)

    def serve_once(self, wait_s: float | None) -> None:
        """Answer those who have asked, let in those who come, drop those who are silent."""
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._read(self._clients[key.fd])
        oldest = time.monotonic() - CLIENT_PATIENCE_S
        for client in [client for client in self._clients.values() if client.since < oldest]:
            self._drop(client)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection, time.monotonic())
        self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, client: Client) -> None:
        try:
            data = client.connection.recv(4096)
        except OSError:
            data = b""
        client.asked += data
        is_complete = b"\r\n\r\n" in client.asked or b"\n\n" in client.asked
        if is_complete:
            self._answer(client)
        elif not data or len(client.asked) > MAX_REQUEST_BYTES:
            self._drop(client)

    def _answer(self, client: Client) -> None:
        method = bytes(client.asked[:5]).upper()
        if method.startswith(b"GET "):
            answer = self._content
        elif method.startswith(b"HEAD "):
            answer = self._content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        else:
            answer = _REFUSAL
        try:
            client.connection.send(answer)
            client.connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self._drop(client)

    def _drop(self, client: Client) -> None:
        del self._clients[client.connection.fileno()]
        self._selector.unregister(client.connection)
        client.connection.close()
