"""Who has quorum: a chain of plugins, each of which says yes, no, or tie.

Responsible for counting heads. Not responsible for who the heads are (`ccm`), nor for when a
node must let go (`links`).

Source: docs/protocol/membership.md, "Quorum".
"""

from __future__ import annotations

import enum
from collections.abc import Callable

DEFAULT_WEIGHT = 100


class Verdict(enum.Enum):
    """What a plugin says; on a tie the next one is asked."""

    YES = "yes"
    NO = "no"
    TIE = "tie"


def majority(members: int, total: int) -> Verdict:
    """More than half of all nodes; exactly half is a tie."""
    if 2 * members > total:
        return Verdict.YES
    return Verdict.TIE if 2 * members == total else Verdict.NO


def twonodes(members: int, total: int) -> Verdict:
    """One of two nodes goes on alone (which needs fencing to be safe)."""
    return Verdict.YES if total == 2 and members >= 1 else Verdict.NO


CHAIN: tuple[tuple[str, Callable[[int, int], Verdict]], ...] = (
    ("majority", majority),
    ("twonodes", twonodes),
)


def decide(members: int, total: int) -> tuple[bool, list[str]]:
    """Ask the chain; also name the plugins that were asked, in order."""
    asked: list[str] = []
    for name, plugin in CHAIN:
        asked.append(name)
        verdict = plugin(members, total)
        if verdict is not Verdict.TIE:
            return verdict is Verdict.YES, asked
    return False, asked


def has_quorum(members: int, total: int) -> bool:
    """Tell whether so many members of so many nodes may act."""
    return decide(members, total)[0]


def debug_lines(members: int, total: int, cluster: str) -> list[str]:
    """The classic lines a membership decision leaves in the debug log."""
    _, asked = decide(members, total)
    lines: list[str] = []
    for name in asked:
        lines.append(f"quorum plugin: {name}")
        lines.append(
            f"cluster:{cluster}, member_count={members},"
            f" member_quorum_votes={members * DEFAULT_WEIGHT}"
        )
        lines.append(f"total_node_count={total}, total_quorum_votes={total * DEFAULT_WEIGHT}")
    return lines
