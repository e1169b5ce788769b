"""The process `stonithd`: the fencing core on the bus.

Responsible for wiring only. It runs no fencing agent yet; `crm.fencing.fencing` says what that
means for who asks.
"""

from __future__ import annotations

import os

from crm.api import cib, fencing, membership
from crm.fencing.fencing import Fencing
from crm.plumbing import daemon


def main(argv: list[str] | None = None) -> int:
    """Run the stonithd until it is told to end; the exit code is for heartbeat."""
    options = daemon.parse_options(fencing.SERVICE, argv)
    plan = daemon.Plan(
        name=fencing.SERVICE,
        machine=Fencing(os.getpid()),
        serves=daemon.Conversation(fencing.TO_STONITHD, fencing.FROM_STONITHD),
        dials={
            membership.SERVICE: daemon.Conversation(membership.TO_HEARTBEAT, membership.TO_CLIENT),
            cib.SERVICE: daemon.Conversation(cib.TO_CIB, cib.FROM_CIB),
        },
    )
    return daemon.run(plan, options)
