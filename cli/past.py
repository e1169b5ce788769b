"""The history of the CIB in hand: reading it, going back in it, taking a change back.

A running cluster is asked; beside a file named cib.xml the journal of its cib is read, so that a
stopped node can be asked as well. Not responsible for the words of commands (`levels/`), nor for
showing anything (`view/`).

Source: decision 0024; docs/protocol/cib.md, "History".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from cli.workspace import CommitRefused, FileSource, LiveSource, Workspace
from crm.api import cib
from crm.cib import acl, operations, revisions, rules
from crm.cib.copies import REVISIONS
from crm.cib.document import Document
from crm.cib.query import answer_revisions
from crm.model.configuration import Item
from crm.model.readxml import configuration as reading
from crm.plumbing import accounts
from crm.plumbing.errors import (
    Problem,
    RemoteProtocolError,
    StaleVersion,
    UsageError,
    has_errors,
)

MAX_ATTEMPTS = 3
"""How often document and history are read again when somebody writes between the two."""

JOURNALLED = "cib.xml"
"""Only beside a file of this name there is a journal that tells of it."""


class NoHistory(UsageError):
    """There is no history of what is in hand (a shadow, a file of another name)."""


@dataclass(frozen=True)
class Past:
    """A document and how it came about, the oldest revision first."""

    document: Document
    entries: tuple[cib.Revision, ...]

    def at(self, name: str) -> Item:
        """Give the document as it was at a revision.

        Raises: UnknownRevision; ConfigurationError if an entry is damaged.
        """
        return reading.read(revisions.at(self.document.root, self.entries, name))

    def around(self, name: str) -> tuple[Item, Item]:
        """Give the documents before and after the change that made a revision.

        Raises: UnknownRevision, also if how it was made is not recorded here.
        """
        entry = self.entries[self.find(name)]
        if not entry.is_known:
            message = f"how revision {entry.name} was made is not recorded here"
            raise revisions.UnknownRevision(message, "another node may know it", subject=name)
        before = f"{entry.before.admin_epoch}.{entry.before.epoch}"
        return self.at(before), self.at(entry.name)

    def find(self, name: str) -> int:
        """Find a revision; "" is the last one.

        Raises: UnknownRevision.
        """
        version = self.document.version
        if not name and not self.entries:
            name = f"{version.admin_epoch}.{version.epoch}"
        if not name:
            return len(self.entries) - 1
        return revisions.find(self.entries, name, version)


def entries_of(workspace: Workspace, newest: int) -> Sequence[cib.Revision]:
    """Read the newest revisions, without their patches."""
    source = workspace.source
    if isinstance(source, LiveSource):
        return _ask(source, cib.AskRevisions(0, newest=newest)).revisions
    return read(workspace).entries[-newest:]


def read(workspace: Workspace) -> Past:
    """Read the document and its history.

    Raises: NoHistory; Unreachable; Denied; StaleVersion if others write all the time.
    """
    source = workspace.source
    if isinstance(source, FileSource):
        return _read_file(source)
    if not isinstance(source, LiveSource):
        raise NoHistory("there is no history of this CIB")
    for _ in range(MAX_ATTEMPTS):
        told = _ask(source, cib.AskRevisions(0, patches=True))
        document = Document.parse(source.read_raw())
        version = document.version
        if (version.admin_epoch, version.epoch) == (told.version.admin_epoch, told.version.epoch):
            return Past(document, told.revisions)
    raise StaleVersion("the configuration is being changed by others all the time")


def _ask(source: LiveSource, question: cib.AskRevisions) -> cib.Revisions:
    reply = source.session.ask(cib.SERVICE, question)
    if not isinstance(reply, cib.Revisions):
        raise RemoteProtocolError("the cib answered a question for its history with something else")
    return _told(reply)


def _told(reply: cib.Revisions) -> cib.Revisions:
    if reply.outcome is cib.Outcome.DENIED:
        text = "you may not read the history: ACLs are in force, and it shows what they may hide"
        raise CommitRefused(text, cib.problems_of(reply.findings), code=int(reply.outcome))
    return reply


def _read_file(source: FileSource) -> Past:
    path = source.path
    if path.name != JOURNALLED:
        raise NoHistory(f"there is no history of '{path}': it is kept beside a {JOURNALLED}")
    document = Document.parse(source.read_bytes())
    try:
        journal = path.with_name(REVISIONS).read_bytes()
    except OSError:
        journal = b""
    history, _ = revisions.restore(journal, document)
    asked = cib.AskRevisions(
        0, patches=True, user=source.user, groups=accounts.groups_of(source.user)
    )
    told = _told(answer_revisions(document, history.entries, asked))
    return Past(document, told.revisions)


def take_back(workspace: Workspace, past: Past, place: int, *, force: bool) -> list[Problem]:
    """Take one revision back as a new version; returns warnings.

    Raises: UndoConflict with what stands in the way; CommitRefused with what would be invalid;
    StaleVersion if somebody wrote since `past` was read.
    """
    entry = past.entries[place]
    patch = revisions.undo(past.document.root, past.entries, place)
    reason = f"undo {entry.name}: {entry.summary}"
    return _carry_out(workspace, past, patch, reason, force=force)


def go_back(workspace: Workspace, past: Past, name: str, *, force: bool) -> list[Problem]:
    """Make everything as it was at a revision, as a new version; returns warnings.

    Raises: as `take_back`; UnknownRevision.
    """
    patch = revisions.back_to(past.document.root, past.entries, name)
    return _carry_out(workspace, past, patch, f"restore {name}", force=force)


def _carry_out(
    workspace: Workspace, past: Past, patch: bytes, reason: str, *, force: bool
) -> list[Problem]:
    step = cib.XmlOperation(cib.XmlTask.PATCH, patch)
    source = workspace.source
    if isinstance(source, LiveSource):
        version = past.document.version
        told = source.send((step,), based_on=version, force=force, reason=reason)
    else:
        assert isinstance(source, FileSource), "only these two have a history"
        in_file = source.carry_out([step], reason)
        told = _carry_out_in_file(source, past, step) if in_file is None else in_file
    workspace.refresh()
    return told


def _carry_out_in_file(source: FileSource, past: Past, step: cib.XmlOperation) -> list[Problem]:
    document = Document(copy.deepcopy(past.document.root))
    guard = acl.guard_of(document.root, source.user, accounts.groups_of(source.user))
    carried = operations.carry_out(document, (step,), rules.STANDARD, guard=guard)
    if carried.outcome is cib.Outcome.DENIED:
        text = "you may not take this change back"
        raise CommitRefused(text, carried.findings, code=int(carried.outcome))
    if carried.outcome is not cib.Outcome.OK or has_errors(carried.findings):
        raise CommitRefused("the configuration would not be valid", carried.findings)
    source.write(reading.read(past.document.root), reading.read(document.root), force=False)
    return list(carried.findings)
