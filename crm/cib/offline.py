"""Changing the cib.xml of a node whose cib does not run, as the cib itself would.

`CIB_file` may name the file a stopped node will start with. Such a file has company: a digest, a
history, the promise. Responsible for changing it together with these, so that the node believes it
and the history tells who did it; and for refusing while the cib runs, whose file it is then. Any
other file that is called cib.xml is nobody's, and is not the affair of this module.

Source: docs/protocol/cib.md, "On disk"; decision 0024.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from crm.api.cib import Origin
from crm.cib import backups, copies, folder, operations, revisions, store, trailer
from crm.cib import document as documents
from crm.cib.disk import Journal
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError, Problem, Severity, error, warning
from crm.plumbing.settings import Paths

_COMPANY = (copies.REVISIONS, store.PROMISE, backups.COUNTER, store.AHEAD)


class OwnFile:
    """The cib.xml of a stopped node: its document, to be changed, and `keep`.

    `problems` are what there is to say about what was read.

    Raises: OSError; ConfigurationError if it is no CIB.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        data = path.read_bytes()
        self._found = hashlib.sha256(data).digest()
        status = path.stat()
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        self._folder = store.Store(path.parent, owner)
        found = trailer.read(data)
        root = xml.parse(data, keep_comments=True)
        copy = self._folder.led_on(self._folder.copies.judged(path, root, found))
        self.document = documents.Document(copy.root)
        self._warrant = copy.warrant
        self.problems: list[Problem] = []
        if self._folder.ahead_unused:
            message = f"the last changes in {store.AHEAD} are not used: {self._folder.ahead_unused}"
            hint = "compare with another node, which has what was acknowledged"
            self.problems.append(warning("ahead-unused", store.AHEAD, message, hint))

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

        Raises: ConfigurationError if the cib of this node runs, or somebody else changes the
        file; OSError as the system gave it.
        """
        self.refuse_if_running()
        with self._alone():
            if hashlib.sha256(self._path.read_bytes()).digest() != self._found:
                message = f"'{self._path}' was changed by somebody else meanwhile"
                hint = "read it again and repeat the change there"
                raise ConfigurationError(message, [error("cib-changed", store.FILE, message, hint)])
            found: list[Problem] = []
            self._folder.read_journal()  # so that no entry is written twice
            self._folder.put_ahead_aside(found)
            # The change is made all the same.
            self.problems = [each._replace(severity=Severity.WARNING) for each in found]
            lines = self._entry(carried, origin)
            text = self.document.text(pretty=True)
            self._warrant = self._warrant.without_quorum(carried.after)
            self._folder.write(text, self._warrant, Journal(lines))
            self._found = hashlib.sha256(self._path.read_bytes()).digest()
        if self._folder.journal_problem:
            message = f"the history does not show the change: {self._folder.journal_problem}"
            hint = "free space or correct the mode of that file; the change itself is made"
            self.problems.append(warning("not-in-history", copies.REVISIONS, message, hint))

    def _entry(self, carried: operations.Carried, origin: Origin) -> tuple[bytes, ...]:
        if carried.trace is None:
            return ()
        digest, now = self.document.digest(), time.time()
        before, after = carried.before, carried.after
        entry = revisions.entry_of(
            carried.trace, before, after, digest=digest, origin=origin, at=now
        )
        return (revisions.encode(msgspec.structs.replace(entry, is_offline=True)),)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the cib from starting with this folder, and other commands from changing it.

        Raises: ConfigurationError if one of them is at it.
        """
        handle = folder.lock(self._path.parent, shared=False)
        if handle is None:
            message = f"'{self._path}' is in use: the cib starts, or another command changes it"
            hint = "try again; when the cib runs, unset CIB_file"
            raise ConfigurationError(message, [error("cib-in-use", store.FILE, message, hint)])
        try:
            yield
        finally:
            os.close(handle)

    def warnings_about(self, carried: operations.Carried) -> list[Problem]:
        """Say what is to be known after a change: about the files, and about other nodes."""
        others = len(self.document.select("/cib/configuration/nodes/node")) > 1
        decides = carried.after.admin_epoch > carried.before.admin_epoch
        if not others or decides or carried.trace is None:
            return self.problems
        message = (
            "the change is in the file of this node only: it loses if the other nodes have"
            " acknowledged a change since this one stopped"
        )
        hint = "raise admin_epoch as well to make it win, or change the running cluster instead"
        return [*self.problems, warning("offline-change", str(self._path), message, hint)]

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
