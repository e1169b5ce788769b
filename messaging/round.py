"""One round of a membership: what was said in it, and whether that is all.

Responsible for the table of Joins. Not responsible for who opens rounds and when they end (`ccm`),
nor for what a complete table means (`verdict`).

A table is *complete* for a node when it has the Joins of all nodes named in Joins, beginning with
its own. Source: docs/protocol/membership.md, "Rounds".
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from messaging import frame
from messaging.verdict import Verdict

Life = tuple[str, str]
"""A node by name, and its incarnation."""


@dataclass
class Round:
    """One round: what was said in it, and what came out."""

    number: int = 0
    begun_at: float = 0.0
    is_settled: bool = True
    is_overdue: bool = False
    verdict: Verdict | None = None
    install_at: float | None = None
    table: dict[str, frame.Join] = field(default_factory=dict)
    let_go: dict[Life, float] = field(default_factory=dict)
    """When it was heard of each life that it let go in this round."""

    _leases: dict[str, dict[Life, float]] = field(default_factory=dict)
    """By speaker: until when the lives it has given up may not be left out by a quorum."""

    def hear(self, join: frame.Join, now: float) -> None:
        """Put a Join into the table."""
        self.table[join.origin] = join
        self._leases[join.origin] = {
            (other, incarnation): now + left_ms / 1000
            for other, incarnation, left_ms in join.leases
        }

    def say(self, join: frame.Join, leases: dict[Life, float]) -> None:
        """Put this node's own Join into the table; it knows exactly what it says of leases."""
        self.table[join.origin] = join
        self._leases[join.origin] = leases

    def complete_table(self, node: str) -> dict[str, frame.Join] | None:
        """The Joins of all that are named, beginning with a node's own, if all are there."""
        found = {node}
        pending = [node]
        while pending:
            join = self.table.get(pending.pop())
            if join is None:
                return None
            for name, _ in join.reach:
                if name not in found:
                    found.add(name)
                    pending.append(name)
        return {name: self.table[name] for name in sorted(found)}

    @property
    def lives(self) -> list[Life]:
        """Who has spoken."""
        return [(join.origin, join.incarnation) for join in self.table.values()]

    @property
    def members_to_be(self) -> list[str]:
        """Who is in the view that comes out; empty while none does."""
        return [seat.name for seat in self.verdict.members] if self.verdict else []

    def leases_left(self, let_go: Container[Life]) -> Iterator[float]:
        """Until when lives that the view leaves out may rely on one of its members.

        Those who are known to have let go rely on nobody, as long as they say so themselves: of who
        takes no part in this round nobody knows what it did since.
        """
        seated = set(self.members_to_be)
        idle = {life for life in self.lives if life in let_go}
        for name in seated:
            for life, free_at in self._leases.get(name, {}).items():
                if life[0] not in seated and life not in idle:
                    yield free_at
