"""The level `cluster`: the layer below the resources, as one node sees it.

Source: docs/protocol/wire.md; crm-shell, section 2, "cluster".
"""

from __future__ import annotations

from cli.shell.context import Call, Command, CommandFailed, Context, Level
from cli.view import health as health_view
from cli.view import lack
from cli.view import packets as view
from cli.workspace import ask_daemon
from crm.api import membership

_ROTATION_LIMIT_S = 60.0


def rotate_key(context: Context, _call: Call) -> None:
    """Give all nodes a new key in authkeys; nothing is interrupted."""
    _ask_for(context, membership.Capability.KEY_ROTATION)
    reply = ask_daemon(
        context.workspace,
        membership.SERVICE,
        membership.RotateKey(request=0),
        what="a new key",
        timeout_s=_ROTATION_LIMIT_S,
    )
    assert isinstance(reply, membership.KeyRotated)
    if reply.problem:
        raise CommandFailed(
            "key-not-rotated",
            f"no new key: {reply.problem}",
            "the same command begins anew, and clears away what an interrupted one has left",
        )
    context.terminal.show(f"key {reply.number} is now the only one in authkeys on every node")


def _ask(context: Context) -> membership.ClusterDescription:
    reply = ask_daemon(
        context.workspace,
        membership.SERVICE,
        membership.AskCluster(request=0),
        what="the cluster layer",
    )
    assert isinstance(reply, membership.ClusterDescription)
    return reply


def _ask_for(context: Context, wanted: membership.Capability) -> membership.ClusterDescription:
    """Ask for the state of the cluster layer.

    Raises: CommandFailed if it is one that has nothing of what is wanted.
    """
    cluster = _ask(context)
    missing = lack.problem(cluster, wanted)
    if missing:
        raise CommandFailed(missing.code, missing.message, missing.hint)
    return cluster


def health(context: Context, _call: Call) -> None:
    """Show nodes and links as this node sees them, with what is wrong and whose fault that is."""
    cluster = _ask(context)
    if context.as_json:
        context.terminal.show_json(health_view.as_json(cluster))
    else:
        context.terminal.show(health_view.as_text(cluster))
    wrong = health_view.wrong(cluster)
    if wrong:
        hint = "other nodes may see it otherwise: the same command there tells"
        raise CommandFailed("cluster-unwell", "; ".join(wrong), hint)


def packets(context: Context, _call: Call) -> None:
    """Show how many packets this node has sent, received, and dropped for which reason."""
    reply = _ask_for(context, membership.Capability.PACKET_COUNTERS)
    if context.as_json:
        context.terminal.show_json({"node": reply.node, "packets": dict(reply.counters)})
        return
    context.terminal.show(view.as_text(reply.node, reply.counters))


LEVEL = Level(
    name="cluster",
    summary="cluster: keys and packets of the layer below the resources",
    commands=(
        Command("rotate-key", rotate_key, "", summary="a new authkeys key on all nodes"),
        Command("health", health, "", summary="nodes and links, what is wrong and where"),
        Command("packets", packets, "", summary="count packets, dropped ones by reason"),
    ),
)
