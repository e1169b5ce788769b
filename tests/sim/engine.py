"""Virtual time: a heap of things to come, one seeded source of chance, and a memory.

Nothing here knows what is simulated. The same seed gives the same run, event for event: chance is
drawn from one generator in the order of events, and events of one moment keep their order.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from crm.plumbing import transcript

MEMORY = 400
"""So many lines of the past are kept for the report of a violation."""

MAX_EVENTS_PER_SECOND = 50_000
"""More events in one virtual second mean that something feeds itself."""


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


class Engine:
    """The clock of the simulated world and everything that is still to happen."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.events = 0
        self.after_each: list[Callable[[], None]] = []
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._memory: deque[tuple[float, str, str, object]] = deque(maxlen=MEMORY)
        self._second = 0
        self._in_second = 0
        self.keeps_notes = False

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have `action` called at a moment (now, if that is past)."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, action, arguments))

    def after(self, delay_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have `action` called after a delay."""
        self.at(self.now + delay_s, action, *arguments)

    def run_until(self, end: float) -> None:
        """Let everything happen that happens before `end`, with the checks after each event."""
        while self._heap and self._heap[0][0] < end:
            self.now, _, action, arguments = heapq.heappop(self._heap)
            self._count_event()
            action(*arguments)
            for check in self.after_each:
                check()
        self.now = max(self.now, end)

    def remember(self, who: str, mark: str, item: object) -> None:
        """Keep a line for the report; rendered only when somebody asks."""
        self._memory.append((self.now, who, mark, item))

    def memory(self, lines: int = 60) -> list[str]:
        """The last lines, oldest first."""
        chosen = list(self._memory)[-lines:]
        return [
            f"{when:10.4f} {who:14s} {mark} {item if isinstance(item, str) else _brief(item)}"
            for when, who, mark, item in chosen
        ]

    def _count_event(self) -> None:
        self.events += 1
        if int(self.now) != self._second:
            self._second, self._in_second = int(self.now), 0
        self._in_second += 1
        if self._in_second > MAX_EVENTS_PER_SECOND:
            raise Violation("I7 live", f"{self._in_second} events in one second: a busy loop")


def _brief(item: object) -> str:
    text = transcript.render(item)
    return text if len(text) <= 300 else text[:300] + "…"
