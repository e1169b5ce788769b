"""Changes of this node's clients on their way to the master.

Responsible for keeping each change until its outcome is known: held while there is no master,
sent once to the one there is, answered when he has answered and the copy of this node shows what
he answers: who reads here right after that finds it. When the master is lost before, what was sent
has an unknown outcome, unless doing it twice does no harm (typed status changes): that is sent to
the next master.

Source: docs/protocol/cib.md, "Forwarding".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crm.api import cib as api
from crm.cib import wire
from crm.cib.disk import Mark
from crm.cib.outbox import Answer, Asker, Outbox
from crm.model.version import Version
from crm.plumbing import errors

HELD_S = 10.0
SENT_S = 30.0
SHOWN_S = 5.0
"""So long an answer waits at most for the copy of this node."""

MAX_ON_THE_WAY = 4_000


@dataclass(frozen=True, slots=True)
class _OnTheWay:
    asker: Asker
    change: api.Change
    until: float
    master: str = ""
    answer: Answer | None = None
    """What the master has said, if our copy does not show it yet."""


class Forwarding:
    """Passes changes on to the master, at most once each.

    `life` differs from one life of this process to the next: the master may answer what an
    earlier one asked, and that answer must fit nothing.
    """

    def __init__(self, outbox: Outbox, life: int) -> None:
        self._outbox = outbox
        self._master = ""
        self._token = life << 32
        self._changes: dict[int, _OnTheWay] = {}
        self._unshown: dict[int, Mark] = {}
        """Where our copy has to be for the answers that wait for it."""

    def set_master(self, master: str, version: Version, now: float) -> None:
        """Send everything to this node from now on; "" holds it back."""
        if master != self._master:
            self.lost(self._master, version, now)
            self._master = master
        self._send_held(now)

    def lost(self, node: str, version: Version, now: float) -> None:
        """Note that the cib of this node will not answer any more."""
        for token, item in list(self._changes.items()):
            if not item.master or item.master != node:
                continue
            self._unshown.pop(token, None)
            if _may_be_repeated(item.change):
                self._changes[token] = _OnTheWay(item.asker, item.change, now + HELD_S)
                continue
            del self._changes[token]
            message = f"{node}, which had the change, is gone: whether it was made is not known"
            problem = errors.error("unknown-outcome", "cib", message, api.LOOK_HINT)
            self._outbox.refuse(item.asker, api.Outcome.UNKNOWN_OUTCOME, version, problem)

    def add(self, asker: Asker, change: api.Change, version: Version, now: float) -> None:
        """Take a change of a client."""
        if len(self._changes) >= MAX_ON_THE_WAY:
            self._not_ready(asker, version, "too many changes are on their way")
            return
        self._token += 1
        self._changes[self._token] = _OnTheWay(asker, change, now + HELD_S)
        self._send_held(now)

    def answered(
        self, message: wire.Forwarded, node: str, reached: Mark | None, now: float
    ) -> None:
        """Take the master's answer; one that is no master leaves the change in our hands.

        `reached` is where our copy is in the sequence of his reign; None if it cannot follow.
        """
        item = self._changes.get(message.token)
        if item is None or item.master != node:
            return
        if message.not_master:
            self._changes[message.token] = _OnTheWay(item.asker, item.change, now + HELD_S)
            if node == self._master:
                self._master = ""  # until our crmd names one again
            return
        answer = Answer(message.outcome, message.version, message.findings, message.xml)
        place = message.reign, message.sequence
        if reached is not None and reached < place:
            self._unshown[message.token] = place
            self._changes[message.token] = replace(item, until=now + SHOWN_S, answer=answer)
            return
        del self._changes[message.token]
        self._outbox.answer(item.asker, answer)

    def shows(self, reached: Mark) -> None:
        """Note where our copy is now: give the answers that waited for that."""
        if not self._unshown:
            return
        for token in [token for token, place in self._unshown.items() if place <= reached]:
            del self._unshown[token]
            self._answer(self._changes.pop(token))

    def _answer(self, item: _OnTheWay) -> None:
        assert item.answer is not None, "what waits to be shown was answered"
        self._outbox.answer(item.asker, item.answer)

    def take_back(self) -> list[tuple[Asker, api.Change]]:
        """Hand over what has not been sent, because this node is master now."""
        held = [(t, item) for t, item in self._changes.items() if not item.master]
        for token, _ in held:
            del self._changes[token]
        return [(item.asker, item.change) for _, item in held]

    def tick(self, version: Version, now: float) -> None:
        """Give up what has waited too long."""
        for token, item in list(self._changes.items()):
            if now < item.until:
                continue
            del self._changes[token]
            if self._unshown.pop(token, None) is not None:
                self._answer(item)  # he has made it, whatever keeps us from following him
            elif item.master:
                message = f"{item.master} has not answered for {SENT_S:g} s"
                problem = errors.error("unknown-outcome", "cib", message, api.LOOK_HINT)
                self._outbox.refuse(item.asker, api.Outcome.UNKNOWN_OUTCOME, version, problem)
            else:
                self._not_ready(item.asker, version, "there is no DC to make the change")

    def next_deadline(self) -> float | None:
        """Say when the first change has waited too long."""
        return min((item.until for item in self._changes.values()), default=None)

    def _send_held(self, now: float) -> None:
        if not self._master:
            return
        for token, item in list(self._changes.items()):
            if item.master:
                continue
            self._changes[token] = _OnTheWay(item.asker, item.change, now + SENT_S, self._master)
            self._outbox.to_node(self._master, wire.Forward(token, item.change))

    def _not_ready(self, asker: Asker, version: Version, reason: str) -> None:
        problem = errors.error("not-ready", "cib", reason, "try again when the cluster has a DC")
        self._outbox.refuse(asker, api.Outcome.NOT_READY, version, problem)


def _may_be_repeated(change: api.Change) -> bool:
    """Tell whether making a change twice is the same as making it once."""
    xml = any(isinstance(operation, api.XmlOperation) for operation in change.operations)
    return not xml and not api.touches_configuration(change.operations)
