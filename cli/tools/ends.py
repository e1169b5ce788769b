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
from typing import NamedTuple

import click
import msgspec

from cli.asking import partial_words
from cli.reasons import command_line
from cli.tools.result import Failure
from cli.view.terminal import Terminal
from crm.api import cib as api
from crm.api.gateclient import Denied, Session, asking_user, connect
from crm.cib import acl, offline, operations, rules
from crm.cib import document as documents
from crm.cib.query import answer_query
from crm.model import exit_codes
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


ANSWER_LIMIT_S = 10.0
"""How long an answer may take when nobody says; a change takes longer, see `CHANGE_LIMIT_S`."""


class Manner(NamedTuple):
    """How a tool speaks of an end that fails; `{}` stands for what went wrong."""

    opening: str
    asking: str = "{}"
    is_input: bool = False
    """The CIB is what the tool works on: without one, its input file is missing."""


def manner_of(tool: str, *, is_input: bool = False) -> Manner:
    """Give the manner most tools have."""
    return Manner(f"{tool}: Could not connect to the CIB: {{}}", f"{tool}: {{}}", is_input)


@dataclass(frozen=True)
class Ends:
    """A CIB that was opened by `tool`."""

    tool: str
    query: Callable[[api.Query], api.QueryReply]
    submit: Callable[[api.Change], api.ChangeReply]
    session: Session | None = None
    """The way to the other daemons, if this is a running cluster."""

    def document(self) -> documents.Document:
        """Read the whole CIB.

        Raises: Failure if it cannot be read.
        """
        return documents.Document.parse(self.read().xml)

    def read(self) -> api.QueryReply:
        """Read the whole CIB, and say beside the result when access lists hide a part of it.

        Raises: Failure if it cannot be read.
        """
        user = asking_user()
        reply = self.query(api.Query(0, user=user, groups=accounts.groups_of(user)))
        if reply.outcome is not api.Outcome.OK:
            text = f"{self.tool}: Could not query the CIB: {WORDS[reply.outcome]}"
            raise Failure(reply.outcome, text)
        if reply.is_partial:
            click.echo(f"{self.tool}: warning: {partial_words()}", err=True)
        return reply

    def change(self, changes: Sequence[api.Operation], what: str) -> None:
        """Carry operations out, all or none; `what` begins the message if they fail.

        Raises: Failure if they were refused.
        """
        user = asking_user()
        reason = command_line(sys.argv)
        groups = accounts.groups_of(user)
        origin = api.Origin(self.tool, user=user, reason=reason, groups=groups)
        reply = self.submit(api.Change(0, tuple(changes), origin))
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
        return _ask(manner_of(self.tool), self.session, service, message)


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


def open_cib(
    tool: str,
    root: Path,
    *,
    shadows: bool = True,
    files: bool = True,
    manner: Manner | None = None,
    timeout_s: float = ANSWER_LIMIT_S,
) -> Ends:
    """Open the CIB the environment names, else that of the running cluster.

    Without `files` it is that of the running cluster in any case.

    Units: `timeout_s` is how long the running cluster may take for each answer.
    Raises: Failure if it cannot be opened.
    """
    speaking = manner or manner_of(tool)
    if files:
        if name := os.environ.get("CIB_file"):  # noqa: SIM112
            return _open_file(tool, Path(name), speaking)
        if shadows and (shadow := os.environ.get("CIB_shadow")):  # noqa: SIM112
            return _open_file(tool, shadow_file(root, shadow), speaking)
    return _open_live(tool, root, speaking, timeout_s)


def _open_file(tool: str, path: Path, manner: Manner) -> Ends:
    from_pipe = str(path) == "-"
    own = None
    try:
        own = None if from_pipe else offline.OwnFile.open(path)
        if own is not None:
            document = own.document
            Terminal().report(own.problems)
        else:
            data = sys.stdin.buffer.read() if from_pipe else path.read_bytes()
            document = documents.Document.parse(data)
    except OSError as problem:
        is_there = not isinstance(problem, FileNotFoundError)
        outcome = api.Outcome.INVALID_XML if is_there else api.Outcome.NOT_FOUND
        raise _cannot_open(manner, outcome, f"{path}: {problem.strerror}") from problem
    except ConfigurationError as problem:
        raise _cannot_open(manner, api.Outcome.INVALID_XML, f"{path}: {problem}") from problem
    wrong = [finding for finding in rules.validate(document.root) if errors.has_errors([finding])]
    if wrong:
        raise _cannot_open(manner, api.Outcome.INVALID_XML, f"{path}: {wrong[0].message}")

    def change(request: api.Change) -> api.ChangeReply:
        guard = acl.guard_of(document.root, request.origin.user, request.origin.groups)
        carried = operations.carry_out(document, request.operations, rules.STANDARD, guard=guard)
        if carried.patch:
            if from_pipe:
                text = f"{tool}: standard input can be read, but not be changed"
                raise Failure(Exit.UNIMPLEMENTED, text)
            _keep(tool, manner, path, own, document, carried)
        findings = api.findings_of(carried.findings)
        return api.ChangeReply(0, carried.outcome, carried.after, findings, carried.xml)

    return Ends(tool, lambda request: answer_query(document, request), change)


def _keep(
    tool: str,
    manner: Manner,
    path: Path,
    own: offline.OwnFile | None,
    document: documents.Document,
    carried: operations.Carried,
) -> None:
    try:
        if own is not None:
            own.keep(carried, offline.origin_of(tool, command_line(sys.argv)))
            Terminal().report(own.warnings_about(carried))
            return
        mode = stat.S_IMODE(path.stat().st_mode)
        atomicfile.write_durably(path.resolve(), document.text(pretty=True), mode)
    except ConfigurationError as problem:
        hints = "".join(f"\n  {found.hint}" for found in problem.problems)
        raise Failure(Exit.ERROR, f"{manner.asking.format(problem)}{hints}") from problem


def _cannot_open(manner: Manner, outcome: api.Outcome, why: str) -> Failure:
    if manner.is_input:
        text = exit_codes.exit_code(Exit.NO_INPUT).text
        return Failure(Exit.NO_INPUT, f"{manner.opening.format(text)}\n  {why}")
    return Failure(outcome, f"{manner.opening.format(WORDS[outcome])}\n  {why}")


def _open_live(tool: str, root: Path, manner: Manner, timeout_s: float) -> Ends:
    try:
        session = connect(root, name=tool, timeout_s=timeout_s, notify=Terminal().tell)
    except Denied as problem:
        raise Failure(problem.code, manner.opening.format(problem)) from problem
    except Unreachable as problem:
        text = manner.opening.format(WORDS[api.Outcome.NOT_READY])
        raise Failure(Exit.NOT_CONNECTED, f"{text}\n  {problem}") from problem

    changes_s = api.CHANGE_LIMIT_S if timeout_s == ANSWER_LIMIT_S else timeout_s

    def query(request: api.Query) -> api.QueryReply:
        reply = _ask(manner, session, api.SERVICE, request)
        assert isinstance(reply, api.QueryReply), "a query is answered by a QueryReply"
        return reply

    def change(request: api.Change) -> api.ChangeReply:
        reply = _ask(manner, session, api.SERVICE, request, changes_s)
        assert isinstance(reply, api.ChangeReply), "a change is answered by a ChangeReply"
        return reply

    return Ends(tool, query, change, session)


def _ask(
    manner: Manner,
    session: Session,
    service: str,
    request: msgspec.Struct,
    timeout_s: float | None = None,
) -> object:
    try:
        return session.ask(service, request, timeout_s=timeout_s)
    except Denied as problem:
        hint = f"\n  {problem.hint}" if problem.hint else ""
        raise Failure(problem.code, f"{manner.asking.format(problem)}{hint}") from problem
    except Unreachable as problem:
        doubt = ""
        if isinstance(request, api.Change):
            doubt = f"\n  the change may have been made: {api.LOOK_HINT}"
        text = f"{manner.asking.format(problem)}{doubt}"
        raise Failure(api.Outcome.UNKNOWN_OUTCOME, text) from problem
