"""What a client of the cluster sees: who answers, who owns the address, how long nobody did.

Runs on the `client` host of a lab. Every 50 ms it asks for the page behind an address and, with
an ARP request, who owns the address, and prints one JSON line for each thing it learns:

    {"t": 12.345, "page": "litsha22"}          a page arrived, and whom it names
    {"t": 12.400, "owners": ["02:…", …]}       hardware addresses that answered one ARP request

It ends when its standard input does. Times are seconds of the monotonic clock, the same for every
process of this computer, so they
can be compared with what other observers and log readers see.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import re
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

_FETCH_LIMIT_S = 1.0
_MAX_IN_FLIGHT = 40
_ETH_ARP = 0x0806
_ARP_REPLY = b"\x00\x02"
_SIOCGIFHWADDR = 0x8927
_PAGE_NODE = re.compile(rb"^X-Pacekeeper-Node: *(\S+)\r?$", re.MULTILINE | re.IGNORECASE)


def say(**what: object) -> None:
    """Print one observation."""
    sys.stdout.write(json.dumps({"t": round(time.monotonic(), 4), **what}) + "\n")
    sys.stdout.flush()


async def fetch(address: str, port: int, path: str) -> None:
    """Ask for the page once and say whom it names; silence says that nobody answered."""
    with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(_FETCH_LIMIT_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                answer = await reader.read(65536)
            finally:
                writer.close()
            found = _PAGE_NODE.search(answer)
            if found is not None:
                say(page=found.group(1).decode())


class OwnerWatch:
    """Asks by ARP who owns an address, and collects every hardware address that answers."""

    def __init__(self, address: str, interface: str) -> None:
        self._target = socket.inet_aton(address)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_ARP))
        self._socket.bind((interface, _ETH_ARP))
        self._socket.setblocking(False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            name = struct.pack("256s", interface.encode()[:15])
            self._mac = fcntl.ioctl(asker.fileno(), _SIOCGIFHWADDR, name)[18:24]
            asker.connect((address, 9))
            self._own = socket.inet_aton(asker.getsockname()[0])

    def ask(self) -> None:
        """Report who answered the last request, and send the next.

        Announcements to everybody are no answers: two hardware addresses in one report mean that
        two nodes held the address at the moment of one request.
        """
        owners: dict[str, None] = {}
        while True:
            try:
                frame = self._socket.recv(2048)
            except OSError:
                break
            is_answer_to_us = frame[:6] == self._mac and frame[20:22] == _ARP_REPLY
            if is_answer_to_us and frame[28:32] == self._target:
                owners[frame[22:28].hex(":")] = None
        if owners:
            say(owners=sorted(owners))
        request = (
            b"\xff" * 6
            + self._mac
            + struct.pack("!HHHBBH", _ETH_ARP, 1, 0x0800, 6, 4, 1)
            + self._mac
            + self._own
            + b"\x00" * 6
            + self._target
        )
        with contextlib.suppress(OSError):
            self._socket.send(request)


async def watch(url: str, interface: str, every_s: float) -> None:
    """Observe until standard input ends."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    owners = OwnerWatch(parts.hostname, interface)
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()
    due = loop.time()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    while not ended.is_set():
        owners.ask()
        if len(running) < _MAX_IN_FLIGHT:
            task = loop.create_task(fetch(parts.hostname, parts.port or 80, parts.path or "/"))
            running.add(task)
            task.add_done_callback(running.discard)
        due += every_s
        tick = loop.create_future()
        loop.call_at(due, tick.set_result, None)
        await tick


def main(argv: list[str] | None = None) -> int:
    """Observe the page and the owner of its address until standard input ends."""
    parser = argparse.ArgumentParser(prog="observer", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--every-ms", type=int, default=50)
    options = parser.parse_args(argv)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watch(options.url, options.interface, options.every_ms / 1000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
