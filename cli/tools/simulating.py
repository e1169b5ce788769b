"""One run of `crm_simulate`: what is pretended, decided, and carried out on paper, in this order.

Responsible for the sequence; how it is shown is for the views, where a CIB comes from and where
one goes for the tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from cli.tools.injections import Injections, Modification
from cli.view import dot, scores
from crm.model.cluster import Cluster
from crm.model.graph import ActionKind
from crm.model.writexml import graph as graph_writing
from crm.plumbing import xml
from pengine import Decision, schedule
from pengine.facts.facts import Facts
from pengine.simulate import Executed, simulate


class Wishes(msgspec.Struct, frozen=True):
    """What is to be shown and written. `date` is the time that was asked for, as it was given."""

    run: bool = False
    simulate: bool = False
    scores: bool = False
    quiet: bool = False
    graph_file: str | None = None
    dot_file: str | None = None
    failures: Mapping[tuple[str, str], int] | None = None
    all_actions: bool = False
    utilization: bool = False
    attributes: bool = False
    fail_counts: bool = False
    date: str = ""

    @property
    def decides(self) -> bool:
        """Tell whether what will be done is to be shown at all."""
        files = self.graph_file is not None or self.dot_file is not None
        tables = self.scores or self.utilization
        return self.run or self.simulate or tables or files


class View(Protocol):
    """Shows the parts of a run, in the order in which they come."""

    def note(self, text: str) -> None: ...  # noqa: D102 - the names say it

    def status(  # noqa: D102
        self, cluster: Cluster, facts: Facts, *, revised: bool, attributes: bool, failures: bool
    ) -> None: ...

    def modifications(self, found: Iterable[Modification]) -> None: ...  # noqa: D102

    def tables(self, title: str, found: Iterable[scores.Row]) -> None: ...  # noqa: D102

    def transition(self, decision: Decision) -> None: ...  # noqa: D102

    def executed(self, actions: Iterable[Executed]) -> None: ...  # noqa: D102


class Result(msgspec.Struct):
    """What came of a run. `updates` is how often the status of the CIB was changed."""

    end: Cluster
    decision: Decision
    executed: tuple[Executed, ...] = ()
    problems: list[str] = msgspec.field(default_factory=list)
    updates: int = 0


def seconds(cluster: Cluster, now: datetime) -> int:
    """Give the time of a run: that of the document, if it has one."""
    return cluster.execution_s if cluster.execution_s is not None else int(now.timestamp())


def carry_out(
    cluster: Cluster,
    decision: Decision,
    now: datetime,
    wishes: Wishes,
    injections: Injections,
    view: View,
) -> Result:
    """Pretend, decide and carry out as far as it is wished, and show it."""
    date = _date(cluster, wishes)
    view.note(date)
    _show(view, cluster, decision.facts, wishes, revised=False)
    result = Result(cluster, decision)
    if not injections.is_empty:
        modified = injections.apply(cluster, seconds(cluster, now))
        result.end, result.problems = modified.cluster, modified.problems
        result.updates = _updates_of(modified.modifications)
        result.decision = schedule(result.end, now)
        if modified.modifications:
            view.modifications(modified.modifications)
    elif not wishes.decides:
        return result
    _show_tables(view, result, wishes)
    view.transition(result.decision)
    _write_files(result.decision, wishes)
    if wishes.simulate:
        done = simulate(result.end, result.decision.graph, wishes.failures)
        view.executed(done.executed)
        result.end, result.executed = done.cluster, done.executed
        result.updates += sum(_updates_for(each) for each in done.executed)
        view.note(date)
        _show(view, result.end, schedule(result.end, now).facts, wishes, revised=True)
    return result


def _date(cluster: Cluster, wishes: Wishes) -> str:
    if wishes.date:
        return f"Setting effective cluster time: {wishes.date}"
    if cluster.execution_s is None:
        return ""
    then = datetime.fromtimestamp(cluster.execution_s, UTC)
    return f"Using the original execution date of: {then:%Y-%m-%d %H:%M:%S}Z"


def _show(view: View, cluster: Cluster, facts: Facts, wishes: Wishes, *, revised: bool) -> None:
    attributes, failures = wishes.attributes, wishes.fail_counts
    view.status(cluster, facts, revised=revised, attributes=attributes, failures=failures)


def _show_tables(view: View, result: Result, wishes: Wishes) -> None:
    if not wishes.scores and not wishes.utilization:
        return
    names = ((wishes.scores, "allocations"), (wishes.utilization, "utilizations"))
    title = "_".join(name for wanted, name in names if wanted)
    found = scores.rows(
        result.end, result.decision, scores=wishes.scores, utilization=wishes.utilization
    )
    view.tables(title, found)


def _write_files(decision: Decision, wishes: Wishes) -> None:
    if wishes.graph_file is not None:
        data = xml.serialise(graph_writing.write(decision.graph), pretty=True)
        Path(wishes.graph_file).write_bytes(data)
    if wishes.dot_file is not None:
        Path(wishes.dot_file).write_text(
            "\n".join(dot.lines(decision, everything=wishes.all_actions)) + "\n"
        )


def _updates_of(modifications: Iterable[Modification]) -> int:
    """Count the changes of the status that modifications bring."""
    by_action = {"Offline": 3}
    counted = ("modify_node", "modify_ticket", "inject_spec")
    return sum(
        by_action.get(each.attributes.get("action", ""), 1)
        for each in modifications
        if each.tag in counted
    )


def _updates_for(done: Executed) -> int:
    """Count the changes of the status that an action brings."""
    action = done.action
    if action.task == "stonith" and action.kind is not ActionKind.PSEUDO:
        return 3 if action.meta.get("stonith_action") != "on" else 0
    return int(action.kind is ActionKind.RESOURCE and action.task != "delete")
