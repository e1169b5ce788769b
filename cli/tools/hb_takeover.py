"""`hb_takeover`: this node takes resources from the other (haresources mode).

Source: tools, "Heartbeat's own tools".
"""

from __future__ import annotations

import sys

from cli import homes
from cli.tools import exchange


def take(cluster: exchange.Exchange, heap: str) -> None:
    """Take a heap, named as this node sees it, from the other node; failback takes what is ours.

    Raises: Failure if it cannot be taken.
    """
    own = "local" if heap == "failback" else heap
    cluster.give(cluster.other(), cluster.own, homes.exchanged(own))


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exchange.run("hb_takeover", sys.argv[1:] if argv is None else argv, take)


if __name__ == "__main__":
    sys.exit(main())
