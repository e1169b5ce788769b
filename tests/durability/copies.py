"""What stood on the disks of the nodes while they were worn down, and whether it ever forked.

A copy names its version and the warrant it was written on. On one warrant, a version names one
content on every node and for ever; that is looked at for each file that is ever seen. (Two reigns
may use the same numbers: what an earlier one wrote without being acknowledged goes at the merge.)
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from crm.cib import ahead, trailer
from crm.cib import document as documents
from crm.cib.store import AHEAD
from crm.cib.warrants import Pair, Warrant, pair_of
from crm.model.version import Reign, Version
from crm.plumbing.errors import ConfigurationError

EVERY_S = 0.5

Key = tuple[Warrant, Pair]
"""Warrant, admin_epoch and epoch."""


class Copies(threading.Thread):
    """Reads every copy that appears in the folders of the nodes' cibs, until stopped."""

    def __init__(self, folders: dict[str, Path]) -> None:
        super().__init__(name="copies", daemon=True)
        self.seen: dict[Key, tuple[str, str]] = {}
        self.forks: list[str] = []
        self._folders = folders
        self._known: set[tuple[int, int, int]] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self._ended.wait(EVERY_S):
            self.look()

    def stop(self) -> None:
        """Look a last time."""
        self._ended.set()
        self.join()
        self.look()

    def look(self) -> None:
        """Read what has not been read before."""
        for node, folder in self._folders.items():
            for path in [folder / AHEAD, *folder.glob("cib.xml"), *folder.glob("cib-*.raw")]:
                try:
                    status = path.stat()
                    key = (status.st_dev, status.st_ino, status.st_mtime_ns)
                    if key in self._known:
                        continue
                    self._known.add(key)
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue  # replaced while we looked
                if path.name == AHEAD:
                    for step in ahead.decode(data).steps:
                        after = step.revision.after
                        self._note(node, step.leads_to, after, step.revision.digest)
                else:
                    self._read(node, data)

    def _read(self, node: str, data: bytes) -> None:
        found = trailer.read(data)
        if found is None:
            return  # the file the node began with
        try:
            document = documents.Document.parse(data)
        except ConfigurationError as problem:
            self.forks.append(f"{node} has a broken copy: {problem}")
            return
        warrant = trailer.warrant_of(found, document.version)
        self._note(node, warrant, document.version, document.digest())

    def _note(self, node: str, warrant: Warrant, version: Version, digest: str) -> None:
        key = (warrant, pair_of(version))
        if warrant.written == Reign() or warrant.settled != key[1]:
            return  # without quorum or by hand anything is made
        known = self.seen.setdefault(key, (digest, node))
        if known[0] != digest:
            here, there = f"{digest} on {node}", f"{known[0]} on {known[1]}"
            text = f"{version} of reign {warrant.written}: {here}, {there}"
            self.forks.append(text)


def differing(digests: Iterable[tuple[str, str, str]]) -> list[str]:
    """Tell which nodes have another version or digest than the first; (node, version, digest)."""
    first, *others = digests
    return [
        f"{node} has {version} {digest}, {first[0]} has {first[1]} {first[2]}"
        for node, version, digest in others
        if (version, digest) != first[1:]
    ]
