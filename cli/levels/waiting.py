"""Waiting until the cluster has nothing left to do: `crm -w`.

Source: crm-shell, section 1.
"""

from __future__ import annotations

from cli.shell.context import CommandFailed, Context
from cli.workspace import ask_daemon
from crm.api import controller

WAIT_S = 3600.0
"""A transition may hold operations with long timeouts; after this the wait is given up."""


def wait_until_idle(context: Context) -> None:
    """Return once the transition that follows a change is done.

    Raises: CommandFailed if the DC says it cannot be.
    """
    if not context.workspace.is_live:
        return
    reply = ask_daemon(
        context.workspace,
        controller.SERVICE,
        controller.WaitUntilIdle(request=0),
        what="waiting",
        timeout_s=WAIT_S,
    )
    if isinstance(reply, controller.ControllerReply) and reply.code:
        raise CommandFailed("not-idle", reply.message or "the cluster did not become idle")
