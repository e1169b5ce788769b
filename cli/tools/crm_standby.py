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
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit


@click.command(
    "crm_standby",
    context_settings={"help_option_names": ["-?", "-h", "--help"]},
    help="Show and change whether a node may run resources.",
)
@crm_attribute.query_option("Show whether it is in standby.")
@crm_attribute.update_option("Set it: on or off.")
@crm_attribute.delete_option("Forget what was set.")
@crm_attribute.shown_as("the value")
@click.pass_context
def crm_standby(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show and change whether a node may run resources."""
    answer: result.Answer = context.obj
    request = crm_attribute.request_for("standby", context, options)
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
