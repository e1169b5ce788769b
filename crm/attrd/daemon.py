"""The process `attrd`: node attributes on the bus.

Responsible for wiring alone; it decides nothing.
"""

from __future__ import annotations

import os

from crm.api import attributes, cib, membership
from crm.attrd.attributes import Attributes
from crm.plumbing import daemon


def main(argv: list[str] | None = None) -> int:
    """Run the attrd until it is told to end; the exit code is for heartbeat."""
    options = daemon.parse_options(attributes.SERVICE, argv)
    plan = daemon.Plan(
        name=attributes.SERVICE,
        machine=Attributes(pid=os.getpid()),
        serves=daemon.Conversation(attributes.TO_ATTRD, attributes.FROM_ATTRD),
        dials={
            membership.SERVICE: daemon.Conversation(membership.TO_HEARTBEAT, membership.TO_CLIENT),
            cib.SERVICE: daemon.Conversation(cib.TO_CIB, cib.FROM_CIB),
        },
    )
    return daemon.run(plan, options)
