"""`crmadmin`: ask the controller for its state and for the DC, and list the configured nodes.

Responsible for the options, texts and exit codes. The list of nodes is that of the CIB, also of
a file; everything else needs the running cluster.

Source: tools.md section 2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.tools import ends, result
from cli.tools.result import Element, Failure
from crm.api import controller, membership
from crm.api.controller import ControllerDescription
from crm.api.gateclient import Denied, connect, installation_root
from crm.cib import document as documents
from crm.model.exit_codes import Exit
from crm.plumbing import durations
from crm.plumbing.errors import Unreachable

TOOL = "crmadmin"
_MEMBER = ("", "member", "normal")
"""Types of an entry of the nodes section that are a machine of the cluster."""


@click.command(
    TOOL,
    context_settings=result.HELP,
    help="Ask the controller, and list the nodes.",
)
@click.option("-S", "--status", metavar="NODE", help="The state of the controller on a node.")
@click.option("-P", "--pacemakerd", is_flag=True, help="Whether the cluster software runs.")
@click.option("-D", "--dc-lookup", "dc", is_flag=True, help="The node that is DC.")
@click.option(
    "-N",
    "--nodes",
    is_flag=False,
    flag_value="all",
    help="The nodes: all, or a list of cluster, guest, remote.",
)
@click.option("-B", "--bash-export", is_flag=True, help="With -N: as lines for a shell.")
@click.option("-t", "--timeout", default="30s", help="How long to wait for an answer.")
@click.option("-i", "--ipc-name", help="Accepted: the gate knows who asks.")
@click.option("-q", "--quiet", is_flag=True, help="Show the value and nothing else.")
@result.ordinary_options
@click.pass_obj
def crmadmin(answer: result.Answer, /, **options: Any) -> int:  # Any: click's options
    """Ask the controller, and list the nodes."""
    root = installation_root(options["root"])
    quiet = options["quiet"]
    _check_timeout(options["timeout"])
    if options["dc"]:
        _show_dc(answer, root, quiet=quiet)
    elif options["status"] is not None:
        _show_state(answer, root, options["status"], quiet=quiet)
    elif options["pacemakerd"]:
        _show_running(answer, root, quiet=quiet)
    elif options["nodes"] is not None:
        manner = ends.Manner("error: Command failed: {}", is_input=True)
        document = ends.open_cib(TOOL, root, manner=manner).document()
        how = "export" if options["bash_export"] else "text"
        _show_nodes(answer, document, options["nodes"], "quiet" if quiet else how)
    else:
        raise Failure(Exit.USAGE, "error: Must specify a command option")
    return answer.end(Exit.OK)


def _check_timeout(text: str) -> None:
    try:
        durations.parse_ms(text)
    except ValueError as problem:
        message = f"{TOOL}: Error parsing option -t\n  {problem}"
        raise Failure(Exit.USAGE, message) from problem


# --- the nodes of the CIB -----------------------------------------------------------------------


def _show_nodes(answer: result.Answer, document: documents.Document, wanted: str, how: str) -> None:
    kinds = {word.strip() for word in wanted.split(",")}
    everything = bool(kinds & {"all", "cluster,guest,remote"})
    # The classic command lists nodes of every kind when asked for cluster and guest nodes.
    everything = everything or {"cluster", "guest"} <= kinds
    shown = []
    for kind, name, identity in _nodes(document):
        if not everything and kind not in kinds:
            continue
        shown.append(Element("node", {"type": kind, "name": name, "id": identity}))
        match how:
            case "quiet":
                answer.line(name)
            case "export":
                answer.line(f"export {name}={identity}")
            case _:
                answer.line(f"{kind} node: {name} ({identity})")
    if not shown and how != "quiet":
        answer.line("No nodes configured")
    answer.element("nodes", {}, shown)


def _nodes(document: documents.Document) -> Iterator[tuple[str, str, str]]:
    """List kind, name and id of the configured nodes."""
    configuration = document.configuration
    for node in configuration.iterfind("nodes/node"):
        if str(node.get("type", "")) in _MEMBER:
            yield "cluster", str(node.get("uname", "")), str(node.get("id", ""))
    for primitive in configuration.iter("primitive"):
        for pair in primitive.iterfind("meta_attributes/nvpair"):
            if pair.get("name") == "remote-node":
                name = str(pair.get("value", ""))
                yield "guest", name, name
    for primitive in configuration.iter("primitive"):
        kind = [primitive.get(word) for word in ("class", "provider", "type")]
        if kind == ["ocf", "pacemaker", "remote"]:
            name = str(primitive.get("id", ""))
            yield "remote", name, name


# --- the running cluster ------------------------------------------------------------------------


def _show_dc(answer: result.Answer, root: Path, *, quiet: bool) -> None:
    known = _controller(answer, root)
    if quiet:
        answer.line(known.dc)
    else:
        answer.line(f"Designated Controller is: {known.dc or 'not yet elected'}")
    answer.element("dc", {"node_name": known.dc})


def _show_state(answer: result.Answer, root: Path, node: str, *, quiet: bool) -> None:
    known = _controller(answer, root)
    if node != known.node:
        text = f"{TOOL}: the controller on '{node}' can only be asked there; this is '{known.node}'"
        raise Failure(Exit.UNIMPLEMENTED, text)
    answer.line(known.state if quiet else f"Controller on {node} in state {known.state}: ok")
    words = {"node_name": node, "state": known.state, "result": "ok"}
    answer.element("crmd", words)


def _show_running(answer: result.Answer, root: Path, *, quiet: bool) -> None:
    _ask(answer, root, membership.SERVICE, membership.AskCluster(0), "launcher")
    answer.line("running" if quiet else "Status of heartbeat: 'running'")
    answer.element("pacemakerd", {"sys_from": "heartbeat", "state": "running"})


def _controller(answer: result.Answer, root: Path) -> ControllerDescription:
    reply = _ask(answer, root, controller.SERVICE, controller.AskController(0), "controller")
    assert isinstance(reply, ControllerDescription), "the controller describes itself"
    return reply


def _ask(
    answer: result.Answer, root: Path, service: str, question: Any, what: str
) -> object:  # Any: a message
    try:
        with connect(root, name=TOOL) as session:
            return session.ask(service, question)
    except Denied as problem:
        raise Failure(problem.code, f"{TOOL}: {problem}") from problem
    except Unreachable as problem:
        answer.error(f"error: Could not connect to {what}: Connection refused")
        failed = f"error: Command failed: Connection refused\n  {problem}"
        raise Failure(Exit.NOT_CONNECTED, failed) from problem


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crmadmin, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
