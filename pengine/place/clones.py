"""Shares the copies of a collective out to nodes: those that can stay first.

A copy that runs is tried where it runs. If it would rather go elsewhere, one place is kept for the
node it wants and it is tried again, until it stays or no place is left to keep: whoever gets a
place on that node in the end need not be this copy. Then the copies without a node get theirs.

Nothing here asks what the collective is: it has a table of scores of its own under its id, and
copies, which may be single instances or groups.

Source: docs/scheduler/clones.md; published cases clone-no-shuffle, clone-recover-no-shuffle-*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from crm.model.score import MINUS_INFINITY
from pengine.facts.instances import GroupInstance, Instance
from pengine.place.ledger import Ledger, all_parts, inside

Copy = Instance | GroupInstance


class Placing(Protocol):
    """What the sharing needs of the placing of everything else."""

    ledger: Ledger

    def place_copy(self, copy: Copy, prefer: str, *, final: bool) -> str | None:
        """Place one copy, at `prefer` if that is as good as any; give its node.

        An attempt that is not final leaves no mark if it fails.
        """

    def take_back(self, copy: Copy, *, with_members: bool = True) -> None:
        """Undo the placing of a copy, and of what is in it."""


def share_out(
    placing: Placing, collective: str, copies: Iterable[Copy], most: int, most_per_node: int
) -> None:
    """Give a node, or none, to every copy: at most so many in all, so many on one node."""
    _Sharing(placing, collective, most, most_per_node).share(tuple(copies))


class _Sharing:
    """How many copies each node has so far; it does not leave the module."""

    def __init__(self, placing: Placing, collective: str, most: int, most_per_node: int) -> None:
        self._placing = placing
        self._ledger = placing.ledger
        self._collective = collective
        self._most = most
        self._most_per_node = most_per_node
        self._taken = dict.fromkeys(self._ledger.nodes, 0)
        self._placed = 0

    def share(self, copies: tuple[Copy, ...]) -> None:
        table = self._ledger.tally.scores[self._collective]
        usable = sum(1 for node in table if node in self._ledger.may_run)
        share = max(1, self._most // usable) if usable else 1
        for copy in copies:
            if self._placed >= self._most:
                break
            home = None if self._ledger.is_settled(copy) else self._home(copy, share)
            if home is not None and self._keep(copy, home):
                self._taken[home] += 1
                self._placed += 1
        for copy in copies:
            if self._ledger.is_settled(copy):
                continue
            if self._placed >= self._most:
                for part in all_parts(copy):
                    self._ledger.tally.ban_everywhere(
                        part.id, "clone", "clone-max", "there are enough copies"
                    )
            if self._assign(copy, "", final=True) is not None:
                self._placed += 1

    def _home(self, copy: Copy, share: int) -> str | None:
        """Say where a copy runs, if it may go on there."""
        node = self._ledger.here(copy)
        if node is None or node not in self._ledger.may_run:
            return None
        if isinstance(copy, Instance) and self._ledger.has_failed(copy):
            return None
        is_known = node in self._ledger.tally.scores[self._collective]
        return None if is_known and self._taken[node] >= share else node

    def _keep(self, copy: Copy, home: str) -> bool:
        """Try to leave a copy where it runs, keeping places for nodes it would rather have."""
        tally, left = self._ledger.tally, self._most - self._placed
        if not self._ledger.is_available(home, tally.scores[copy.id]):
            return False
        parts = [part.id for part in all_parts(copy)]
        before = {part: dict(tally.scores[part]) for part in parts}
        taken, mark, chosen = dict(self._taken), len(tally.contributions), None
        for _ in range(left):
            chosen = self._assign(copy, home, final=False)
            if chosen == home:
                break
            for part in parts:
                tally.scores[part] = dict(before[part])
            if chosen is None:
                # The members of a group are not asked again (case promoted-failed-demote).
                self._placing.take_back(copy, with_members=isinstance(copy, Instance))
                break
            del tally.contributions[mark:]
            self._placing.take_back(copy)
        self._taken = taken
        return chosen == home

    def _assign(self, copy: Copy, prefer: str, *, final: bool) -> str | None:
        """Place a copy on a node that has room for one more."""
        tally = self._ledger.tally
        whole = tally.scores[self._collective]
        for node in tally.scores[copy.id]:
            if copy.is_removed:
                source, text = self._collective, "it is a copy too many"
            elif node not in self._ledger.may_run:
                source, text = "node", "the node cannot run it"
            elif whole.get(node, MINUS_INFINITY) < 0:
                source, text = self._collective, "its clone may not be there"
            elif self._taken[node] >= self._most_per_node:
                source, text = "clone-node-max", "its share is there"
            else:
                continue
            for part in (copy, *inside(copy)):
                if node in tally.scores[part.id]:
                    tally.add(part.id, node, MINUS_INFINITY, "clone", source, text)
        chosen = self._placing.place_copy(copy, prefer, final=final)
        if chosen is not None:
            self._taken[chosen] = self._taken.get(chosen, 0) + 1
        return chosen
