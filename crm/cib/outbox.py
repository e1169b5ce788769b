"""What a replica has to say, collected in order: to clients, to other nodes, to the log.

Responsible for addressing: who asked, who subscribed, which node. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from crm.api import cib as api
from crm.api import membership
from crm.cib import wire
from crm.cib.disk import Mark
from crm.model.version import Reign, Version
from crm.plumbing import errors
from crm.plumbing.machine import Note, Tell, debug, error, info, warn

ENTITY = "cib"


@dataclass(frozen=True, slots=True)
class LocalAsker:
    """A client of this node that waits for an answer."""

    peer: str
    request: int


@dataclass(frozen=True, slots=True)
class RemoteAsker:
    """The cib of another node that passed a client's change on."""

    node: str
    token: int


Asker = LocalAsker | RemoteAsker


@dataclass(frozen=True, slots=True)
class Answer:
    """How a change ended, and where in the sequence of a reign a copy has to be to show it."""

    outcome: api.Outcome
    version: Version
    findings: tuple[api.Finding, ...] = ()
    xml: bytes = b""
    shown_from: Mark = (Reign(), 0)


class Outbox:
    """Collects effects until the shell takes them."""

    def __init__(self) -> None:
        self._effects: list[object] = []
        self._subscribers: dict[str, api.Subscribe] = {}  # in the order of subscription

    def take(self) -> list[object]:
        """Hand over what was collected."""
        effects, self._effects = self._effects, []
        return effects

    def add(self, effect: object) -> None:
        """Collect any effect."""
        self._effects.append(effect)

    def tell(self, peer: str, message: msgspec.Struct) -> None:
        """Say something to a local process."""
        self._effects.append(Tell(peer, message))

    def to_node(self, node: str, message: msgspec.Struct) -> None:
        """Say something to the cib of one node; "" is every other node."""
        payload = wire.PEERS.encode(message)
        self.tell(membership.SERVICE, membership.SendCluster(api.SERVICE, payload, node))

    def leave(self, problem: str) -> None:
        """Have this node leave the cluster: others can do without its broken disk."""
        reason = f"the disk with the CIB is broken: {problem}"
        self.tell(membership.SERVICE, membership.LeaveCluster(reason))

    def answer(self, asker: Asker, answer: Answer) -> None:
        """Tell who asked how the change ended."""
        if isinstance(asker, RemoteAsker):
            self.to_node(
                asker.node,
                wire.Forwarded(
                    asker.token,
                    answer.outcome,
                    answer.version,
                    answer.findings,
                    answer.xml,
                    reign=answer.shown_from[0],
                    sequence=answer.shown_from[1],
                ),
            )
            return
        self.tell(
            asker.peer,
            api.ChangeReply(
                asker.request, answer.outcome, answer.version, answer.findings, answer.xml
            ),
        )

    def refuse(
        self, asker: Asker, outcome: api.Outcome, version: Version, problem: errors.Problem
    ) -> None:
        """Tell who asked that the change was not made (or that it is not known), and why."""
        self.answer(asker, Answer(outcome, version, api.findings_of((problem,))))

    def subscribe(self, peer: str, wish: api.Subscribe) -> None:
        """Tell this client about such changes from now on."""
        self._subscribers[peer] = wish

    def unsubscribe(self, peer: str) -> None:
        """Tell it no more."""
        self._subscribers.pop(peer, None)

    def changed(self, change: wire.Replicated, *, alone: bool) -> None:
        """Tell the subscribers, and the log, about a change of the local copy."""
        if alone:
            text = f"Local-only Change (client:{change.origin.client}): {change.after} (ok)"
        else:
            text = (
                f"Update (client: {change.origin.client}): {change.before} -> {change.after} (ok)"
            )
        self.info(f"cib_diff_notify: {text}")
        if change.replaced:
            self.replaced(change.after)
            return
        message = api.CibChanged(
            change.before, change.after, change.touched, change.origin, change.patch
        )
        for peer, wish in self._subscribers.items():
            if api.may_concern(change.patch, wish.sections, wish.options):
                self.tell(peer, message)

    def replaced(self, version: Version) -> None:
        """Tell the subscribers that the local copy is another one now."""
        for peer in self._subscribers:
            self.tell(peer, api.CibReplaced(version))

    def debug(self, text: str) -> None:
        """Note a detail."""
        self._note(debug(ENTITY, text))

    def info(self, text: str) -> None:
        """Note a change of state."""
        self._note(info(ENTITY, text))

    def warn(self, text: str) -> None:
        """Note a loss that was coped with."""
        self._note(warn(ENTITY, text))

    def error(self, text: str) -> None:
        """Note that an administrator must act."""
        self._note(error(ENTITY, text))

    def _note(self, note: Note) -> None:
        self._effects.append(note)
