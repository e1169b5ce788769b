"""The root level: status, verify, and the way to every other level.

Source: crm-shell, section 2, "Root".
"""

from __future__ import annotations

from cli.shell.context import Call, Command, CommandFailed, Context, Level

_OPTIONS = {
    "bynode": "-n",
    "inactive": "-r",
    "ops": "-o",
    "timing": "-t",
    "failcounts": "-f",
    "verbose": "-V",
    "quiet": "-Q",
    "html": "--output-as=html",
    "xml": "--output-as=xml",
    "simple": "-s",
    "tickets": "-c",
    "noheaders": "-D",
    "detail": "-R",
    "brief": "-b",
    "full": "-ncrft",
}


def status(context: Context, call: Call) -> None:
    """Show the cluster once, inactive resources included."""
    from cli.tools.crm_mon import report

    words = [_OPTIONS.get(word, word) for word in call.words] or ["-r"]
    if context.as_json and "--json" not in words:
        words.append("--json")
    report(context, ["-1", *words])


def verify(context: Context, _call: Call) -> None:
    """Check the CIB in hand."""
    if context.terminal.report(context.workspace.check()):
        raise CommandFailed("invalid-configuration", "the configuration has errors")


LEVEL = Level(
    name="",
    summary="crm: the cluster from a command line",
    commands=(
        Command("status", status, "[option ...]", most=None, summary="show the cluster once"),
        Command("verify", verify, "[scores]", most=1, summary="check the configuration"),
    ),
    levels=(
        "cib",
        "cluster",
        "configure",
        "maintenance",
        "node",
        "options",
        "ra",
        "resource",
        "site",
    ),
)
