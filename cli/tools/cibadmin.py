"""`cibadmin`: read and change the CIB, live or in a file.

Responsible for the options, texts and exit codes administrators and scripts know; what an
operation means is `crm.cib.operations`' affair, here as in the daemon.

Source: tools.md sections 1 and 2.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.tools import result
from cli.view import access
from cli.view.terminal import Terminal
from crm.api import cib as api
from crm.api.gateclient import Denied, Session, connect, installation_root
from crm.cib import acl, operations, rules, store
from crm.cib import document as documents
from crm.cib.query import answer_query
from crm.plumbing import accounts, atomicfile, errors, xml
from crm.plumbing.errors import ConfigurationError, CrmError, Unreachable
from crm.plumbing.settings import Paths

USAGE = 64
NO_INPUT = 66
DANGEROUS = 107
NOT_CONNECTED = 102
UNIMPLEMENTED = 3

_DANGER = (
    "The supplied command is considered dangerous.  To prevent accidental destruction of the"
    " cluster, the --force flag is required in order to proceed."
)

_WORDS = {
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
_SPEAKING_FOR_THEMSELVES = (api.Outcome.NOT_FOUND, api.Outcome.EXISTS, api.Outcome.OLD_DATA)


class Failure(CrmError):
    """The command ends with this exit code after printing its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Ends:
    """Where a command reads and writes: a file, or the running cluster."""

    query: Callable[[api.Query], api.QueryReply]
    change: Callable[[api.Change], api.ChangeReply]


# --- a file ------------------------------------------------------------------------------------


def _file_named(root: Path) -> Path | None:
    """Find the file the environment names, if it names one."""
    name = os.environ.get("CIB_file")  # noqa: SIM112 - the classic name
    if name:
        return Path(name)
    shadow = os.environ.get("CIB_shadow")  # noqa: SIM112
    if not shadow:
        return None
    folder = os.environ.get("CIB_shadow_dir")  # noqa: SIM112
    return (Path(folder) if folder else Paths(root).cib_dir) / f"shadow.{shadow}"


def _open_file(path: Path) -> Ends:
    from_pipe = str(path) == "-"
    try:
        data = sys.stdin.buffer.read() if from_pipe else path.read_bytes()
    except OSError as problem:
        raise _cannot_open(api.Outcome.NOT_FOUND, f"{path}: {problem.strerror}") from problem
    try:
        document = documents.Document.parse(data)
    except ConfigurationError as problem:
        raise _cannot_open(api.Outcome.INVALID_XML, f"{path}: {problem}") from problem
    wrong = [p for p in rules.validate(document.root) if errors.has_errors([p])]
    if wrong:
        raise _cannot_open(api.Outcome.INVALID_XML, f"{path}: {wrong[0].message}")

    def change(request: api.Change) -> api.ChangeReply:
        guard = acl.guard_of(document.root, request.origin.user, request.origin.groups)
        carried = operations.carry_out(document, request.operations, rules.STANDARD, guard=guard)
        if carried.patch:
            if from_pipe:
                raise Failure(UNIMPLEMENTED, "standard input can be read, but not be changed")
            mode = stat.S_IMODE(path.stat().st_mode)
            atomicfile.write_durably(path.resolve(), document.text(pretty=True), mode)
        findings = tuple(
            api.Finding(p.code, p.severity.value, p.subject, p.message, p.hint)
            for p in carried.findings
        )
        return api.ChangeReply(0, carried.outcome, carried.after, findings, carried.xml)

    return Ends(lambda query: answer_query(document, query), change)


def _cannot_open(outcome: api.Outcome, why: str) -> Failure:
    return Failure(
        outcome,
        f"Could not connect to the CIB: {_WORDS[outcome]}\n"
        f"Init failed, could not perform requested operations\n  {why}",
    )


# --- the cluster -------------------------------------------------------------------------------


def _open_live(root: Path, timeout_s: float) -> Ends:
    try:
        session = connect(root, name="cibadmin", timeout_s=timeout_s, notify=Terminal().tell)
    except Unreachable as problem:
        raise Failure(
            NOT_CONNECTED,
            "Could not connect to the CIB: Transport endpoint is not connected\n"
            f"Init failed, could not perform requested operations\n  {problem}",
        ) from problem

    def query(request: api.Query) -> api.QueryReply:
        reply = _ask(session, request)
        assert isinstance(reply, api.QueryReply), "a query is answered by a QueryReply"
        return reply

    def change(request: api.Change) -> api.ChangeReply:
        reply = _ask(session, request)
        assert isinstance(reply, api.ChangeReply), "a change is answered by a ChangeReply"
        return reply

    return Ends(query, change)


def _ask(session: Session, request: api.Query | api.Change) -> object:
    try:
        return session.ask(api.SERVICE, request)
    except Denied as problem:
        hint = f"\n  {problem.hint}" if problem.hint else ""
        raise Failure(problem.code, f"Call failed: {problem}{hint}") from problem
    except Unreachable as problem:
        raise Failure(api.Outcome.UNKNOWN_OUTCOME, f"Call failed: {problem}") from problem


# --- the command -------------------------------------------------------------------------------


def _flag(*names: str, text: str) -> Callable[[Any], Any]:  # Any: click decorates anything
    return click.option(*names, is_flag=True, help=text)


@click.command(
    context_settings={"help_option_names": ["-?", "--help"]},
    help="Query and edit the configuration of the cluster.",
)
@_flag("-Q", "--query", text="Query the contents of the CIB.")
@_flag("-C", "--create", text="Create an object; fails if it exists.")
@_flag("-M", "--modify", text="Find an object and update it.")
@_flag("-R", "--replace", text="Replace an object with all it holds.")
@_flag("-D", "--delete", text="Delete the first object that matches.")
@_flag("-d", "--delete-all", text="With --xpath: delete every match. Needs --force.")
@_flag("-P", "--patch", text="Apply a patch in the format of crm_diff.")
@_flag("-E", "--erase", text="Erase the whole CIB. Needs --force.")
@_flag("-B", "--bump", text="Raise the epoch by one.")
@_flag("-u", "--upgrade", text="Upgrade to the newest schema. Needs --force.")
@click.option("-a", "--empty", is_flag=False, flag_value="-", help="Print an empty CIB.")
@_flag("-5", "--md5-sum", "md5_sum", text="Print the digest of a file.")
@_flag("-6", "--md5-sum-versioned", "md5_versioned", text="Print the digest with its version.")
@click.option("-S", "--show-access", is_flag=False, flag_value="auto", help="Show access rights.")
@click.option("-o", "--scope", "--obj_type", "scope", default="", help="The section to work on.")
@click.option("-A", "--xpath", default="", help="An XPath instead of a section.")
@click.option("-X", "--xml-text", default=None, help="The XML, as text.")
@click.option("-x", "--xml-file", default=None, help="The XML, in a file.")
@_flag("-p", "--xml-pipe", text="The XML, on standard input.")
@_flag("-c", "--allow-create", text="With --modify: create what does not exist.")
@_flag("-n", "--no-children", "--no-bcast", "no_children", text="Leave the children out.")
@_flag("-e", "--node-path", text="Print the paths of the matches of an XPath.")
@_flag("-l", "--local", text="Accepted: queries are always local.")
@_flag("-s", "--sync-call", text="Accepted: calls always wait.")
@click.option("-t", "--timeout", type=float, default=30.0, help="Seconds to wait.")
@_flag("-f", "--force", text="Do it although it is dangerous, or there is no quorum.")
@click.option("-U", "--user", default="", help="Ask with the rights of this user.")
@click.option("-N", "--node", default="", help="Accepted: all nodes have the same CIB.")
@click.option("-V", "--verbose", count=True, help="Say more.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@click.version_option("0.1.0", "-$", "--version", message="Pacekeeper %(version)s")
def cibadmin(**options: Any) -> int:  # Any: click's options
    """Query and edit the configuration of the cluster."""
    task = _task(options)
    if task == "empty":
        click.echo(xml.serialise(_empty(options["empty"]), pretty=True).decode(), nl=False)
        return 0
    if task in ("md5", "md5v"):
        return _print_digest(options)
    if task in ("erase", "upgrade", "delete_all") and not options["force"]:
        raise Failure(DANGEROUS, _DANGER)
    if options["show_access"]:
        _check_show_access(options)
    root = installation_root(options["root"])
    path = _file_named(root)
    ends = _open_live(root, options["timeout"]) if path is None else _open_file(path)
    if options["show_access"] and task == "query":
        return _show_access(ends, options)
    if task == "query":
        return _query(ends, options)
    return _change(ends, task, options)


def _task(options: dict[str, Any]) -> str:
    """Find the action; the one that was asked for last cannot be known, so the rarest wins."""
    for task in (
        "erase",
        "upgrade",
        "delete_all",
        "patch",
        "bump",
        "replace",
        "delete",
        "create",
        "modify",
        "query",
    ):
        if options[task]:
            return task
    if options["empty"] is not None:
        return "empty"
    if options["md5_sum"]:
        return "md5"
    if options["md5_versioned"]:
        return "md5v"
    if options["show_access"]:
        return "query"
    raise click.UsageError("No operation was given")


def _empty(schema: str) -> Any:  # Any: an element; lxml stays in its rooms
    root = documents.empty(epoch=1)
    if schema != "-":
        root.set("validate-with", schema)
    return root


def _given(options: dict[str, Any]) -> bytes:
    if options["xml_text"] is not None:
        return str(options["xml_text"]).encode()
    if options["xml_file"] is not None:
        path = Path(options["xml_file"])
        try:
            return path.read_bytes()
        except OSError as problem:
            message = f"Couldn't parse input file: {path} ({problem.strerror})"
            raise Failure(api.Outcome.INVALID_XML, message) from problem
    if options["xml_pipe"]:
        return sys.stdin.buffer.read()
    return b""


def _print_digest(options: dict[str, Any]) -> int:
    data = _given(options)
    if not data:
        raise Failure(USAGE, "Please supply XML to process with -X, -x or -p")
    try:
        digest = store.classic_digest(xml.parse(data))
    except ConfigurationError as problem:
        raise Failure(api.Outcome.INVALID_XML, f"The input is not XML: {problem}") from problem
    click.echo("Versioned digest:" if options["md5_versioned"] else "Digest:", err=True, nl=False)
    click.echo(digest)
    return 0


def _query(ends: Ends, options: dict[str, Any]) -> int:
    if options["node_path"] and options["xpath"]:
        return _print_paths(ends, options, options["xpath"])
    query = api.Query(
        0,
        options["scope"],
        options["xpath"],
        options["no_children"],
        *_asking_for(options),
    )
    reply = ends.query(query)
    if reply.outcome is not api.Outcome.OK:
        raise _failure(reply.outcome)
    root = xml.parse(reply.xml, keep_comments=True)
    if options["as_json"]:
        shown = {"result": [result.element_of(root).as_json()]}
        click.echo(result.json_text(dict(shown), 0, ()), nl=False)
    else:
        click.echo(xml.serialise(root, pretty=True).decode(), nl=False)
    return 0


def _check_show_access(options: dict[str, Any]) -> None:
    """Refuse what rights cannot be shown for."""
    style, user = options["show_access"], options["user"]
    if style not in ("auto", *access.STYLES):
        raise click.UsageError(f'Unrecognized value for --show-access: "{style}"')
    if not user:
        raise click.UsageError("The supplied command requires -U user specified.")
    if user in acl.UNRESTRICTED:
        why = f"Could not evaluate access per request ({user}, error: Already in requested state)"
        raise Failure(api.Outcome.INVALID_XML, why)


def _show_access(ends: Ends, options: dict[str, Any]) -> int:
    """Print what is asked for with the rights of a user beside it."""
    reader = os.environ.get("CIB_user", "")  # noqa: SIM112 - the classic name
    whole = ends.query(api.Query(0, user=reader, groups=accounts.groups_of(reader)))
    if whole.outcome is not api.Outcome.OK:
        raise _failure(whole.outcome)
    root = xml.parse(whole.xml, keep_comments=True)
    section = documents.section_of(root, options["scope"])
    found = [] if section is None else [section]
    if options["xpath"]:
        found = documents.select(root, options["xpath"])
    if not found:
        raise _failure(api.Outcome.NOT_FOUND)
    user, groups = _asking_for(options)
    subject = acl.Subject(user, frozenset(groups))
    rights = acl.Access(root, acl.permissions_of(root, subject))
    style = options["show_access"]
    if style == "auto":
        style = "color" if sys.stdout.isatty() else "text"
    click.echo(access.render(found, rights, user, style), nl=False, color=True)
    return 0


def _asking_for(options: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Tell with whose rights to ask: a user and the user's groups; "" are one's own."""
    user = options["user"] or os.environ.get("CIB_user", "")  # noqa: SIM112 - the classic name
    return user, accounts.groups_of(user)


def _print_paths(ends: Ends, options: dict[str, Any], xpath: str) -> int:
    """Print where the matches stand; for that the whole document is needed."""
    user, groups = _asking_for(options)
    whole = ends.query(api.Query(0, user=user, groups=groups))
    if whole.outcome is not api.Outcome.OK:
        raise _failure(whole.outcome)
    found = documents.select(xml.parse(whole.xml, keep_comments=True), xpath)
    if not found:
        raise _failure(api.Outcome.NOT_FOUND)
    for element in found:
        click.echo(documents.path_of(element))
    return 0


def _change(ends: Ends, task: str, options: dict[str, Any]) -> int:
    if task == "create" and options["xpath"]:
        # The classic tool takes the XPath for nothing, and fails on what it then makes.
        message = "-C puts an object into a section (-o), not below an XPath"
        raise Failure(api.Outcome.INVALID_XML, f"Call failed: {message}")
    operation = api.XmlOperation(
        api.XmlTask(task.replace("_", "-")),
        _given(options),
        options["scope"],
        options["xpath"],
        options["allow_create"],
    )
    user, groups = _asking_for(options)
    origin = api.Origin("cibadmin", user=user, groups=groups)
    change = api.Change(0, (operation,), origin, force=options["force"])
    reply = ends.change(change)
    if reply.outcome is api.Outcome.OK:
        if options["verbose"]:
            _print_findings(reply.findings)
        if options["as_json"]:
            click.echo(result.json_text({}, 0, ()), nl=False)
        return 0
    if reply.xml:
        _print_report(reply)
    raise _failure(reply.outcome, reply.findings)


def _print_report(reply: api.ChangeReply) -> None:
    """Print what failed: the object that exists, or the candidate with its line numbers."""
    text = reply.xml.decode()
    if reply.outcome in (api.Outcome.EXISTS, api.Outcome.DENIED):
        click.echo(text, nl=False)
        return
    for number, line in enumerate(text.splitlines(), 1):
        click.echo(f"{number:4d} {line}", err=True)


def _print_findings(findings: tuple[api.Finding, ...]) -> None:
    for finding in findings:
        click.echo(f"{finding.severity}[{finding.code}]: {finding.message}", err=True)
        if finding.hint:
            click.echo(f"  hint: {finding.hint}", err=True)


def _failure(outcome: api.Outcome, findings: tuple[api.Finding, ...] = ()) -> Failure:
    """Say how the call failed, and why where the classic words do not."""
    if outcome not in _SPEAKING_FOR_THEMSELVES:
        _print_findings(findings)
    return Failure(outcome, f"Call failed: {_WORDS[outcome]}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit codes are those of the classic tool."""
    as_json = "--json" in (sys.argv[1:] if argv is None else argv)
    try:
        code = cibadmin.main(argv, prog_name="cibadmin", standalone_mode=False)
    except click.UsageError as problem:
        text = f"cibadmin: {problem.format_message()}"
        if not as_json:
            context = problem.ctx or click.Context(cibadmin, info_name="cibadmin")
            text = f"{text}\n{cibadmin.get_help(context)}"
        return _end(USAGE, text, as_json=as_json)
    except Failure as problem:
        return _end(int(problem.code), str(problem), as_json=as_json)
    except CrmError as problem:
        return _end(1, f"cibadmin: {problem}", as_json=as_json)
    except OSError as problem:
        text = f"cibadmin: {problem.filename}: {problem.strerror}"
        return _end(int(api.Outcome.NOT_DURABLE), text, as_json=as_json)
    return code if isinstance(code, int) else 0


def _end(code: int, text: str, *, as_json: bool) -> int:
    """Say why the command failed; in JSON that is the whole answer."""
    if as_json:
        click.echo(result.json_text({}, code, [text]), nl=False)
    else:
        click.echo(text, err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
