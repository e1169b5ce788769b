"""The process `crmd`: the controller on the bus.

Responsible for wiring and for time and randomness from outside; it decides nothing.
"""

from __future__ import annotations

import os
import time
import uuid

from crm.api import attributes, cib, controller, fencing, lrm, membership, scheduler
from crm.controller.core import Controller
from crm.plumbing import daemon


def main(argv: list[str] | None = None) -> int:
    """Run the crmd until it is told to end; the exit code is for heartbeat."""
    options = daemon.parse_options(controller.SERVICE, argv)
    machine = Controller(new_uuid=lambda: str(uuid.uuid4()), wall=time.time, pid=os.getpid())
    plan = daemon.Plan(
        name=controller.SERVICE,
        machine=machine,
        serves=daemon.Conversation(controller.TO_CRMD, controller.FROM_CRMD),
        dials={
            membership.SERVICE: daemon.Conversation(membership.TO_HEARTBEAT, membership.TO_CLIENT),
            cib.SERVICE: daemon.Conversation(cib.TO_CIB, cib.FROM_CIB),
            scheduler.SERVICE: daemon.Conversation(scheduler.TO_PENGINE, scheduler.FROM_PENGINE),
            lrm.SERVICE: daemon.Conversation(lrm.TO_LRMD, lrm.FROM_LRMD),
            attributes.SERVICE: daemon.Conversation(attributes.TO_ATTRD, attributes.FROM_ATTRD),
            fencing.SERVICE: daemon.Conversation(fencing.TO_STONITHD, fencing.FROM_STONITHD),
        },
    )
    return daemon.run(plan, options)
