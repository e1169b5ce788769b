"""`crm_ticket`: show and change the tickets of a multi-site cluster.

Responsible for the options, texts and exit codes, and for asking before a ticket is given or
taken by hand. Not responsible for what a ticket does (`pengine`).

Source: tools.md section 2.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.tools import ends, result
from cli.tools.result import Failure
from crm.api import cib as api
from crm.api.gateclient import installation_root
from crm.cib import document as documents
from crm.cib import elements
from crm.model import options
from crm.model.exit_codes import Exit
from crm.plumbing import xml

_MOMENTS = ("last-granted", "expires")
"""Attributes that hold seconds since 1970."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_NOT_ALLOWED = "crm_ticket: Ticket modification not allowed"

_ON_GRANT = (
    "This command cannot help you verify whether '{0}' has been already granted elsewhere.\n"
    "If you really want to grant '{0}' to this site now, and you know what you are doing,\n"
    "please specify --force."
)
_ON_REVOKE = (
    "Resources that depend on '{0}' follow their loss-policy when it is revoked; see which with\n"
    "  crm_ticket --ticket {0} --constraints\n"
    "To let go of it in an orderly way, make it standby before:\n"
    "  crm_ticket --ticket {0} --standby\n"
    "To revoke '{0}' now all the same, specify --force."
)


@dataclass(frozen=True)
class _Task:
    """What to change: attributes to set, and attributes to take away."""

    ticket: str
    settings: dict[str, str]
    deletions: tuple[str, ...] = ()


def _query(*names: str, task: str, text: str) -> Callable[[Any], Any]:  # Any: click's functions
    """Give a command one of the options that show something; of several the last one counts."""
    return click.option(*names, is_flag=True, callback=result.noted(task), help=text)


@click.command(
    "crm_ticket",
    context_settings=result.HELP,
    help="Query and change cluster tickets.",
)
@_query("-l", "--info", task="info", text="Show tickets.")
@_query("-L", "--details", task="details", text="Show tickets with all they have.")
@_query("-w", "--raw", task="raw", text="Show the ids of tickets.")
@_query("-q", "--query-xml", task="query_xml", text="Show the XML of tickets.")
@_query("-c", "--constraints", task="constraints", text="Show the constraints on tickets.")
@click.option("-g", "--grant", is_flag=True, help="Give the ticket to this site. Needs --force.")
@click.option("-r", "--revoke", is_flag=True, help="Take the ticket from this site. Needs --force.")
@click.option("-s", "--standby", is_flag=True, help="Let the ticket be of no effect.")
@click.option("-a", "--activate", is_flag=True, help="Let the ticket be of effect again.")
@click.option("-G", "--get-attr", help="Show an attribute of the ticket.")
@click.option("-S", "--set-attr", multiple=True, help="Set an attribute to --attr-value.")
@click.option("-D", "--delete-attr", multiple=True, help="Delete an attribute.")
@click.option("-C", "--cleanup", is_flag=True, help="Forget the ticket at this site.")
@click.option("-t", "--ticket", help="The id of the ticket.")
@click.option("-v", "--attr-value", "value", help="The value for --set-attr.")
@click.option("-d", "--default", help="What --get-attr shows if there is no such attribute.")
@click.option("-n", "--set-name", help="Accepted: tickets have no sets of attributes.")
@click.option("-i", "--nvpair", help="Accepted: tickets have no sets of attributes.")
@click.option("-Q", "--quiet", is_flag=True, help="Accepted: there is nothing to leave out.")
@click.option("-f", "--force", is_flag=True, help="Do it without asking.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", type=click.Path(path_type=Path), default=None, help="The installation.")
@result.json_option
@result.version_option
@click.pass_context
def crm_ticket(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Query and change cluster tickets."""
    answer: result.Answer = context.obj
    task = _task(options)
    asked = context.meta.get("action") or ("cleanup" if options["cleanup"] else "")
    if task is None and not asked and options["get_attr"] is None:
        raise Failure(Exit.USAGE, "crm_ticket: Must supply a command")
    if not options["ticket"]:
        text = "crm_ticket: Must supply ticket ID with -t"
        if options["get_attr"] is not None:
            raise Failure(Exit.NO_SUCH_OBJECT, text)
        if asked == "cleanup":
            raise Failure(Exit.USAGE, text)
    cib = ends.open_cib("crm_ticket", installation_root(options["root"]))
    if asked in ("info", "details", "raw"):
        return _list(answer, cib.document(), options["ticket"], asked)
    if asked == "query_xml":
        return _show_state(answer, cib.document(), options["ticket"])
    if asked == "constraints":
        return _show_constraints(answer, cib.document(), options["ticket"])
    if options["get_attr"] is not None:
        return _get(answer, cib.document(), options)
    if asked == "cleanup":
        return _cleanup(answer, cib, options["ticket"], force=options["force"])
    assert task is not None, "one of the commands was given"
    return _change(answer, cib, task, force=options["force"])


def _task(options: dict[str, Any]) -> _Task | None:
    settings: dict[str, str] = {}
    for option, name, value in (
        ("grant", "granted", "true"),
        ("revoke", "granted", "false"),
        ("standby", "standby", "true"),
        ("activate", "standby", "false"),
    ):
        if options[option]:
            settings[name] = value
    if options["set_attr"] and options["value"] is None:
        raise Failure(Exit.USAGE, "crm_ticket: Must supply attribute value with -v for -S")
    settings |= dict.fromkeys(options["set_attr"], options["value"])
    deletions = tuple(options["delete_attr"])
    if not settings and not deletions:
        return None
    if not options["ticket"]:
        raise Failure(Exit.USAGE, "crm_ticket: Must supply ticket ID with -t")
    if "id" in (*settings, *deletions):
        raise Failure(Exit.USAGE, "crm_ticket: The id of a ticket cannot be changed")
    for name in (*settings, *deletions):
        if not _NAME.fullmatch(name):
            raise Failure(Exit.USAGE, f"crm_ticket: '{name}' is no name of an attribute")
    return _Task(options["ticket"], settings, deletions)


# --- showing ------------------------------------------------------------------------------------


def _list(answer: result.Answer, document: documents.Document, wanted: str | None, how: str) -> int:
    tickets = _tickets(document)
    if wanted is not None:
        if wanted not in tickets:
            raise Failure(Exit.NO_SUCH_OBJECT, f"crm_ticket: No such ticket '{wanted}'")
        tickets = {wanted: tickets[wanted]}
    for name, attributes in tickets.items():
        answer.line(name if how == "raw" else _line(name, attributes, how == "details"))
        answer.element("ticket", {"id": name, **attributes})
    return answer.end(Exit.OK)


def _tickets(document: documents.Document) -> dict[str, dict[str, str]]:
    """Collect what is known of every ticket, also of those only constraints speak of."""
    found = {
        state.get("id", ""): elements.attributes_of(state) for state in _states(document, None)
    }
    for constraint in _constraints(document, None):
        found.setdefault(constraint.get("ticket", ""), {})
    return found


def _line(name: str, attributes: dict[str, str], detailed: bool) -> str:
    state = "granted" if options.is_true(attributes.get("granted", "")) else "revoked"
    standby = "[standby] " if options.is_true(attributes.get("standby", "")) else " " * 10
    rest = ""
    if detailed:
        shown = [f"{key}={_value(key, value)}" for key, value in attributes.items() if key != "id"]
        rest = f"({', '.join(shown)})" if shown else ""
    elif "last-granted" in attributes:
        rest = f"last-granted={_value('last-granted', attributes['last-granted'])}"
    return f"{name}\t{state} {standby}{rest}".rstrip()


def _value(name: str, value: str) -> str:
    if name not in _MOMENTS or not value.isascii() or not value.isdigit() or len(value) > 11:
        return value
    return f"'{time.ctime(int(value))}'"


def _show_state(answer: result.Answer, document: documents.Document, wanted: str | None) -> int:
    found = _states(document, wanted)
    if wanted is None:
        found = list(document.status.iterchildren("tickets"))
    if not found:
        message = "crm_ticket: Could not query ticket XML: No such device or address"
        raise Failure(Exit.NO_SUCH_OBJECT, message)
    return _show(answer, "State XML:", found)


def _show_constraints(
    answer: result.Answer, document: documents.Document, wanted: str | None
) -> int:
    found = _constraints(document, wanted)
    if not found:
        message = "crm_ticket: Could not show ticket constraints: No such device or address"
        raise Failure(Exit.NO_SUCH_OBJECT, message)
    return _show(answer, "Constraints XML:", found)


def _show(answer: result.Answer, title: str, elements: Sequence[Any]) -> int:  # Any: elements
    answer.line(f"{title}\n")
    texts = [xml.serialise(element, pretty=True).decode().rstrip("\n") for element in elements]
    if len(texts) > 1:
        inner = "\n".join(f"  {line}" for text in texts for line in text.split("\n"))
        texts = [f"<xpath-query>\n{inner}\n</xpath-query>"]
    answer.line(texts[0])
    return answer.end(Exit.OK)


def _get(answer: result.Answer, document: documents.Document, options: dict[str, Any]) -> int:
    found = _states(document, options["ticket"])
    value = found[0].get(options["get_attr"]) if found else None
    value = options["default"] if value is None else value
    if value is None:
        return answer.end(Exit.NO_SUCH_OBJECT)
    answer.line(value)
    return answer.end(Exit.OK)


def _states(document: documents.Document, wanted: str | None) -> list[Any]:  # Any: elements
    return [
        state
        for block in document.status.iterchildren("tickets")
        for state in block.iterchildren("ticket_state")
        if wanted is None or state.get("id") == wanted
    ]


def _constraints(document: documents.Document, wanted: str | None) -> list[Any]:  # Any: elements
    return [
        constraint
        for constraint in document.configuration.iter("rsc_ticket")
        if wanted is None or constraint.get("ticket") == wanted
    ]


# --- changing -----------------------------------------------------------------------------------


def _change(answer: result.Answer, cib: ends.Ends, task: _Task, *, force: bool) -> int:
    found = _states(cib.document(), task.ticket)
    before = elements.attributes_of(found[0]) if found else {}
    _ask_before(answer, task, force=force)
    settings = dict(task.settings)
    if options.is_true(settings.get("granted", "")) and (
        not options.is_true(before.get("granted", ""))
    ):
        settings["last-granted"] = str(int(time.time()))
    operations = []
    if settings:
        text = _state_xml({"id": task.ticket, **settings})
        operations.append(
            api.XmlOperation(
                api.XmlTask.MODIFY,
                f"<status><tickets>{text}</tickets></status>".encode(),
                may_create=True,
            )
        )
    after = {**before, **settings}
    if any(name in after for name in task.deletions):
        kept = {name: value for name, value in after.items() if name not in task.deletions}
        operations.append(
            api.XmlOperation(api.XmlTask.REPLACE, _state_xml(kept).encode(), section="status")
        )
    if operations:
        cib.change(operations, "crm_ticket: Could not modify ticket")
    return answer.end(Exit.OK)


def _ask_before(answer: result.Answer, task: _Task, *, force: bool) -> None:
    """Explain what giving or taking a ticket by hand can do, unless that was forced."""
    if force or "granted" not in (*task.settings, *task.deletions):
        return
    gives = options.is_true(task.settings.get("granted", ""))
    answer.line((_ON_GRANT if gives else _ON_REVOKE).format(task.ticket))
    raise Failure(Exit.INSUFFICIENT_PRIVILEGES, _NOT_ALLOWED)


def _cleanup(answer: result.Answer, cib: ends.Ends, ticket: str, *, force: bool) -> int:
    found = _states(cib.document(), ticket)
    if not found:
        if force:
            return answer.end(Exit.OK)
        raise Failure(Exit.NO_SUCH_OBJECT, f"crm_ticket: No such ticket '{ticket}'")
    if options.is_true(found[0].get("granted", "")) and not force:
        answer.line(_ON_REVOKE.format(ticket))
        raise Failure(Exit.INSUFFICIENT_PRIVILEGES, _NOT_ALLOWED)
    text = _state_xml({"id": ticket}).encode()
    operation = api.XmlOperation(api.XmlTask.DELETE, text, section="status")
    cib.change([operation], "crm_ticket: Could not clean up ticket")
    answer.line(f"Cleaned up {ticket}")
    return answer.end(Exit.OK)


def _state_xml(attributes: dict[str, str]) -> str:
    words = " ".join(f"{name}={xml.quoted(value)}" for name, value in attributes.items())
    return f"<ticket_state {words}/>"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_ticket, argv)


if __name__ == "__main__":
    sys.exit(main())
