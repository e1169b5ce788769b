"""Brings documents of the numbered schemas (pacemaker-1.0 to 3.8) forward to 3.9, step by step.

Each step takes the language over one major version and has a module of its own. Words that the
newer schema still accepts (the role names Master and Slave, older option names) stay as they are
written.

Source: docs/decisions/0031-dialects.md, "Steps".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lxml import etree

from crm.cib import upgrade_access, upgrade_to_3, upgrade_to_3_9
from crm.cib.upgrade_ids import fill_missing_ids
from crm.plumbing.errors import Problem

TARGET = "pacemaker-3.9"
"""The schema every upgraded document is written for."""

_TARGET_NUMBER = (3, 9)
_NAME = re.compile(r"pacemaker-(\d{1,4})(?:\.(\d{1,4}))?\Z")


def schema_number(name: str) -> tuple[int, int] | None:
    """Read the number of a schema (`pacemaker-3.9`), or None when it is no such name."""
    if name == "pacemaker-next":
        return (4, 0)
    match = _NAME.match(name)
    return (int(match.group(1)), int(match.group(2) or 0)) if match else None


def bring_forward(root: etree._Element) -> list[Problem]:
    """Bring a document forward in place; a schema as new as ours, or unknown, is left alone."""
    number = schema_number(root.get("validate-with", TARGET))
    if number is None or number >= _TARGET_NUMBER:
        root.set("validate-with", root.get("validate-with", TARGET))
        return []
    problems: list[Problem] = []
    for before, step in _STEPS:
        if number < before:
            problems += step(root)
    fill_missing_ids(root)
    root.set("validate-with", TARGET)
    return problems


_STEPS: tuple[tuple[tuple[int, int], Callable[[etree._Element], list[Problem]]], ...] = (
    ((2, 0), upgrade_access.over_version_1),
    ((3, 0), upgrade_to_3.over_version_2),
    (_TARGET_NUMBER, upgrade_to_3_9.over_version_3),
)
"""Each step with the version below which it is needed."""
