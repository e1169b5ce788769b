"""What this node knows from arbitrators, and when it has to ask them.

Responsible for who needs the tie at a moment, and for keeping what was ruled. Not responsible for
how an arbitrator is asked (`arbitration`), nor for what follows from a ruling (`ccm`, `links`).

Theory of operation. In a view without quorum its members need the tie, if it would give them
quorum. In a quorate view those need it whose word is still fresh, as soon as they are no quorum by
themselves: so it is asked for while there is time, and a survivor of two nodes does not let go
between the end of its lease and the view without the other. While a view waits for those it leaves
out to stop, its members ask for themselves already. Who holds the tie in vain, as other members of
its view do not get it, lets others have a turn.

Source: docs/protocol/quorumd.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crm.api.membership import View
from crm.plumbing.machine import Note
from messaging import arbitration
from messaging.authkeys import KeyFile
from messaging.cluster_settings import ClusterSettings
from messaging.quorum import Electorate, Rulings


@dataclass(frozen=True, slots=True)
class Rule:
    """What arbitrators say is this from now on."""

    rulings: Rulings


Effect = arbitration.AskServer | Rule | Note


class Court:
    """The arbitrators of one node: ping nodes, and a quorum server if there is one."""

    def __init__(
        self,
        settings: ClusterSettings,
        keys: KeyFile,
        *,
        node: str,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        electorate = settings.electorate
        self.is_needed = electorate.has_arbitrator
        """Whether anybody outside the cluster is asked at all."""

        self._rulings = Rulings()
        self._deadtime_s = settings.timing.deadtime_s
        self._patience_ends: float | None = None
        self._turn_ends: float | None = None
        self._arbitrator: arbitration.Arbitrator | None = None
        if electorate.asks_server:
            self._arbitrator = arbitration.QuorumServerArbitrator(
                settings, keys, node=node, random_bytes=random_bytes
            )

    @property
    def rulings(self) -> Rulings:
        """What was ruled."""
        return self._rulings

    @property
    def trouble(self) -> str:
        """What is wrong with the quorum server; "" if nothing is known to be."""
        return "" if self._arbitrator is None else self._arbitrator.trouble

    def consult(
        self,
        electorate: Electorate,
        view: View | None,
        trusted: Sequence[str],
        now: float,
        *,
        reaches_out: bool,
        prospect: Sequence[str] = (),
    ) -> list[Effect]:
        """Ask for what is needed now. `trusted` are those of a quorate view whose word is fresh.

        `prospect` are the members of a view to come, if they have no quorum so far.
        """
        effects: list[Effect] = []
        reaches_out = reaches_out and electorate.asks_ping_nodes
        if reaches_out is not self._rulings.reaches_out:
            self._rulings = replace(self._rulings, reaches_out=reaches_out)
            self._patience_ends = self._turn_ends = None
            effects.append(Rule(self._rulings))
        if self._arbitrator is None:
            return effects
        members: Sequence[str] = ()
        if view is not None:
            members = trusted if view.quorate else [member.name for member in view.members]
        if electorate.needs_tie(prospect):
            members = prospect
        wanted = tuple(sorted(members)) if electorate.needs_tie(members) else ()
        is_quorate = view is not None and view.quorate
        if self._gives_way(wanted, now, is_in_vain=not is_quorate):
            wanted = ()
        return effects + self._follow(self._arbitrator.want(wanted, now), now)

    def _gives_way(self, wanted: tuple[str, ...], now: float, *, is_in_vain: bool) -> bool:
        """Whether others have their turn, as this node held the tie for a deadtime to no avail.

        Some member does not get it: the server hears this one only, and refuses the other half.
        """
        holds = bool(wanted) and self._rulings.tie_at(now) == frozenset(wanted)
        if not (holds and is_in_vain):
            self._patience_ends = None
        elif self._patience_ends is None:
            self._patience_ends = now + self._deadtime_s
        elif now >= self._patience_ends:
            self._patience_ends, self._turn_ends = None, now + 2 * self._deadtime_s
        if self._turn_ends is not None and now >= self._turn_ends:
            self._turn_ends = None
        return self._turn_ends is not None

    def receive(self, event: arbitration.ServerAnswered, now: float) -> list[Effect]:
        """Take in what the quorum server says."""
        arbitrator = self._arbitrator
        return [] if arbitrator is None else self._follow(arbitrator.receive(event, now), now)

    def tick(self, now: float) -> list[Effect]:
        """Ask again."""
        return [] if self._arbitrator is None else self._follow(self._arbitrator.tick(now), now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        if self._arbitrator is None:
            return None
        due = (self._arbitrator.next_deadline(), self._patience_ends, self._turn_ends)
        return min((each for each in due if each is not None), default=None)

    def replace_keys(self, keys: KeyFile) -> None:
        """Take over other keys of the cluster."""
        if self._arbitrator is not None:
            self._arbitrator.replace_keys(keys)

    def _follow(self, outcome: Sequence[arbitration.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for effect in outcome:
            if isinstance(effect, arbitration.TieGiven):
                tie = frozenset(effect.members)
                had = self._rulings.tie_at(now) == tie
                since = self._rulings.tie_since if had else now
                self._rulings = replace(
                    self._rulings, tie=tie, tie_until=effect.until, tie_since=since
                )
                effects.append(Rule(self._rulings))
            else:
                effects.append(effect)
        return effects
