"""The election: which crmd is to be DC.

Responsible for votes, answers and who has won; not for what follows (join, reign), nor for when an
election is called for.

Theory of operation. Whoever doubts who the DC is calls `stand`: it broadcasts a vote and waits for
an answer, a vote or a no-vote, from every elector. The *electorate* is every member of the view
whose crmd is online; it is brought up to date with `set_electorate`, and whoever drops out of it is
no longer waited for, whoever comes into it is sent the vote. A receiver compares itself with the
voter by facts that are the same on all members of a view:

1. the lower CRM feature set wins (a rolling upgrade keeps the old version in charge),
2. then the older member (the smaller `born`),
3. then the smaller name.

The better one stands itself, the worse one gives way with a no-vote and remembers its *favourite*;
when the favourite leaves, the controller calls for a new election. A vote from somebody who is not
yet in our view is kept until the view has caught up. Answers to an older election do not count.

Invariant: of two electors that know each other, at most one collects the other's answer, because
the order above is total and both apply it to the same facts. No timer is needed for progress; the
election timeout only covers a member that is alive and never answers.

Source: docs/protocol/election.md.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from crm.api.peers import NoVote, Vote

TIMEOUT_S = 120.0
"""After this long without all answers the vote is repeated."""


@dataclass(frozen=True, slots=True)
class SendVote:
    """Send the vote to one node, or to all when `to_node` is ""."""

    vote: Vote
    to_node: str = ""


@dataclass(frozen=True, slots=True)
class SendNoVote:
    """Give way to a voter."""

    no_vote: NoVote
    to_node: str


class Verdict(enum.Enum):
    """How a vote of somebody else compares with us."""

    WE_WIN = "we win"
    WE_LOSE = "we lose"
    KEPT = "kept until the view has caught up"


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts in a comparison."""

    feature_set: tuple[int, ...]
    born: int
    name: str

    def beats(self, other: Standing) -> bool:
        """Tell whether this standing is the better one."""
        return self._rank() < other._rank()

    def _rank(self) -> tuple[tuple[int, ...], int, str]:
        return (self.feature_set, self.born, self.name.lower())


def feature_numbers(text: str) -> tuple[int, ...]:
    """Turn `3.0.1` into numbers that compare; a part that is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))


class Election:
    """One crmd's part in the elections of its view."""

    def __init__(self, node: str, feature_set: str) -> None:
        self.node = node
        self.feature_set = feature_set
        self.number = 0
        self.is_running = False
        self.favourite = ""
        self.deadline: float | None = None
        self._born: dict[str, int] = {}
        self._features: dict[str, str] = {node: feature_set}
        self._answers: dict[str, None] = {}
        self._kept: dict[str, Vote] = {}

    @property
    def electorate(self) -> tuple[str, ...]:
        """Everybody whose answer counts, by name."""
        return tuple(self._born)

    @property
    def is_won(self) -> bool:
        """Tell whether we stand and everybody has given way."""
        return self.is_running and all(name in self._answers for name in self._born)

    def missing(self) -> list[str]:
        """Name those whose answer is still awaited."""
        return [name for name in self._born if name not in self._answers]

    def set_electorate(self, born: Mapping[str, int], reign: int) -> list[SendVote]:
        """Take over who votes (name → born); a newcomer is sent the running vote."""
        newcomers = [name for name in born if name not in self._born and name != self.node]
        rejoined = [name for name in born if self._born.get(name, born[name]) != born[name]]
        self._born = dict(sorted(born.items()))
        for name in [name for name in self._answers if name not in self._born]:
            del self._answers[name]
        for name in rejoined:
            self._answers.pop(name, None)
        if self.favourite not in self._born:
            self.favourite = ""
        if not self.is_running:
            return []
        return [SendVote(self._vote(reign), name) for name in sorted({*newcomers, *rejoined})]

    def stand(self, now: float, reign: int) -> list[SendVote]:
        """Call an election: vote for ourselves, before everybody."""
        self.number += 1
        self.is_running = True
        self.favourite = ""
        self.deadline = now + TIMEOUT_S
        self._answers = {self.node: None}
        return [SendVote(self._vote(reign))]

    def stop(self) -> None:
        """Stand no longer: the election is over."""
        self.is_running = False
        self.deadline = None
        self._answers = {}

    def beats(self, better: str, worse: str) -> bool:
        """Tell whether one elector goes before another; one outside the view never does."""
        if better not in self._born:
            return False
        if worse not in self._born:
            return True
        return self._standing(better).beats(self._standing(worse))

    def judge(self, voter: str, vote: Vote) -> Verdict:
        """Compare a vote with ourselves and count it; our own vote is not to come here."""
        if voter not in self._born or self.node not in self._born:
            self._kept[voter] = vote
            return Verdict.KEPT
        self._features[voter] = vote.feature_set
        if self._standing(self.node).beats(self._standing(voter)):
            self._answers[voter] = None
            return Verdict.WE_WIN
        return Verdict.WE_LOSE

    def give_way(self, voter: str, vote: Vote, reign: int) -> SendNoVote:
        """Lose to a voter: stand no longer, and tell it so."""
        self.stop()
        self.favourite = voter
        return SendNoVote(NoVote(owner=voter, election=vote.election, reign=reign), voter)

    def count(self, voter: str, answer: NoVote) -> None:
        """Count a no-vote, if it is for our running election."""
        if self.is_running and answer.owner == self.node and answer.election == self.number:
            self._answers[voter] = None

    def forget(self, name: str) -> None:
        """Drop what a crmd has said; its next life speaks for itself."""
        self._answers.pop(name, None)
        self._kept.pop(name, None)
        if self.favourite == name:
            self.favourite = ""

    def take_kept(self) -> list[tuple[str, Vote]]:
        """Take out the kept votes whose senders are in the electorate now."""
        ready = [name for name in sorted(self._kept) if name in self._born]
        if self.node not in self._born:
            return []
        return [(name, self._kept.pop(name)) for name in ready]

    def _vote(self, reign: int) -> Vote:
        return Vote(election=self.number, feature_set=self.feature_set, reign=reign)

    def _standing(self, name: str) -> Standing:
        features = feature_numbers(self._features.get(name, self.feature_set))
        return Standing(features, self._born[name], name)
