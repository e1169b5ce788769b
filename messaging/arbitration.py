"""Asking an arbitrator which half of a cluster may go on.

Responsible for the interface of an arbitrator, and for the one that asks a quorum server. Not
responsible for when a half needs the tie (`core`), nor for counting (`quorum`).

Theory of operation. While members want the tie, it is asked for again and again: at once, then each
eighth of a lease until it is given, then each third. It is this node's from an answer until a lease
after it *sent the question*, and for exactly the members asked for. A question of which nothing is
heard changes nothing: what was given before ends when it ends.

While nobody wants the tie the server is asked once a deadtime which token is good. Such a question
has none, so it gets nothing; it keeps this node's standing, so that the first question that matters
needs one message and one answer, and tells that the server is away before anybody needs it.

A ping node is no arbitrator in this sense: it answers both halves, so it can only withhold quorum
(the plugin `ping`).

Source: docs/protocol/quorumd.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import Note, info, warn
from messaging import ballot
from messaging.authkeys import KeyFile
from messaging.cluster_settings import ClusterSettings
from messaging.standing import NEVER

MAX_OPEN = 8
"""Questions whose answers are waited for; the older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class ServerAnswered:
    """A datagram came from the quorum server."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AskServer:
    """Send a datagram to the quorum server."""

    data: bytes


@dataclass(frozen=True, slots=True)
class TieGiven:
    """Exactly these members have the tie until then, as far as this node is concerned."""

    members: tuple[str, ...]
    until: float


Effect = AskServer | TieGiven | Note


class Arbitrator(Protocol):
    """Somebody who gives the tie to exactly one half, for a time, and is asked asynchronously.

    What it must keep: of two sets without a common member, only one has the tie at any moment, and
    the other gets it only after the first one's time is over by `Timing.margin_s`.
    """

    def want(self, members: tuple[str, ...], now: float) -> list[Effect]:
        """These members, this node among them, need the tie from now on; () if nobody does."""

    def receive(self, event: ServerAnswered, now: float) -> list[Effect]:
        """Take in an answer."""

    def tick(self, now: float) -> list[Effect]:
        """Ask again."""

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""

    def replace_keys(self, keys: KeyFile) -> None:
        """Take over other keys of the cluster."""

    @property
    def trouble(self) -> str:
        """Why it does not give the tie, or would not; "" where nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class _Question:
    members: tuple[str, ...]
    sent_at: float
    token: bytes


class QuorumServerArbitrator:
    """The arbitrator behind `quorum_server`: one server that is asked with datagrams."""

    def __init__(
        self,
        settings: ClusterSettings,
        keys: KeyFile,
        *,
        node: str,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._timing = settings.timing
        self._server = settings.quorum_server
        self._node = node
        self._random_bytes = random_bytes
        self._sealer = ballot.Sealer(
            keys, settings.cluster, is_server=False, random_bytes=random_bytes
        )
        self._token = b""
        self._token_asked_at = NEVER
        self._wanted: tuple[str, ...] = ()
        self._open: dict[bytes, _Question] = {}
        self._due = NEVER
        self._unanswered_since: float | None = None
        self._is_silent = False
        self._refusal = ""
        self._until = NEVER
        self._told = ""

    def want(self, members: tuple[str, ...], now: float) -> list[Effect]:
        """Ask at once where the members are others than before."""
        if members == self._wanted:
            return []
        self._wanted, self._told, self._until = members, "", NEVER
        self._unanswered_since, self._is_silent, self._refusal = None, False, ""
        self._open.clear()
        self._due = now + self._timing.deadtime_s
        return self._ask(now) if members else []

    def receive(self, event: ServerAnswered, now: float) -> list[Effect]:
        """Take in an answer, if it belongs to a question of ours."""
        try:
            answer = self._sealer.open(event.data)
        except RemoteProtocolError:
            return []
        assert isinstance(answer, ballot.Answer), "the only answer there is"
        question = self._open.pop(answer.word, None)
        if question is None:
            return []
        if question.sent_at >= self._token_asked_at:
            self._token, self._token_asked_at = answer.token, question.sent_at
        heard = self._hear_again()
        self._refusal = answer.reason and f"refuses: {answer.reason}"
        if answer.reason:
            refused = f"quorum server {self._server} {self._refusal}"
            heard += self._tell("refused", warn("heartbeat", refused))
        if answer.is_stale:
            return heard if self._is_under_way(now) else [*heard, *self._ask(now)]
        until = question.sent_at + self._timing.lease_s
        if not answer.granted:
            return heard
        if now >= until:
            return heard
        self._due = max(self._due, question.sent_at + self._timing.lease_s / 3)
        self._until = max(self._until, until)
        names = " ".join(question.members)
        text = f"quorum server {self._server}: {names} may go on"
        given = self._tell("given", info("heartbeat", text))
        return [*heard, *given, TieGiven(question.members, self._until)]

    def tick(self, now: float) -> list[Effect]:
        """Ask again, and say so when nobody answers."""
        if now < self._due:
            return []
        effects = self._ask(now) if self._wanted else self._stand(now)
        since = now if self._unanswered_since is None else self._unanswered_since
        patience_s = self._timing.lease_s / 2 if self._wanted else 2 * self._timing.deadtime_s
        if now - since >= patience_s and not self._is_silent:
            self._is_silent = True
            effects.append(warn("heartbeat", f"quorum server {self._server} does not answer"))
        return effects

    def next_deadline(self) -> float:
        """When the server is asked again."""
        return self._due

    def replace_keys(self, keys: KeyFile) -> None:
        """Take over other keys of the cluster."""
        self._sealer.replace_keys(keys)

    @property
    def trouble(self) -> str:
        """What the server is known not to do."""
        return "does not answer" if self._is_silent else self._refusal

    def _is_under_way(self, now: float) -> bool:
        """Whether no question with the right token need be asked at once.

        On a slow way several are open, and all but one have a token that is used up.
        """
        asked = any(question.token == self._token for question in self._open.values())
        return not self._wanted or asked or now < self._until

    def _ask(self, now: float) -> list[Effect]:
        return self._send(_Question(self._wanted, now, self._token), self._timing.lease_s / 8)

    def _stand(self, now: float) -> list[Effect]:
        """Ask for nothing, only which token is good."""
        return self._send(_Question((self._node,), now, b""), self._timing.deadtime_s)

    def _send(self, question: _Question, pause_s: float) -> list[Effect]:
        now, word = question.sent_at, self._random_bytes(ballot.WORD_BYTES)
        self._open[word] = question
        while len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._due = now + pause_s
        if self._unanswered_since is None:
            self._unanswered_since = now
        lease_ms = round(self._timing.lease_s * 1000)
        hold_ms = lease_ms + round(self._timing.margin_s * 1000) + 1
        ask = ballot.Ask(self._node, word, question.token, question.members, lease_ms, hold_ms)
        return [AskServer(self._sealer.seal(ask))]

    def _hear_again(self) -> list[Effect]:
        """The server answers; say so if it was said that it does not."""
        self._unanswered_since, was_silent, self._is_silent = None, self._is_silent, False
        text = f"quorum server {self._server} answers again"
        return [info("heartbeat", text)] if was_silent else []

    def _tell(self, what: str, note: Note) -> list[Effect]:
        """Say it once until something else is to be said."""
        if what == self._told:
            return []
        self._told = what
        return [note]
