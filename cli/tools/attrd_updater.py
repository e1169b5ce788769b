"""`attrd_updater`: tell attrd a transient attribute of a node, or ask it for one.

Responsible for the options, texts and exit codes. Not responsible for when a value is written
into the status (`attrd`, which also waits out the dampening).

Source: tools.md section 2.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click
import msgspec

from cli.tools import ends, result
from cli.tools.result import Failure
from crm.api import attributes
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit
from crm.plumbing import durations

TOOL = "attrd_updater"
_ON_NODE = "OCF_RESKEY_CRM_meta_on_node"
"""Where an agent is told the name of its node."""


@click.command(
    TOOL,
    context_settings=result.HELP,
    help="Set and show transient node attributes. Of several commands, the last counts.",
)
@click.option("-n", "--name", help="The name of the attribute.")
@click.option(
    "-U", "-v", "--update", "value", callback=result.noted("update"), help="Set its value."
)
@click.option(
    "-B",
    "--update-both",
    "both",
    callback=result.noted("both"),
    help="Set its value, and the dampening to --delay.",
)
@click.option(
    "-Y",
    "--update-delay",
    is_flag=True,
    callback=result.noted("delay"),
    help="Set the dampening to --delay.",
)
@click.option("-Q", "--query", is_flag=True, callback=result.noted("query"), help="Show it.")
@click.option("-D", "--delete", is_flag=True, callback=result.noted("delete"), help="Delete it.")
@click.option(
    "-R",
    "--refresh",
    is_flag=True,
    callback=result.noted("refresh"),
    help="Have attrd write all its values into the CIB again.",
)
@click.option("-d", "--delay", help="The dampening: how long to wait for further changes.")
@click.option("-s", "--set", "set_id", default="", help="The id of the set it stands in.")
@click.option("-N", "--node", help="The node; this one if none is named.")
@click.option("-A", "--all", "everywhere", is_flag=True, help="With --query: of all nodes.")
@click.option("-l", "--lifetime", help="Accepted: what attrd keeps lasts until a reboot.")
@click.option("-p", "--private", is_flag=True, help="Refused: attrd writes all it keeps.")
@click.option("-q", "--quiet", is_flag=True, help="Show the value and nothing else.")
@result.ordinary_options
@click.pass_context
def attrd_updater(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Set and show transient node attributes."""
    answer: result.Answer = context.obj
    command = context.meta.get("action", "query")
    if command != "refresh" and not options["name"]:
        raise Failure(Exit.USAGE, f"{TOOL}: Command requires --name argument")
    dampen_ms = _dampening(answer, command, options["delay"])
    cluster = _open(command, options)
    if options["private"] and command in ("update", "both"):
        text = f"{TOOL}: attrd keeps no private attributes: it writes all it knows into the status"
        raise Failure(Exit.UNIMPLEMENTED, text)
    if command == "query":
        _show(answer, cluster, options)
    elif command == "refresh":
        assert cluster.session is not None, "it was opened as the running cluster"
        cluster.session.tell(attributes.SERVICE, attributes.RefreshAttributes())
    else:
        cluster.ask(attributes.SERVICE, _update(cluster, command, dampen_ms, options))
    return answer.end(Exit.OK)


def _dampening(answer: result.Answer, command: str, delay: str | None) -> int | None:
    if delay is None:
        if command in ("both", "delay"):
            letter = "B" if command == "both" else "Y"
            answer.line(f"Warning: '{letter}' command given without required --delay")
        return 0 if command == "delay" else None
    try:
        return durations.parse_ms(delay)
    except ValueError as problem:
        message = f"{TOOL}: '{delay}' is no delay: {problem}"
        raise Failure(Exit.USAGE, message) from problem


def _open(command: str, options: dict[str, Any]) -> ends.Ends:
    """Reach the running cluster; a file has no attrd."""
    if command == "query":
        opening = f"{TOOL}: Could not connect to attrd: Connection refused"
    else:
        value = options["both"] if command == "both" else options["value"]
        what = f"{_or_null(options['name'])}={_or_null(value)}"
        opening = f"{TOOL}: Could not update {what}: Connection refused (111)"
    manner = ends.Manner(opening.replace("{", "{{").replace("}", "}}"))
    return ends.open_cib(TOOL, installation_root(options["root"]), files=False, manner=manner)


def _or_null(text: str | None) -> str:
    return "(null)" if text is None else text


def _node(cluster: ends.Ends, options: dict[str, Any]) -> str:
    """Give the node that is meant; the gate knows the name of this one."""
    assert cluster.session is not None, "it was opened as the running cluster"
    named: str | None = options["node"]
    return named or os.environ.get(_ON_NODE) or cluster.session.server.node


def _values(cluster: ends.Ends, name: str, node: str) -> tuple[attributes.AttributeValue, ...]:
    question = attributes.AskAttributes(0, name, node)
    reply = cluster.ask(attributes.SERVICE, question)
    assert isinstance(reply, attributes.AttributeValues), "a question is answered by values"
    return reply.values


def _show(answer: result.Answer, cluster: ends.Ends, options: dict[str, Any]) -> None:
    name: str = options["name"]
    found = _values(cluster, name, "" if options["everywhere"] else _node(cluster, options))
    if not found:
        raise Failure(Exit.NO_SUCH_OBJECT, _no_such(name))
    for each in found:
        words = {"name": each.name, "host": each.node, "value": each.value}
        line = " ".join(f'{word}="{value}"' for word, value in words.items())
        answer.line(each.value if options["quiet"] else line)
        answer.element("attribute", {"name": each.name, "value": each.value, "host": each.node})


def _no_such(name: str) -> str:
    return f"{TOOL}: Could not query value of {name}: attribute does not exist"


def _update(
    cluster: ends.Ends, command: str, dampen_ms: int | None, options: dict[str, Any]
) -> msgspec.Struct:
    name: str = options["name"]
    node = _node(cluster, options)
    value: str | None = None
    if command == "update":
        value = options["value"]
    elif command == "both":
        value = options["both"]
    elif command == "delay":
        known = _values(cluster, name, node)
        if not known:
            raise Failure(Exit.NO_SUCH_OBJECT, _no_such(name))
        value = known[0].value
    return attributes.UpdateAttribute(name, value, node, dampen_ms, options["set_id"])


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(attrd_updater, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
