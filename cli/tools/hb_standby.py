"""`hb_standby`: this node gives resources to the other (haresources mode).

Source: tools, "Heartbeat's own tools".
"""

from __future__ import annotations

import sys

from cli.tools import exchange


def give(cluster: exchange.Exchange, heap: str) -> None:
    """Give a heap, named as this node sees it, to the other node.

    Raises: Failure if it cannot be given.
    """
    cluster.give(cluster.own, cluster.other(), "foreign" if heap == "failback" else heap)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exchange.run("hb_standby", sys.argv[1:] if argv is None else argv, give)


if __name__ == "__main__":
    sys.exit(main())
