"""Score and utilization tables in the form people know from `crm_simulate -s` and `-U`.

The words before the first colon are those of release 2.1.5, which scripts look for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from crm.model import score
from crm.model.cluster import Cluster
from pengine import Decision
from pengine.facts.utilization import Strategy, configured_utilization
from pengine.place.placement import PromotionLine, ScoreLine

FUNCTIONS = {
    "primitive": "pcmk__primitive_assign",
    "group": "pcmk__group_assign",
    "clone": "pcmk__clone_allocate",
    "bundle": "pcmk__bundle_allocate",
}
USER = "pcmk__finalize_assignment"


class Capacity(msgspec.Struct, frozen=True):
    """What a node offers before anything is placed ("Original") or after ("Remaining")."""

    comment: str
    node: str
    amounts: Mapping[str, int]


class Use(msgspec.Struct, frozen=True):
    """What an instance takes of the node it was placed on."""

    resource: str
    node: str
    amounts: Mapping[str, int]


Row = ScoreLine | PromotionLine | Capacity | Use


def lines(decision: Decision) -> Iterator[str]:
    """Yield the totals at the moment each thing was placed."""
    yield from (text(row) for row in score_rows(decision))


def score_rows(decision: Decision) -> Iterator[ScoreLine | PromotionLine]:
    """Yield totals and promotion scores in the order in which they were made."""
    table = decision.placement.table
    waiting = list(table.promotions)
    for index, line in enumerate(table.lines):
        while waiting and waiting[0].after <= index:
            yield waiting.pop(0)
        yield line
    yield from waiting


def rows(cluster: Cluster, decision: Decision, *, scores: bool, utilization: bool) -> Iterator[Row]:
    """Yield what was asked for; what an instance takes follows its scores."""
    if not utilization:
        yield from score_rows(decision) if scores else ()
        return
    facts = decision.facts
    found = configured_utilization(cluster, facts.items, Strategy.DEFAULT, facts.now)
    left = {node.name: dict(found.offers.get(node.name, {})) for node in facts.nodes}
    yield from (Capacity("Original", name, dict(amounts)) for name, amounts in left.items())
    made = list(score_rows(decision))
    last = {
        row.resource: index
        for index, row in enumerate(made)
        if isinstance(row, ScoreLine) and row.placed == "primitive"
    }
    for index, row in enumerate(made):
        if scores:
            yield row
        node = decision.placement.choices[row.resource].node if row.resource in last else None
        if node is None or last[row.resource] != index:
            continue
        needs = found.needs.get(row.resource, {})
        yield Use(row.resource, node, needs)
        for name, amount in needs.items():
            left[node][name] = left[node][name] - amount if name in left[node] else 0
    yield from (Capacity("Remaining", name, amounts) for name, amounts in left.items())


def text(row: Row) -> str:
    """Write one row."""
    match row:
        case ScoreLine():
            return (
                f"{FUNCTIONS[row.placed]}: {row.resource} allocation score on"
                f" {row.node}: {score.text(row.total)}"
            )
        case PromotionLine():
            where = f"on {row.node}" if row.node else "(inactive)"
            return f"{row.resource} promotion score {where}: {score.text(row.total)}"
        case Capacity():
            return f"{row.comment}: {row.node} capacity:{_amounts(row.amounts)}"
        case Use():
            return f"{USER}: {row.resource} utilization on {row.node}:{_amounts(row.amounts)}"


def _amounts(found: Mapping[str, int]) -> str:
    return "".join(f" {name}={amount}" for name, amount in sorted(found.items()))
