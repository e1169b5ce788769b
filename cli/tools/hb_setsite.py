"""`hb_setsite`: at which site a node is.

Source: tools, "Heartbeat's own tools".
"""

from __future__ import annotations

import sys

from cli.tools import nodechange
from crm.api.membership import ChangeNodes


def wish_for(node: str, value: str) -> ChangeNodes:
    """Make the request for one node."""
    return ChangeNodes(0, place=node, site=value)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    return nodechange.describe("hb_setsite", words, "SITE", wish_for)


if __name__ == "__main__":
    sys.exit(main())
