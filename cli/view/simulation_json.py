"""A run of `crm_simulate` as JSON, for programs: one object with what was decided and done.

The form is ours; fields are only ever added.
"""

from __future__ import annotations

from typing import Any

from cli.view.fencing import fencings
from cli.view.scores import score_rows
from cli.view.steps import Step, steps
from crm.model import score
from crm.model.graph import Action
from pengine import Decision
from pengine.place.placement import ScoreLine
from pengine.simulate import Executed

Value = dict[str, Any]  # Any: JSON


def value(decision: Decision, executed: tuple[Executed, ...]) -> Value:
    """Give the object of one run."""
    facts = decision.facts
    return {
        "sentence": decision.sentence,
        "problems": [str(problem) for problem in decision.problems],
        "nodes": [
            {"name": node.name, "online": node.online, "unclean": node.unclean}
            for node in facts.nodes
        ],
        "fencing": [
            {"node": found.node, "action": found.action, "reason": found.reason}
            for found in fencings(decision)
        ],
        "summary": [_step(step) for step in steps(decision)],
        "scores": [
            {"resource": row.resource, "node": row.node, "score": score.text(row.total)}
            for row in score_rows(decision)
            if isinstance(row, ScoreLine)
        ],
        "graph": [
            {
                **_action(action),
                "inputs": list(synapse.inputs),
            }
            for synapse in decision.graph.synapses
            for action in synapse.actions
        ],
        "executed": [_action(done.action) for done in executed],
    }


def _step(step: Step) -> Value:
    return {
        "verb": step.verb,
        "resource": step.resource,
        "from": step.origin or None,
        "to": step.destination or None,
        "role": step.role.word,
        "next_role": step.next_role.word,
        "reason": step.reason or None,
        "blocked": step.blocked,
    }


def _action(action: Action) -> Value:
    return {
        "id": action.id,
        "kind": action.kind.value,
        "task": action.task,
        "key": action.key,
        "node": action.node or None,
    }
