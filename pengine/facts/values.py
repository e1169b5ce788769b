"""Flattens attribute sets into plain mappings: rules judged, the most important value wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from crm.model import options, rules
from crm.model.resources import AttributeSet
from crm.model.rules import Situation

NO_VALUE = "#default"
"""Stands for whatever the agent or the cluster uses by itself."""


def flatten(sets: Iterable[AttributeSet], situation: Situation) -> dict[str, str]:
    """Join sets into one mapping; an earlier set hides equal names of a later one.

    The value `#default` is none: it takes back what an earlier set gave (case novell-239087).
    """
    found: dict[str, str] = {}
    for item in sets:
        if item.rule is not None and not rules.holds(item.rule, situation):
            continue
        for name, value in item.values:
            if value.lower() == NO_VALUE:
                found.pop(name, None)
            else:
                found.setdefault(name, value)
    return found


def truth(text: str | None, *, default: bool) -> bool:
    """Read a word for true or false; none, or one that is neither, leaves the default."""
    try:
        return default if text is None else options.as_bool(text)
    except ValueError:
        return default


def depends_on_node(sets: Iterable[AttributeSet]) -> bool:
    """Tell whether any set has a rule, so that its values may differ between nodes."""
    return any(item.rule is not None for item in sets)


def situation(now: datetime, attributes: Mapping[str, str] | None = None) -> Situation:
    """Make the situation in which a set about a node (or about none) is judged."""
    return Situation(now=now, attributes=attributes)
