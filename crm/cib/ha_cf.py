"""Reads what the conversion of a haresources file needs of ha.cf, and nothing else.

The real reader of ha.cf, with all directives and all complaints, is `messaging`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crm.model import options
from crm.model.names import node_name

_PING_DIRECTIVES = frozenset({"ping", "ping6", "ping_group", "hbaping"})
_PING_PROGRAMS = ("pingd", "ipfail")


@dataclass(frozen=True, slots=True)
class StonithHost:
    """A `stonith_host` line: its number in the file, and its words after the directive."""

    line: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """Node names, fencing devices and the failback policy of an ha.cf.

    `historic_node_words` counts nodes as the converter of Heartbeat 2.1.3 did: by blanks, remarks
    and all.
    """

    nodes: tuple[str, ...] = ()
    stonith_hosts: tuple[StonithHost, ...] = ()
    auto_failback: str | None = None
    watches_connectivity: bool = False
    historic_node_words: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    nodes: dict[str, None] = field(default_factory=dict)
    historic: list[str] = field(default_factory=list)
    stonith_hosts: list[StonithHost] = field(default_factory=list)
    auto_failback: str | None = None
    watches: bool = False

    def take(self, number: int, line: str) -> None:
        words = line.partition("#")[0].split(None, 1)
        if not words:
            return
        directive, rest = words[0], words[1] if len(words) > 1 else ""
        values = rest.replace(",", " ").split()
        match directive:
            case "node":
                self.nodes |= dict.fromkeys(map(node_name, values))
                self.historic += line.split()[1:]
            case "stonith_host":
                self.stonith_hosts.append(StonithHost(number, tuple(rest.split())))
            case "auto_failback" if values:
                self.auto_failback = values[-1]
            case "nice_failback" if values:
                self.auto_failback = _contrary(values[-1])
            case "respawn" | "failfast":
                self.watches = self.watches or _watches_connectivity(rest.split())
            case _ if directive in _PING_DIRECTIVES:
                self.watches = True


def read_cluster_file(text: str) -> ClusterFile:
    """Read the directives that matter from the text of an ha.cf; others are skipped.

    As everywhere in ha.cf, a further word or line of a directive with one value overrules.
    """
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), start=1):
        reading.take(number, line)
    return ClusterFile(
        tuple(reading.nodes),
        tuple(reading.stonith_hosts),
        reading.auto_failback,
        reading.watches,
        tuple(reading.historic),
    )


def _contrary(word: str) -> str:
    """Say by auto_failback what an old nice_failback says: to be nice is to stay away."""
    return "off" if options.is_true(word) else "on"


def _watches_connectivity(words: Sequence[str]) -> bool:
    """Tell whether a program (`respawn USER PROGRAM ARGUMENTS`) watches ping nodes."""
    return len(words) > 1 and words[1].rpartition("/")[2] in _PING_PROGRAMS
