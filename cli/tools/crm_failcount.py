"""`crm_failcount`: how often a resource failed on a node, and forgetting it.

Responsible for the options, texts and exit codes, and for adding up what each operation counted.
Not responsible for cleaning up (`crmd`, which probes the resource again).

Source: tools.md section 2.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from cli import subjects
from cli.tools import crm_attribute, ends, namedvalues, result
from cli.tools.crm_attribute import Request
from cli.tools.namedvalues import Value
from cli.tools.result import Failure
from crm.api import attributes, controller
from crm.api.gateclient import installation_root
from crm.model import options as known_options
from crm.model import score
from crm.model.exit_codes import Exit
from crm.model.readxml import cluster as reading
from pengine.facts.facts import conclude

TOOL = "crm_failcount"


@click.command(
    TOOL,
    context_settings={"help_option_names": ["-?", "-h", "--help"]},
    help="Show how often a resource failed on a node, or forget it.",
)
@crm_attribute.query_option("Show the fail count.")
@crm_attribute.delete_option("Forget the failures.")
@click.option(
    "-v", "--update", "--attr-value", "value", help="Accepted with 0, which means --delete."
)
@click.option("-r", "--resource", help="The resource.")
@click.option("-n", "--operation", help="Only the failures of this operation.")
@click.option("-I", "--interval", default="0", help="The interval of that operation.")
@click.option("-N", "-U", "--node", help="The node; this one if none is named.")
@click.option("-i", "--id", "--attr-id", help="Accepted, of no effect.")
@click.option("-l", "--lifetime", help="Accepted, of no effect.")
@click.option("-q", "-Q", "--quiet", is_flag=True, help="Show the value and nothing else.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@result.output_options
@result.version_option
@click.pass_context
def crm_failcount(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show how often a resource failed on a node, or forget it."""
    answer: result.Answer = context.obj
    action = context.meta.get("action")
    if options["value"] is not None:
        if options["value"] == "0":
            action = "delete"
        else:
            answer.error("warning: ignoring deprecated option '-v' with nonzero value")
    if action is None:
        raise Failure(Exit.USAGE, "error: must specify a command\n  -G shows, -D deletes")
    if not options["resource"]:
        raise Failure(Exit.USAGE, "error: resource name required\n  name one with -r")
    interval_ms = _interval_ms(answer, options["interval"])
    try:
        cib = ends.open_cib(crm_attribute.TOOL, installation_root(options["root"]))
    except Failure as problem:
        if action == "delete" or problem.code == Exit.NOT_CONNECTED:
            raise
        return _say_unknown(answer, problem, options, interval_ms)
    if cib.session is None and options["node"] is None:
        raise Failure(Exit.USAGE, "error: node name required\n  name one with -N")
    if action == "delete":
        return _delete(answer, cib, options, interval_ms)
    return _query(answer, cib, options, interval_ms)


def _say_unknown(
    answer: result.Answer, problem: Failure, options: dict[str, Any], interval_ms: int
) -> int:
    """Say that there is no value: scripts know it by that, the classic command ends well then."""
    answer.error(str(problem))
    shown, _prefix = _names(options, interval_ms)
    crm_attribute.say(answer, "status", shown, "", quiet=options["quiet"])
    return answer.end(Exit.OK)


def _names(options: dict[str, Any], interval_ms: int) -> tuple[str, str]:
    """Give the name that is shown, and what the names of the counts begin with."""
    name = f"fail-count-{options['resource']}"
    if options["operation"]:
        name = f"{name}#{options['operation']}_{interval_ms}"
        return name, name
    return name, f"{name}#"


def _interval_ms(answer: result.Answer, text: str) -> int:
    try:
        return known_options.as_duration_ms(text)
    except ValueError:
        answer.error(f"warning: '{text}' is no interval, using 0")
        return 0


def _query(answer: result.Answer, cib: ends.Ends, options: dict[str, Any], interval_ms: int) -> int:
    shown, prefix = _names(options, interval_ms)
    try:
        request = Request(section="status", node=options["node"])
        _place, values = crm_attribute.look_up(request, cib.document())
    except Failure as problem:
        return _say_unknown(answer, problem, options, interval_ms)
    name = f"fail-count-{options['resource']}"
    total = _total(values, name, prefix, exact=bool(options["operation"]))
    crm_attribute.say(answer, "status", shown, total, quiet=options["quiet"])
    return answer.end(Exit.OK)


def _total(values: list[Value], name: str, prefix: str, *, exact: bool) -> str:
    """Add up what each operation counted; older versions had one count for all of them."""
    counts = [
        value.value
        for value in values
        if (value.name == prefix if exact else value.name.startswith(prefix))
    ] or [value.value for value in values if value.name == name]
    total = score.ZERO
    for count in counts:
        total = score.add(total, namedvalues.number(count))
    return score.text(total)


def _delete(
    answer: result.Answer, cib: ends.Ends, options: dict[str, Any], interval_ms: int
) -> int:
    resource = options["resource"]
    if cib.session is None:
        # Cleaning up also probes the resource again, which nobody does for a file.
        text = f"{TOOL}: failures of '{resource}' are forgotten in a running cluster only"
        hint = "in a file, delete the attribute: crm_attribute -t status -n NAME -N NODE -D"
        raise Failure(Exit.NOT_CONNECTED, f"{text}\n  {hint}")
    document = cib.document()
    node = crm_attribute.node_named(document, options["node"]).name
    facts = conclude(reading.read(document.root)[0], datetime.now(UTC))
    subject = subjects.find(facts, resource)
    # A resource that is configured no more has its own name only.
    names = [resource] if subject is None else subjects.histories(facts, subject.item)
    for name in names:
        if options["operation"]:
            _forget(cib, node, f"{name}#{options['operation']}_{interval_ms}")
            continue
        request = controller.CleanUp(0, name, node, failures_only=True)
        reply = cib.ask(controller.SERVICE, request)
        if isinstance(reply, controller.ControllerReply) and reply.code:
            raise Failure(reply.code, f"{TOOL}: {reply.message}")
    for name in names:
        answer.line(f"Cleaned up {name} on {node}")
    return answer.end(Exit.OK)


def _forget(cib: ends.Ends, node: str, what: str) -> None:
    """Take away what is remembered of one operation's failures."""
    for name in (f"fail-count-{what}", f"last-failure-{what}"):
        cib.ask(attributes.SERVICE, attributes.UpdateAttribute(name, None, node))


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_failcount, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
