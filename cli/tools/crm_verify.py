"""`crm_verify`: say whether a configuration is valid, and what keeps it from running.

The checks are those of `crm.cib.schema` and `crm.cib.semantics`; here stand the sources (a file,
text, standard input, the running cluster), the exit codes and the classic last lines.

Source: docs/decisions/0033-semantics.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from cli.asking import nothing_words, partial_words
from cli.tools import result
from cli.view.terminal import Terminal
from crm.api import gateclient
from crm.api.cib import SERVICE, Outcome, Query, QueryReply
from crm.cib import schema, semantics, upgrade
from crm.cib.document import Document
from crm.cib.query import answer_query
from crm.plumbing import accounts, errors, xml
from crm.plumbing.errors import ConfigurationError, CrmError, Problem, Unreachable

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_DENIED = 4
EXIT_USAGE = 64
EXIT_NO_INPUT = 66
EXIT_INVALID = 78

_MEANING = {
    EXIT_OK: "OK",
    EXIT_ERROR: "Error occurred",
    EXIT_DENIED: "Insufficient privileges",
    EXIT_NO_INPUT: "Input file not available",
    EXIT_INVALID: "Invalid configuration",
}
_API_VERSION = "2.25"
CIB_FILE = "CIB_file"
"""The environment variable that puts a file in the place of the cluster's configuration."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration comes from: its bytes, and what to say when there are none.

    `must_be_valid` is true for the cluster's own configuration, which cannot be loaded at all
    unless it follows the schema.
    """

    read: Callable[[], bytes]
    complaint: str
    code: int
    must_be_valid: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings about one configuration, and what of them decides the exit code."""

    problems: list[Problem]
    has_errors: bool
    has_warnings: bool


def judge(data: bytes) -> Verdict:
    """Check a configuration of any dialect.

    Raises: ConfigurationError if the bytes are no XML document.
    """
    root = xml.parse(data)
    upgraded = upgrade.upgrade(root)
    problems = schema.check(upgraded.root)
    if not errors.has_errors(problems):
        problems += semantics.check(upgraded.root)
    policy, relations = [], []
    if not errors.has_errors(problems):
        policy = semantics.check_policy(upgraded.root)
        relations = semantics.check_relations(upgraded.root)
    has_errors = errors.has_errors([*problems, *policy])
    counted = bool(policy) or any(p.code in semantics.NOT_DONE_AS_WRITTEN for p in problems)
    found = [*upgraded.problems, *problems, *policy, *relations]
    return Verdict(found, has_errors, counted and not has_errors)


@click.command(name="crm_verify", context_settings=result.HELP)
@click.option("-L", "--live-check", "live", is_flag=True, help="check the running cluster")
@click.option("-x", "--xml-file", "file", help="check this file")
@click.option("-X", "--xml-text", "text", help="check this text")
@click.option("-p", "--xml-pipe", "pipe", is_flag=True, help="check standard input")
@click.option("-S", "--save-xml", "save", help="write the checked XML to this file")
@click.option("-V", "--verbose", "verbose", count=True, help="say what is wrong")
@click.option("-Q", "--quiet", "quiet", is_flag=True, help="only the exit code")
@click.option("--output-as", type=click.Choice(["text", "xml", "json"]), default="text")
@click.option("--json", "as_json", is_flag=True, help="answer as JSON, with every finding")
@click.option("--output-to", default="", help="write there instead of standard output")
@click.option("--root", type=click.Path(path_type=Path), default=None, help="the installation")
@click.option("--version", "-$", "version", is_flag=True, help="say which program this is")
def command(
    live: bool,
    file: str | None,
    text: str | None,
    pipe: bool,
    save: str | None,
    verbose: int,
    quiet: bool,
    output_as: str,
    as_json: bool,
    output_to: str,
    root: Path | None,
    version: bool,
) -> int:
    """Say whether a configuration is valid."""
    if version:
        click.echo("Pacemaker 2.1.5 (compatible)\nWritten by the Pacekeeper project")
        return EXIT_OK
    source = _source(live, file, text, pipe, root)
    report = _Report(quiet, "json" if as_json else output_as, output_to)
    if source is None:
        return report.end(
            EXIT_ERROR,
            ["No configuration source specified. Use --help for usage information."],
        )
    try:
        data = source.read()
        verdict = judge(data)
    except _Hidden as problem:
        return report.end(EXIT_DENIED, [f"crm_verify: {problem}"])
    except (OSError, CrmError) as problem:
        told = verbose or isinstance(problem, Unreachable | gateclient.Denied)
        details = _reasons(problem) if told else []
        return report.end(source.code, [*details, f"crm_verify: {source.complaint}"])
    if save is not None:
        try:
            Path(save).write_bytes(xml.serialise(xml.parse(data), pretty=True))
        except OSError as problem:
            return report.end(74, [f"crm_verify: cannot write {save}: {problem.strerror}"])
    return _conclude(verdict, source, verbose, report)


def _conclude(verdict: Verdict, source: Source, verbose: int, report: _Report) -> int:
    found = verdict.problems
    lines = [line for each in found for line in (*_classic(each), str(each))] if verbose else []
    advice = [] if verbose else ["-V may provide more details"]
    if source.must_be_valid and any(
        problem.code not in _POLICY_CODES
        for problem in verdict.problems
        if problem.severity is errors.Severity.ERROR
    ):
        return report.end(source.code, [*lines, f"crm_verify: {source.complaint}"], found)
    if verdict.has_errors:
        last = "crm_verify: Errors found during check: config not valid"
        return report.end(EXIT_INVALID, [*lines, last, *advice], found)
    if verdict.has_warnings:
        last = "crm_verify: Warnings found during check: config may not be valid"
        return report.end(EXIT_INVALID, [*lines, last, *advice], found)
    return report.end(EXIT_OK, lines, found)


_POLICY_CODES = frozenset({"no-fencing-device", "not-promotable", "deprecated"})
"""Findings about configurations that can be loaded all the same."""


def _classic(problem: Problem) -> list[str]:
    """Say a finding in the words the tool has always had, which scripts look for."""
    match problem.code:
        case "no-fencing-device":
            return [
                "error: Resource start-up disabled since no STONITH resources have been defined",
                "error: Either configure some or disable STONITH with the stonith-enabled option",
                "error: NOTE: Clusters with shared data need STONITH to ensure data integrity",
            ]
        case "not-promotable":
            return [
                f"error: Resource {problem.subject} cannot be used as a promotable clone resource"
            ]
        case _:
            return []


def _reasons(problem: Exception) -> list[str]:
    if isinstance(problem, ConfigurationError) and problem.problems:
        return [str(each) for each in problem.problems]
    return [f"crm_verify: {problem}"]


# --- sources --------------------------------------------------------------------------------


def _source(
    live: bool, file: str | None, text: str | None, pipe: bool, root: Path | None
) -> Source | None:
    if live:
        complaint = "CIB query failed: Input file not available"
        return Source(
            lambda: read_live(gateclient.installation_root(root)),
            complaint,
            EXIT_NO_INPUT,
            must_be_valid=True,
        )
    if file is not None:
        return Source(Path(file).read_bytes, f"Couldn't parse input file: {file}", EXIT_ERROR)
    if text is not None:
        encoded = text.encode("utf-8", "surrogateescape")
        return Source(lambda: encoded, f"Couldn't parse input string: {text}", EXIT_ERROR)
    if pipe:
        return Source(sys.stdin.buffer.read, "Couldn't parse input from STDIN.", EXIT_ERROR)
    return None


def read_live(root: Path) -> bytes:
    """Read the configuration the cluster runs, or the file `CIB_file` names in its place.

    Raises: CrmError or OSError if neither can be had.
    """
    if named := os.environ.get(CIB_FILE):
        data = sys.stdin.buffer.read() if named == "-" else Path(named).read_bytes()
        return _as_seen(data) if gateclient.asking_user() else data
    with gateclient.connect(root, name="crm_verify", notify=Terminal().tell) as session:
        return _seen(session.ask(SERVICE, Query(request=0)))


def _as_seen(data: bytes) -> bytes:
    """Give a document as far as the user may see it whom the environment names."""
    user = gateclient.asking_user()
    question = Query(0, user=user, groups=accounts.groups_of(user))
    return _seen(answer_query(Document.parse(data), question))


class _Hidden(CrmError):
    """Access lists hide a part of the configuration, or all of it."""


def _seen(reply: object) -> bytes:
    """Take a document that may be judged: the whole of it.

    Raises: _Hidden if it is not the whole; CrmError if there is none.
    """
    if not isinstance(reply, QueryReply):
        raise CrmError("the cib did not give its document")
    if reply.outcome is Outcome.DENIED:
        raise _Hidden(nothing_words())
    if reply.outcome is not Outcome.OK:
        raise CrmError("the cib did not give its document")
    if reply.is_partial:
        raise _Hidden(f"a part of a configuration cannot be verified by itself: {partial_words()}")
    return reply.xml


# --- reporting ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Report:
    """How the end is told: lines on standard error, and on request one document."""

    quiet: bool
    form: str
    target: str

    def end(self, code: int, lines: list[str], problems: Sequence[Problem] = ()) -> int:
        """Say the lines, or in JSON the problems, and give the exit code back."""
        if self.form == "json":
            self._write(self._json(code, lines, problems))
            return code
        if not self.quiet:
            for line in lines:
                click.echo(line, err=True)
        if self.form == "xml":
            self._write(self._document(code))
        return code

    def _json(self, code: int, lines: list[str], problems: Sequence[Problem]) -> str:
        shown = [
            {
                "code": problem.code,
                "severity": problem.severity.value,
                "subject": problem.subject,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems
        ]
        said = [] if shown else lines
        status = {"code": code, "message": _MEANING.get(code, ""), "errors": said}
        encoded = msgspec.json.encode({"problems": shown, "status": status})
        return msgspec.json.format(encoded, indent=2).decode()

    def _document(self, code: int) -> str:
        request = " ".join(["crm_verify", *sys.argv[1:]])
        head = f"<pacemaker-result api-version={xml.quoted(_API_VERSION)}"
        status = (
            f"<status code={xml.quoted(str(code))} message={xml.quoted(_MEANING.get(code, ''))}/>"
        )
        return f"{head} request={xml.quoted(request)}>\n  {status}\n</pacemaker-result>"

    def _write(self, document: str) -> None:
        if self.target and self.target != "-":
            Path(self.target).write_text(document + "\n", encoding="utf-8")
        else:
            click.echo(document)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        code = command.main(args=argv, prog_name="crm_verify", standalone_mode=False)
    except click.UsageError as problem:
        return result.refuse(result.begin("crm_verify", argv, has_xml=True), problem)
    except click.Abort:
        return EXIT_ERROR
    return int(code or 0)


if __name__ == "__main__":
    raise SystemExit(main())
