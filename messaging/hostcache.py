"""The list of nodes on disk: `hostcache` and `delhostcache` in var/lib/heartbeat.

Responsible for their form. `hostcache` has a line for each node: its name, its uuid (or `-` while
that is not known) and its weight; `delhostcache` has the names of those deleted. Both have the
version of the list in a remark. Not responsible for what the list means (`nodelist`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from crm.plumbing import atomicfile
from crm.plumbing.errors import Problem, warning
from messaging.nodelist import NodeList, is_name
from messaging.quorum import DEFAULT_WEIGHT

CACHE = "hostcache"
DELETED = "delhostcache"
_VERSION = re.compile(r"#\s*version\s+(\d{1,18})\s*\Z")


def read(folder: Path) -> tuple[NodeList, list[Problem]]:
    """Read the list that was kept; version 0 when there is none, or none that can be read."""
    names, version, problems = _read(folder / CACHE)
    deleted, other, found = _read(folder / DELETED)
    problems += found
    if problems or (version != other and (names or deleted)):
        problems.append(
            warning(
                "hostcache-unusable",
                str(folder / CACHE),
                f"{folder / CACHE} and {DELETED} cannot be used: ha.cf alone names the nodes",
                "the other nodes tell this one what they know; remove both files where they do not",
            )
        )
        return NodeList(()), problems
    return NodeList(names, version, deleted), problems


def write(folder: Path, nodes: NodeList, uuids: Mapping[str, str]) -> None:
    """Keep a list durably.

    Raises: OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = f"# version {nodes.version}\n"
    lines = "".join(f"{name} {uuids.get(name) or '-'} {DEFAULT_WEIGHT}\n" for name in nodes.names)
    gone = "".join(f"{name}\n" for name in nodes.deleted)
    # The cache last: until both have one version neither is used.
    atomicfile.write_durably(folder / DELETED, f"{head}{gone}".encode(), mode=0o644)
    atomicfile.write_durably(folder / CACHE, f"{head}{lines}".encode(), mode=0o644)


def _read(path: Path) -> tuple[tuple[str, ...], int, list[Problem]]:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return (), 0, []
    except OSError as problem:
        return (), 0, [warning("unreadable", str(path), f"{path}: {problem.strerror}")]
    version = 0
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stated = _VERSION.match(line)
        if stated is not None:
            version = int(stated[1])
        elif line.strip() and not line.startswith("#"):
            name = line.split()[0].lower()
            if not is_name(name):
                where = f"{path}:{number}"
                return (
                    (),
                    0,
                    [warning("bad-line", where, f"{where}: '{name}' is no name of a node")],
                )
            names.append(name)
    return tuple(dict.fromkeys(names)), version, []
