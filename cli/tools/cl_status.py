"""`cl_status`: questions about the cluster layer.

Exit codes: 0 true or ok, 1 false or failed (also: no heartbeat runs), 11 bad parameters, 13 other
trouble. The words are those of Heartbeat 3.0.6, seen side by side; docs/tools.md has what differs.

Source: heartbeat, "Command-line tools"; tools, "cl_status".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from cli.view import lack
from crm.api import gateclient
from crm.api.membership import (
    SERVICE,
    AskCluster,
    Capability,
    ClusterDescription,
    LinkStatus,
    NodeDescription,
    NodeKind,
    NodeStatus,
)
from crm.plumbing import process
from crm.plumbing.errors import CrmError, Unreachable, UsageError
from crm.plumbing.settings import Paths

OK = 0
FAILED = 1
BAD_PARAMETERS = 11
TROUBLE = 13
TIMEOUT_S = 5.0
USAGE = """usage: cl_status [--root DIR] [-m] [-v] SUBCOMMAND
  hbstatus                       is heartbeat running here; -v: also listnodes -v
  listnodes [-n | -p]            the nodes; only normal ones, only ping nodes; -v: also their state
  nodestatus NODE                init, up, active, dead or ping; with -v also why
  nodetype NODE | normal | ping  the type of a node, or the nodes of a type
  nodeweight NODE                its votes
  nodesite NODE                  its site
  listhblinks NODE               its links; -v: also their state
  hblinkstatus NODE LINK         up or dead
  clientstatus NODE CLIENT [MS]  online or offline
  rscstatus                      none, local, foreign, all or transition
  hbparameter -p NAME            a directive of ha.cf (also: parameter)
-m answers in a sentence, where there is one"""
FLAGS = frozenset({"-m", "-v", "-n", "-p"})


class Answer(NamedTuple):
    """What to print (nothing when empty) and how to end."""

    text: str
    code: int = OK
    is_line: bool = False
    """Printed even if it is empty."""


class Question(NamedTuple):
    """A subcommand as it was called."""

    words: tuple[str, ...]
    flags: frozenset[str]
    parameter: str = ""

    @property
    def is_verbose(self) -> bool:
        """With -v: more of it."""
        return "-v" in self.flags

    @property
    def is_for_people(self) -> bool:
        """With -m: in a sentence."""
        return "-m" in self.flags


class NoSuchThing(CrmError):
    """A link, a client or their node is unknown; the caller has to name another."""


def parse(arguments: Sequence[str]) -> tuple[str, str, Question]:
    """Split a call into root, subcommand and question.

    Raises: UsageError if an option is unknown or has no value, or no subcommand is given.
    """
    rest = list(arguments)
    root, parameter = "", ""
    words: list[str] = []
    flags: set[str] = set()
    while rest:
        word = rest.pop(0)
        if word in ("--root", "-p") and (word == "--root" or _takes_parameter(words)):
            if not rest:
                raise UsageError(f"option {word} needs a value")
            value = rest.pop(0)
            root, parameter = (value, parameter) if word == "--root" else (root, value)
        elif word.startswith("-"):
            if word not in FLAGS:
                raise UsageError(f"unknown option {word}")
            flags.add(word)
        else:
            words.append(word)
    if not words:
        raise UsageError("no subcommand is given")
    return root, words[0], Question(tuple(words[1:]), frozenset(flags), parameter)


def _takes_parameter(words: Sequence[str]) -> bool:
    return bool(words) and words[0] in ("hbparameter", "parameter")


def _node(cluster: ClusterDescription, name: str) -> NodeDescription:
    for node in cluster.nodes:
        if node.node == name.lower() or node.node == name:
            return node
    raise UsageError(f"there is no node '{name}'")


def _is_ping(node: NodeDescription) -> bool:
    return node.kind is NodeKind.PING


def _known(cluster: ClusterDescription, name: str) -> NodeDescription:
    """Find a node of which something is asked that it might not have either."""
    try:
        return _node(cluster, name)
    except UsageError as problem:
        raise NoSuchThing(str(problem)) from problem


def _list_nodes(cluster: ClusterDescription, question: Question) -> Answer:
    nodes = [
        node
        for node in cluster.nodes
        if not ("-n" in question.flags and _is_ping(node))
        and not ("-p" in question.flags and not _is_ping(node))
    ]
    if not question.is_verbose:
        return Answer("\n".join(node.node for node in nodes))
    return Answer("\n".join(_at_length(node, question) for node in nodes))


def _at_length(node: NodeDescription, question: Question) -> str:
    links = [f"\t{link.name}\t{link.status.value}" for link in node.links]
    head = [f"\n{node.node}\t{node.status.value}\t(nodetype: {node.kind.value})"]
    return "\n".join([*head, *_head_of_links(question), *links])


def _head_of_links(question: Question) -> list[str]:
    return ["\tthis node has the following heartbeat links:"] if question.is_for_people else []


def _node_status(cluster: ClusterDescription, question: Question) -> Answer:
    node = _node(cluster, question.words[0])
    word = node.status.value
    if question.is_for_people:
        word = f"The cluster node {node.node} is {word}"
    if question.is_verbose and node.trouble:
        word = f"{word} ({node.trouble})"
    return Answer(word, FAILED if node.status is NodeStatus.DEAD else OK)


def _node_type(cluster: ClusterDescription, question: Question) -> Answer:
    word = question.words[0]
    if word in ("normal", "ping"):
        return Answer("\n".join(node.node for node in cluster.nodes if node.kind.value == word))
    node = _node(cluster, word)
    sentence = f"The node {node.node}'s type: {node.kind.value}"
    return Answer(sentence if question.is_for_people else node.kind.value)


def _node_weight(cluster: ClusterDescription, question: Question) -> Answer:
    return Answer(str(_node(cluster, question.words[0]).weight))


def _node_site(cluster: ClusterDescription, question: Question) -> Answer:
    return Answer(_node(cluster, question.words[0]).site, is_line=True)


def _list_links(cluster: ClusterDescription, question: Question) -> Answer:
    links = [
        f"\t{link.name}" + (f"\t{link.status.value}" if question.is_verbose else "")
        for link in _known(cluster, question.words[0]).links
    ]
    return Answer("\n".join([*_head_of_links(question), *links]))


def _link_status(cluster: ClusterDescription, question: Question) -> Answer:
    name, wanted = question.words
    for link in _known(cluster, name).links:
        if link.name == wanted:
            word = link.status.value
            if question.is_for_people:
                word = f"The node {name}'s heartbeat link {wanted} is {word}"
            silence = f" (silent for {link.silent_ms} ms)" if question.is_verbose else ""
            return Answer(word + silence, OK if link.status is LinkStatus.UP else FAILED)
    raise NoSuchThing(f"node '{name}' has no link '{wanted}'")


def _client_status(cluster: ClusterDescription, question: Question) -> Answer:
    is_online = question.words[1] in _known(cluster, question.words[0]).clients
    return Answer("online" if is_online else "offline", OK if is_online else FAILED)


def _parameter(cluster: ClusterDescription, question: Question) -> Answer:
    name = question.parameter
    if not name:
        raise UsageError("hbparameter needs '-p NAME'")
    value = cluster.parameters.get(name)
    if value is None:
        return Answer("", FAILED)
    return Answer(
        f"Heartbeat parameter {name}'s value: {value}" if question.is_for_people else value
    )


Handler = Callable[[ClusterDescription, Question], Answer]
SUBCOMMANDS: Mapping[str, tuple[Handler, range]] = {
    "listnodes": (_list_nodes, range(1)),
    "nodestatus": (_node_status, range(1, 2)),
    "nodetype": (_node_type, range(1, 2)),
    "nodeweight": (_node_weight, range(1, 2)),
    "nodesite": (_node_site, range(1, 2)),
    "listhblinks": (_list_links, range(1, 2)),
    "hblinkstatus": (_link_status, range(2, 3)),
    "clientstatus": (_client_status, range(2, 4)),
    "hbparameter": (_parameter, range(1)),
    "parameter": (_parameter, range(1)),
}
"""Subcommand → what answers it, and how many words it takes."""

NEEDS: Mapping[str, Capability] = {
    "listhblinks": Capability.LINKS,
    "hblinkstatus": Capability.LINKS,
    "hbparameter": Capability.PARAMETERS,
    "parameter": Capability.PARAMETERS,
}
"""Subcommands to which not every cluster layer has an answer: an empty one would mislead."""


def answer(cluster: ClusterDescription, subcommand: str, question: Question) -> Answer:
    """Answer a question from what heartbeat says of the cluster.

    Raises: UsageError naming what cannot be understood, or CrmError if this cluster layer has
    nothing of the kind.
    """
    handler, counts = SUBCOMMANDS[subcommand]
    if len(question.words) not in counts:
        raise UsageError(f"{subcommand} takes {counts[0]} to {counts[-1]} words")
    missing = lack.problem(cluster, NEEDS[subcommand]) if subcommand in NEEDS else None
    if missing:
        raise CrmError(str(missing))
    return handler(cluster, question)


def _resource_status(root: Path, question: Question) -> Answer:
    """Tell what this node holds, by what the scheduler takes for true."""
    from cli.tools import exchange  # the scheduler is loaded for this question alone

    if question.words:
        raise UsageError("rscstatus takes no words")
    word = exchange.held_here("cl_status", root, timeout_s=TIMEOUT_S)
    if not question.is_for_people:
        return Answer(word)
    if word == "transition":
        return Answer("This node's resources are in transition.")
    return Answer(f"This node is holding {word} resources.")


def _heartbeat_status(root: Path, question: Question) -> Answer:
    """Tell from the pid file: this question must be answered when nothing runs."""
    pid = process.read_pid_file(Paths(root).pid_file)
    if pid is None or not process.is_running(pid):
        return Answer("Heartbeat is stopped on this machine.", FAILED)
    if question.is_verbose:
        return _heartbeat_at_length(_ask(root), question)
    return Answer("Heartbeat is running on this machine.")


def _heartbeat_at_length(cluster: ClusterDescription, question: Question) -> Answer:
    version = cluster.parameters.get("hbversion", cluster.stack)
    head = [f"version:\t{version}", f'managed by:\t"{cluster.mode}"']
    if question.is_for_people:
        head = [
            f"Heartbeat version {version}",
            f'Resources controlled by "{cluster.mode}"',
            "The nodes are as follow:",
        ]
    return Answer("\n".join([*head, _list_nodes(cluster, question).text]))


def _ask(root: Path) -> ClusterDescription:
    with gateclient.connect(root, name="cl_status", timeout_s=TIMEOUT_S) as session:
        description = session.ask(SERVICE, AskCluster(1))
    if not isinstance(description, ClusterDescription):
        raise CrmError(f"heartbeat answered with {type(description).__name__}")
    return description


def main(argv: list[str] | None = None) -> int:
    """Answer one question; the exit code is the classic one."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "-?", "--help"):
        click.echo(USAGE)
        return OK
    try:
        root_option, subcommand, question = parse(arguments)
        root = gateclient.installation_root(root_option or None)
        if subcommand == "hbstatus":
            found = _heartbeat_status(root, question)
        elif subcommand == "rscstatus":
            found = _resource_status(root, question)
        elif subcommand in SUBCOMMANDS:
            found = answer(_ask(root), subcommand, question)
        else:
            raise UsageError(f"unknown subcommand '{subcommand}'")
    except UsageError as problem:
        click.echo(f"cl_status: {problem}\n{USAGE}", err=True)
        return BAD_PARAMETERS
    except NoSuchThing as problem:
        click.echo(f"cl_status: {problem}", err=True)
        return TROUBLE
    except Unreachable as problem:
        click.echo(f"cl_status: Cannot signon with heartbeat\n  {problem}", err=True)
        return FAILED
    except CrmError as problem:
        click.echo(f"cl_status: {str(problem).removeprefix('cl_status: ')}", err=True)
        return TROUBLE if isinstance(problem, gateclient.Denied) else FAILED
    if found.text or found.is_line:
        click.echo(found.text)
    return found.code


if __name__ == "__main__":
    sys.exit(main())
