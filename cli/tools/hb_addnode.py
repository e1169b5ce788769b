"""`hb_addnode`: nodes that are in the cluster from now on.

Source: tools, "Heartbeat's own tools".
"""

from __future__ import annotations

import sys

from cli.tools import nodechange
from crm.api.membership import ChangeNodes


def wish_for(node: str) -> ChangeNodes:
    """Make the request for one node."""
    return ChangeNodes(0, add=node)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return nodechange.run("hb_addnode", sys.argv[1:] if argv is None else argv, wish_for)


if __name__ == "__main__":
    sys.exit(main())
