"""A run of `crm_simulate` as one document, in the published shape of `pacemaker-result`.

Source: tools.md, "crm_simulate"; recorded runs of the classic tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from lxml import etree

from cli.view import picture, scores, status_xml
from cli.view.fencing import fencings
from cli.view.steps import Step, steps
from crm.model import score
from crm.model.cluster import Cluster
from crm.model.graph import Action, ActionKind
from pengine import Decision
from pengine.facts.facts import Facts
from pengine.place.placement import PromotionLine, ScoreLine
from pengine.simulate import Executed


class Modification(Protocol):
    """Something that was changed before the scheduler ran."""

    @property
    def tag(self) -> str: ...  # noqa: D102 - the names say it
    @property
    def attributes(self) -> Mapping[str, str]: ...  # noqa: D102


class Document:
    """Collects the elements of a run."""

    def __init__(self, version: str, request: str) -> None:
        self.root = etree.Element("pacemaker-result")
        self.root.set("api-version", version)
        self.root.set("request", request)

    def note(self, text: str) -> None:
        """Leave out what is said about a run: the document has no place for it."""

    def status(
        self, cluster: Cluster, facts: Facts, *, revised: bool, attributes: bool, failures: bool
    ) -> None:
        """Add nodes and resources as they are."""
        tag = "revised_cluster_status" if revised else "cluster_status"
        shown = picture.settled(facts) if revised else facts
        self.root.append(
            status_xml.status(tag, cluster, shown, attributes=attributes, failures=failures)
        )

    def modifications(self, found: Iterable[Modification]) -> None:
        """Add what was changed on paper."""
        holder = etree.SubElement(self.root, "modifications")
        for each in found:
            if each.tag:
                etree.SubElement(holder, each.tag, dict(each.attributes))
            else:
                for name, value in each.attributes.items():
                    holder.set(name, value)

    def tables(self, title: str, found: Iterable[scores.Row]) -> None:
        """Add tables of scores and utilization."""
        holder = etree.SubElement(self.root, title)
        for row in found:
            _add_row(holder, row)

    def transition(self, decision: Decision) -> None:
        """Add what will be done."""
        holder = etree.SubElement(self.root, "actions")
        for fencing in fencings(decision):
            element = etree.SubElement(holder, "node_action", task=fencing.task, node=fencing.node)
            element.set("reason", fencing.reason)
        for step in steps(decision):
            _add_step(holder, step)

    def executed(self, actions: Iterable[Executed]) -> None:
        """Add what was carried out on paper."""
        holder = etree.SubElement(self.root, "transition")
        for done in actions:
            _add_executed(holder, done.action, done.name)

    def end(self, code: int, message: str, errors: Iterable[str]) -> etree._Element:
        """Add how the run ended; gives the document."""
        status = etree.SubElement(self.root, "status", code=str(code), message=message)
        said = list(errors)
        if said:
            holder = etree.SubElement(status, "errors")
            for text in said:
                etree.SubElement(holder, "error").text = text
        return self.root


def _add_row(holder: etree._Element, row: scores.Row) -> None:
    match row:
        case ScoreLine():
            element = etree.SubElement(holder, "node_weight", id=row.resource, node=row.node)
            element.set("function", scores.FUNCTIONS[row.placed])
            element.set("score", score.text(row.total))
        case PromotionLine():
            element = etree.SubElement(holder, "promotion_score", id=row.resource)
            element.set("score", score.text(row.total))
            if row.node:
                element.set("node", row.node)
        case scores.Capacity():
            element = etree.SubElement(holder, "capacity", node=row.node, comment=row.comment)
            _add_amounts(element, row.amounts)
        case scores.Use():
            element = etree.SubElement(holder, "utilization", resource=row.resource, node=row.node)
            element.set("function", scores.USER)
            _add_amounts(element, row.amounts)


def _add_amounts(element: etree._Element, amounts: Mapping[str, int]) -> None:
    for name, amount in sorted(amounts.items()):
        etree.SubElement(element, name).text = str(amount)


def _add_step(holder: etree._Element, step: Step) -> None:
    element = etree.SubElement(holder, "rsc_action", action=step.verb.lower())
    element.set("resource", step.resource)
    for name, value in step.places.items():
        element.set(name, value)
    if step.reason:
        element.set("reason", step.reason)
    if step.blocked:
        element.set("blocked", "true")


def _add_executed(holder: etree._Element, action: Action, name: str) -> None:
    if action.kind is ActionKind.PSEUDO:
        element = etree.SubElement(holder, "pseudo_action", task=action.key)
        if action.node:
            element.set("node", action.node)
    elif action.task == "stonith":
        element = etree.SubElement(holder, "fencing_action", target=action.node)
        element.set("op", action.meta["stonith_action"])
    elif action.kind is ActionKind.CLUSTER:
        element = etree.SubElement(holder, "cluster_action", task=action.task, node=action.node)
        if action.resource is not None:
            element.set("id", action.resource.id)
    else:
        element = etree.SubElement(holder, "rsc_action", resource=name, op=action.task)
        element.set("node", action.node)
        interval = action.meta.get("interval", "0") if action.task == "cancel" else ""
        interval = interval or str(action.interval_ms)
        if interval != "0":
            element.set("interval", interval)
