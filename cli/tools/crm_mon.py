"""`crm_mon`: what runs where, once or again and again.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from cli.shell.context import Context
from cli.view import monitor
from cli.view.status import read_status
from cli.view.terminal import Terminal
from cli.view.wishes import Wishes
from crm.api.gateclient import Denied, installation_root
from crm.plumbing.errors import CrmError, Unreachable

NOT_CONNECTED = 102
USAGE = 64


@click.command(context_settings={"help_option_names": ["-?", "--help"]})
@click.option("-1", "--one-shot", "once", is_flag=True, help="Show once and end.")
@click.option("-n", "--group-by-node", "by_node", is_flag=True, help="Resources by node.")
@click.option("-r", "--inactive", is_flag=True, help="Inactive resources too.")
@click.option("-f", "--failcounts", is_flag=True, help="Fail counts.")
@click.option("-o", "--operations", is_flag=True, help="Recorded operations.")
@click.option("-t", "--timing-details", "timing", is_flag=True, help="Operations with times.")
@click.option("-A", "--show-node-attributes", "attributes", is_flag=True, help="Attributes.")
@click.option("-L", "--neg-locations", "bans", is_flag=True, help="Negative locations.")
@click.option("-R", "--show-detail", "detail", is_flag=True, help="Ids and each instance.")
@click.option("-b", "--brief", is_flag=True, help="Counts of resources.")
@click.option("-D", "--hide-headers", "no_headers", is_flag=True, help="No headers.")
@click.option("-c", "--tickets", is_flag=True, help="Accepted; there are no tickets yet.")
@click.option("-j", "--pending", is_flag=True, help="Accepted; always on.")
@click.option("-Q", "--quiet", is_flag=True, help="Accepted.")
@click.option("-V", "--verbose", count=True, help="More detail.")
@click.option("-m", "--fence-history", type=int, default=None, help="Accepted.")
@click.option("-s", "--simple-status", "simple", is_flag=True, help="One line for monitoring.")
@click.option("-i", "--interval", default="5", metavar="SECONDS", help="Time between pictures.")
@click.option("--node", default="", metavar="NODE", help="Only this node.")
@click.option("--resource", default="", metavar="RSC", help="Only this resource.")
@click.option("--output-as", type=click.Choice(["text", "console", "json"]), default="text")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--root", metavar="DIR", help="The installation.")
@click.version_option("0.1.0", "-$", "--version", message="Pacekeeper %(version)s")
@click.pass_obj
def crm_mon(given: Context | None, /, **options: Any) -> int:  # Any: click's options
    """Show the state of the cluster."""
    context = given or Context(root=installation_root(options["root"]), terminal=Terminal())
    wishes = Wishes(
        stack="heartbeat" if context.workspace.is_live else "unknown",
        timing=options["timing"],
        operations=options["operations"] or options["timing"],
        **{
            name: options[name]
            for name in (
                "by_node", "inactive", "failcounts", "attributes", "bans", "detail", "brief",
                "no_headers", "node", "resource",
            )
        },
    )  # fmt: skip
    as_json = options["as_json"] or options["output_as"] == "json"
    if options["simple"]:
        code, line = monitor.one_line(read_status(context.workspace.document))
        context.terminal.show(line)
        return code
    again = given is None and not options["once"] and not as_json and sys.stdout.isatty()
    while True:
        _show(context, wishes, as_json=as_json, clear=again)
        if not again:
            return 0
        time.sleep(_seconds(options["interval"]))
        context.close()


def _show(context: Context, wishes: Wishes, *, as_json: bool, clear: bool) -> None:
    view = read_status(context.workspace.document)
    if clear:
        click.clear()
    if as_json:
        context.terminal.show_json(monitor.as_json(view))
    else:
        context.terminal.show(monitor.text(view, wishes))


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
    try:
        result = crm_mon.main(args=argv, prog_name="crm_mon", standalone_mode=False)
    except click.ClickException as problem:
        click.echo(f"crm_mon: {problem.format_message()}", err=True)
        return USAGE
    except (Unreachable, Denied) as problem:
        click.echo(f"crm_mon: Connection to cluster failed: {problem}", err=True)
        return NOT_CONNECTED
    except CrmError as problem:
        Terminal().report_error(problem)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 0
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
