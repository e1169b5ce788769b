"""`crm_mon`: what runs where, once or again and again.

Responsible for the options: which sections are shown, and in which form. What is shown is a
printout of the scheduler's facts (`cli.view.status`).

Source: tools, "crm_mon".
"""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from cli.shell.context import Context
from cli.tools import result
from cli.view import monitor, monitor_xml
from cli.view.status import ClusterView, read_partial_status, read_status
from cli.view.terminal import Terminal
from cli.view.wishes import ORDINARY, SECTIONS, SUMMARY, Wishes
from crm.api.gateclient import Denied, installation_root
from crm.model.exit_codes import Exit
from crm.plumbing.errors import CrmError, Unreachable

_FORMS = ("text", "console", "xml", "json", "none")


def _add(name: str) -> Any:
    """Make the callback of an option that adds sections, or takes some away with a minus.

    Any: click's functions.
    """

    def note(context: click.Context, _parameter: click.Parameter, given: Any) -> Any:
        words: tuple[str, ...] = ()
        if given is True:
            words = (name,)
        elif isinstance(given, tuple):
            words = tuple(f"{name}{word}" for text in given for word in text.split(","))
        context.meta.setdefault("sections", []).extend(words)
        return given

    return note


def _sections(changes: list[str], *, as_xml: bool) -> frozenset[str]:
    """Work out which sections are wanted.

    Raises: UsageError if there is no such section.
    """
    every = frozenset(SECTIONS) - {"summary", "fencing"} | SUMMARY | {"fencing"}
    found = every if as_xml else ORDINARY
    for change in changes:
        takes_away = change.startswith("-")
        name = change.removeprefix("-")
        named = {"all": every, "none": every, "default": ORDINARY, "summary": SUMMARY}.get(
            name, frozenset({name})
        )
        if not named <= every:
            known = ", ".join((*SECTIONS, "all", "none", "default"))
            raise click.UsageError(f"there is no section '{name}': expected one of {known}")
        if name == "default":
            found = ORDINARY
        elif takes_away != (name == "none"):
            found -= named
        else:
            found |= named
    return found


@click.command("crm_mon", context_settings={"help_option_names": ["-?", "--help", "--help-all"]})
@click.option("-1", "--one-shot", "once", is_flag=True, help="Show once and end.")
@click.option("-n", "--group-by-node", "by_node", is_flag=True, help="Resources by node.")
@click.option("-r", "--inactive", is_flag=True, help="Inactive resources too.")
@click.option("-f", "--failcounts", is_flag=True, callback=_add("failcounts"), help="Fail counts.")
@click.option("-o", "--operations", is_flag=True, callback=_add("operations"), help="Operations.")
@click.option(
    "-t",
    "--timing-details",
    "timing",
    is_flag=True,
    callback=_add("operations"),
    help="Operations with times.",
)
@click.option(
    "-A",
    "--show-node-attributes",
    "attributes",
    is_flag=True,
    callback=_add("attributes"),
    help="Attributes of nodes.",
)
@click.option(
    "-L", "--neg-locations", "bans", is_flag=True, callback=_add("bans"), help="Negative locations."
)
@click.option("-c", "--tickets", is_flag=True, callback=_add("tickets"), help="Tickets.")
@click.option(
    "-D",
    "--hide-headers",
    "no_headers",
    is_flag=True,
    callback=_add("-summary"),
    help="No summary.",
)
@click.option(
    "-I",
    "--include",
    multiple=True,
    callback=_add(""),
    metavar="SECTIONS",
    help=f"Show these as well: {', '.join(SECTIONS)}, all, none, default.",
)
@click.option(
    "-U",
    "--exclude",
    multiple=True,
    callback=_add("-"),
    metavar="SECTIONS",
    help="Leave these out.",
)
@click.option("-R", "--show-detail", "detail", is_flag=True, help="Ids and each instance.")
@click.option("-b", "--brief", is_flag=True, help="Counts of resources.")
@click.option("-j", "--pending", is_flag=True, help="Accepted; always on.")
@click.option("-Q", "--quiet", is_flag=True, help="Accepted.")
@click.option("-V", "--verbose", count=True, help="Accepted.")
@click.option("-m", "--fence-history", type=int, default=None, help="Accepted.")
@click.option("-s", "--simple-status", "simple", is_flag=True, help="One line for monitoring.")
@click.option("-i", "--interval", default="5", metavar="SECONDS", help="Time between pictures.")
@click.option("--node", default="", metavar="NODE", help="Only this node, or those of this tag.")
@click.option("--resource", default="", metavar="RSC", help="Only this resource, or this tag.")
@click.option("--output-as", "form", type=click.Choice(_FORMS), default="text", help="Form.")
@click.option("-X", "--as-xml", "old_xml", is_flag=True, help="As XML of the old form.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--root", metavar="DIR", help="The installation.")
@result.version_option
@click.pass_context
def crm_mon(call: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show the state of the cluster."""
    given: Context | None = call.obj if isinstance(call.obj, Context) else None
    request = call.obj if isinstance(call.obj, str) else "crm_mon"
    context = given or Context(root=installation_root(options["root"]), terminal=Terminal())
    form = "json" if options["as_json"] else "old" if options["old_xml"] else options["form"]
    as_xml = form in ("xml", "old")
    if options["simple"]:
        code, line = monitor.one_line(_seen(context))
        context.terminal.show(line)
        return code
    wishes = Wishes(
        sections=_sections(call.meta.get("sections", []), as_xml=as_xml),
        stack="heartbeat" if context.workspace.is_live else "unknown",
        release=monitor.RELEASE if context.workspace.is_live else "",
        leftovers=given is not None,
        inactive=options["inactive"],
        **{
            name: options[name]
            for name in (
                "by_node",
                "timing",
                "detail",
                "brief",
                "node",
                "resource",
            )
        },
    )
    is_text = form not in ("json", "xml", "old")
    again = given is None and not options["once"] and is_text and sys.stdout.isatty()
    while True:
        _show(context, wishes, form, request, clear=again)
        if not again:
            return 0
        time.sleep(_seconds(options["interval"]))
        context.close()


def _show(context: Context, wishes: Wishes, form: str, request: str, *, clear: bool) -> None:
    view = _seen(context)
    if clear:
        click.clear()
    if form == "json":
        context.terminal.show_json(monitor.as_json(view))
    elif form in ("xml", "old"):
        context.terminal.show(monitor_xml.text(view, wishes, request, is_old=form == "old"))
    else:
        context.terminal.show(monitor.text(view, wishes))


def _seen(context: Context) -> ClusterView:
    """Read the cluster as its user may see it."""
    document = context.workspace.document
    is_partial = context.workspace.source.is_partial
    return read_partial_status(document) if is_partial else read_status(document)


def _seconds(text: str) -> float:
    try:
        return max(0.2, float(text.rstrip("s")))
    except ValueError:
        raise click.BadParameter(f"'{text}' is no number of seconds") from None


def report(context: Context, words: list[str]) -> None:
    """Show the picture inside the shell."""
    try:
        crm_mon.main(args=words, prog_name="status", standalone_mode=False, obj=context)
    except click.ClickException as problem:
        from cli.shell.context import CommandFailed

        raise CommandFailed("unknown-option", problem.format_message()) from problem


def main(argv: list[str] | None = None) -> int:
    """Run `crm_mon`; the answer is the exit code."""
    answer = result.begin("crm_mon", argv, has_xml=True)
    try:
        code = crm_mon.main(
            args=list(answer.arguments),
            prog_name=answer.tool,
            standalone_mode=False,
            obj=" ".join((answer.tool, *answer.arguments)),
        )
    except click.UsageError as problem:
        return result.refuse(answer, problem)
    except (Unreachable, Denied) as problem:
        answer.error(f"crm_mon: Connection to cluster failed: {problem}")
        is_denied = isinstance(problem, Denied) and problem.code == Exit.INSUFFICIENT_PRIVILEGES
        return answer.end(Exit.INSUFFICIENT_PRIVILEGES if is_denied else Exit.NOT_CONNECTED)
    except CrmError as problem:
        if answer.as_json or answer.as_xml:
            answer.error(f"crm_mon: {problem}")
            return answer.end(Exit.ERROR)
        Terminal().report_error(problem)
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        return 0
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
