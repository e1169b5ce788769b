"""`hb_setweight`: how many votes a node has from now on, where votes count.

Source: tools, "Heartbeat's own tools".
"""

from __future__ import annotations

import sys

from cli.tools import nodechange
from crm.api.membership import ChangeNodes
from crm.plumbing.errors import UsageError


def wish_for(node: str, value: str) -> ChangeNodes:
    """Make the request for one node.

    Raises: UsageError if that is no number.
    """
    if not value.isdecimal():
        raise UsageError(f"'{value}' is no number of votes")
    return ChangeNodes(0, weigh=node, votes=int(value))


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    return nodechange.describe("hb_setweight", words, "VOTES", wish_for)


if __name__ == "__main__":
    sys.exit(main())
