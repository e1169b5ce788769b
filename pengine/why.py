"""Puts into words why an instance is on one node and not on another.

Reads what the stages recorded: every contribution to every score, the state of nodes, the reasons
of actions. Concludes nothing of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from crm.model import score
from crm.model.roles import Role
from pengine.act.actions import Action, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance
from pengine.facts.nodes import NodeFacts
from pengine.order.plan import Plan
from pengine.place.placement import Choice, Contribution, Placement

_BY_SCORE = "its score is the highest there"
_ALONE = "no other node may run it"
_NOBODY = "no node may run it"
_MOST = 2
"""So many causes or nodes are named in a sentence; the table has them all."""

_STATES = {
    "standby": "is in standby",
    "shutting down": "is shutting down",
    "maintenance": "is in maintenance",
}


def state_of(node: NodeFacts) -> str:
    """Name the state of a node."""
    words = []
    if node.unclean:
        words.append("unclean")
    if not node.online:
        words.append("offline")
    if node.standby:
        words.append("standby")
    if node.maintenance:
        words.append("maintenance")
    if node.shutting_down:
        words.append("shutting down")
    if node.pending:
        words.append("joining")
    return ", ".join(words) or "online"


def cause_of(contribution: Contribution) -> str:
    """Name what a contribution came from, with what is known about it."""
    about = f" ({contribution.text})" if contribution.text else ""
    return f"{_source(contribution)}{about}"


def _source(contribution: Contribution) -> str:
    """Name the source; what the scheduler ties together itself has no id in the CIB."""
    return _UNNAMED.get(contribution.source, contribution.source)


_UNNAMED = {"#group-members": "its group"}


def _ban(found: Contribution) -> str:
    """Say in words what a ban of a node comes from."""
    node, text, source = found.node, found.text, _source(found)
    if not text:
        return f"{source} forbids {node}"
    match found.stage:
        case "role":
            return text
        case "colocation" if text.startswith("with "):
            return f"{source} keeps it where {text.removeprefix('with ')} is, not on {node}"
        case "colocation" if text.startswith("away from "):
            return f"{source} keeps it off {node}, where {text.removeprefix('away from ')} is"
        case "colocation" if text.startswith("preference of "):
            return f"{text.removeprefix('preference of ')} cannot be on {node} ({source})"
        case "clone" if source == "clone-node-max":
            return f"{node} has its share of copies (clone-node-max)"
        case "failure":
            return f"on {source} {text}"
        case "threshold" | "utilization":
            return f"on {node} {text} ({source})"
        case _:
            return f"{text} ({source})"


class Why:
    """The reasons of one decision about one instance."""

    def __init__(self, facts: Facts, placement: Placement, plan: Plan, instance: Instance) -> None:
        self._facts = facts
        self._placement = placement
        self._plan = plan
        self._instance = instance
        self.nodes = placement.nodes or facts.nodes
        self._nodes = {node.name: node for node in self.nodes}
        self.choice: Choice = placement.choices[instance.id]
        self._told = placement.table.about(instance.id)

    # --- one node ---------------------------------------------------------------------------

    def about_node(self, name: str) -> str:
        """Say why the instance is on a node, or why it is not."""
        if name == self.choice.node:
            return f"chosen: {self._why_chosen()}"
        if barred := self.barred_from(name):
            return barred
        if self.choice.node is None:
            return self.choice.reason
        if not self._facts.is_managed(self._instance):
            return "it is left where it is"
        mine = self.choice.final_scores.get(name, score.ZERO)
        best = self.choice.final_scores.get(self.choice.node, score.ZERO)
        if mine < best:
            return f"{self.choice.node} has the higher score ({self._named(self.choice.node)})"
        if mine > best:
            return "another copy is there, or there was no room for it"
        if self.choice.node in self._facts.activity[self._instance.id].nodes:
            return f"no better than {self.choice.node}, where it is"
        return f"no better than {self.choice.node}, and no emptier when its turn came"

    def barred_from(self, name: str) -> str:
        """Say what keeps the instance off a node, or "" if nothing does."""
        node = self._nodes[name]
        if not node.may_run:
            states = [word for word in state_of(node).split(", ") if word != "online"]
            if not states and node.is_remote:
                return f"the connection to {name} is not to run"
            words = " and ".join(_STATES.get(word, f"is {word}") for word in states)
            fenced = " and will be fenced" if self._facts.fenced_because(node) else ""
            return f"{name} {words}{fenced}"
        if name not in self.choice.final_scores:
            if name in self._facts.reserved:
                return f"{name} is kept for what is in its bundle"
            if node.is_unlisted:
                return f"{name} is no longer configured"
            if self._facts.settings.symmetric:
                return "it runs in its own container only"
            return f"no location constraint allows it on {name} (symmetric-cluster is false)"
        total = self.choice.final_scores[name]
        if total >= 0:
            return ""
        bans = [c for c in self._told if c.node == name and c.amount <= score.MINUS_INFINITY]
        if bans:
            return _ban(bans[0])
        return f"its score on {name} is below 0 ({self._named(name, positive=False)})"

    def _named(self, name: str, *, positive: bool = True) -> str:
        """Name the largest contributions to a score."""
        sign = 1 if positive else -1
        found = [c for c in self._told if c.node == name and c.amount * sign > 0]
        found.sort(key=lambda c: -c.amount * sign)
        named = [f"{cause_of(c)} {score.text(c.amount)}" for c in found[:_MOST]]
        return ", ".join(named) or score.text(self.choice.final_scores.get(name, score.ZERO))

    def _why_chosen(self) -> str:
        assert self.choice.node is not None
        reason = self.choice.reason
        if reason == _BY_SCORE:
            return f"{reason} ({self._named(self.choice.node)})"
        return reason + self._barred() if reason == _ALONE else reason

    def _barred(self) -> str:
        """Say what bars the other nodes, those first that could run something, or ""."""
        is_chosen = self._facts.settings.symmetric and self.choice.final_scores
        asked = self.choice.final_scores if is_chosen else self._nodes
        names = [name for name in asked if name != self.choice.node]
        names.sort(key=lambda name: not self._nodes[name].may_run)
        found = [(name, text) for name in names if (text := self.barred_from(name))]
        told = list(dict.fromkeys(text for _, text in found))
        named = told[:_MOST]
        left = sum(1 for _, text in found if text not in named)
        more = [f"and {left} more node{'s' if left > 1 else ''}"] if left else []
        return f": {'; '.join([*named, *more])}" if named else ""

    # --- the sentence -------------------------------------------------------------------------

    def sentence(self) -> str:
        """Say in one sentence where the instance goes, in what role, and why."""
        return self._impossible() or self._whereabouts() + self._leading()

    def _impossible(self) -> str:
        """Say that what is wanted cannot be done, if so."""
        now = self._facts.activity[self._instance.id].nodes
        stops = [a.node for a in self._mine(Task.STOP) if a.needed and a.runnable]
        start = next((a for a in self._mine(Task.START) if a.node and not a.runnable), None)
        if start is None or (start.node in now and not start.needed and not stops):
            return ""
        name = self._instance.id
        reason = start.reasons[0] if start.reasons else "what it waits for is not possible"
        if stops:
            return f"{name} stops on {', '.join(stops)} and may not start again: {reason}"
        return f"{name} belongs on {start.node} but may not start: {reason}"

    def _whereabouts(self) -> str:
        name, node = self._instance.id, self.choice.node
        now = self._facts.activity[self._instance.id].nodes
        if node is None:
            return self._ending(now)
        if not self._facts.is_managed(self._instance):
            return f"{name} is left on {node} because {self.choice.reason}"
        if node in now:
            if because := self._why_restarted(node):
                return f"{name} restarts on {node}, where it stays, because {because}"
            return f"{name} stays on {node} because {self._why_chosen()}"
        left = now[0] if now else ""
        why = (self.barred_from(left) if left else "") or self._why_chosen()
        way = " by live migration" if self._in_graph(Task.MIGRATE_FROM, node) else ""
        return f"{name} goes to {node}{way} because {why}"

    def _ending(self, now: tuple[str, ...]) -> str:
        """Say of what goes nowhere whether it stops, and why."""
        name, stops = self._instance.id, [a for a in self._mine(Task.STOP) if a.node in now]
        why = self.why_nowhere()
        if done := [a.node for a in stops if self._plan.is_in_graph(a.id)]:
            return f"{name} stops on {', '.join(done)} because {why}"
        if undone := [a.node for a in stops if a.needed and not a.runnable]:
            where = ", ".join(undone)
            return f"{name} is to stop on {where} because {why}, but what goes first cannot be done"
        return f"{name} runs nowhere because {why}"

    def _why_restarted(self, node: str) -> str:
        """Say why the instance is stopped and started again where it is, or ""."""
        stop, start = self._in_graph(Task.STOP, node), self._in_graph(Task.START, node)
        if stop is None or start is None:
            return ""
        if self._facts.activity[self._instance.id].failed:
            return "it failed"
        if node in self._facts.activity[self._instance.id].stops:
            return "what runs in it failed"
        reasons = (*start.reasons, *stop.reasons)
        return f"of {reasons[0]}" if reasons else "it has to"

    def why_nowhere(self) -> str:
        """Say why the instance runs nowhere."""
        reason = self.choice.reason
        return reason + self._barred() if reason == _NOBODY else reason

    def _leading(self) -> str:
        """Say of what can be promoted why it leads or does not."""
        if not self._instance.is_promotable or self.choice.node is None:
            return ""
        lines = self._placement.table.promotions
        mine = next((line for line in lines if line.resource == self._instance.id), None)
        if self.choice.role is Role.PROMOTED:
            step = next((a for a in self._mine(Task.PROMOTE) if a.needed and not a.runnable), None)
            if step is not None:
                reason = step.reasons[0] if step.reasons else "what goes first cannot be done"
                return f"; it is to lead but cannot be promoted: {reason}"
            of = f" ({score.text(mine.total)})" if mine is not None else ""
            return f"; it leads as no copy has a higher promotion score{of}"
        if mine is None or not mine.because:
            return ""
        bans = [c for c in self._told if c.stage == "promotion" and c.node == mine.node]
        ban = next((c for c in bans if c.amount <= score.MINUS_INFINITY), None)
        because = f"{cause_of(ban)} forbids it" if ban is not None else mine.because
        return f"; it does not lead because {because}"

    def _mine(self, task: Task) -> Iterable[Action]:
        return (a for a in self._plan.actions_of(self._instance.id) if a.task is task)

    def _in_graph(self, task: Task, node: str) -> Action | None:
        found = (a for a in self._mine(task) if a.node == node and self._plan.is_in_graph(a.id))
        return next(found, None)


__all__ = ["Why", "cause_of", "state_of"]
