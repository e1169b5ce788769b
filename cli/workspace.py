"""The CIB in hand: where it comes from, what was changed, and bringing the change back.

A workspace works on a copy. What it wrote last is its *base*; a commit compares the copy with the
base, checks the whole candidate, and hands over only the difference. A change by somebody else in
between is noticed by the version and refused, never overwritten.

Not responsible for the words of commands (`levels/`), nor for showing anything (`view/`).

Source: crm-shell, section 2, "Commit rules".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from cli.reasons import command_line
from crm.api import cib
from crm.api.gateclient import Session, connect
from crm.model.configuration import Item
from crm.model.readxml import configuration as reading
from crm.model.version import Version
from crm.model.writexml import configuration as writing
from crm.plumbing import xml
from crm.plumbing.errors import (
    ConfigurationError,
    CrmError,
    Problem,
    RemoteProtocolError,
    Severity,
    StaleVersion,
    Unreachable,
    has_errors,
)

if TYPE_CHECKING:
    from crm.cib import offline

MAX_ATTEMPTS = 3
"""How often a small change (`resource start`) is tried again when others change the CIB."""

FORCEABLE = frozenset({"no-fencing-device", "unknown-parameter", "parameter-missing"})
"""Findings a person may overrule: what would be legal, but is unwise. A broken CIB never is."""

TODAYS_DIALECT = ("pacemaker-", "none")
"""How `validate-with` begins in a CIB that needs no upgrade before it is edited."""

SHADOW_DIRECTORY = "var/lib/heartbeat/crm"


class NeedsCluster(CrmError):
    """A file was given for what only a running cluster can do; unset CIB_file and try again."""


class CommitRefused(CrmError):
    """The candidate is not acceptable; `problems` says why. Nothing was written."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = (), code: int = 1) -> None:
        super().__init__(message)
        self.problems = problems
        self.code = code


class Source(Protocol):
    """Where a CIB lives."""

    @property
    def judges(self) -> bool:
        """Whether the other end checks a candidate itself before it takes it."""
        ...

    def read(self) -> Item:
        """Read the whole document."""
        ...

    def write(self, base: Item, candidate: Item, *, force: bool) -> list[Problem]:
        """Bring the configuration from `base` to `candidate`; returns the other end's warnings."""
        ...


# --- a file -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileSource:
    """A CIB in a file: `CIB_file`, or a shadow."""

    path: Path
    judges: ClassVar[bool] = False

    def read(self) -> Item:
        """Read the file.

        Raises: ConfigurationError if it is absent, unreadable or not a CIB.
        """
        own = self._own()
        if own is not None:
            return upgraded(reading.read(own.document.root))
        try:
            is_piped = str(self.path) == "-"
            data = sys.stdin.buffer.read() if is_piped else self.path.read_bytes()
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise ConfigurationError(f"cannot read the CIB file '{self.path}': {reason}") from None
        return upgraded(parse_document(data, str(self.path)))

    def _own(self) -> offline.OwnFile | None:
        """Open the file as the cib.xml of a stopped node, if it is one.

        Raises: ConfigurationError if it cannot be read.
        """
        from crm.cib import offline  # only where a file is in hand

        try:
            return offline.OwnFile.open(self.path)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise ConfigurationError(f"cannot read the CIB file '{self.path}': {reason}") from None

    def carry_out(self, steps: Sequence[cib.XmlOperation], reason: str) -> list[Problem] | None:
        """Carry operations out in the cib.xml of a stopped node; None if the file is not one.

        Raises: CommitRefused with what would be invalid; ConfigurationError if its cib runs.
        """
        own = self._own()
        return None if own is None else self._carry_out(own, steps, reason)

    def _carry_out(
        self, own: offline.OwnFile, steps: Sequence[cib.XmlOperation], reason: str = ""
    ) -> list[Problem]:
        from crm.cib import offline, operations, rules

        carried = operations.carry_out(own.document, tuple(steps), rules.STANDARD)
        if carried.outcome is not cib.Outcome.OK or has_errors(carried.findings):
            raise CommitRefused("the configuration would not be valid", carried.findings)
        if carried.patch:
            own.keep(carried, offline.origin_of("crm", reason or command_line(sys.argv)))
        return [*carried.findings, *own.warnings_about(carried)]

    def write(self, base: Item, candidate: Item, *, force: bool) -> list[Problem]:
        """Write the file, unless it changed since it was read.

        Raises: StaleVersion if it did.
        """
        del force  # a file has no quorum to override
        now = self.read()
        if version_of(now) != version_of(base):
            raise StaleVersion(f"'{self.path}' was changed by somebody else meanwhile")
        own = self._own()
        if own is not None:
            return self._carry_out(
                own, difference(configuration_of(base), configuration_of(candidate))
            )
        written = candidate.copy()
        old = version_of(base)
        written.attributes["epoch"] = str(old.epoch + 1)
        written.attributes["num_updates"] = "0"
        from crm.plumbing.atomicfile import write_durably  # not for the running cluster

        mode = self.path.stat().st_mode & 0o777
        write_durably(self.path, writing.document(written), mode=mode)
        return []


# --- the running cluster ------------------------------------------------------------------------


class LiveSource:
    """The CIB of the running cluster, by way of the gate."""

    judges = True

    def __init__(
        self, root: Path, *, client: str = "crm", notify: Callable[[str], None] | None = None
    ) -> None:
        self.reason = command_line(sys.argv)
        self._root = root
        self._client = client
        self._notify = notify
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session at the gate; made when first needed."""
        if self._session is None:
            self._session = connect(self._root, name=self._client, notify=self._notify)
        return self._session

    def read(self) -> Item:
        """Ask the local cib for its document.

        Raises: Unreachable, Denied.
        """
        return parse_document(self.read_raw(), "the cluster's CIB")

    def read_raw(self) -> bytes:
        """Ask for it as it is: with every comment at its place.

        Raises: Unreachable, Denied.
        """
        reply = self.session.ask(cib.SERVICE, cib.Query(request=0))
        if not isinstance(reply, cib.QueryReply) or reply.outcome is not cib.Outcome.OK:
            raise Unreachable("the cib has no document to show yet")
        return reply.xml

    def write(self, base: Item, candidate: Item, *, force: bool) -> list[Problem]:
        """Send the difference as one change, based on the version it was made from.

        Raises: StaleVersion if the configuration changed meanwhile; CommitRefused with the
        cib's findings.
        """
        operations = difference(configuration_of(base), configuration_of(candidate))
        return self.send(tuple(operations), based_on=version_of(base), force=force)

    def send(
        self,
        operations: tuple[cib.XmlOperation, ...],
        *,
        based_on: Version,
        force: bool,
        reason: str = "",
    ) -> list[Problem]:
        """Send operations as one change; `reason` is for the history (default: the command line).

        Raises: StaleVersion if the configuration changed meanwhile; CommitRefused with the
        cib's findings.
        """
        change = cib.Change(
            request=0,
            operations=operations,
            origin=cib.Origin(client=self._client, reason=reason or self.reason),
            based_on=based_on,
            force=force,
        )
        reply = self.session.ask(cib.SERVICE, change, timeout_s=60)
        if not isinstance(reply, cib.ChangeReply):
            raise RemoteProtocolError("the cib answered a change with something else")
        problems = cib.problems_of(reply.findings)
        if reply.outcome is not cib.Outcome.OK:
            raise _refusal(reply.outcome, problems)
        return list(problems)


def _refusal(outcome: cib.Outcome, problems: tuple[Problem, ...]) -> CrmError:
    if outcome in (cib.Outcome.CONFLICT, cib.Outcome.OLD_DATA):
        return StaleVersion("the configuration was changed by somebody else meanwhile")
    texts: Mapping[cib.Outcome, str] = {
        cib.Outcome.NO_QUORUM: "this partition has no quorum, so nothing may be changed",
        cib.Outcome.UNKNOWN_OUTCOME: "the answer was lost; the change may have been made",
        cib.Outcome.NOT_READY: "the cib is not ready: there is no DC yet",
        cib.Outcome.INVALID_XML: "the cib refused the change",
        cib.Outcome.DENIED: "you may not make this change",
    }
    text = texts.get(outcome, f"the cib refused the change ({outcome.name.lower()})")
    return CommitRefused(text, problems, code=int(outcome))


def difference(base: Item, candidate: Item) -> list[cib.XmlOperation]:
    """Say how to get from one configuration to another, object by object.

    What is gone is deleted first, so that an id can move (a primitive into a group).
    """
    deletions: list[cib.XmlOperation] = []
    additions: list[cib.XmlOperation] = []
    for new in candidate.children:
        old = base.first(new.tag)
        if old is None:
            if new.children or new.attributes:
                additions.append(_operation(cib.XmlTask.CREATE, new, "configuration"))
            continue
        if old == new:
            continue
        known = {(each.tag, each.id): each for each in old.children}
        wanted = {(each.tag, each.id): each for each in new.children}
        for key, each in known.items():
            if key not in wanted:
                only_id = Item(each.tag, {"id": each.id})
                deletions.append(_operation(cib.XmlTask.DELETE, only_id, new.tag))
        for key, each in wanted.items():
            if key not in known:
                additions.append(_operation(cib.XmlTask.CREATE, each, new.tag))
            elif each != known[key]:
                additions.append(_operation(cib.XmlTask.REPLACE, each, new.tag))
    for old in base.children:
        if candidate.first(old.tag) is None:
            deletions.append(_operation(cib.XmlTask.DELETE, Item(old.tag), "configuration"))
    return deletions + additions


def _operation(task: cib.XmlTask, item: Item, section: str) -> cib.XmlOperation:
    return cib.XmlOperation(task=task, xml=writing.serialise(item), section=section)


# --- the workspace ------------------------------------------------------------------------------


def parse_document(data: bytes, where: str) -> Item:
    """Read a CIB.

    Raises: ConfigurationError if it is no well-formed CIB.
    """
    document = reading.read(xml.parse(data, keep_comments=True))
    if document.tag != "cib":
        raise ConfigurationError(f"{where} is no CIB: its root is <{document.tag}>")
    return document


def upgraded(document: Item) -> Item:
    """Bring a document that was stored long ago to today's dialect."""
    if document.get("validate-with").startswith(TODAYS_DIALECT):
        return document
    from crm.cib.upgrade import upgrade  # only files of long ago need it

    return reading.read(upgrade(writing.element(document)).root)


def configuration_of(document: Item) -> Item:
    """Find the configuration in a document (an empty one is made when there is none)."""
    found = document.first("configuration")
    if found is None:
        found = Item("configuration")
        document.children.insert(0, found)
    return found


def version_of(document: Item) -> Version:
    """Read the version of a document; an absent or odd number counts as 0."""

    def number(name: str) -> int:
        text = document.get(name, "0")
        return int(text) if text.isdigit() else 0

    return Version(number("admin_epoch"), number("epoch"), number("num_updates"))


def open_source(
    root: Path,
    *,
    shadow: str = "",
    environment: Mapping[str, str] = os.environ,
    notify: Callable[[str], None] | None = None,
) -> Source:
    """Choose the CIB to work on: a shadow, `CIB_file`, or the running cluster.

    `notify` is told when the cluster lets us wait.
    """
    name = shadow or environment.get("CIB_shadow", "")
    if name:
        return FileSource(shadow_directory(root, environment) / f"shadow.{name}")
    file = environment.get("CIB_file", "")
    if file:
        return FileSource(Path(file))
    return LiveSource(root, notify=notify)


def shadow_directory(root: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Find where shadow CIBs lie."""
    return Path(environment.get("CIB_shadow_dir") or root / SHADOW_DIRECTORY)


class Workspace:
    """A document being edited."""

    def __init__(self, source: Source, root: Path = Path("/")) -> None:
        self.source = source
        self._root = root
        self._base: Item | None = None
        self._working: Item | None = None

    @property
    def document(self) -> Item:
        """The document as edited; read when first needed."""
        if self._working is None:
            self._base = self.source.read()
            self._working = self._base.copy()
        return self._working

    @property
    def configuration(self) -> Item:
        """The configuration as edited."""
        return configuration_of(self.document)

    @property
    def base(self) -> Item:
        """The configuration as it was read, or last committed."""
        self.document  # noqa: B018 - reads the base as well
        assert self._base is not None
        return configuration_of(self._base)

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to commit."""
        return self._working is not None and self._working != self._base

    @property
    def is_live(self) -> bool:
        """Whether this is the running cluster's CIB."""
        return isinstance(self.source, LiveSource)

    def refresh(self) -> None:
        """Drop all changes and read again when next needed."""
        self._base = self._working = None

    def check(self) -> list[Problem]:
        """Check the candidate, and what the shell knows of the changed objects beside it."""
        from cli import checks  # agents are looked at only when something is checked

        problems = self._check_cib()
        if has_errors(problems):
            return problems
        return problems + checks.check(self.configuration, self.base, self._root)

    def _check_cib(self) -> list[Problem]:
        """Check the whole candidate: the grammar of the CIB, then its sense."""
        # Compiling the schema takes time that commands which only read should not pay.
        from crm.cib import schema, semantics

        root = writing.element(self.document)
        problems = schema.check(root)
        if has_errors(problems):
            return problems
        return [*problems, *semantics.check(root), *semantics.check_relations(root)]

    def commit(self, *, force: bool = False, reason: str = "") -> list[Problem]:
        """Check and write the changes; returns warnings. `reason` is for the history.

        Raises: CommitRefused with the problems if the candidate has errors (`force` lets those
        of the semantic checks pass); StaleVersion.
        """
        if reason and isinstance(self.source, LiveSource):
            self.source.reason = reason
        return self._write(self.check(), force=force)

    def _write(self, problems: list[Problem], *, force: bool) -> list[Problem]:
        fatal = [each for each in problems if each.severity is Severity.ERROR]
        if force:
            fatal = [each for each in fatal if each.code not in FORCEABLE]
        if fatal:
            raise CommitRefused("the changes were not committed", tuple(problems))
        assert self._base is not None
        told = self.source.write(self._base, self.document, force=force)
        self.refresh()  # read again when next needed: the document has a new version
        return problems + [each for each in told if each not in problems]

    def apply(self, edit: Callable[[Item], None], *, force: bool = False) -> list[Problem]:
        """Make one small change of the configuration and commit it.

        It is tried again when others write at that moment.

        Raises: whatever `edit` raises; CommitRefused; StaleVersion after MAX_ATTEMPTS.
        """
        return self.apply_to_document(
            lambda document: edit(configuration_of(document)), force=force
        )

    def apply_to_document(
        self, edit: Callable[[Item], None], *, force: bool = False
    ) -> list[Problem]:
        """Do the same to the whole document (a file's status section is written like this)."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            edit(self.document)
            if not self.is_changed:
                return []
            try:
                problems = [] if self.source.judges else self._check_cib()
                return self._write(problems, force=force)
            except StaleVersion:
                if attempt == MAX_ATTEMPTS:
                    raise
            finally:
                if self.is_changed:
                    self.refresh()
        return []


def live_session(workspace: Workspace, what: str) -> Session:
    """Give the gate session, for what only a running cluster can do.

    Raises: NeedsCluster when the workspace is a file.
    """
    if not isinstance(workspace.source, LiveSource):
        raise NeedsCluster(f"{what} needs a running cluster; CIB_file or a shadow is in use")
    return workspace.source.session


def ask_daemon(
    workspace: Workspace, service: str, message: msgspec.Struct, *, what: str, timeout_s: float = 30
) -> msgspec.Struct:
    """Ask a daemon of the running cluster."""
    return live_session(workspace, what).ask(service, message, timeout_s=timeout_s)
