"""What `crm lab` prints: the table of hosts, a hint what to try, the end of a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Reply = dict[str, Any]  # Any: the keeper's JSON object


def say(text: str) -> None:
    """Print how far something long has come."""
    print(text, flush=True)


def shows_a_dc(text: str) -> bool:
    """Tell from crm_mon's words that somebody decides."""
    return "Current DC: " in text and "Current DC: NONE" not in text


def print_hosts(state: Reply, directory: Path) -> None:
    """Print one line a host: power, heartbeat, addresses, root."""
    rows = [("host", "power", "heartbeat", "addresses", "root")]
    for name, host in state["hosts"].items():
        if not host["node"]:
            running = "-"
        elif host["frozen"]:
            running = "frozen"
        elif host.get("heartbeat"):
            running = "running"
        else:
            running = "stopped"
        if host.get("restarts"):
            running += f" ({host['restarts']} restarts)"
        addresses = " ".join(f"{nic} {cidr}" for nic, cidr in host["addresses"].items())
        rows.append((name, host["power"], running, addresses, host["root"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"the lab lies in {directory}")


def print_hint(node: str) -> None:
    """Print what to try first."""
    print(f"try:  crm lab exec {node} crm status    crm lab crash {node}    crm lab down")


def print_log(root: Path, lines: int) -> None:
    """Print the last lines of a node's log, and of its console when there is no log."""
    for name in ("ha-log", "console"):
        path = root / "var/log" / name
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            print("\n".join(text.splitlines()[-lines:]))
            return
    print(f"there is no log below {root} yet")
