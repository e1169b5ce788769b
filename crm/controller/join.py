"""Joining: how members come under a DC, on both sides.

Responsible for the phases of a join round at the DC (`JoinRound`) and for a member's answer to an
offer (`Candidate`); not for who is DC, for moving CIBs about, nor for writing the status.

Theory of operation. The DC speaks first: an offer to every participant (a full round, itself
included), or to one that came later. A member that accepts makes its executor refuse earlier
reigns, makes its CIB follow the DC, and only then describes that CIB in its request: nothing of an
earlier reign can change the document afterwards. When nobody's request is missing any more, the
newest CIB is known. The DC acknowledges; each member confirms with all its executor remembers, as
soon as that executor has no operation under way that somebody else ordered. When nobody's
confirmation is missing, the DC writes the status of all who joined in one change.

Any participant may vanish at any step: it is dropped from the round and no longer waited for.
Each offer has a number that is never used again, and every answer carries the number of its
offer: an answer to an earlier offer is ignored, also when the same member is offered to twice in
one round. A request that knows a greater reign makes the DC begin again under a greater one.

Invariant: nothing is scheduled for a member between its crmd's life and its confirmation, so the
scheduler never sees a history that the executor has not confirmed under the current reign.

Source: docs/protocol/join.md.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from crm.api import cib
from crm.api.lrm import ExecutorDescription
from crm.api.peers import JoinConfirm, JoinOffer, JoinRequest
from crm.model.version import Reign


class Phase(enum.Enum):
    """How far one member has come in a round."""

    OFFERED = "offered"
    REQUESTED = "requested"
    ACKNOWLEDGED = "acknowledged"
    CONFIRMED = "confirmed"


class JoinRound:
    """The DC's book of who joins, and who has joined."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.number = 0
        self.joined: dict[str, None] = {}
        self.requests: dict[str, JoinRequest] = {}
        self._phases: dict[str, Phase] = {}
        self._offers: dict[str, int] = {}
        self._descriptions: dict[str, ExecutorDescription] = {}
        self._is_witness = False

    @property
    def is_open(self) -> bool:
        """Tell whether somebody is joining."""
        return bool(self._phases)

    def open_for(self, names: Iterable[str]) -> None:
        """Begin a full round: whoever had joined joins again."""
        self.number += 1
        self.joined = {}
        self._begin(names)

    def add(self, names: Iterable[str]) -> list[str]:
        """Let later comers into a round of their own; name those who are to be sent an offer.

        The DC is asked as well, as a witness of its own CIB, without joining again.
        """
        fresh = [name for name in names if name not in self._phases and name not in self.joined]
        if not fresh:
            return []
        self.number += 1
        self._phases.update(dict.fromkeys(fresh, Phase.OFFERED))
        for name in fresh:
            self.requests.pop(name, None)
        if self.node not in self._phases:
            self._is_witness = True
            self._phases[self.node] = Phase.OFFERED
            self.requests.pop(self.node, None)
            fresh.append(self.node)
        self._offers.update(dict.fromkeys(fresh, self.number))
        return fresh

    def offer_to(self, name: str) -> int:
        """Give the number of the last offer to a member: its answers carry it."""
        return self._offers[name]

    def drop(self, name: str) -> None:
        """Wait no longer for a member that is gone, and forget that it had joined."""
        self.joined.pop(name, None)
        self._phases.pop(name, None)
        self._offers.pop(name, None)
        self.requests.pop(name, None)
        self._descriptions.pop(name, None)

    def is_waiting_for(self, name: str) -> bool:
        """Tell whether the last offer to a member is still unanswered."""
        return self._phases.get(name) is Phase.OFFERED

    def request(self, name: str, request: JoinRequest) -> bool:
        """Take in a request of this round; False if it is none."""
        if request.join != self._offers.get(name) or self._phases.get(name) is not Phase.OFFERED:
            return False
        self._phases[name] = Phase.REQUESTED
        self.requests[name] = request
        return True

    def confirm(self, name: str, confirm: JoinConfirm) -> bool:
        """Take in a confirmation of this round; False if it is none."""
        if confirm.join != self._offers.get(name):
            return False
        if self._phases.get(name) is not Phase.ACKNOWLEDGED:
            return False
        self._phases[name] = Phase.CONFIRMED
        self._descriptions[name] = confirm.description
        return True

    @property
    def has_all_requests(self) -> bool:
        """Tell whether every offer was answered."""
        return self.is_open and Phase.OFFERED not in self._phases.values()

    @property
    def has_all_confirmations(self) -> bool:
        """Tell whether every acknowledged member has confirmed."""
        return all(phase is Phase.CONFIRMED for phase in self._phases.values())

    def outstanding(self) -> list[str]:
        """Name those whose next answer is awaited."""
        waiting = (Phase.OFFERED, Phase.ACKNOWLEDGED)
        return [name for name, phase in sorted(self._phases.items()) if phase in waiting]

    def newest(self) -> str:
        """Name the member with the newest CIB; the DC's own on a tie, else the smaller name."""
        own = self.requests.get(self.node)
        best = self.node if own is not None else ""
        for name, request in sorted(self.requests.items()):
            if name not in self._phases:
                continue
            if not best or request.version > self.requests[best].version:
                best = name
        return best or self.node

    def is_witness(self, name: str) -> bool:
        """Tell whether a member only testifies in this round, without joining again."""
        return self._is_witness and name == self.node

    @property
    def is_full(self) -> bool:
        """Tell whether everybody takes part in this round, the DC as a member too."""
        return not self.joined and not self._is_witness

    def acknowledge(self) -> list[str]:
        """Move everybody on to confirmation; name those who are to be acknowledged."""
        if self._is_witness:
            self._phases.pop(self.node, None)
            self._is_witness = False
        for name in self._phases:
            self._phases[name] = Phase.ACKNOWLEDGED
        return sorted(self._phases)

    def complete(self) -> dict[str, ExecutorDescription]:
        """Close the round: everybody confirmed has joined; return what they reported."""
        done = {name: self._descriptions[name] for name in sorted(self._phases)}
        self.joined.update(dict.fromkeys(done))
        self._begin(())
        return done

    def _begin(self, names: Iterable[str]) -> None:
        self._phases = dict.fromkeys(names, Phase.OFFERED)
        self._offers = dict.fromkeys(self._phases, self.number)
        self._descriptions = {}
        self.requests = {}
        self._is_witness = False


class Step(enum.Enum):
    """How far this node has come in joining a DC."""

    NOTHING = "nothing"
    DESCRIBING_CIB = "describing the cib"
    REQUESTED = "requested"
    DESCRIBING_EXECUTOR = "describing the executor"
    JOINED = "joined"


class Candidate:
    """A member's side of the join: which DC, which round, which step."""

    def __init__(self) -> None:
        self.dc = ""
        self.offer: JoinOffer | None = None
        self.step = Step.NOTHING
        self.cib_request = 0

    @property
    def reign(self) -> Reign:
        """The reign this node obeys, or the reign of nobody."""
        return self.offer.reign if self.offer is not None else Reign()

    def accept(self, dc: str, offer: JoinOffer, cib_request: int) -> None:
        """Begin to join: the CIB is being asked what it is."""
        self.dc, self.offer, self.cib_request = dc, offer, cib_request
        self.step = Step.DESCRIBING_CIB

    def described(self, description: cib.CibDescription) -> bool:
        """Take in what the CIB is; True if that was the missing part of the request."""
        if self.step is not Step.DESCRIBING_CIB or description.request != self.cib_request:
            return False
        self.step = Step.REQUESTED
        return True

    def acknowledged(self, dc: str, join: int) -> bool:
        """Take in the DC's acknowledgement; True if the executor is now to be described."""
        if self.offer is None or dc != self.dc or join != self.offer.join:
            return False
        if self.step is not Step.REQUESTED:
            return False
        self.step = Step.DESCRIBING_EXECUTOR
        return True

    def confirmed(self) -> None:
        """Note that the confirmation is out: this node has joined."""
        self.step = Step.JOINED

    def forget(self) -> None:
        """Know no DC any more."""
        self.dc = ""
        self.offer = None
        self.step = Step.NOTHING
