"""The deadlines of the parts of a machine: which part is to be ticked, and when.

Responsible for asking parts for their deadlines no more often than they can have changed. Not
responsible for what a part does when its deadline comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from messaging.events import Effect

Part = tuple[Any, Callable[[Any, float], list[Effect]]]
"""A machine, and what follows its effects: each has effects of its own (hence Any)."""


class Clockwork:
    """Ticks parts, in their order."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._due: tuple[float | None, ...] = ()
        """The last answers of all parts; empty when they have to be asked again."""

    def look_again(self) -> None:
        """Take in that some deadline may have come nearer."""
        self._due = ()

    def run(self, now: float) -> list[Effect]:
        """Act on what is due; mostly nothing is, as the last answers tell."""
        effects: list[Effect] = []
        known = self._due
        is_known = bool(known)
        for place, (part, follow) in enumerate(self._parts):
            moment = known[place] if is_known else part.next_deadline()
            if moment is not None and now >= moment:
                effects += follow(part.tick(now), now)
                self._due = ()
                is_known = False  # what was done may be something for the parts that follow
        return effects

    def soonest(self, other: float | None) -> float | None:
        """The first of all deadlines, that of somebody else among them."""
        if not self._due:
            self._due = tuple([part.next_deadline() for part, _ in self._parts])
        soonest = other
        for moment in self._due:
            if moment is not None and (soonest is None or moment < soonest):
                soonest = moment
        return soonest
