"""The text of `crm_simulate`: transition summary, what was executed.

Wording and layout are those its users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.view.fencing import nodes_going
from cli.view.steps import steps
from crm.model.graph import Action as GraphAction
from crm.model.graph import ActionKind
from pengine import Decision
from pengine.simulate import Executed

# --- what will be done ----------------------------------------------------------------------


def transition(decision: Decision) -> Iterator[str]:
    """Yield the lines of the transition summary; the columns are as wide as their longest text."""
    found = list(steps(decision))
    names = max((len(step.resource) for step in found), default=0) + 3
    details = max((len(step.details) for step in found), default=0)
    yield from nodes_going(decision)
    for step in found:
        due = f"  due to {step.reason}" if step.reason else ""
        blocked = (" (blocked)" if due else "  blocked") if step.blocked else ""
        where = f"( {step.details:>{details}} )"
        yield f"  * {step.verb:<10} {step.resource:<{names}} {where}{due}{blocked}"


# --- what was executed ----------------------------------------------------------------------


def executed(actions: Iterable[Executed]) -> Iterator[str]:
    """Yield one line per executed action, and what a failure was counted as."""
    for done in actions:
        yield f"  * {_executed_text(done.action, done.name)}"
        if done.failed_rc is not None:
            yield f"Pretending action {done.action.id} failed with rc={done.failed_rc}"
        yield from (f"  * {line}" for line in done.lines)


def _executed_text(action: GraphAction, name: str) -> str:
    if action.task == "stonith" and action.kind is ActionKind.PSEUDO:
        return f"Pseudo action:   {action.key} on {action.node}"
    if action.kind is ActionKind.PSEUDO:
        return f"Pseudo action:   {action.key}"
    if action.task == "stonith":
        return f"Fencing {action.node} ({action.meta['stonith_action']})"
    if action.kind is ActionKind.CLUSTER:
        about = ""
        if action.task in ("clear_failcount", "lrm_delete"):
            known = action.key.removesuffix(f"_{action.task}_0")
            about = f" for {action.resource.id if action.resource is not None else known}"
        return f"Cluster action:  {action.task}{about} on {action.node}"
    interval = action.interval_ms
    if action.task == "cancel":
        interval = int(action.meta.get("interval", "0"))
    task = f"{action.task}={interval}" if interval else action.task
    return f"Resource action: {name:<15} {task} on {action.node}"
