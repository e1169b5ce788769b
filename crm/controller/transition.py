"""Carrying out one transition graph.

Responsible for which actions may start, which are under way, confirmed, failed or lost, and for
ending early; not for sending orders, for judging results, nor for what follows the end.

Theory of operation. A synapse fires its actions once every input is confirmed and nothing has
aborted the run. A pseudo action is confirmed as it fires. Any other is *in flight* until its result
comes, its node is lost, or its deadline passes; a failed or lost action is done, but not
confirmed, so nothing that waits for it ever fires. After an abort no synapse of lower priority
fires, and the run ends when nothing is in flight. Results may come in any order and twice; an
action in no flight is not touched.

Invariant: an action fires at most once, and only after all actions it was ordered after have been
confirmed in this very run.

Source: docs/protocol/transition.md, "Runs".
"""

from __future__ import annotations

from crm.model.graph import Action, ActionKind, Graph, Synapse
from crm.model.score import INFINITY, MINUS_INFINITY


class TransitionRun:
    """One graph on its way."""

    def __init__(self, graph: Graph, number: int) -> None:
        self.graph = graph
        self.number = number
        self.abort_reason = ""
        self.confirmed: dict[int, None] = {}
        self.failed: dict[int, None] = {}
        self.in_flight: dict[int, Action] = {}
        self.deadlines: dict[int, float] = {}
        self._abort_priority = int(MINUS_INFINITY)
        self._missing: dict[int, int] = {}
        self._waiting: dict[int, list[Synapse]] = {}
        self._ready: list[Synapse] = []
        self._unfired = len(graph.synapses)
        for synapse in graph.synapses:
            inputs = dict.fromkeys(synapse.inputs)
            self._missing[synapse.id] = len(inputs)
            for action in inputs:
                self._waiting.setdefault(action, []).append(synapse)
            if not inputs:
                self._ready.append(synapse)

    @property
    def is_aborted(self) -> bool:
        """Tell whether the run is to end early."""
        return bool(self.abort_reason)

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is in flight and nothing more will fire."""
        return not self.in_flight and not self._allowed()

    @property
    def is_complete(self) -> bool:
        """Tell whether every action of the graph was confirmed."""
        return self._unfired == 0 and not self.in_flight and not self.failed

    @property
    def incomplete_count(self) -> int:
        """How many synapses never fired."""
        return self._unfired

    def abort(self, reason: str, priority: int = INFINITY) -> bool:
        """Fire nothing below `priority` any more; True if that is news."""
        is_news = not self.abort_reason or priority > self._abort_priority
        self.abort_reason = self.abort_reason or reason
        self._abort_priority = max(self._abort_priority, priority)
        return is_news

    def fire(self, now: float) -> list[Action]:
        """Start what may start; return the actions somebody has to carry out."""
        started: list[Action] = []
        while True:
            progress = False
            for synapse in sorted(self._allowed(), key=_by_priority):
                if self._is_full() and not _is_pseudo(synapse):
                    continue
                progress = True
                self._ready.remove(synapse)
                started.extend(self._fire_one(synapse, now))
            if not progress:
                return started

    def confirm(self, action: int) -> bool:
        """Take in that an action ended as hoped for; False if it was not under way."""
        known = self.in_flight.pop(action, None)
        self.deadlines.pop(action, None)
        if action in self.confirmed:
            return False
        self.confirmed[action] = None
        for synapse in self._waiting.pop(action, ()):
            self._missing[synapse.id] -= 1
            if not self._missing[synapse.id]:
                self._ready.append(synapse)
        return known is not None

    def fail(self, action: int) -> bool:
        """Take in that an action ended otherwise; False if it was not under way."""
        known = self.in_flight.pop(action, None)
        self.deadlines.pop(action, None)
        if known is None:
            return False
        self.failed[action] = None
        return True

    def lose_node(self, node: str) -> list[Action]:
        """Give up what is under way on a node; return it."""
        lost = [action for action in self.in_flight.values() if action.node == node]
        for action in lost:
            self.fail(action.id)
        return lost

    def overdue(self, now: float) -> list[Action]:
        """Give up what should have ended long ago; return it."""
        late = [number for number, deadline in self.deadlines.items() if deadline <= now]
        actions = [self.in_flight[number] for number in late]
        for number in late:
            self.fail(number)
        return actions

    def next_deadline(self) -> float | None:
        """Say when the next action will be overdue."""
        return min(self.deadlines.values(), default=None)

    def _allowed(self) -> list[Synapse]:
        """Those ready synapses that an abort lets through."""
        if not self.is_aborted:
            return list(self._ready)
        return [synapse for synapse in self._ready if synapse.priority > self._abort_priority]

    def _is_full(self) -> bool:
        """Tell whether the batch limit is reached."""
        return 0 < self.graph.batch_limit <= len(self.in_flight)

    def _fire_one(self, synapse: Synapse, now: float) -> list[Action]:
        self._unfired -= 1
        started = []
        for action in synapse.actions:
            if action.kind is ActionKind.PSEUDO:
                self.confirm(action.id)
                continue
            self.in_flight[action.id] = action
            self.deadlines[action.id] = now + self._patience_s(action)
            started.append(action)
        return started

    def _patience_s(self, action: Action) -> float:
        delay = action.meta.get("start_delay", "0")
        delay_ms = int(delay) if delay.isdigit() else 0
        timeout_ms = action.timeout_ms
        if action.task == "stonith":
            timeout_ms = max(timeout_ms, self.graph.fencing_timeout_ms)
        return (timeout_ms + delay_ms + self.graph.cluster_delay_ms) / 1000


def _is_pseudo(synapse: Synapse) -> bool:
    return all(action.kind is ActionKind.PSEUDO for action in synapse.actions)


def _by_priority(synapse: Synapse) -> tuple[int, int]:
    return (-synapse.priority, synapse.id)
