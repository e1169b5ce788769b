"""The CIB on the disk: cib.xml and what is ahead of it, backups, the promise, archived losers.

Responsible for choosing what to start with, and for writing so that a power cut at any moment
leaves a complete copy. Not responsible for when something is written (`disk`), nor for the folder
itself (`folder`).

What a file is worth, and whether it is whole, is `copies`' to say. The classic `cib.xml.sig` is
written as well.

`cib.ahead` holds the changes that were made since cib.xml was written (`ahead`, decision 0025).

Choosing: the newest copy that is whole and valid wins. One of ours that was edited by hand wins
over its backups; what it was written on before the edit is what it is worth (`warrants`). A
broken cib.xml is renamed, never removed; a good one is never overwritten by an empty start.

Source: docs/protocol/cib.md, "On disk"; faults-and-security 37 to 40.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from crm.cib import ahead, backups, folder, revisions, trailer
from crm.cib import document as documents
from crm.cib.backups import Backups
from crm.cib.copies import REVISIONS, Copies, Copy, wrong
from crm.cib.disk import NOTHING, Journal
from crm.cib.operations import Rules
from crm.cib.texts import Measure
from crm.cib.warrants import Warrant, by_hand, pair_of
from crm.model.version import Reign, Version
from crm.plumbing import atomicfile, errors, xml
from crm.plumbing.errors import ConfigurationError, Problem
from crm.plumbing.kernel import Kernel

FILE = "cib.xml"
SIGNATURE = "cib.xml.sig"
PROMISE = "cib.reign"
AHEAD = "cib.ahead"
MAX_LATE = 1_000
MAX_AHEAD_BYTES = 256 * 1024 * 1024
"""A longer file of changes than this is not ours."""

MODE = 0o600

_MAY_BE_GOOD = ("cib-unreadable", "cib-invalid", "cib-digest", "cib-owner", "xml-too-large")
"""What keeps a copy from being used although it may be what the administrator wants."""

_PROMISE = re.compile(r"(?P<number>\d{1,18}) (?P<dc>\S*)\s*\Z")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What to start with, and everything there is to say about it.

    `fresh` tells that it is not what the disk holds for sure (new, upgraded, an older copy).
    `edited` tells that a file of ours was edited by hand: it counts as the next version.
    """

    document: documents.Document
    warrant: Warrant = field(default_factory=Warrant)
    promised: Reign = field(default_factory=Reign)
    fresh: bool = False
    problems: list[Problem] = field(default_factory=list)
    edited: bool = False


class Store:
    """The folder of the CIB. One thread writes at a time."""

    def __init__(
        self, directory: Path, owner: tuple[int, int] | None = None, *, kernel: Kernel = os
    ) -> None:
        self.directory = directory
        self.journal_problem = ""
        self._owner = owner
        self._kernel = kernel
        self.may_append = False
        self._late: tuple[bytes, ...] = ()
        self.copies = Copies(directory, owner, kernel=kernel)
        self._backups = Backups(directory / FILE, self._write_hint, kernel=kernel)
        self._ahead = ahead.Ahead()
        self._must_replace_ahead = True
        self.ahead_unused = ""
        """Why changes in `cib.ahead` are not used that may be somebody's; "" = there are none."""

    # --- reading ------------------------------------------------------------------------------

    def load(self, rules: Rules) -> Loaded:
        """Choose the copy to start with; an empty one only if there is none at all.

        Raises: ConfigurationError if the only copies there are must not be thrown away: they
        cannot be read, or are whole but not valid.
        """
        problems: list[Problem] = []
        folder.sweep(self.directory, kernel=self._kernel)
        promised = self._read_promise(problems)
        self._read_ahead()
        main = self._believed(self._read(FILE, rules, problems), promised, problems)
        best = main
        is_last = main is not None and (main.is_edited or main.is_damaged)
        wanted = backups.MAX_BACKUPS if main is None else 0 if is_last else 1
        for name in self._backups.names()[:wanted]:
            backup = self._believed(self._read(name, rules, problems), promised, problems)
            if backup is not None and (best is None or backup.standing > best.standing):
                best = backup
        if best is None:
            return self._start_empty(promised, problems)
        if best is not main:
            self._set_aside(problems, best)
        self._judge_ahead(best)
        self.put_ahead_aside(problems)
        return self._modernised(best, rules, promised, problems)

    def _believed(self, copy: Copy | None, promised: Reign, problems: list[Problem]) -> Copy | None:
        """Give no worth to the reign of a copy that this node cannot have written.

        A reign is promised, durably, before anything is written under it. A greater one comes from
        another cluster (or another node's folder), and must not beat what the nodes here have.
        """
        if copy is None or promised == Reign() or copy.warrant.written <= promised:
            return copy
        message = (
            f"{copy.path} was written under the reign {copy.warrant.written}, but this node has"
            f" promised none after {promised}: it comes from elsewhere, and loses against what"
            " other nodes have"
        )
        hint = "to make it win, raise its admin_epoch"
        problems.append(errors.warning("cib-from-elsewhere", copy.path.name, message, hint))
        worth = by_hand(documents.Document(copy.root).version)
        return dataclasses.replace(copy, warrant=worth)

    def _start_empty(self, promised: Reign, problems: list[Problem]) -> Loaded:
        keep = [p for p in problems if p.code in _MAY_BE_GOOD]
        if keep:
            raise ConfigurationError(keep[0].message, problems)
        self._judge_ahead(None)
        self.put_ahead_aside(problems)
        if atomicfile.exists(self.directory / FILE, kernel=self._kernel):
            self._set_aside(problems, None)
        else:
            message = (
                f"there is no {FILE} in {self.directory}: this node begins with an empty"
                " configuration, until it hears of another one"
            )
            problems.append(errors.warning("cib-missing", FILE, message))
        document = documents.Document(documents.empty())
        return Loaded(document, Warrant(), promised, True, problems)

    def _modernised(
        self, copy: Copy, rules: Rules, promised: Reign, problems: list[Problem]
    ) -> Loaded:
        before = xml.serialise(copy.root)
        root, found = rules.upgrade(copy.root)
        problems += found
        document = documents.Document(root)
        upgraded = xml.serialise(root) != before
        edited = copy.is_edited
        if upgraded or edited:
            document = documents.Document(with_next_epoch(document.root, document.version))
        document.status[:] = []
        document.measure = Measure.of(document.text())  # now, not in the middle of a change
        others = upgraded or edited or copy.path.name != FILE or copy.steps > 0
        fresh = others or copy.is_damaged or not self._is_synced(FILE)
        if copy.is_damaged:
            message = (
                f"what {copy.path} says at its end is damaged: it is used, and loses against what"
                " other nodes have"
            )
            hint = "to make it win, raise its admin_epoch and remove cib.xml.sig"
            problems.append(errors.warning("cib-damaged", copy.path.name, message, hint))
        if edited:
            message = f"{copy.path} was edited by hand; this counts as version {document.version}"
            problems.append(errors.warning("cib-edited", copy.path.name, message))
        warrant = copy.warrant
        promised = max(promised, warrant.written)
        return Loaded(document, warrant, promised, fresh, problems, edited)

    def _is_synced(self, name: str) -> bool:
        """Make durable what was found; False if that cannot be had.

        A process that was killed before it could sync has left a file that can be read, and is
        gone after a power cut: nobody may be told that it is durable.
        """
        path = self.directory / name
        try:
            atomicfile.sync_file(path, kernel=self._kernel)
            atomicfile.sync_directory(self.directory, kernel=self._kernel)
        except OSError:
            return False
        return True

    def _read(self, name: str, rules: Rules, problems: list[Problem]) -> Copy | None:
        copy = self.copies.read(name, rules, problems)
        return None if copy is None else self._led_on(copy)

    # --- what is ahead of cib.xml ---------------------------------------------------------------

    def led_on(self, copy: Copy) -> Copy:
        """Lead a cib.xml that was read to where its last change stands; changes no file.

        `ahead_unused` says then what could not be used.
        """
        self._read_ahead()
        copy = self._led_on(copy)
        self._judge_ahead(copy)
        return copy

    def _read_ahead(self) -> None:
        """Read the changes made since cib.xml was written."""
        path = self.directory / AHEAD
        try:
            data, status = atomicfile.read(path, MAX_AHEAD_BYTES, kernel=self._kernel)
            self.copies.check_owner(path, status)
            if status.st_size > MAX_AHEAD_BYTES:
                raise wrong("ahead-foreign", AHEAD, "it is too long to be ours")
            self._ahead = ahead.decode(data)
        except FileNotFoundError:
            pass
        except (OSError, ConfigurationError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            self._note_unused(f"it cannot be read: {reason}")

    def _led_on(self, copy: Copy) -> Copy:
        """Repeat the changes made since a file was written, if it is the one they go on from."""
        if not copy.digest or copy.digest != self._ahead.base:
            return copy
        document = documents.Document(copy.root)
        for count, step in enumerate(self._ahead.steps):
            try:
                ahead.repeat(document, step)
            except errors.CrmError as problem:
                self._note_unused(
                    f"change {step.revision.name} in it cannot be repeated: {problem}"
                )
                return copy
            copy = dataclasses.replace(copy, warrant=step.leads_to, steps=count + 1)
        return copy

    def _judge_ahead(self, used: Copy | None) -> None:
        """Note for an administrator what may have been lost, and what the history lacks.

        A line that breaks off is a change nobody was told of. Changes that go on from another
        file are old news, unless they lead further than the copy that is used, or that is one
        somebody has changed: what it was before is not known.
        """
        found, self._ahead = self._ahead, ahead.Ahead()
        if used is not None and found.base and found.base == used.digest:
            self._late = tuple(revisions.encode(step.revision) for step in found.steps)
            if found.bad > 1:
                self._note_unused(f"{found.bad} lines at its end are damaged")
            return
        if not found.base and found.bad > 1:
            self._note_unused("it does not say which cib.xml it goes on from")
        elif found.steps:
            last = found.steps[-1]
            reached = (last.leads_to, pair_of(last.revision.after))
            if used is None or not used.digest or used.standing < reached:
                self._note_unused(
                    f"it leads to {last.revision.after}, but not from what is used now"
                )

    def _note_unused(self, reason: str) -> None:
        self.ahead_unused = self.ahead_unused or reason  # what follows from it needs no word

    def put_ahead_aside(self, problems: list[Problem]) -> None:
        """Rename a `cib.ahead` that could not be used, before a new one is begun; say so."""
        reason, self.ahead_unused = self.ahead_unused, ""
        if not reason:
            return
        kept = self._free_name(AHEAD)
        hint = "compare with another node, which has what was acknowledged"
        try:
            self._kernel.rename(self.directory / AHEAD, kept)
            done = f"it is kept as {kept.name}"
        except OSError as problem:
            done = f"it could not be kept as {kept.name} ({problem.strerror}), a new one follows"
        message = f"the last changes in {AHEAD} are not used: {reason}; {done}"
        problems.append(errors.error("ahead-unused", AHEAD, message, hint))

    def _read_promise(self, problems: list[Problem]) -> Reign:
        try:
            text = self.copies.text(PROMISE)
        except FileNotFoundError:
            return Reign()
        except (OSError, UnicodeDecodeError) as problem:
            text = str(problem)
        found = _PROMISE.match(text)
        if found is None:
            message = f"{PROMISE} cannot be read and counts as no promise"
            problems.append(errors.warning("promise-unreadable", PROMISE, message))
            return Reign()
        return Reign(int(found["number"]), found["dc"])

    def _set_aside(self, problems: list[Problem], instead: Copy | None) -> None:
        """Rename a cib.xml that is not used, so that nothing is ever lost."""
        path = self.directory / FILE
        if not atomicfile.exists(path, kernel=self._kernel):
            return
        wrong = next((problem for problem in problems if problem.subject == FILE), None)
        kept = self._free_name("cib.xml.older" if wrong is None else "cib.xml.corrupt")
        self._kernel.rename(path, kept)
        with contextlib.suppress(FileNotFoundError):
            self._kernel.rename(self.directory / SIGNATURE, kept.with_name(kept.name + ".sig"))
        source = "an empty configuration"
        if instead is not None:
            source = f"{instead.path.name} (version {documents.Document(instead.root).version})"
        done = f"it was set aside as {kept.name}, and {source} is used"
        if wrong is None:
            message = f"{path} is older than its backup: {done}"
            hint = f"to use {kept.name} all the same, raise its admin_epoch and put it back"
            problems.append(errors.warning("cib-set-aside", FILE, message, hint))
            return
        problems.remove(wrong)  # one line tells what is wrong and what was done
        hint = wrong.hint or f"if a change is missing, look for it in {kept.name}"
        text = f"{wrong.message}; {done}"
        problems.append(errors.error(wrong.code, FILE, text, hint))

    def _free_name(self, stem: str) -> Path:
        """Find a name that nothing has; what was set aside earlier is never written over."""
        numbers = itertools.count(1)
        return next(
            path
            for path in (self.directory / f"{stem}-{number}" for number in numbers)
            if not atomicfile.exists(path, kernel=self._kernel)
        )

    def read_journal(self) -> bytes:
        """Read the history, with the entries that are still ahead; call it after `load`.

        What cannot be read counts as none and is set aside when possible.
        """
        data = self._read_revisions()
        known = set(data.split(b"\n"))
        self._late = tuple(line for line in self._late if line[:-1] not in known)
        if not self._late:
            return data
        return data + (b"\n" if data[-1:] not in (b"", b"\n") else b"") + b"".join(self._late)

    def _read_revisions(self) -> bytes:
        data = self.copies.journal_text()
        if data is None:
            with contextlib.suppress(OSError):
                self._kernel.rename(self.directory / REVISIONS, self._free_name(REVISIONS))
        return data or b""

    # --- writing ------------------------------------------------------------------------------

    def write(self, data: bytes, warrant: Warrant, journal: Journal = NOTHING) -> str:
        """Make a configuration durable, its history before it, and return its classic digest.

        The old file becomes a numbered backup first (a second name for the same content, so it
        costs nothing). What was ahead of the old file is then ahead of nothing.

        Raises: OSError as the system gave it, ConfigurationError if the data are no XML; the old
        file is then in place.
        """
        signature = trailer.classic_digest_of_text(data)  # also refuses what is no XML
        self._note(journal)
        self._back_up()
        data, digest = trailer.sealed(data, warrant)
        self._replace(self.directory / FILE, data)
        self._backups.is_made = False
        self._write_hint(SIGNATURE, signature + "\n")
        self._go_on_from(digest)
        return signature

    def append(self, lines: tuple[bytes, ...], journal: Journal = NOTHING) -> None:
        """Make changes durable ahead of cib.xml; their history goes with the next whole write.

        Only while `may_append`, which ends when this fails: then cib.xml has to be written.

        Raises: OSError as the system gave it.
        """
        assert self.may_append, "nothing may be appended before cib.xml was written"
        self._late = (self._late + journal.lines)[-MAX_LATE:]
        if not lines:
            return
        try:
            path = self.directory / AHEAD
            atomicfile.append_durably(path, b"".join(lines), kernel=self._kernel)
        except OSError:
            self.may_append = False
            self._must_replace_ahead = True
            raise

    def _go_on_from(self, digest: str) -> None:
        """Begin to collect what comes after the cib.xml with this digest.

        What was ahead of the last one stays harmless if this fails: it goes on from another. A
        file that could not be synced once is never used again: its next sync would say that all
        is well.
        """
        path = self.directory / AHEAD
        try:
            if self._must_replace_ahead:
                self._replace(path, ahead.header(digest))
            else:
                atomicfile.begin_anew(path, ahead.header(digest), kernel=self._kernel)
        except OSError:
            self.may_append = False
            self._must_replace_ahead = True
            return
        self.may_append = True
        self._must_replace_ahead = False

    def _note(self, journal: Journal) -> None:
        """Make entries of the history durable, before the version they tell of.

        A change must not fail because its history cannot be written: the entries then wait for
        the next write, and `journal_problem` says why. If that never comes, the version will be
        shown as one that was not recorded.
        """
        lines = journal.lines if journal.whole else self._late + journal.lines
        if not lines and not journal.whole:
            return
        path = self.directory / REVISIONS
        data = b"".join(lines)
        try:
            if journal.whole or not atomicfile.exists(path, kernel=self._kernel):
                self._replace(path, data)
            else:
                atomicfile.append_durably(path, data, kernel=self._kernel)
        except OSError as problem:
            self._late = lines[-MAX_LATE:]
            self.journal_problem = f"{path}: {problem.strerror or problem}"
            return
        self._late = ()
        self.journal_problem = ""

    def _replace(self, path: Path, data: bytes) -> None:
        atomicfile.write_durably(path, data, MODE, self._owner, kernel=self._kernel)

    def _back_up(self) -> None:
        self._backups.make()

    def _write_hint(self, name: str, text: str) -> None:
        """Replace a small file whose loss does no harm, without waiting for the disk.

        One that cannot be written (a full disk) must not make the write fail that it belongs to:
        that is durable already, or still to come. A signature is emptied then, which takes no room:
        an old one would be wrong, and none at all would say that somebody has removed it, and that
        damage to cib.xml is an edit. A backup keeps the old one under its own name.
        """
        path = self.directory / name
        for content in (text, "") if name == SIGNATURE else (text,):
            with contextlib.suppress(OSError):
                data = content.encode("ascii")
                atomicfile.write_hastily(path, data, MODE, self._owner, kernel=self._kernel)
                return

    def keep_promise(self, reign: Reign) -> None:
        """Make a promise durable. Raises: OSError."""
        text = f"{reign.number} {reign.dc}\n"
        self._replace(self.directory / PROMISE, text.encode("ascii"))

    def archive(self, data: bytes, reason: str) -> Path:
        """Keep a configuration that lost. Raises: OSError."""
        path = self._free_name("cib.xml.lost")
        note = reason.replace("--", "- -")
        self._replace(path, data + f"<!-- {note} -->\n".encode())
        return path


def with_next_epoch(root: etree._Element, version: Version) -> etree._Element:
    """Count a change of the configuration that was made while reading it."""
    root.set("epoch", str(version.epoch + 1))
    root.set("num_updates", "0")
    return root
