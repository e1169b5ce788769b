"""`crm_master`: the promotion score of a resource; the older form of `crm_attribute -p`.

Responsible for the options. Unlike `crm_attribute -p` it keeps a score for ever unless it is told
otherwise: that is how the classic command does it, and agents name the lifetime.

Source: tools.md section 2.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from cli.tools import crm_attribute, ends, result
from cli.tools.result import Failure
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit


@click.command(
    "crm_master",
    context_settings={"help_option_names": ["-?", "-h", "--help"]},
    help="Show and change the promotion score of a resource. Use crm_attribute -p instead.",
)
@click.option("-r", "--resource", help="The resource; an agent need not name its own.")
@crm_attribute.query_option("Show the score.")
@crm_attribute.update_option("Set the score.")
@crm_attribute.delete_option("Delete the score.")
@crm_attribute.shown_as("the score")
@click.pass_context
def crm_master(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show and change the promotion score of a resource."""
    answer: result.Answer = context.obj
    resource = options["resource"] or os.environ.get("OCF_RESOURCE_INSTANCE", "")
    if not resource:
        text = "error: No resource specified\n  name one with -r"
        raise Failure(Exit.ERROR, text)
    request = crm_attribute.request_for(f"master-{resource}", context, options)
    cib = ends.open_cib(crm_attribute.TOOL, installation_root(options["root"]))
    return crm_attribute.perform(answer, request, cib)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_master, argv, has_xml=True, misuse=Exit.ERROR)


if __name__ == "__main__":
    sys.exit(main())
