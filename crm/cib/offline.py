"""Changing the cib.xml of a node whose cib does not run, as the cib itself would.

`CIB_file` may name the file a stopped node will start with. Such a file has company: a digest, a
history, the promise. Responsible for changing it together with these, so that the node believes it
and the history tells who did it; and for refusing while the cib runs, whose file it is then. Any
other file that is called cib.xml is nobody's, and is not the affair of this module.

Source: docs/protocol/cib.md, "On disk"; decision 0024.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
import time
from pathlib import Path

import msgspec

from crm.api.cib import Origin, Revision
from crm.cib import ahead, operations, revisions, store
from crm.cib import document as documents
from crm.cib.disk import Journal
from crm.plumbing.errors import ConfigurationError, Problem, error, warning
from crm.plumbing.settings import Paths

_COMPANY = (store.REVISIONS, store.PROMISE, store.COUNTER, store.AHEAD)


class OwnFile:
    """The cib.xml of a stopped node: its document, to be changed, and `keep`.

    Raises: OSError; ConfigurationError if it is no CIB, or what is ahead of it does not fit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        data = path.read_bytes()
        self.document = documents.Document.parse(data)
        self._written, digest = store.trailer_of(data)
        self._late: list[Revision] = []
        for step in _steps(path.with_name(store.AHEAD), digest):
            ahead.repeat(self.document, step)
            self._written = step.written
            self._late.append(step.revision)

    @classmethod
    def open(cls, path: Path) -> OwnFile | None:
        """Open a node's own cib.xml; None if the file is not one.

        Raises: as the constructor.
        """
        path = path.resolve()
        if path.name != store.FILE or not any(path.with_name(n).exists() for n in _COMPANY):
            return None
        return cls(path)

    def keep(self, carried: operations.Carried, origin: Origin) -> None:
        """Write the document after a change, with its entry in the history.

        Raises: ConfigurationError if the cib of this node runs; OSError as the system gave it.
        """
        self.refuse_if_running()
        entries, self._late = self._late, []
        if carried.trace is not None:
            digest, now = self.document.digest(), time.time()
            before, after = carried.before, carried.after
            entry = revisions.entry_of(
                carried.trace, before, after, digest=digest, origin=origin, at=now
            )
            entries.append(msgspec.structs.replace(entry, is_offline=True))
        status = self._path.stat()
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        journal = Journal(tuple(revisions.encode(entry) for entry in entries))
        folder = store.Store(self._path.parent, owner)
        folder.write(self.document.text(pretty=True), self._written, journal)

    def warnings_about(self, carried: operations.Carried) -> list[Problem]:
        """Say what will become of a change when other nodes have the configuration too."""
        others = len(self.document.select("/cib/configuration/nodes/node")) > 1
        decides = carried.after.admin_epoch > carried.before.admin_epoch
        if not others or decides or carried.trace is None:
            return []
        message = "the change is in the file of this node only, and the other nodes' files beat it"
        hint = "raise admin_epoch as well to make it win, or change the running cluster instead"
        return [warning("offline-change", str(self._path), message, hint)]

    def refuse_if_running(self) -> None:
        """Refuse while a cib runs that would not notice the change, and write over it.

        Raises: ConfigurationError.
        """
        lock = self._lock()
        if lock is None:
            return
        try:
            handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # no cib ever ran here, or it is not for us to see
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"'{self._path}' belongs to the cib that runs on this node"
            hint = "unset CIB_file: then the cluster is asked, and every node gets the change"
            problem = error("cib-running", str(self._path), message, hint)
            raise ConfigurationError(message, [problem]) from None
        finally:
            os.close(handle)

    def _lock(self) -> Path | None:
        """Find the lock of the cib that would have this file, if it lies where a cib has it."""
        above = self._path.parents
        if len(above) < 5:
            return None
        paths = Paths(above[4])
        return paths.bus_dir / "cib.lock" if paths.cib_xml == self._path else None


def origin_of(client: str, reason: str) -> Origin:
    """Say who changes a file: the user of this process, on this computer."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return Origin(client, socket.gethostname().partition(".")[0].lower(), user, reason)


def _steps(path: Path, digest: str) -> tuple[ahead.Step, ...]:
    try:
        found = ahead.decode(path.read_bytes())
    except FileNotFoundError:
        return ()
    return found.steps if digest and found.base == digest else ()
