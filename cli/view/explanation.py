"""Why a resource is where it is: the scheduler's reasons, rendered.

The reasons are the scheduler's own data (`Decision.explain`); nothing is concluded here.

Source: DESIGN decision 7.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from crm.model.configuration import Item
from crm.model.readxml import cluster
from crm.model.writexml.configuration import element
from crm.plumbing.errors import UsageError, error
from pengine import Decision, schedule
from pengine.explain import Explanation


class NothingToExplain(UsageError):
    """The scheduler knows no such resource."""

    def __init__(self, resource: str) -> None:
        super().__init__(resource)
        text = f"the scheduler knows no resource '{resource}'"
        self.problems = (error("unknown-resource", resource, text),)


@dataclass(frozen=True)
class Explained:
    """The explanations of all instances of a resource."""

    instances: tuple[Explanation, ...]

    def as_text(self) -> str:
        """Write them for a terminal."""
        return "\n\n".join(each.as_text().rstrip() for each in self.instances)

    def as_json(self) -> list[dict[str, object]]:
        """Give them as plain values."""
        return [each.as_value() for each in self.instances]


def decide(document: Item) -> Decision:
    """Let the scheduler look at a document, now."""
    found, _problems = cluster.read(element(document))
    return schedule(found, datetime.datetime.now(datetime.UTC))


def explain_resource(document: Item, resource: str, node: str | None) -> Explained:
    """Explain a resource, on all nodes or on one.

    Raises: NothingToExplain if the scheduler knows no such resource.
    """
    found = decide(document).explain(resource, node)
    if not found:
        raise NothingToExplain(resource)
    return Explained(found)


def show_scores(document: Item) -> str:
    """Write the final scores of every instance on every node."""
    decision = decide(document)
    lines: list[str] = []
    seen: set[str] = set()
    for item in decision.facts.everything:
        for each in decision.explain(item.id):
            if each.resource in seen:
                continue
            seen.add(each.resource)
            lines += [
                f"{each.resource} allocation score on {row.node}: {row.total}" for row in each.nodes
            ]
    return "\n".join(lines)
