"""The addresses of peers that a media line calls by name: looked up where nobody waits.

Responsible for asking the resolver in threads of their own (it may take half a minute to say that
no server answers), for asking again, and for one line in the log when an answer changes. Not
responsible for what is done with an address.

An unknown name is asked for again soon, a known one each minute; a name that cannot be looked up
any more keeps its last address. A thread that still waits does not hold up the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable

log = logging.getLogger("ha.heartbeat")

AGAIN_S = 60.0
UNKNOWN_AGAIN_S = 1.0


class Names:
    """The addresses of some names, in one IP version; `learnt` is called when one has changed."""

    def __init__(
        self,
        names: Iterable[str],
        *,
        is_ipv6: bool,
        loop: asyncio.AbstractEventLoop,
        learnt: Callable[[], None],
    ) -> None:
        self._family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        self._loop = loop
        self._learnt = learnt
        self._addresses: dict[str, str] = {}
        self._due = dict.fromkeys(names, float("-inf"))
        self._is_told: set[str] = set()

    def address(self, name: str) -> str | None:
        """The address of a name as far as it is known; never waits."""
        return self._addresses.get(name)

    def look_up(self) -> None:
        """Ask for what is due; the answers come later."""
        now = self._loop.time()
        for name, due in self._due.items():
            if now >= due:
                self._due[name] = float("inf")  # one question at a time
                threading.Thread(
                    target=self._ask, args=(name,), name=f"look up {name}", daemon=True
                ).start()

    def _ask(self, name: str) -> None:
        """Wait for the resolver, in a thread."""
        address, problem = "", ""
        try:
            address = str(socket.getaddrinfo(name, None, self._family)[0][4][0])
        except (OSError, UnicodeError) as trouble:
            problem = getattr(trouble, "strerror", None) or str(trouble)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._take, name, address, problem)

    def _take(self, name: str, address: str, problem: str) -> None:
        known = self._addresses.get(name)
        if address and address != known:
            log.info("%s is %s%s", name, "" if known is None else "now ", address)
            self._addresses[name] = address
            self._learnt()
        elif problem and known is None and name not in self._is_told:
            self._is_told.add(name)
            text = "nothing is sent to '%s' until its address is known: %s"
            log.error(text, name, problem)
        pause_s = UNKNOWN_AGAIN_S if name not in self._addresses else AGAIN_S
        self._due[name] = self._loop.time() + pause_s
