"""The command `crm`: options of the call, then one command, lines from a pipe, or a prompt.

Everything heavy is loaded when it is needed: no asyncio, zmq or lxml for `crm --version`.

Source: crm-shell, section 1.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cli.shell.context import Context
from cli.shell.cursor import Cursor, Left
from cli.shell.repl import run_interactive, run_lines
from cli.view.terminal import Terminal
from crm.api.gateclient import installation_root
from crm.plumbing.errors import CrmError

VERSION = "0.1.0"
UNREADABLE = 2
_SETTINGS = {
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
    "help_option_names": ["-h", "--help"],
}


@click.command(context_settings=_SETTINGS)
@click.option("-f", "--file", metavar="FILE", help="Read commands from FILE ('-': standard input).")
@click.option("-F", "--force", is_flag=True, help="Answer yes; commit despite findings.")
@click.option("-w", "--wait", is_flag=True, help="After each change wait until all is done.")
@click.option("-c", "--cib", metavar="NAME", default="", help="Work on the shadow CIB NAME.")
@click.option("-D", "--display", metavar="TYPE", default="plain", help="plain, color ...")
@click.option("-R", "--regression", is_flag=True, help="Accepted for old test scripts.")
@click.option("-d", "--debug", is_flag=True, help="Show where an error comes from.")
@click.option("-o", "--option", "preferences", multiple=True, metavar="OPT=VALUE", hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Reading commands answer in JSON.")
@click.option("--root", metavar="DIR", help="The installation (default: $PACEKEEPER_ROOT or /).")
@click.version_option(VERSION, prog_name="crm", message="crm %(version)s (Pacekeeper)")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def crm(
    file: str | None,
    force: bool,
    wait: bool,
    cib: str,
    display: str,
    regression: bool,
    debug: bool,
    preferences: tuple[str, ...],
    as_json: bool,
    root: str | None,
    words: tuple[str, ...],
) -> int:
    """Run the cluster from a command line: `crm help` lists the levels and commands."""
    del display, regression  # accepted, without effect on plain output
    if words and words[0] == "lab":
        return _lab(words[1:])
    context = Context(
        root=installation_root(root),
        terminal=Terminal(),
        is_forced=force,
        waits=wait,
        as_json=as_json,
        shadow=cib,
        preferences=dict(each.partition("=")[::2] for each in preferences),
        is_interactive=sys.stdin.isatty() and not file and not words,
    )
    try:
        return _run(context, file, words)
    except CrmError as problem:
        if debug:
            raise
        context.terminal.report_error(problem)
        return 1


def _run(context: Context, file: str | None, words: tuple[str, ...]) -> int:
    cursor = Cursor(context)
    if words:
        return _run_words(cursor, words)
    if file and file != "-":
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except OSError as problem:
            reason = problem.strerror or str(problem)
            click.echo(f"error[unreadable-file]: cannot read '{file}': {reason}", err=True)
            return UNREADABLE
        except UnicodeDecodeError:
            click.echo(f"error[unreadable-file]: '{file}' is no UTF-8 text", err=True)
            return UNREADABLE
        return 0 if run_lines(cursor, lines) else 1
    if context.is_interactive:
        return 0 if run_interactive(cursor) else 1
    return 0 if run_lines(cursor, sys.stdin) else 1


def _run_words(cursor: Cursor, words: tuple[str, ...]) -> int:
    """Run the command of the call; when it is only a level, go on in that level."""
    try:
        cursor.run_words(words)
    except Left:
        return 1 if cursor.failed else 0
    if cursor.level.name and not cursor.failed:
        if sys.stdin.isatty():
            run_interactive(cursor)
        else:
            run_lines(cursor, sys.stdin)
    return 1 if cursor.failed else 0


def _lab(words: tuple[str, ...]) -> int:
    from cli.lab.commands import lab  # the lab is a large thing of its own

    result = lab.main(args=list(words), prog_name="crm lab", standalone_mode=False)
    return result if isinstance(result, int) else 0


def main(argv: list[str] | None = None) -> int:
    """Run `crm`; the answer is the exit code."""
    try:
        result = crm.main(args=argv, prog_name="crm", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Whoever read our words has gone; the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
