"""Bugs planted into the cluster layer: each breaks one promise of `wires`, and must be noticed.

A plant is a timing, or a machine that meddles with what goes into the real one and comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from crm.api import membership as api
from crm.plumbing.machine import Tell
from messaging import arbitration, ballot, core, events
from messaging.cluster_settings import Timing
from messaging.link_events import Fault
from messaging.quorumserver import QuorumServer
from tests.sim.plants import Planted


@dataclass(frozen=True)
class Bug:
    """What differs from the real thing; `found` is what the check that must notice it says."""

    timing: Timing | None = None
    really: Timing | None = None
    """What the nodes have in the place of the timing that the checks are told."""

    make: Callable[..., Any] = core.Messaging  # Any: a machine, or what stands for one
    server: Callable[..., QuorumServer] = QuorumServer
    """The quorum server, which every life has where this is another one."""

    found: str = ""
    acts: frozenset[str] = frozenset()
    """Nothing but these acts is played, unless it is empty."""


class LongLease(Timing):
    """A node relies on its quorum long after the others have gone on."""

    @property
    def lease_s(self) -> float:
        """Three deadtimes instead of less than one."""
        return 3 * self.deadtime_s


class NoProbes(Timing):
    """Nobody asks a peer that is silent for a while."""

    @property
    def suspicion_s(self) -> float:
        """For ever."""
        return 1e9

    @property
    def doubt_s(self) -> float:
        """For ever."""
        return 1e9

    @property
    def enquiry_s(self) -> float:
        """Nor asks others about it in time."""
        return 0.01


class NoDoubt(Timing):
    """A node never doubts itself."""

    @property
    def drowsy_s(self) -> float:
        """No lateness is too much."""
        return 1e9


def planted(plant: type[Planted]) -> Callable[..., Any]:
    """The real machine inside a plant."""
    return lambda *arguments, **named: plant(core.Messaging(*arguments, **named))


def one_session_for_ever(
    *arguments: Any, random_bytes: Callable[[int], bytes], **named: Any
) -> Any:
    """Every life of a node calls itself by the same session."""
    del random_bytes
    return core.Messaging(*arguments, random_bytes=lambda count: bytes(count), **named)


def going_on_at_once(*arguments: Any, **named: Any) -> Any:
    """Nobody waits for the leases of those whom a view leaves out."""
    machine = core.Messaging(*arguments, **named)
    vars(vars(machine)["_ccm"])["_leases_left"] = lambda _: []
    return machine


def endless_doubt(*arguments: Any, **named: Any) -> Any:
    """A node doubts itself long after it has listened for a deadtime."""
    machine = core.Messaging(*arguments, **named)
    suspicion = vars(vars(machine)["_links"])["_suspicion"]
    ends = suspicion.silence_end
    vars(suspicion)["silence_end"] = lambda peer: ends(peer) + 2 * suspicion.timing.deadtime_s
    return machine


def counting_for_itself(*arguments: Any, node: str, **named: Any) -> Any:
    """One node finds that its vote is worth more than all others, and nobody notices."""
    machine = core.Messaging(*arguments, node=node, **named)
    if node == "a":
        parts = vars(machine)
        real = parts["_links"].lease.electorate
        strange = replace(real, weights={"a": 10_000}, chain=("weight",))
        vars(strange)["charter"] = real.charter
        vars(strange)["votes_of"] = real.votes_of  # which views show
        parts["_links"].lease.electorate = vars(parts["_ccm"])["_electorate"] = strange
    return machine


def never_tired(*arguments: Any, **named: Any) -> Any:
    """Contact is made at once with a peer that took nothing again and again."""
    machine = core.Messaging(*arguments, **named)
    parts = vars(vars(machine)["_links"])
    give_up = vars(machine)["_links"]._give_up
    parts["_hold_off"] = lambda peer, now: give_up(
        peer, now, Fault.PATH, "does not take what is sent to it"
    )
    return machine


def relying_for_ever(*arguments: Any, **named: Any) -> Any:
    """What a quorum server gives is never given back."""
    machine = core.Messaging(*arguments, **named)
    court = vars(vars(machine)["_court"])
    arbitrator = court["_arbitrator"]
    receive = arbitrator.receive

    def longer(event: Any, now: float) -> list[Any]:
        return [
            replace(effect, until=effect.until + 100.0)
            if isinstance(effect, arbitration.TieGiven)
            else effect
            for effect in receive(event, now)
        ]

    vars(arbitrator)["receive"] = longer
    return machine


def asking_late(*arguments: Any, **named: Any) -> Any:
    """Nobody asks for the tie while a view waits for those whom it leaves out."""
    machine = core.Messaging(*arguments, **named)
    court = vars(machine)["_court"]
    consult = court.consult
    vars(court)["consult"] = lambda *known, prospect, **more: consult(*known, **more)
    return machine


class GivesTwice(QuorumServer):
    """Whoever asks is given the tie."""

    def _refusal(self, *_: Any) -> str:
        return ""


class GivesAtOnce(QuorumServer):
    """A server that begins anew gives at once what it may have given before."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._opens_at = 0.0


class GivesEarly(QuorumServer):
    """Nobody is given time to stop."""

    def _judge(self, cluster: Any, ask: ballot.Ask, now: float) -> Any:
        return super()._judge(cluster, msgspec.structs.replace(ask, hold_ms=ask.lease_ms), now)


class OwnIdea(Planted):
    """One node sees a member less than the others."""

    @property
    def view(self) -> api.View | None:
        """The real view, shortened on node a."""
        view: api.View | None = self.inner.view
        if (
            view is None
            or view.members[0].name != "a"
            or view.members[0].incarnation != (self.inner.incarnation)
        ):
            return view
        return msgspec.structs.replace(view, members=view.members[:1])


class AlwaysQuorate(Planted):
    """Every view calls itself quorate."""

    @property
    def view(self) -> api.View | None:
        """The real view, with quorum."""
        view: api.View | None = self.inner.view
        return view and msgspec.structs.replace(view, quorate=True)


class Numbered(Planted):
    """Counts messages to clients, for those that are to go wrong."""

    count = 0

    def out(self, effect: Any, now: float) -> list[Any]:
        if not (isinstance(effect, Tell) and isinstance(effect.message, api.ClusterMessage)):
            return [effect]
        self.count += 1
        return self.each(effect)

    def each(self, effect: Tell) -> list[Any]:
        """What is told in the place of a message."""
        return [effect]


class Twice(Numbered):
    """Some messages are told twice."""

    def each(self, effect: Tell) -> list[Any]:
        return [effect, effect] if self.count % 50 == 0 else [effect]


class Lost(Numbered):
    """Some messages are not told."""

    def each(self, effect: Tell) -> list[Any]:
        return [] if self.count % 50 == 0 else [effect]


class Swapped(Numbered):
    """Some messages are told after the next one."""

    kept: Tell | None = None

    def each(self, effect: Tell) -> list[Any]:
        kept, self.kept = self.kept, None
        if kept is not None:
            return [effect, kept]
        if self.count % 10 == 0:
            self.kept = effect
            return []
        return [effect]


class Sulking(Planted):
    """A node that lost a member listens to nobody for a long time."""

    until = 0.0
    members = 0

    def receive(self, event: object, now: float) -> list[Any]:
        view = self.inner.view
        members = 0 if view is None else len(view.members)
        if members < self.members:
            self.until = now + 25.0
        self.members = members
        if isinstance(event, events.DatagramArrived) and now < self.until:
            return self._meddle(self.inner.tick(now), now)
        return super().receive(event, now)


_QUICK: dict[str, float] = {"keepalive_s": 0.2, "deadtime_s": 1.0, "initdead_s": 2.0}

_HASTY = Timing(keepalive_s=0.05, deadtime_s=0.12, initdead_s=2.0)

_HALVES = frozenset(("split_in_halves",))


class Served(QuorumServer):
    """The real server, in every life."""


PLANTS: dict[str, Bug] = {
    "long-lease": Bug(timing=LongLease(**_QUICK), found="acts on view"),
    "going-on-at-once": Bug(
        make=going_on_at_once, found="to stop services", acts=frozenset(("mend_a_few",))
    ),
    "always-quorate": Bug(make=planted(AlwaysQuorate), found="acts on view"),
    "own-idea": Bug(make=planted(OwnIdea), found="not in one view"),
    "no-probes": Bug(timing=NoProbes(**_QUICK), found="a false death"),
    "no-doubt": Bug(timing=NoDoubt(**_QUICK), found="accuses"),
    "endless-doubt": Bug(make=endless_doubt, found="a crash was agreed upon after"),
    "own-count": Bug(
        make=counting_for_itself, found="acts on view", acts=frozenset(("split", "many_at_once"))
    ),
    "server-gives-twice": Bug(server=GivesTwice, found="acts on view", acts=_HALVES),
    "server-forgets": Bug(server=GivesAtOnce, found="acts on view", acts=_HALVES),
    "server-gives-early": Bug(server=GivesEarly, found="to stop services", acts=_HALVES),
    "relying-for-ever": Bug(
        make=relying_for_ever, server=Served, found="acts on view", acts=_HALVES
    ),
    "asking-late": Bug(
        make=asking_late,
        server=Served,
        found="nobody has quorum after",
        acts=frozenset(("hear_neighbours",)),
    ),
    "hasty": Bug(
        timing=Timing(**_QUICK),
        really=_HASTY,
        found="views while wires flapped",
        acts=frozenset(("flap",)),
    ),
    "never-tired": Bug(
        timing=Timing(**_QUICK),
        make=never_tired,
        found="contacts that stood still",
        acts=frozenset(("restart_at_once",)),
    ),
    "sulking": Bug(make=planted(Sulking), found="not in one view"),
    "same-session": Bug(make=one_session_for_ever, found=""),
    "told-twice": Bug(make=planted(Twice), found="after number"),
    "lost": Bug(make=planted(Lost), found="right after number"),
    "swapped": Bug(make=planted(Swapped), found="after number"),
}
"""The bugs by name."""
