"""The list of nodes on disk: `hostcache` and `delhostcache` in var/lib/heartbeat.

Responsible for their form. `hostcache` has a line for each node: its name, its uuid (or `-` while
that is not known) and its weight; `delhostcache` has the names of those deleted. Both have the
version of the list in a remark; weights and sites that were set are remarks too, for the column
does not say whether ha.cf would say the same. Not responsible for what the list means (`nodelist`).
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
_WEIGHT = re.compile(r"#\s*weight\s+(\S+)\s+(\d{1,7})\s*\Z")
_SITE = re.compile(r"#\s*site\s+(\S+)\s+(\S{1,100})\s*\Z")


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
    weights, sites = _read_remarks(folder / CACHE) if version else ((), ())
    return NodeList(names, version, deleted, weights, sites), problems


def write(folder: Path, nodes: NodeList, uuids: Mapping[str, str]) -> None:
    """Keep a list durably.

    Raises: OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = f"# version {nodes.version}\n"
    weights = dict(nodes.weights)
    lines = "".join(f"# weight {name} {votes}\n" for name, votes in nodes.weights)
    lines += "".join(f"# site {name} {site}\n" for name, site in nodes.sites)
    lines += "".join(
        f"{name} {uuids.get(name) or '-'} {weights.get(name, DEFAULT_WEIGHT)}\n"
        for name in nodes.names
    )
    gone = "".join(f"{name}\n" for name in nodes.deleted)
    # The cache last: until both have one version neither is used.
    atomicfile.write_durably(folder / DELETED, f"{head}{gone}".encode(), mode=0o644)
    atomicfile.write_durably(folder / CACHE, f"{head}{lines}".encode(), mode=0o644)


def _read_remarks(path: Path) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, str], ...]]:
    """Read the weights and sites of a file that `_read` has accepted."""
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    weights = [found for line in lines if (found := _WEIGHT.match(line))]
    sites = [found for line in lines if (found := _SITE.match(line))]
    return (
        tuple((found[1], int(found[2])) for found in weights),
        tuple((found[1], found[2]) for found in sites),
    )


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
