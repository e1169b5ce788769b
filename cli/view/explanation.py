"""Why a resource is where it is: the scheduler's reasons, rendered.

The reasons are the scheduler's own data (`Decision.explain`); nothing is concluded here. What is
added is where to look: the ids of the settings in the CIB that hold a resource or a node back.

Source: DESIGN decision 7.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from cli import edits
from cli.edits import section
from crm.model.configuration import Item
from crm.model.readxml import cluster
from crm.model.writexml.configuration import element
from crm.plumbing.errors import UsageError, error
from pengine import Decision, schedule
from pengine.explain import Explanation

HOLDING_A_RESOURCE = ("target-role", "is-managed", "maintenance", "migration-threshold")
HOLDING_A_NODE = ("standby", "maintenance")
HOLDING_ALL = ("no-quorum-policy", "maintenance-mode", "stop-all-resources")


class NothingToExplain(UsageError):
    """The scheduler knows no such resource."""

    def __init__(self, resource: str) -> None:
        super().__init__(resource)
        text = f"the scheduler knows no resource '{resource}'"
        self.problems = (error("unknown-resource", resource, text),)


@dataclass(frozen=True)
class Setting:
    """Something set in the CIB that can hold a resource back: its id, and what of."""

    id: str
    name: str
    value: str
    owner: str


@dataclass(frozen=True)
class Explained:
    """The explanations of all instances of a resource, and the settings behind them."""

    instances: tuple[Explanation, ...]
    settings: tuple[Setting, ...]

    def as_text(self) -> str:
        """Write them for a terminal."""
        blocks = [text(each) for each in self.instances]
        if self.settings:
            rows = [("id", "setting", "of")]
            rows += [(each.id, f"{each.name}={each.value}", each.owner) for each in self.settings]
            blocks.append("\n".join(["settings:", *_table(rows)]))
        return "\n\n".join(blocks)

    def as_json(self) -> list[dict[str, object]]:
        """Give them as plain values."""
        settings = [asdict(each) for each in self.settings]
        return [{**each.as_value(), "settings": settings} for each in self.instances]


def decide(document: Item) -> Decision:
    """Let the scheduler look at a document, now."""
    found, _problems = cluster.read(element(document))
    return schedule(found, datetime.datetime.now(datetime.UTC))


def explain_resource(document: Item, resource: str, node: str | None) -> Explained:
    """Explain a resource, on all nodes or on one.

    Raises: NothingToExplain if the scheduler knows no such resource.
    """
    decision = decide(document)
    found = decision.explain(resource, node)
    if not found:
        raise NothingToExplain(resource)
    return Explained(found, tuple(_settings(document, found, resource, node)))


def _settings(
    document: Item, explanations: Sequence[Explanation], resource: str, node: str | None
) -> Iterator[Setting]:
    """Find what is set for the resource and those it hangs on, the nodes, the whole cluster."""
    configuration = document.first("configuration")
    if configuration is None:
        return
    sources = {row.source for each in explanations for row in each.scores}
    leaders = [
        each.get("with-rsc")
        for each in section(configuration, "constraints").each("rsc_colocation")
        if each.id in sources
    ]
    for name in dict.fromkeys([resource, *leaders]):
        yield from _settings_of_resource(configuration, name)
    states = (document.first("status") or Item("status")).each("node_state")
    for each in section(configuration, "nodes").each("node"):
        name = each.get("uname")
        if node not in (None, name):
            continue
        yield from _pairs(each, "instance_attributes", HOLDING_A_NODE, name)
        for state in states:
            for transient in state.each("transient_attributes"):
                if state.get("uname") == name:
                    names = (*HOLDING_A_NODE, f"fail-count-{resource}")
                    yield from _pairs(transient, "instance_attributes", names, name)
    for options in configuration.each("crm_config"):
        yield from _pairs(options, "cluster_property_set", HOLDING_ALL, "the cluster")


def _settings_of_resource(configuration: Item, name: str) -> Iterator[Setting]:
    """Find what is set for a resource, the containers around it, and its members."""
    located = edits.find(configuration, name)
    if located is None:
        return
    inside = list(located.item.walk())
    for top in section(configuration, "resources").children:
        for item in top.walk():
            is_around = any(each is located.item for each in item.walk())
            if is_around or any(each is item for each in inside):
                yield from _pairs(item, "meta_attributes", HOLDING_A_RESOURCE, item.id)


def _pairs(item: Item, tag: str, names: tuple[str, ...], owner: str) -> Iterator[Setting]:
    for made in item.each(tag):
        for pair in made.each("nvpair"):
            if pair.get("name").partition("#")[0] in names:
                yield Setting(pair.id, pair.get("name"), pair.get("value"), owner)


# --- as text ------------------------------------------------------------------------------------


def text(explanation: Explanation) -> str:
    """Write the account of one instance for a terminal: the sentence first, then the tables."""
    lines = [explanation.sentence, ""]
    nodes = [("node", "score", "state", "why")]
    nodes += [(row.node, row.total, row.state, row.why) for row in explanation.nodes]
    lines += _table(nodes)
    if explanation.scores:
        rows = [("node", "score", "from", "why")]
        rows += [
            (row.node, row.score, f"{row.stage}: {row.source}", row.text)
            for row in explanation.scores
        ]
        lines += ["", "scores:", *_table(rows)]
    if explanation.actions:
        lines += ["", "actions:"]
        for action in explanation.actions:
            lines.append(f"  {action.action} on {action.node or 'no node'}: {action.verdict}")
            lines += [f"      why: {reason}" for reason in action.reasons]
            lines += [f"      after {after}" for after in action.after]
    return "\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Line the columns up; scores stand at their right edge."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    numeric = rows[0].index("score") if "score" in rows[0] else -1
    lines: list[str] = []
    for row in rows:
        cells = [
            text.rjust(width) if number == numeric else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


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
