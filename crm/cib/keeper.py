"""Carries out what the replica wants kept: orders in, what became of them out.

Responsible for saying in words why the disk refused, and for complaining once. Not responsible
for files (`store`), nor for when something is kept (`disk`) or tried again.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

from crm.cib.disk import Append, KeepPromise, Persist, Persisted
from crm.cib.localcopy import Archive
from crm.cib.store import Store
from crm.plumbing.errors import ConfigurationError
from crm.plumbing.machine import Note

Order = Persist | Append | KeepPromise | Archive


_BROKEN = (errno.EIO, errno.EROFS)
"""EROFS because a file system with errors is made read-only by the kernel."""


class Keeper:
    """One store and the orders for it; `say` takes what is for the log."""

    def __init__(self, store: Store, say: Callable[[Note], None]) -> None:
        self._store = store
        self._say = say
        self._problem = ""

    def carry_out(self, order: Order) -> Persisted | None:
        """Do one thing, however long the disk takes; None if nobody waits for the outcome."""
        ticket = 0 if isinstance(order, Archive) else order.ticket
        try:
            match order:
                case Persist(data=data, warrant=warrant, journal=journal):
                    digest = self._store.write(data, warrant, journal)
                    self._complain()
                    may_append = self._store.may_append
                    return Persisted(ticket, True, digest=digest, may_append=may_append)
                case Append(lines=lines, journal=journal):
                    self._store.append(lines, journal)
                    return Persisted(ticket, True)
                case KeepPromise(reign=reign):
                    self._store.keep_promise(reign)
                    return Persisted(ticket, True)
                case Archive(data=data, reason=reason):
                    path = self._store.archive(data, reason)
                    self._note(logging.WARNING, f"Kept what lost in {path}: {reason}")
        except OSError as problem:
            reason = f"{problem.strerror} ({problem.filename or self._store.directory})"
            if ticket:
                return Persisted(ticket, False, reason, is_broken=problem.errno in _BROKEN)
            self._note(logging.ERROR, f"Could not keep what lost: {reason}")
        except ConfigurationError as problem:
            return Persisted(ticket, False, f"what was to be written cannot be read: {problem}")
        return None

    def _complain(self) -> None:
        """Say once that the history cannot be written, and once that it can again."""
        problem = self._store.journal_problem
        if problem != self._problem:
            text = (
                f"The history waits to be written: {problem}"
                if problem
                else "The history is written again"
            )
            self._note(logging.WARNING, text)
            self._problem = problem

    def _note(self, level: int, text: str) -> None:
        self._say(Note(level, "cib", text))
