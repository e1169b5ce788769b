"""`crm_node`: the nodes, the partition and the quorum, as the cluster layer sees them.

`ccm_tool` is its name of old. Responsible for the options, texts and exit codes. It asks the
running cluster, also when `CIB_file` names a file: membership is not written in any CIB.

Source: tools.md section 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from cli.tools import ends, result
from cli.tools.result import Element, Failure
from crm.api import cib as api
from crm.api import membership
from crm.api.gateclient import Denied, connect, installation_root
from crm.api.membership import ClusterDescription, NodeDescription, NodeKind
from crm.model.exit_codes import Exit
from crm.plumbing import xml
from crm.plumbing.errors import Unreachable

TOOL = "crm_node"
_ON_NODE = "OCF_RESKEY_CRM_meta_on_node"
"""Where an agent is told the name of its node."""
_NOT_CONNECTED = "error: Could not connect to controller: Connection refused"


@click.command(
    TOOL,
    context_settings=result.HELP,
    help="Show what the cluster layer knows of the nodes.",
)
@click.option("-l", "--list", "listed", is_flag=True, help="All known nodes, with their state.")
@click.option("-p", "--partition", is_flag=True, help="The nodes of this partition.")
@click.option("-q", "--quorum", is_flag=True, help="1 if this partition has quorum, else 0.")
@click.option("-n", "--name", "own_name", is_flag=True, help="The name of this node.")
@click.option("-i", "--cluster-id", "own_id", is_flag=True, help="The id of this node.")
@click.option("-e", "--epoch", is_flag=True, help="The membership in which this node joined.")
@click.option("-N", "--name-for-id", metavar="ID", help="The name of the node with this id.")
@click.option("-R", "--remove", metavar="NAME", help="Forget a node that left. Needs --force.")
@click.option("-f", "--force", is_flag=True, help="Do it without asking.")
@click.option("-Q", "--quiet", is_flag=True, help="Accepted: there is nothing to leave out.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@click.argument("rest", nargs=-1)
@result.json_option
@result.version_option
@click.pass_obj
def crm_node(answer: result.Answer, /, **options: Any) -> int:  # Any: click's options
    """Show what the cluster layer knows of the nodes."""
    showing: dict[str, Callable[[result.Answer, ClusterDescription], None]] = {
        "listed": _list, "partition": _partition, "quorum": _quorum, "own_name": _own_name,
        "own_id": _own_id, "epoch": _epoch,
    }  # fmt: skip
    asked = next((name for name in showing if options[name]), "")
    if not asked and options["name_for_id"] is None and options["remove"] is None:
        raise Failure(Exit.USAGE, f"{TOOL}: Must supply a command")
    if options["remove"] is not None and not options["force"]:
        raise Failure(Exit.USAGE, result.DANGER)
    if asked == "own_name" and (agents_node := os.environ.get(_ON_NODE)):
        answer.line(agents_node)
        answer.element("node-info", {"uname": agents_node})
        return answer.end(Exit.OK)
    root = installation_root(options["root"])
    cluster = _describe(root)
    if options["remove"] is not None:
        _remove(ends.open_cib(TOOL, root, files=False), cluster, options["remove"])
    elif options["name_for_id"] is not None:
        _name_of(answer, cluster, options["name_for_id"])
    else:
        showing[asked](answer, cluster)
    return answer.end(Exit.OK)


def _describe(root: Any) -> ClusterDescription:
    try:
        with connect(root, name=TOOL) as session:
            reply = session.ask(membership.SERVICE, membership.AskCluster(0))
    except Denied as problem:
        raise Failure(problem.code, f"{TOOL}: {problem}") from problem
    except Unreachable as problem:
        raise Failure(Exit.NOT_CONNECTED, f"{_NOT_CONNECTED}\n  {problem}") from problem
    assert isinstance(reply, ClusterDescription), "a question is answered by a description"
    return reply


def _members(cluster: ClusterDescription) -> list[str]:
    return [] if cluster.view is None else [member.name for member in cluster.view.members]


def _nodes(cluster: ClusterDescription) -> list[NodeDescription]:
    return [node for node in cluster.nodes if node.kind is NodeKind.NORMAL]


def _list(answer: result.Answer, cluster: ClusterDescription) -> None:
    members = _members(cluster)
    shown = []
    for node in _nodes(cluster):
        state = "member" if node.node in members else "lost"
        answer.line(f"{node.uuid} {node.node} {state}")
        shown.append(Element("node", {"id": node.uuid, "name": node.node, "state": state}))
    answer.element("nodes", {}, shown)


def _partition(answer: result.Answer, cluster: ClusterDescription) -> None:
    ids = {node.node: node.uuid for node in _nodes(cluster)}
    members = _members(cluster)
    answer.line(" ".join(members))
    answer.element(
        "nodes", {}, [Element("node", {"id": ids.get(name, ""), "name": name}) for name in members]
    )


def _quorum(answer: result.Answer, cluster: ClusterDescription) -> None:
    quorate = cluster.view is not None and cluster.view.quorate
    answer.line("1" if quorate else "0")
    answer.element("cluster-info", {"quorum": "true" if quorate else "false"})


def _own_name(answer: result.Answer, cluster: ClusterDescription) -> None:
    answer.line(cluster.node)
    answer.element("node-info", {"uname": cluster.node})


def _own_id(answer: result.Answer, cluster: ClusterDescription) -> None:
    own = next((node.uuid for node in cluster.nodes if node.node == cluster.node), "")
    answer.line(own)
    answer.element("node-info", {"nodeid": own})


def _epoch(answer: result.Answer, cluster: ClusterDescription) -> None:
    members = cluster.view.members if cluster.view is not None else ()
    born = next((str(member.born) for member in members if member.name == cluster.node), "0")
    answer.line(born)
    answer.element("cluster-info", {"epoch": born})


def _name_of(answer: result.Answer, cluster: ClusterDescription, identity: str) -> None:
    found = next((node for node in _nodes(cluster) if node.uuid == identity), None)
    if found is None:
        raise Failure(Exit.NO_SUCH_OBJECT, f"{TOOL}: there is no node with the id '{identity}'")
    answer.line(found.node)
    answer.element("node-info", {"nodeid": identity, "uname": found.node})


def _remove(cib: ends.Ends, cluster: ClusterDescription, name: str) -> None:
    """Take a node out of the CIB; one that is still there would only come back."""
    if name in _members(cluster):
        text = f"{TOOL}: node '{name}' is in the membership; stop heartbeat there first"
        raise Failure(Exit.ERROR, text)
    document = cib.document()
    nodes = [
        node for node in document.configuration.iterfind("nodes/node") if node.get("uname") == name
    ]
    state = document.node_state(name=name)
    if not nodes and state is None:
        raise Failure(Exit.NO_SUCH_OBJECT, f"{TOOL}: there is no node '{name}' in the CIB")
    changes = [_deletion("nodes", "node", str(node.get("id"))) for node in nodes]
    if state is not None:
        changes.append(_deletion("status", "node_state", str(state.get("id"))))
    cib.change(changes, f"{TOOL}: Could not remove '{name}'")


def _deletion(section: str, tag: str, identity: str) -> api.XmlOperation:
    text = f"<{tag} id={xml.quoted(identity)}/>"
    return api.XmlOperation(api.XmlTask.DELETE, text.encode(), section=section)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_node, argv)


if __name__ == "__main__":
    sys.exit(main())
