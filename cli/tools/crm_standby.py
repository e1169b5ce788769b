"""`crm_standby`: show and change whether a node is in standby, that is, may run resources.

Responsible for the options; it is `crm_attribute` with the name `standby`.

Source: tools.md section 2.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from cli.tools import crm_attribute, ends, result
from cli.tools.crm_attribute import Request
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit


@click.command(
    "crm_standby",
    context_settings={"help_option_names": ["-?", "-h", "--help"]},
    help="Show and change whether a node may run resources.",
)
@click.option(
    "-G",
    "--query",
    "--get-value",
    is_flag=True,
    callback=crm_attribute.action("query"),
    help="Show whether it is in standby.",
)
@click.option(
    "-v",
    "--update",
    "--attr-value",
    "value",
    callback=crm_attribute.action("update"),
    help="Set it: on or off.",
)
@click.option(
    "-D",
    "--delete",
    is_flag=True,
    callback=crm_attribute.action("delete"),
    help="Forget what was set.",
)
@click.option("-N", "-U", "--node", help="The node; this one if none is named.")
@click.option("-l", "--lifetime", help="How long it lasts: reboot or forever.")
@click.option("-i", "--id", "--attr-id", help="The id of the nvpair.")
@click.option("-q", "-Q", "--quiet", is_flag=True, help="Show the value and nothing else.")
@click.option("-!", "--inhibit-policy-engine", is_flag=True, help="Accepted, of no effect.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@result.output_options
@result.version_option
@click.pass_context
def crm_standby(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show and change whether a node may run resources."""
    answer: result.Answer = context.obj
    request = Request(
        action=context.meta.get("action", "query"),
        name="standby",
        lifetime=options["lifetime"] or "forever",
        node=options["node"],
        value=options["value"] or "",
        id=options["id"],
        quiet=options["quiet"],
    )
    cib = ends.open_cib(crm_attribute.TOOL, installation_root(options["root"]))
    if options["lifetime"] is not None or request.action == "update":
        return crm_attribute.perform(answer, request, cib)
    until_reboot = replace(request, lifetime="reboot")
    if request.action == "delete":
        crm_attribute.carry_out(answer, request, cib)
        crm_attribute.carry_out(answer, until_reboot, cib)
        return answer.end(Exit.OK)
    _place, found = crm_attribute.look_up(request, cib.document())
    if not found:
        request = replace(until_reboot, default="off")
    return crm_attribute.perform(answer, request, cib)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_standby, argv, has_xml=True, misuse=Exit.ERROR)


if __name__ == "__main__":
    sys.exit(main())
