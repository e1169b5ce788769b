"""Bugs planted on purpose: each breaks one rule of one core, and the checks must find it.

A plant wraps a real core and meddles with what goes in and what comes out, so it goes on working
when the core is rewritten. A check that finds no plant is decoration.
"""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import Any

import msgspec

from crm.api.cib import Change, ChangeReply, Outcome
from crm.api.membership import ClientChanged, ClientStatus, ClusterMessage, ViewInstalled
from crm.api.peers import PEERS, JoinOffer
from crm.api.scheduler import Scheduled
from crm.cib.disk import Append, Persist, Persisted
from crm.model.graph import Graph, Synapse
from crm.plumbing.machine import MessageArrived, Tell
from lrmd.operations import AgentEnded, StartAgent
from messaging.cluster_settings import Timing
from tests.sim import nodes
from tests.sim.nodes import Makers


class Planted:
    """A core with a bug: `into` sees events, `out` sees effects."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def receive(self, event: object, now: float) -> list[Any]:
        changed = self.into(event)
        return [] if changed is None else self._meddle(self.inner.receive(changed, now), now)

    def tick(self, now: float) -> list[Any]:
        return self._meddle(self.inner.tick(now), now)

    def next_deadline(self) -> float | None:
        deadline: float | None = self.inner.next_deadline()
        return deadline

    def into(self, event: object) -> object | None:
        """The event as the core shall see it; None to keep it away."""
        return event

    def out(self, effect: Any, now: float) -> list[Any]:
        """What is done in the place of an effect."""
        return [effect]

    def _meddle(self, effects: list[Any], now: float) -> list[Any]:
        return [other for effect in effects for other in self.out(effect, now)]


class WithoutLease(Timing):
    """A minority lets go when the majority may take over, and not earlier."""

    @property
    def lease_s(self) -> float:
        return self.deadtime_s


def _without_lease(settings: Any, *arguments: Any, **named: Any) -> Any:
    plain = {name: getattr(settings.timing, name) for name in Timing.__dataclass_fields__}
    changed = replace(settings, timing=WithoutLease(**plain))
    return nodes.Messaging(changed, *arguments, **named)


class AlwaysQuorate(Planted):
    """Every view calls itself quorate."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, Tell) and isinstance(effect.message, ViewInstalled):
            view = msgspec.structs.replace(effect.message.view, quorate=True)
            message = msgspec.structs.replace(effect.message, view=view)
            return [Tell(effect.peer, message)]
        return [effect]


class LostForgotten(Planted):
    """Views do not say who was lost, and the end of a client is not announced."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, Tell) and isinstance(effect.message, ViewInstalled):
            view = msgspec.structs.replace(effect.message.view, lost=())
            return [Tell(effect.peer, msgspec.structs.replace(effect.message, view=view))]
        if isinstance(effect, Tell) and isinstance(effect.message, ClientChanged):
            return [] if effect.message.status is ClientStatus.LEAVE else [effect]
        return [effect]


class BlindToQuorum(Planted):
    """The scheduler believes that there is always quorum."""

    def into(self, event: object) -> object | None:
        if isinstance(event, MessageArrived) and hasattr(event.message, "cib"):
            text = event.message.cib.replace(b'have-quorum="0"', b'have-quorum="1"')
            return MessageArrived(event.peer, msgspec.structs.replace(event.message, cib=text))
        return event


class ChangedGraph(Planted, abc.ABC):
    """The scheduler's graph arrives with something missing."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, Tell) and isinstance(effect.message, Scheduled):
            graph = self.change(effect.message.graph)
            return [Tell(effect.peer, msgspec.structs.replace(effect.message, graph=graph))]
        return [effect]

    @abc.abstractmethod
    def change(self, graph: Graph) -> Graph:
        """What the controller shall see of a graph."""


class Unordered(ChangedGraph):
    """Nothing in a graph waits for anything."""

    def change(self, graph: Graph) -> Graph:
        free = tuple(msgspec.structs.replace(each, inputs=()) for each in graph.synapses)
        return msgspec.structs.replace(graph, synapses=free)


class Unprobed(ChangedGraph):
    """Nobody looks whether a resource is active already."""

    def change(self, graph: Graph) -> Graph:
        probes = {
            action.id
            for synapse in graph.synapses
            for action in synapse.actions
            if action.task == "monitor" and not action.interval_ms
        }
        kept = tuple(
            Synapse(
                each.id,
                each.actions,
                tuple(number for number in each.inputs if number not in probes),
                each.priority,
            )
            for each in graph.synapses
            if not any(action.id in probes for action in each.actions)
        )
        return msgspec.structs.replace(graph, synapses=kept)


class FalseStop(Planted):
    """The executor reports a stop that it did not carry out."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, StartAgent) and effect.operation == "stop":
            return self._meddle(self.inner.receive(AgentEnded(effect.run, 0), now), now)
        return [effect]


class EarlyAnswer(Planted):
    """The cib says yes to a tool before it has done anything."""

    def receive(self, event: object, now: float) -> list[Any]:
        effects = super().receive(event, now)
        match event:
            case MessageArrived("mgmtd", Change(request=request)):
                effects.append(Tell("mgmtd", ChangeReply(request, Outcome.OK)))
        return effects

    def out(self, effect: Any, now: float) -> list[Any]:
        is_answer = isinstance(effect, Tell) and isinstance(effect.message, ChangeReply)
        return [] if is_answer and effect.peer == "mgmtd" else [effect]


class AcknowledgedUnwritten(Planted):
    """The cib takes a write for done when it has only begun."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, Persist | Append):
            done = Persisted(effect.ticket, True, may_append=True)
            return [effect, *self._meddle(self.inner.receive(done, now), now)]
        return [effect]

    def into(self, event: object) -> object | None:
        is_late = isinstance(event, Persisted) and event.ticket % 2 == 0
        return None if is_late else event


class DeafToOffers(Planted):
    """The controller never hears that somebody else is DC."""

    def into(self, event: object) -> object | None:
        match event:
            case MessageArrived(_, ClusterMessage(payload=payload)):
                return None if isinstance(PEERS.decode(payload), JoinOffer) else event
        return event


class Corrupting(Planted):
    """A follower's copy goes wrong in silence."""

    def receive(self, event: object, now: float) -> list[Any]:
        effects = super().receive(event, now)
        if (
            any(isinstance(effect, Persist | Append) for effect in effects)
            and not self.inner.is_master
        ):
            option = self.inner.document.by_id("o4")
            if option is not None:
                option.set("value", "true")
                self.inner.document.forget(option)
        return effects


def wrapped(daemon: str, plant: type[Planted]) -> Makers:
    """A daemon's core inside a plant."""
    real = nodes.real_makers()[daemon]
    return {daemon: lambda *arguments, **named: plant(real(*arguments, **named))}


PLANTS: dict[str, Makers] = {
    "no-quorum-lease": {"heartbeat": _without_lease},
    "always-quorate": wrapped("heartbeat", AlwaysQuorate),
    "lost-forgotten": wrapped("heartbeat", LostForgotten),
    "blind-to-quorum": wrapped("pengine", BlindToQuorum),
    "unordered-graph": wrapped("pengine", Unordered),
    "start-before-probe": wrapped("pengine", Unprobed),
    "false-stop": wrapped("lrmd", FalseStop),
    "early-answer": wrapped("cib", EarlyAnswer),
    "ack-before-persist": wrapped("cib", AcknowledgedUnwritten),
    "deaf-to-offers": wrapped("crmd", DeafToOffers),
    "silent-corruption": wrapped("cib", Corrupting),
}
"""The bugs by name."""


def makers(plant: Makers) -> Makers:
    """The cores, one of them with a bug."""
    return {**nodes.real_makers(), **plant}
