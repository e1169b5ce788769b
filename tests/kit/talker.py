"""A client of a cluster layer, one on each node of a lab, that talks and tells what it measured.

It obeys words (`tests.kit.team`): `view`, `lost NODE`, `idle SECONDS`, `load`, `ping`. What differs
from stack to stack is how a message is sent and where news come from. For benchmarks.
"""

from __future__ import annotations

import abc
import asyncio
import collections
import contextlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from crm.plumbing.errors import CrmError
from tests.kit.team import Answer

DEVICE = "eth1"
MESSAGE_BYTES = 400
MESSAGES = 8000
PING_ROUNDS = 500
ANSWER_EVERY = 16
OPEN_MESSAGES = 64
RETRY_S = 0.0005
LIMIT_S = 60.0


class Talker(abc.ABC):
    """What the clients of all stacks do; `send` and the calls to `take...` are each one's own."""

    answer_every = 0
    """So many messages of a stream are answered by each receiver, 0: the last one alone."""
    tells_deaths = True
    messages = MESSAGES
    rounds = PING_ROUNDS

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.name, self.names, self.loop = name, names, loop
        self.others = tuple(each for each in names if each != name)
        self.members: frozenset[str] = frozenset()
        self.changed_at = 0.0
        self.dead_at: dict[str, float] = {}
        self.answered: collections.Counter[str] = collections.Counter()
        self.progress = asyncio.Event()

    @abc.abstractmethod
    def send(self, payload: bytes, to: str = "") -> bool:
        """Send to the client of one node, or to all; False if there is no room now."""

    def take(self, sender: str, payload: bytes) -> None:
        """A message has come."""
        kind, number = payload[:4], payload[5:13]
        if sender == self.name:
            return
        if kind in (b"want", b"ping"):
            self._answer(b"have " + number, sender)
        elif kind == b"have":
            self.answered[sender] = int(number)
            self.progress.set()

    def _answer(self, payload: bytes, to: str) -> None:
        if not self.send(payload, to):
            self.loop.call_later(RETRY_S, self._answer, payload, to)

    def take_members(self, members: frozenset[str]) -> None:
        """The membership has changed."""
        self.members = members
        self.changed_at = time.monotonic()
        self.progress.set()

    def take_death(self, name: str) -> None:
        """A node is called dead; whether it is a member is another question."""
        self.dead_at[name] = time.monotonic()
        self.progress.set()

    # --- what can be asked ------------------------------------------------------------------

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.progress.clear()
            await self.progress.wait()

    def _is_answered(self, number: int) -> bool:
        return all(self.answered[name] >= number for name in self.others)

    async def view(self) -> Answer:
        """Wait until all nodes are members."""
        await self._until(lambda: self.members >= set(self.names))
        return {"at": self.changed_at}

    async def lost(self, name: str) -> Answer:
        """Wait until a node is a member no more, and called dead where such a thing is told."""
        self.dead_at.pop(name, None)
        await self._until(lambda: name not in self.members)
        known_at = self.changed_at
        await self._until(lambda: name in self.dead_at or not self.tells_deaths)
        return {"at": known_at, "dead_at": self.dead_at.get(name, 0.0)}

    async def idle(self, seconds: float) -> Answer:
        """What is sent, and used of the processor, while nobody says anything."""
        (packets, size), cpu_s, began = sent(DEVICE), daemon_cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        (packets_now, size_now), took_s = sent(DEVICE), time.monotonic() - began
        return {
            "packets": (packets_now - packets) / took_s,
            "bytes": (size_now - size) / took_s,
            "cpu": 100 * (daemon_cpu_s() - cpu_s) / took_s,
        }

    async def load(self) -> Answer:
        """Send a stream of messages to all."""
        self.answered.clear()
        filler = bytes(MESSAGE_BYTES - 13)
        began, cpu_s = time.monotonic(), daemon_cpu_s()
        for number in range(1, self.messages + 1):
            is_wanted = number == self.messages or (
                self.answer_every > 0 and number % self.answer_every == 0
            )
            payload = (b"want" if is_wanted else b"load") + b" %8d" % number + filler
            while not self.send(payload):
                await asyncio.sleep(RETRY_S)
            if self.answer_every:
                oldest = number - OPEN_MESSAGES
                await self._until(lambda oldest=oldest: self._is_answered(oldest))  # type: ignore[misc]
        await self._until(lambda: self._is_answered(self.messages))
        took_s = time.monotonic() - began
        return {"rate": self.messages / took_s, "cpu": 100 * (daemon_cpu_s() - cpu_s) / took_s}

    async def ping(self) -> Answer:
        """One message to another node and its answer, again and again."""
        other, ways_ms = self.others[0], []
        self.answered.clear()
        for number in range(1, self.rounds + 1):
            began = time.monotonic()
            while not self.send(b"ping %8d" % number, other):
                await asyncio.sleep(RETRY_S)
            await self._until(lambda number=number: self.answered[other] >= number)  # type: ignore[misc]
            ways_ms.append(500 * (time.monotonic() - began))
        ways_ms.sort()
        return {"median": statistics.median(ways_ms), "p99": ways_ms[len(ways_ms) * 99 // 100]}

    async def obey(self, words: list[str]) -> Answer:
        """Do what a line asks for, within a limit."""
        try:
            async with asyncio.timeout(LIMIT_S):
                match words:
                    case ["view"]:
                        return await self.view()
                    case ["lost", name]:
                        return await self.lost(name)
                    case ["idle", seconds]:
                        return await self.idle(float(seconds))
                    case ["load"]:
                        return await self.load()
                    case ["ping"]:
                        return await self.ping()
                    case _:
                        return {"problem": f"there is no word '{' '.join(words)}'"}
        except TimeoutError:
            state = f"members {' '.join(sorted(self.members))}; answered {dict(self.answered)}"
            return {"problem": f"'{' '.join(words)}' has not ended within {LIMIT_S:.0f} s: {state}"}


def sent(device: str) -> tuple[int, int]:
    """Packets and bytes that have left by an interface, as the kernel counts them.

    Raises: CrmError if there is no such interface.
    """
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == device:
            fields = numbers.split()
            return int(fields[9]), int(fields[8])
    raise CrmError(f"there is no interface {device}")


def daemon_cpu_s() -> float:
    """Processor time of every process of this node but its first one and ourselves."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        if process.name in ("1", str(os.getpid())):
            continue
        for thread in process.glob("task/*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e9
