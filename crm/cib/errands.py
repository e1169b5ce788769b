"""What our crmd has asked the master for when the DC changed: fetch a copy, bring copies out.

Responsible for answering each errand once: when it is done, when it cannot be done any more, or
when its time is over. Not responsible for doing it: hails and snapshots are the master's own
business, these errands only wait for their effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from crm.api import cib as api
from crm.cib.outbox import Outbox
from crm.model.version import Version


class Copies(Protocol):
    """Who has which copy, as far as the master knows."""

    def holds_copy_of(self, node: str) -> bool:
        """Tell whether our copy is at least as good as that of `node`."""

    def behind(self, nodes: tuple[str, ...], sequence: int) -> tuple[str, ...]:
        """Name those of these nodes that have not acknowledged all up to `sequence`."""

    def has_left(self, node: str) -> bool:
        """Tell whether a node is no member any more."""


@dataclass(frozen=True, slots=True)
class _Sync:
    peer: str
    request: int
    nodes: tuple[str, ...]
    sequence: int
    until: float


@dataclass(frozen=True, slots=True)
class _Fetch:
    peer: str
    request: int
    node: str
    until: float


class Errands:
    """Fetches and syncs under way. Units: `until` is a moment, in monotonic seconds."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._syncs: list[_Sync] = []
        self._fetches: list[_Fetch] = []

    def fetch(self, peer: str, request: int, node: str, until: float) -> None:
        """Answer when our copy is at least as good as that of `node`."""
        self._fetches.append(_Fetch(peer, request, node, until))

    def sync(
        self, peer: str, request: int, nodes: tuple[str, ...], sequence: int, until: float
    ) -> None:
        """Answer when these nodes have everything up to `sequence`."""
        self._syncs.append(_Sync(peer, request, nodes, sequence, until))

    def deadlines(self) -> list[float]:
        """Say when errands run out of time."""
        return [sync.until for sync in self._syncs] + [fetch.until for fetch in self._fetches]

    def give_up(self) -> None:
        """Answer everything: nothing more will be done."""
        for sync in self._syncs:
            self._answer(sync.peer, sync.request, Version(), sync.nodes)
        for fetch in self._fetches:
            self._answer(fetch.peer, fetch.request, Version(), (fetch.node,))
        self._syncs, self._fetches = [], []

    def proceed(self, copies: Copies, version: Version, now: float) -> None:
        """Answer what is done, has become impossible, or has taken too long."""
        fetches, self._fetches = self._fetches, []
        for fetch in fetches:
            has_it = copies.holds_copy_of(fetch.node)
            if has_it or now >= fetch.until or copies.has_left(fetch.node):
                self._answer(fetch.peer, fetch.request, version, () if has_it else (fetch.node,))
            else:
                self._fetches.append(fetch)
        syncs, self._syncs = self._syncs, []
        for sync in syncs:
            missing = copies.behind(sync.nodes, sync.sequence)
            if now >= sync.until or all(copies.has_left(node) for node in missing):
                self._answer(sync.peer, sync.request, version, missing)
            else:
                self._syncs.append(sync)

    def _answer(self, peer: str, request: int, version: Version, missing: tuple[str, ...]) -> None:
        outcome = api.Outcome.NOT_READY if missing else api.Outcome.OK
        self._outbox.tell(peer, api.SyncDone(request, outcome, version, missing))
