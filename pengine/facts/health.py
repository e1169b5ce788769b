"""What node attributes `#health-...` say about the health of nodes, and what that means.

The strategy gives each colour a score; scores that agents wrote as numbers count as they are. The
sum of a node is a location preference of every resource, unless it may run on unhealthy nodes.

Source: docs/scheduler/health.md.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from crm.model import options, score
from crm.model.score import MINUS_INFINITY, ZERO, Score
from pengine.facts.nodes import NodeFacts
from pengine.facts.settings import Settings

_PREFIX = "#health"


class Strategy(enum.Enum):
    """What unhealthy nodes are used for. CUSTOM is progressive without a base."""

    NONE = "none"
    MIGRATE_ON_RED = "migrate-on-red"
    ONLY_GREEN = "only-green"
    PROGRESSIVE = "progressive"
    CUSTOM = "custom"


class Health(msgspec.Struct, frozen=True):
    """The score of each node whose health matters, and the colour of each that is not well."""

    scores: Mapping[str, Score]
    colours: Mapping[str, str]


def conclude_health(nodes: tuple[NodeFacts, ...], settings: Settings) -> Health:
    """Judge the health of every node."""
    pairs = dict(settings.pairs)
    strategy = _strategy(pairs)
    if strategy is Strategy.NONE:
        return Health({}, {})
    colours = _colour_scores(strategy, pairs)
    base = _option(pairs, "node-health-base") if strategy is Strategy.PROGRESSIVE else ZERO
    scores, words = {}, {}
    for node in nodes:
        found = [
            value
            for name, text in sorted(node.attributes.items())
            if name.startswith(_PREFIX) and (value := _value(text, colours)) is not None
        ]
        total = base
        for value in found:
            total = score.add(total, value)
        if total != 0:
            scores[node.name] = total
        worst = min(
            (_rank(t) for n, t in node.attributes.items() if n.startswith(_PREFIX)), default=2
        )
        if worst < _GREEN:
            words[node.name] = "RED" if worst == 0 else "YELLOW"
    return Health(scores, words)


_GREEN = 2


def _rank(text: str) -> int:
    """Rank a value: 0 red or below zero, 1 yellow or zero, 2 green or above."""
    word = text.strip().lower()
    known = {"red": 0, "yellow": 1, "green": _GREEN}
    if word in known:
        return known[word]
    try:
        value = options.as_score(word)
    except ValueError:
        return _GREEN
    return 0 if value < 0 else 1 if value == 0 else _GREEN


def _strategy(pairs: Mapping[str, str]) -> Strategy:
    try:
        return Strategy(pairs.get("node-health-strategy", "none").strip().lower())
    except ValueError:
        return Strategy.NONE


def _colour_scores(strategy: Strategy, pairs: Mapping[str, str]) -> dict[str, Score]:
    match strategy:
        case Strategy.MIGRATE_ON_RED:
            return {"red": MINUS_INFINITY, "yellow": ZERO, "green": ZERO}
        case Strategy.ONLY_GREEN:
            return {"red": MINUS_INFINITY, "yellow": MINUS_INFINITY, "green": ZERO}
        case _:
            return {
                name: _option(pairs, f"node-health-{name}") for name in ("red", "yellow", "green")
            }


def _option(pairs: Mapping[str, str], name: str) -> Score:
    option = options.cluster_option(name)
    assert option is not None, name
    try:
        return options.as_score(pairs.get(name, option.default))
    except ValueError:
        return options.as_score(option.default)


def _value(text: str, colours: Mapping[str, Score]) -> Score | None:
    word = text.strip().lower()
    if word in colours:
        return colours[word]
    try:
        return options.as_score(word)
    except ValueError:
        return None
