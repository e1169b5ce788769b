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
from cli.tools.crm_attribute import Request
from cli.tools.result import Failure
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit


@click.command(
    "crm_master",
    context_settings={"help_option_names": ["-?", "-h", "--help"]},
    help="Show and change the promotion score of a resource. Use crm_attribute -p instead.",
)
@click.option("-r", "--resource", help="The resource; an agent need not name its own.")
@click.option(
    "-G",
    "--query",
    "--get-value",
    is_flag=True,
    callback=crm_attribute.action("query"),
    help="Show the score.",
)
@click.option(
    "-v",
    "--update",
    "--attr-value",
    "value",
    callback=crm_attribute.action("update"),
    help="Set the score.",
)
@click.option(
    "-D",
    "--delete",
    is_flag=True,
    callback=crm_attribute.action("delete"),
    help="Delete the score.",
)
@click.option("-N", "-U", "--node", help="The node; this one if none is named.")
@click.option("-l", "--lifetime", help="How long it lasts: reboot or forever.")
@click.option("-i", "--id", "--attr-id", help="The id of the nvpair.")
@click.option("-q", "-Q", "--quiet", is_flag=True, help="Show the score and nothing else.")
@click.option("-!", "--inhibit-policy-engine", is_flag=True, help="Accepted, of no effect.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@result.output_options
@result.version_option
@click.pass_context
def crm_master(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show and change the promotion score of a resource."""
    answer: result.Answer = context.obj
    resource = options["resource"] or os.environ.get("OCF_RESOURCE_INSTANCE", "")
    if not resource:
        text = "error: No resource specified\n  name one with -r"
        raise Failure(Exit.ERROR, text)
    request = Request(
        action=context.meta.get("action", "query"),
        name=f"master-{resource}",
        lifetime=options["lifetime"] or "forever",
        node=options["node"],
        value=options["value"] or "",
        id=options["id"],
        quiet=options["quiet"],
    )
    cib = ends.open_cib(crm_attribute.TOOL, installation_root(options["root"]))
    return crm_attribute.perform(answer, request, cib)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_master, argv, has_xml=True, misuse=Exit.ERROR)


if __name__ == "__main__":
    sys.exit(main())
