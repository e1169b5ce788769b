"""Where a tool reads and changes the CIB: the file the environment names, or the cluster.

Responsible for finding it, for opening it, and for the classic words when that fails. Not
responsible for what an operation means (`crm.cib.operations`), here as in the daemon.

Source: tools.md section 1.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cli.tools.result import Failure
from crm.api import cib as api
from crm.api.gateclient import Denied, Session, connect
from crm.cib import acl, operations, rules
from crm.cib import document as documents
from crm.cib.query import answer_query
from crm.model.exit_codes import Exit
from crm.plumbing import accounts, atomicfile, errors
from crm.plumbing.errors import ConfigurationError, Unreachable
from crm.plumbing.settings import Paths

WORDS = {
    api.Outcome.ERROR: "Generic Pacemaker error",
    api.Outcome.DENIED: "Permission denied",
    api.Outcome.NO_DATA: "Invalid argument",
    api.Outcome.INVALID_XML: "Update does not conform to the configured schema",
    api.Outcome.OLD_DATA: "Update was older than existing configuration",
    api.Outcome.NOT_FOUND: "No such device or address",
    api.Outcome.NO_QUORUM: "Operation requires quorum",
    api.Outcome.EXISTS: "File exists",
    api.Outcome.NOT_READY: "Transport endpoint is not connected",
    api.Outcome.NOT_DURABLE: "Input/output error",
    api.Outcome.UNKNOWN_OUTCOME: "Timer expired",
    api.Outcome.CONFLICT: "The configuration was changed meanwhile",
}
"""How the classic tools put an outcome into words."""


@dataclass(frozen=True)
class Ends:
    """A CIB that was opened by `tool`."""

    tool: str
    _query: Callable[[api.Query], api.QueryReply]
    _change: Callable[[api.Change], api.ChangeReply]
    session: Session | None = None
    """The way to the other daemons, if this is a running cluster."""

    def document(self) -> documents.Document:
        """Read the whole CIB.

        Raises: Failure if it cannot be read.
        """
        user = _user()
        reply = self._query(api.Query(0, user=user, groups=accounts.groups_of(user)))
        if reply.outcome is not api.Outcome.OK:
            text = f"{self.tool}: Could not query the CIB: {WORDS[reply.outcome]}"
            raise Failure(reply.outcome, text)
        return documents.Document.parse(reply.xml)

    def change(self, changes: Sequence[api.Operation], what: str) -> None:
        """Carry operations out, all or none; `what` begins the message if they fail.

        Raises: Failure if they were refused.
        """
        user = _user()
        origin = api.Origin(self.tool, user=user, groups=accounts.groups_of(user))
        reply = self._change(api.Change(0, tuple(changes), origin))
        if reply.outcome is not api.Outcome.OK:
            reasons = "".join(f"\n  {finding.message}" for finding in reply.findings)
            raise Failure(reply.outcome, f"{what}: {WORDS[reply.outcome]}{reasons}")

    def ask(self, service: str, message: msgspec.Struct) -> object:
        """Ask another daemon of the running cluster.

        Raises: Failure if it refused or does not answer, or if this is no running cluster.
        """
        if self.session is None:
            text = f"{self.tool}: {service} answers in a running cluster only, not for a file"
            raise Failure(Exit.NOT_CONNECTED, text)
        return _ask(self.tool, self.session, service, message)


def _user() -> str:
    return os.environ.get("CIB_user", "")  # noqa: SIM112 - the classic name


def shadow_folder(root: Path) -> Path:
    """Find where shadow CIBs lie."""
    folder = os.environ.get("CIB_shadow_dir")  # noqa: SIM112
    return Path(folder) if folder else Paths(root).cib_dir


def shadow_file(root: Path, name: str) -> Path:
    """Find the file of a shadow CIB; its name may not lead out of the folder.

    Raises: Failure if it would.
    """
    if "/" in name or "\0" in name:
        raise Failure(Exit.INVALID_PARAMETER, f"'{name}' is no name of a shadow instance")
    return shadow_folder(root) / f"shadow.{name}"


def open_cib(tool: str, root: Path, *, shadows: bool = True, files: bool = True) -> Ends:
    """Open the CIB the environment names, else that of the running cluster.

    Without `files` it is that of the running cluster in any case.

    Raises: Failure if it cannot be opened.
    """
    if not files:
        return _open_live(tool, root)
    if name := os.environ.get("CIB_file"):  # noqa: SIM112
        return _open_file(tool, Path(name))
    if shadows and (shadow := os.environ.get("CIB_shadow")):  # noqa: SIM112
        return _open_file(tool, shadow_file(root, shadow))
    return _open_live(tool, root)


def _open_file(tool: str, path: Path) -> Ends:
    from_pipe = str(path) == "-"
    try:
        document = documents.Document.parse(
            sys.stdin.buffer.read() if from_pipe else path.read_bytes()
        )
    except OSError as problem:
        why = f"{path}: {problem.strerror}"
        raise _cannot_open(tool, api.Outcome.NOT_FOUND, why) from problem
    except ConfigurationError as problem:
        raise _cannot_open(tool, api.Outcome.INVALID_XML, f"{path}: {problem}") from problem
    wrong = [finding for finding in rules.validate(document.root) if errors.has_errors([finding])]
    if wrong:
        raise _cannot_open(tool, api.Outcome.INVALID_XML, f"{path}: {wrong[0].message}")

    def change(request: api.Change) -> api.ChangeReply:
        guard = acl.guard_of(document.root, request.origin.user, request.origin.groups)
        carried = operations.carry_out(document, request.operations, rules.STANDARD, guard=guard)
        if carried.patch:
            if from_pipe:
                text = f"{tool}: standard input can be read, but not be changed"
                raise Failure(Exit.UNIMPLEMENTED, text)
            mode = stat.S_IMODE(path.stat().st_mode)
            atomicfile.write_durably(path.resolve(), document.text(pretty=True), mode)
        findings = tuple(
            api.Finding(found.code, found.severity.value, found.subject, found.message, found.hint)
            for found in carried.findings
        )
        return api.ChangeReply(0, carried.outcome, carried.after, findings, carried.xml)

    return Ends(tool, lambda request: answer_query(document, request), change)


def _cannot_open(tool: str, outcome: api.Outcome, why: str) -> Failure:
    return Failure(outcome, f"{tool}: Could not connect to the CIB: {WORDS[outcome]}\n  {why}")


def _open_live(tool: str, root: Path) -> Ends:
    try:
        session = connect(root, name=tool)
    except Denied as problem:
        text = f"{tool}: Could not connect to the CIB: {problem}"
        raise Failure(problem.code, text) from problem
    except Unreachable as problem:
        text = f"{tool}: Could not connect to the CIB: Transport endpoint is not connected"
        raise Failure(Exit.NOT_CONNECTED, f"{text}\n  {problem}") from problem

    def query(request: api.Query) -> api.QueryReply:
        reply = _ask(tool, session, api.SERVICE, request)
        assert isinstance(reply, api.QueryReply), "a query is answered by a QueryReply"
        return reply

    def change(request: api.Change) -> api.ChangeReply:
        reply = _ask(tool, session, api.SERVICE, request)
        assert isinstance(reply, api.ChangeReply), "a change is answered by a ChangeReply"
        return reply

    return Ends(tool, query, change, session)


def _ask(tool: str, session: Session, service: str, request: msgspec.Struct) -> object:
    try:
        return session.ask(service, request)
    except Denied as problem:
        hint = f"\n  {problem.hint}" if problem.hint else ""
        raise Failure(problem.code, f"{tool}: {problem}{hint}") from problem
    except Unreachable as problem:
        raise Failure(api.Outcome.UNKNOWN_OUTCOME, f"{tool}: {problem}") from problem
