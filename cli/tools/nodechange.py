"""What `hb_addnode`, `hb_delnode`, `hb_setweight` and `hb_setsite` have in common.

The nodes of a running cluster change. Responsible for the calls, for one change after the other,
and for waiting until the members count it. Whether a change can be made is heartbeat's judgement
(`messaging.nodelist`).

Source: Heartbeat's hb_addnode and hb_delnode; tools, "Heartbeat's own tools".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from cli.view import lack
from crm.api import gateclient
from crm.api.gateclient import Session
from crm.api.membership import (
    SERVICE,
    AskCluster,
    Capability,
    ChangeNodes,
    ClusterDescription,
    NodesReply,
    ViewInstalled,
)
from crm.plumbing.errors import CrmError, UsageError

OK = 0
FAILED = 1
AGREEMENT_LIMIT_S = 60.0


def run(tool: str, arguments: Sequence[str], wish_for: Callable[[str], ChangeNodes]) -> int:
    """Read the call of one of the two tools and carry it out; the exit code is 0 or 1."""
    words = list(arguments)
    root = None
    if words[:1] == ["--root"] and len(words) > 1:
        root, words = words[1], words[2:]
    usage = f"usage: {tool} [--root DIR] NODE[,NODE...]"
    if words in (["-h"], ["--help"]):
        click.echo(usage)
        return OK
    names = [name.lower() for word in words for name in word.split(",") if name]
    if not names or any(name.startswith("-") for name in names):
        click.echo(usage, err=True)
        return FAILED
    try:
        change_all(gateclient.installation_root(root), tool, [wish_for(name) for name in names])
    except CrmError as problem:
        click.echo(f"{tool}: {problem}", err=True)
        return FAILED
    return OK


def describe(
    tool: str, arguments: Sequence[str], what: str, wish_for: Callable[[str, str], ChangeNodes]
) -> int:
    """Read the call `NODE WHAT` of hb_setweight or hb_setsite and carry it out."""
    words = list(arguments)
    root = None
    if words[:1] == ["--root"] and len(words) > 1:
        root, words = words[1], words[2:]
    usage = f"usage: {tool} [--root DIR] NODE {what}"
    if words in (["-h"], ["--help"]):
        click.echo(usage)
        return OK
    if len(words) != 2 or any(word.startswith("-") for word in words):
        click.echo(usage, err=True)
        return FAILED
    try:
        wish = wish_for(words[0].lower(), words[1])
        change_all(gateclient.installation_root(root), tool, [wish])
    except CrmError as problem:
        click.echo(f"{tool}: {problem}", err=True)
        return FAILED
    return OK


def change_all(root: Path, tool: str, wishes: Sequence[ChangeNodes]) -> None:
    """Make the changes one after the other; the first that is refused ends it.

    Raises: CrmError with what was refused and why, or UsageError if haresources is in use.
    """
    with gateclient.connect(root, name=tool) as session:
        cluster = _describe(session)
        missing = lack.problem(cluster, Capability.NODE_CHANGES)
        if missing:
            raise CrmError(str(missing))
        if cluster.mode == "haresources":
            text = "haresources knows two nodes: a cluster that can grow runs with 'crm yes'"
            raise UsageError(text)
        session.watch()
        for wish in wishes:
            reply = session.ask(SERVICE, wish)
            assert isinstance(reply, NodesReply), "a wish is answered by the list"
            if reply.problem:
                raise CrmError(reply.problem)
            _await_agreement(session, wish, reply.nodes)


def _await_agreement(session: Session, wish: ChangeNodes, nodes: tuple[str, ...]) -> None:
    """Wait for a view that counts the new list, and see that the change is in it."""
    if wish.place:
        return
    cluster = _describe(session)
    if wish.weigh:
        _await_next_view(session)
    elif not _counts(cluster, len(nodes)):
        for arrival in session.events(timeout_s=AGREEMENT_LIMIT_S):
            if isinstance(arrival.message, ViewInstalled):
                cluster = _describe(session)
                if _counts(cluster, len(nodes)):
                    break
        else:
            raise CrmError(f"the members have not agreed on it within {AGREEMENT_LIMIT_S:g} s")
    known = {node.node for node in cluster.nodes}
    if (wish.add and wish.add not in known) or (wish.delete and wish.delete in known):
        raise CrmError("somebody else changed the nodes at the same moment: try again")


def _await_next_view(session: Session) -> None:
    """Votes are counted anew by a view of their own, which comes after the change was accepted."""
    for arrival in session.events(timeout_s=AGREEMENT_LIMIT_S):
        if isinstance(arrival.message, ViewInstalled):
            return
    raise CrmError(f"the members have not agreed on it within {AGREEMENT_LIMIT_S:g} s")


def _counts(cluster: ClusterDescription, nodes: int) -> bool:
    return cluster.view is not None and cluster.view.total_nodes == nodes


def _describe(session: Session) -> ClusterDescription:
    found = session.ask(SERVICE, AskCluster(0))
    assert isinstance(found, ClusterDescription), "a question is answered by a description"
    return found
