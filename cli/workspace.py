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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from cli.asking import nothing_words, partial_words, unjudged
from cli.grammar.resources import HOLDERS, RESOURCES
from cli.reasons import command_line
from crm.api import cib
from crm.api.gateclient import Denied, Session, asking_user, connect
from crm.model.configuration import Item
from crm.model.readxml import configuration as reading
from crm.model.version import Version
from crm.model.writexml import configuration as writing
from crm.plumbing import accounts, xml
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

    @property
    def is_partial(self) -> bool:
        """Whether access lists hid a part of what was read last."""
        ...

    def read(self) -> Item:
        """Read the whole document."""
        ...

    def write(self, base: Item, candidate: Item, *, force: bool) -> list[Problem]:
        """Bring the configuration from `base` to `candidate`; returns the other end's warnings."""
        ...


# --- a file -------------------------------------------------------------------------------------


@dataclass
class FileSource:
    """A CIB in a file: `CIB_file`, or a shadow; `user` is on whose behalf it is edited."""

    path: Path
    user: str = ""
    is_partial: bool = field(default=False, init=False)
    judges: ClassVar[bool] = False

    def read(self) -> Item:
        """Read the file, as far as its access lists let the user see it.

        Raises: ConfigurationError if it is absent, unreadable or not a CIB; Denied if the user
        may see nothing of it.
        """
        data = self.read_bytes()
        if not self.user:
            return upgraded(parse_document(data, str(self.path)))
        from crm.cib.document import Document  # only who asks for somebody else needs these
        from crm.cib.query import answer_query

        question = cib.Query(0, user=self.user, groups=accounts.groups_of(self.user))
        seen = _seen(answer_query(Document.parse(data), question))
        self.is_partial = seen.is_partial
        return _at_version(upgraded(parse_document(seen.xml, str(self.path))), seen.version)

    def read_bytes(self) -> bytes:
        """Read the file as it is.

        Raises: ConfigurationError if it is absent or unreadable.
        """
        own = self._own()
        if own is not None:
            return own.document.text()
        try:
            is_piped = str(self.path) == "-"
            return sys.stdin.buffer.read() if is_piped else self.path.read_bytes()
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise ConfigurationError(f"cannot read the CIB file '{self.path}': {reason}") from None

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
        from crm.cib import acl, offline, operations, rules

        guard = acl.guard_of(own.document.root, self.user, accounts.groups_of(self.user))
        carried = operations.carry_out(own.document, tuple(steps), rules.STANDARD, guard=guard)
        if carried.outcome is cib.Outcome.DENIED:
            raise _refusal(carried.outcome, carried.findings)
        if carried.outcome is not cib.Outcome.OK or has_errors(carried.findings):
            raise CommitRefused("the configuration would not be valid", carried.findings)
        if carried.patch:
            why = reason or command_line(sys.argv)
            origin = offline.origin_of("crm", why)
            if self.user:
                origin = msgspec.structs.replace(origin, user=self.user)
            own.keep(carried, origin)
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
            return self._carry_out(own, changes(base, candidate, is_partial=self.is_partial))
        if self.user:
            return self._write_with_rights(base, candidate)
        written = candidate.copy()
        old = version_of(base)
        written.attributes["epoch"] = str(old.epoch + 1)
        written.attributes["num_updates"] = "0"
        from crm.plumbing.atomicfile import write_durably  # not for the running cluster

        mode = self.path.stat().st_mode & 0o777
        write_durably(self.path, writing.document(written), mode=mode)
        return []

    def _write_with_rights(self, base: Item, candidate: Item) -> list[Problem]:
        """Make the changes the user may make, in the whole of the file."""
        from crm.cib import acl, operations, rules
        from crm.cib.document import Document
        from crm.plumbing.atomicfile import write_durably

        document = Document.parse(self.read_bytes())
        guard = acl.guard_of(document.root, self.user, accounts.groups_of(self.user))
        steps = changes(base, candidate, is_partial=self.is_partial)
        carried = operations.carry_out(document, steps, rules.STANDARD, guard=guard)
        if carried.outcome is not cib.Outcome.OK:
            raise _refusal(carried.outcome, carried.findings)
        if carried.patch:
            mode = self.path.stat().st_mode & 0o777
            write_durably(self.path, document.text(pretty=True), mode=mode)
        return list(carried.findings)


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
        self.is_partial = False
        self._seen: tuple[Version, str] = Version(), ""

    @property
    def session(self) -> Session:
        """The session at the gate; made when first needed."""
        if self._session is None:
            self._session = connect(self._root, name=self._client, notify=self._notify)
        return self._session

    def read(self) -> Item:
        """Ask the local cib for its document.

        Raises: Unreachable; Denied if the user may see nothing of it.
        """
        seen = self._ask()
        return _at_version(parse_document(seen.xml, "the cluster's CIB"), seen.version)

    def read_raw(self) -> bytes:
        """Ask for it as it is: with every comment at its place.

        Raises: Unreachable, Denied.
        """
        return self._ask().xml

    def _ask(self) -> cib.QueryReply:
        reply = self.session.ask(cib.SERVICE, cib.Query(request=0))
        if not isinstance(reply, cib.QueryReply):
            raise RemoteProtocolError("the cib answered a question with something else")
        seen = _seen(reply)
        self.is_partial = seen.is_partial
        self._seen = seen.version, seen.digest
        return seen

    def write(self, base: Item, candidate: Item, *, force: bool) -> list[Problem]:
        """Send the difference as one change, based on the version it was made from.

        Raises: StaleVersion if the configuration changed meanwhile; CommitRefused with the
        cib's findings.
        """
        operations = changes(base, candidate, is_partial=self.is_partial)
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
            based_digest=self._digest_at(based_on),
        )
        reply = self.session.ask(cib.SERVICE, change, timeout_s=60)
        if not isinstance(reply, cib.ChangeReply):
            raise RemoteProtocolError("the cib answered a change with something else")
        problems = cib.problems_of(reply.findings)
        if reply.outcome is not cib.Outcome.OK:
            raise _refusal(reply.outcome, problems)
        return list(problems)

    def _digest_at(self, version: Version) -> str:
        """Say which configuration was read at this version; "" if it was read otherwise."""
        known, digest = self._seen
        same = (known.admin_epoch, known.epoch) == (version.admin_epoch, version.epoch)
        return digest if same else ""


def _seen(reply: cib.QueryReply) -> cib.QueryReply:
    """Take what a cib shows.

    Raises: Denied if it shows its user nothing; Unreachable if it has nothing to show.
    """
    if reply.outcome is cib.Outcome.DENIED:
        hint = "cibadmin --query --show-access --user NAME, as root, shows a user's rights"
        raise Denied(nothing_words(), int(reply.outcome), hint)
    if reply.outcome is not cib.Outcome.OK:
        raise Unreachable("the cib has no document to show yet")
    return reply


def _at_version(document: Item, version: Version) -> Item:
    """Note the version, which is no secret, in a document whose root may be hidden."""
    for name, number in (
        ("admin_epoch", version.admin_epoch),
        ("epoch", version.epoch),
        ("num_updates", version.updates),
    ):
        document.attributes[name] = str(number)
    return document


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


def changes(base: Item, candidate: Item, *, is_partial: bool) -> list[cib.XmlOperation]:
    """Say how to get from one document to the other, by way of their configurations.

    Of a document that was shown in part only what is different is touched: whatever is
    replaced would lose what is hidden in it.
    """
    old, new = configuration_of(base), configuration_of(candidate)
    if not is_partial:
        return difference(old, new)
    from cli import partial

    return partial.difference(old, new)


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

    `CIB_user` names the user with whose rights a file is read and written.

    `notify` is told when the cluster lets us wait.
    """
    user = asking_user(environment)
    name = shadow or environment.get("CIB_shadow", "")
    if name:
        return FileSource(shadow_directory(root, environment) / f"shadow.{name}", user)
    file = environment.get("CIB_file", "")
    if file:
        return FileSource(Path(file), user)
    return LiveSource(root, notify=notify)


def shadow_directory(root: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Find where shadow CIBs lie."""
    return Path(environment.get("CIB_shadow_dir") or root / SHADOW_DIRECTORY)


def _settle(configuration: Item) -> None:
    """Let the sets of what holds resources stand before these, in whatever order they came."""
    resources = configuration.first("resources")
    for holder in resources.walk() if resources is not None else ():
        if holder.tag in HOLDERS:
            holder.children.sort(key=lambda each: each.tag in RESOURCES)


class Workspace:
    """A document being edited."""

    def __init__(
        self,
        source: Source,
        root: Path = Path("/"),
        *,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.source = source
        self._root = root
        self._warn = warn
        self._base: Item | None = None
        self._working: Item | None = None

    @property
    def document(self) -> Item:
        """The document as edited; read when first needed."""
        if self._working is None:
            self._base = self.source.read()
            _settle(configuration_of(self._base))
            self._working = self._base.copy()
            if self.source.is_partial and self._warn is not None:
                self._warn(partial_words())
                self._warn = None  # once is enough
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

        self.document  # noqa: B018 - what is hidden is known when it is read
        if self.source.is_partial:
            return [unjudged()]
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
                is_judged = self.source.judges or self.source.is_partial
                problems = [] if is_judged else self._check_cib()
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
