"""The quorum server: gives the tie of a cluster to one half of it at a time.

Responsible for who gets the tie and for how long. Not responsible for sockets and files
(`quorumd`), for the seal (`ballot`), nor for counting nodes: it does not know how many there are.

Theory of operation. Each node asks for itself, for an exact set of members. The set gets the tie if
it has a member in common with every set that has it still; a node that is in two such sets is
what keeps them apart (the quorum lease). Two sets without a common member never have it at one
time: a set is remembered for `hold_ms` from the arrival of the question, which is its lease, that
begins when the question was sent, and the time its members have to stop.

After a start nobody gets anything for as long as the longest hold there can be: what was given
before is not known. A question that wants more than that is refused.

A question carries the token the server said last to its node; each token is good for one question.
So a recorded question holds the tie for nobody. One without a token asks for nothing but that.

Source: docs/protocol/quorumd.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import Exit, Note, StopRequested, info
from messaging import ballot, frame
from messaging.authkeys import KeyFile

NAME = "quorumd"
LONGEST_S = 60.0
"""The longest hold, unless the file says otherwise."""

MAX_GRANTS = 64
"""Sets that may have the tie of a cluster at one time: all have a member in common."""


@dataclass(frozen=True, slots=True)
class QuestionArrived:
    """A datagram came from somewhere; `way` is what an answer to it needs, whatever that is."""

    data: bytes
    way: Any  # Any: the shell's, which gets it back


@dataclass(frozen=True, slots=True)
class KeysRead:
    """The keys of the clusters were read again."""

    keys: dict[str, KeyFile]


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """Send a datagram."""

    data: bytes
    way: Any  # Any: as it came with the question


Event = QuestionArrived | KeysRead | StopRequested
Effect = SendAnswer | Note | Exit


@dataclass
class _Cluster:
    """What one cluster was given: sets with the time until which nobody else gets the tie."""

    name: str
    sealer: ballot.Sealer
    is_served: bool = True
    grants: dict[frozenset[str], float] = field(default_factory=dict)
    tokens: dict[str, bytes] = field(default_factory=dict)

    def has_given(self, now: float) -> bool:
        """Whether somebody may still rely on what it was given."""
        return any(until > now for until in self.grants.values())

    def may_have(self, members: frozenset[str], now: float) -> bool:
        """Whether a set shares a member with all that have the tie."""
        self.grants = {each: until for each, until in self.grants.items() if until > now}
        known = members in self.grants or len(self.grants) < MAX_GRANTS
        return known and all(members & each for each in self.grants)

    def give(self, members: frozenset[str], until: float) -> bool:
        """Remember who has the tie; tells whether it is new."""
        before = self.grants.get(members)
        self.grants[members] = until if before is None else max(before, until)
        return before is None


class QuorumServer:
    """The machine of `quorumd`, for any number of clusters."""

    def __init__(
        self,
        keys: dict[str, KeyFile],
        *,
        now: float,
        random_bytes: Callable[[int], bytes],
        longest_s: float = LONGEST_S,
    ) -> None:
        self._random_bytes = random_bytes
        self._longest_s = longest_s
        self._opens_at = now + longest_s
        self._clusters: dict[bytes, _Cluster] = {}
        self._take_keys(keys)

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Answer a question."""
        match event:
            case QuestionArrived(data, way):
                return self._answer(data, way, now)
            case KeysRead(keys):
                dropped = self._drop_others(keys, now)
                self._take_keys(keys)
                return [info(NAME, "the keys were read again"), *dropped]
            case StopRequested():
                return [Exit(0)]

    def tick(self, now: float) -> list[Effect]:
        """Nothing is due: what was given is forgotten when it is asked about."""
        return []

    def next_deadline(self) -> float | None:
        """Never."""
        return None

    def _take_keys(self, keys: dict[str, KeyFile]) -> None:
        for name, of_cluster in keys.items():
            tag = frame.cluster_tag(name)
            if tag in self._clusters:
                self._clusters[tag].sealer.replace_keys(of_cluster)
                self._clusters[tag].is_served = True
                continue
            sealer = ballot.Sealer(
                of_cluster, name, is_server=True, random_bytes=self._random_bytes
            )
            self._clusters[tag] = _Cluster(name, sealer)

    def _drop_others(self, keys: dict[str, KeyFile], now: float) -> list[Effect]:
        """Answer nobody of a cluster that the file names no more.

        What it was given is remembered until it is over: it may be named again before that.
        """
        gone = [cluster for cluster in self._clusters.values() if cluster.name not in keys]
        notes = [
            info(NAME, f"cluster {each.name} is answered no more")
            for each in gone
            if each.is_served
        ]
        for cluster in gone:
            cluster.is_served = False
            if not cluster.has_given(now):
                del self._clusters[frame.cluster_tag(cluster.name)]
        return [*notes]

    def _answer(self, data: bytes, way: Any, now: float) -> list[Effect]:
        try:
            cluster = self._clusters.get(ballot.cluster_of(data))
            if cluster is None or not cluster.is_served:
                return []
            ask = cluster.sealer.open(data)
        except RemoteProtocolError:
            return []
        assert isinstance(ask, ballot.Ask), "the only question there is"
        if len(ask.word) != ballot.WORD_BYTES or not 0 < len(ask.members) <= ballot.MAX_MEMBERS:
            return []
        answer, notes = self._judge(cluster, ask, now)
        return [SendAnswer(cluster.sealer.seal(answer), way), *notes]

    def _judge(
        self, cluster: _Cluster, ask: ballot.Ask, now: float
    ) -> tuple[ballot.Answer, list[Note]]:
        token = cluster.tokens.get(ask.node, b"")
        if not token or token != ask.token:
            token = cluster.tokens.setdefault(ask.node, self._random_bytes(ballot.WORD_BYTES))
            reason = self._too_long(ask)
            return ballot.Answer(ask.word, token, is_stale=True, reason=reason), []
        token = cluster.tokens[ask.node] = self._random_bytes(ballot.WORD_BYTES)
        members = frozenset(ask.members)
        hold_s = ask.hold_ms / 1000
        reason = self._refusal(cluster, ask, members, now)
        if reason:
            return ballot.Answer(ask.word, token, reason=reason), []
        is_new = cluster.give(members, now + hold_s)
        names = " ".join(sorted(members))
        text = f"cluster {cluster.name}: {names} may go on, if they are half of it"
        return ballot.Answer(ask.word, token, granted=True), [info(NAME, text)] if is_new else []

    def _refusal(
        self, cluster: _Cluster, ask: ballot.Ask, members: frozenset[str], now: float
    ) -> str:
        if ask.node not in members:
            return f"node {ask.node} asks for others"
        too_long = self._too_long(ask)
        if too_long:
            return too_long
        if now < self._opens_at:
            return f"it started lately and waits for {self._opens_at - now:.1f} s more"
        if not cluster.may_have(members, now):
            others = sorted({name for each in cluster.grants for name in each} - members)
            return f"{' '.join(others)} may go on"
        return ""

    def _too_long(self, ask: ballot.Ask) -> str:
        """What this server would refuse at any time."""
        hold_s = max(ask.hold_ms, ask.lease_ms) / 1000
        if hold_s <= self._longest_s:
            return ""
        return f"the longest hold is {self._longest_s:g} s, {hold_s:g} s are wanted"
