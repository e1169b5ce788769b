"""`cibadmin`: read and change the CIB, live or in a file.

Responsible for the options, texts and exit codes administrators and scripts know; what an
operation means is `crm.cib.operations`' affair, here as in the daemon.

Source: tools.md sections 1 and 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.reasons import command_line
from cli.tools import ends, result
from cli.tools.ends import Ends
from cli.tools.result import Failure
from cli.view import access
from crm.api import cib as api
from crm.api.gateclient import asking_user, installation_root
from crm.cib import acl, difference, elements, trailer
from crm.cib import document as documents
from crm.model.exit_codes import Exit
from crm.plumbing import accounts, xml
from crm.plumbing.errors import ConfigurationError

TOOL = "cibadmin"

_MANNER = ends.Manner(
    "Could not connect to the CIB: {}\nInit failed, could not perform requested operations",
    "Call failed: {}",
)
_SPEAKING_FOR_THEMSELVES = (api.Outcome.NOT_FOUND, api.Outcome.EXISTS, api.Outcome.OLD_DATA)


def _flag(*names: str, text: str) -> Callable[[Any], Any]:  # Any: click decorates anything
    return click.option(*names, is_flag=True, help=text)


def _action(
    task: str, *names: str, text: str
) -> Callable[[Any], Any]:  # Any: click decorates anything
    return click.option(*names, is_flag=True, callback=result.noted(task), help=text)


@click.command(
    TOOL,
    context_settings={"help_option_names": ["-?", "--help"]},
    help="Query and edit the configuration of the cluster. Of several actions, the last counts.",
)
@_action("query", "-Q", "--query", text="Query the contents of the CIB.")
@_action("create", "-C", "--create", text="Create an object; fails if it exists.")
@_action("modify", "-M", "--modify", text="Find an object and update it.")
@_action("replace", "-R", "--replace", text="Replace an object with all it holds.")
@_action("delete", "-D", "--delete", text="Delete the first object that matches.")
@_action("delete-all", "-d", "--delete-all", text="Delete every match of --xpath. Needs --force.")
@_action("patch", "-P", "--patch", text="Apply a patch in the format of crm_diff.")
@_action("erase", "-E", "--erase", text="Erase the whole CIB. Needs --force.")
@_action("bump", "-B", "--bump", text="Raise the epoch by one.")
@_action("upgrade", "-u", "--upgrade", text="Upgrade to the newest schema. Needs --force.")
@click.option(
    "-a",
    "--empty",
    is_flag=False,
    flag_value="-",
    callback=result.noted("empty"),
    help="Print an empty CIB.",
)
@_action("md5", "-5", "--md5-sum", text="Print the digest of a file.")
@_action("md5v", "-6", "--md5-sum-versioned", text="Print the digest of what daemons exchange.")
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
@click.option(
    "-N", "-h", "--node", "--host", default="", help="Accepted: all nodes have the same CIB."
)
@click.option("-V", "--verbose", count=True, help="Say more.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@result.json_option
@result.version_option
@click.pass_context
def cibadmin(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Query and edit the configuration of the cluster."""
    answer: result.Answer = context.obj
    task = context.meta.get("action") or ("query" if options["show_access"] else "")
    if not task:
        raise click.UsageError("No operation was given")
    if task == "empty":
        _say_element(answer, _empty(options["empty"]))
        return answer.end(Exit.OK)
    if task in ("md5", "md5v"):
        return _say_digest(answer, task, _given(options))
    if task in ("erase", "upgrade", "delete-all") and not options["force"]:
        raise Failure(Exit.UNSAFE, result.DANGER)
    if options["show_access"]:
        _check_show_access(options)
    root = installation_root(options["root"])
    cib = ends.open_cib(TOOL, root, manner=_MANNER, timeout_s=options["timeout"])
    if options["show_access"] and task == "query":
        return _show_access(cib, options)
    if task == "query":
        return _query(answer, cib, options)
    return _change(answer, cib, task, options)


def _empty(schema: str) -> Any:  # Any: an element; lxml stays in its rooms
    root = documents.empty(epoch=1)
    if schema != "-":
        root.set("validate-with", schema)
    return root


def _given(options: dict[str, Any]) -> bytes | None:
    """Read the XML that was given, if any was."""
    if options["xml_text"] is not None:
        data, where = str(options["xml_text"]).encode(), "string"
    elif options["xml_file"] is not None:
        path = Path(options["xml_file"])
        try:
            data, where = path.read_bytes(), f"file: {path}"
        except OSError as problem:
            message = f"Couldn't parse input file: {path} ({problem.strerror})"
            raise Failure(api.Outcome.INVALID_XML, message) from problem
    elif options["xml_pipe"]:
        data, where = sys.stdin.buffer.read(), "from standard input"
    else:
        return None
    if not data.strip():
        text = f"Couldn't parse input {where}\n  it is empty"
        raise Failure(api.Outcome.INVALID_XML, text)
    return data


def _say_digest(answer: result.Answer, task: str, data: bytes | None) -> int:
    if data is None:
        raise Failure(Exit.USAGE, "Please supply XML to process with -X, -x or -p")
    try:
        root = xml.parse(data, keep_comments=True)
    except ConfigurationError as problem:
        raise Failure(api.Outcome.INVALID_XML, f"The input is not XML: {problem}") from problem
    features = root.get("crm_feature_set")
    title = "Digest:" if task == "md5" else f"Versioned ({features or ''}) digest:"
    # The daemons of a release before there were feature sets exchange what lies on the disk.
    is_old = task == "md5" or features is None
    digest = trailer.classic_digest(root) if is_old else difference.digest(root)
    if not answer.as_json:
        click.echo(title, err=True, nl=False)
    answer.line(digest)
    return answer.end(Exit.OK)


def _say_element(answer: result.Answer, root: Any) -> None:  # Any: an element
    answer.line(xml.serialise(root, pretty=True).decode().rstrip("\n"))
    if answer.as_json:
        answer.part(result.element_of(root))


def _query(answer: result.Answer, cib: Ends, options: dict[str, Any]) -> int:
    if options["node_path"] and options["xpath"]:
        return _say_paths(answer, cib, options)
    query = api.Query(
        0,
        options["scope"],
        options["xpath"],
        options["no_children"],
        *_asking_for(options),
    )
    reply = cib.query(query)
    if reply.outcome is not api.Outcome.OK:
        raise _failure(answer, reply.outcome, reply.findings)
    _say_element(answer, xml.parse(reply.xml, keep_comments=True))
    return answer.end(Exit.OK)


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


def _show_access(cib: Ends, options: dict[str, Any]) -> int:
    """Print what is asked for with the rights of a user beside it."""
    reader = asking_user()
    whole = cib.query(api.Query(0, user=reader, groups=accounts.groups_of(reader)))
    if whole.outcome is not api.Outcome.OK:
        raise _refusal(whole.outcome)
    root = xml.parse(whole.xml, keep_comments=True)
    section = documents.section_of(root, options["scope"])
    found = [] if section is None else [section]
    if options["xpath"]:
        found = documents.select(root, options["xpath"])
    if not found:
        raise _refusal(api.Outcome.NOT_FOUND)
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
    user = options["user"] or asking_user()
    return user, accounts.groups_of(user)


def _say_paths(answer: result.Answer, cib: Ends, options: dict[str, Any]) -> int:
    """Say where the matches stand (without their children: which ids they have).

    For that the whole document is needed.
    """
    user, groups = _asking_for(options)
    whole = cib.query(api.Query(0, user=user, groups=groups))
    if whole.outcome is not api.Outcome.OK:
        raise _refusal(whole.outcome)
    found = documents.select(xml.parse(whole.xml, keep_comments=True), options["xpath"])
    if not found:
        raise _refusal(api.Outcome.NOT_FOUND)
    for element in found:
        is_short = options["no_children"] and element.get("id") is not None
        answer.line(str(element.get("id")) if is_short else elements.path_of(element))
    return answer.end(Exit.OK)


def _change(answer: result.Answer, cib: Ends, task: str, options: dict[str, Any]) -> int:
    if task == "create" and options["xpath"]:
        # The classic tool takes the XPath for nothing, and fails on what it then makes.
        message = "-C puts an object into a section (-o), not below an XPath"
        raise Failure(api.Outcome.INVALID_XML, f"Call failed: {message}")
    if task == "delete-all" and not options["xpath"]:
        task = "delete"
    operation = api.XmlOperation(
        api.XmlTask(task),
        _given(options) or b"",
        options["scope"],
        options["xpath"],
        options["allow_create"],
    )
    user, groups = _asking_for(options)
    origin = api.Origin(TOOL, user=user, reason=command_line(sys.argv), groups=groups)
    change = api.Change(0, (operation,), origin, force=options["force"])
    reply = cib.submit(change)
    if reply.outcome is not api.Outcome.OK:
        _say_report(answer, reply)
        raise _failure(answer, reply.outcome, reply.findings)
    if options["verbose"]:
        _say_findings(answer, reply.findings)
    return answer.end(Exit.OK)


def _say_report(answer: result.Answer, reply: api.ChangeReply) -> None:
    """Say what failed: the object that exists, or the candidate with its line numbers."""
    if not reply.xml:
        return
    text = reply.xml.decode()
    if reply.outcome in (api.Outcome.EXISTS, api.Outcome.DENIED):
        answer.line(text.rstrip("\n"))
        if answer.as_json:
            answer.part(result.element_of(xml.parse(reply.xml)))
        return
    numbered = [f"{number:4d} {line}" for number, line in enumerate(text.splitlines(), 1)]
    answer.error("\n".join(numbered))


def _say_findings(answer: result.Answer, findings: tuple[api.Finding, ...]) -> None:
    for finding in findings:
        hint = f"\n  hint: {finding.hint}" if finding.hint else ""
        answer.error(f"{finding.severity}[{finding.code}]: {finding.message}{hint}")


def _failure(
    answer: result.Answer, outcome: api.Outcome, findings: tuple[api.Finding, ...] = ()
) -> Failure:
    """Say how the call failed, and why where the classic words do not."""
    if outcome not in _SPEAKING_FOR_THEMSELVES:
        _say_findings(answer, findings)
    return _refusal(outcome)


def _refusal(outcome: api.Outcome) -> Failure:
    return Failure(outcome, f"Call failed: {ends.WORDS[outcome]}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit codes are those of the classic tool."""
    return result.run(cibadmin, argv)


if __name__ == "__main__":
    sys.exit(main())
