"""Reads what the conversion of a haresources file needs of ha.cf, and nothing else.

The real reader of ha.cf, with all directives and all complaints, is `messaging`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm.model.names import node_name


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """Node names, fencing devices and the failback policy of an ha.cf.

    `stonith_hosts` holds the arguments of each such line. `historic_node_words` counts nodes as
    the converter of Heartbeat 2.1.3 did: by blanks, remarks and all.
    """

    nodes: tuple[str, ...] = ()
    stonith_hosts: tuple[str, ...] = ()
    auto_failback: str | None = None
    watches_connectivity: bool = False
    historic_node_words: tuple[str, ...] = ()


def read_cluster_file(text: str) -> ClusterFile:
    """Read the directives that matter from the text of an ha.cf; others are skipped."""
    nodes: dict[str, None] = {}
    historic: list[str] = []
    stonith_hosts: list[str] = []
    auto_failback: str | None = None
    watches = False
    for line in text.splitlines():
        words = line.partition("#")[0].split(None, 1)
        if not words:
            continue
        directive, rest = words[0], words[1].strip() if len(words) > 1 else ""
        match directive:
            case "node":
                nodes |= dict.fromkeys(node_name(word) for word in rest.replace(",", " ").split())
                historic += line.split()[1:]
            case "stonith_host":
                stonith_hosts.append(rest)
            case "auto_failback":
                auto_failback = rest
            case "ping" | "ping_group":
                watches = True
            case "respawn":
                watches = watches or "pingd" in rest
    return ClusterFile(tuple(nodes), tuple(stonith_hosts), auto_failback, watches, tuple(historic))
