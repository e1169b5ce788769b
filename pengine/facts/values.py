"""Flattens attribute sets into plain mappings: rules judged, the most important value wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from crm.model import options, rules
from crm.model.resources import AttributeSet, joined
from crm.model.rules import Situation


def flatten(sets: Iterable[AttributeSet], situation: Situation) -> dict[str, str]:
    """Join the sets that hold now into one mapping."""
    return joined(item for item in sets if item.rule is None or rules.holds(item.rule, situation))


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
