"""The rules a configuration must follow, as the operations ask for them.

Responsible for putting schema, semantics and upgrade together; the rules themselves are theirs.
"""

from __future__ import annotations

from lxml import etree

from crm.cib import schema, semantics, upgrade
from crm.cib.operations import Rules
from crm.plumbing.errors import Problem, has_errors


def validate(root: etree._Element) -> list[Problem]:
    """Check a CIB: the grammar first, what it means only if it is written correctly.

    A document of an older schema or dialect is judged by what it becomes when it is upgraded.
    """
    if root.get("validate-with") != schema.NEWEST:
        upgraded = upgrade.upgrade(root)
        if has_errors(upgraded.problems):
            return upgraded.problems
        root = upgraded.root
    problems = schema.check(root)
    if not has_errors(problems):
        problems = [*problems, *semantics.check(root)]
    return problems


def modernise(root: etree._Element) -> tuple[etree._Element, list[Problem]]:
    """Upgrade a CIB to the newest schema."""
    upgraded = upgrade.upgrade(root)
    return upgraded.root, upgraded.problems


STANDARD = Rules(validate, modernise)
"""What daemon and tools ask; the simulator may hand in cheaper ones."""
