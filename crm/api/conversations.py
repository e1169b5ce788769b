"""Which two codecs each daemon's conversation uses, by service name.

The gate and its clients carry the messages of every conversation; here they find how to read
them. What the messages mean stands in the conversation's own file.
"""

from __future__ import annotations

from typing import NamedTuple

from crm.api import attributes, cib, controller, fencing, lrm, membership
from crm.plumbing.codec import Codec


class Languages(NamedTuple):
    """What a client says to a service, and what the service answers."""

    requests: Codec
    replies: Codec


BY_SERVICE: dict[str, Languages] = {
    membership.SERVICE: Languages(membership.TO_HEARTBEAT, membership.TO_CLIENT),
    cib.SERVICE: Languages(cib.TO_CIB, cib.FROM_CIB),
    controller.SERVICE: Languages(controller.TO_CRMD, controller.FROM_CRMD),
    attributes.SERVICE: Languages(attributes.TO_ATTRD, attributes.FROM_ATTRD),
    lrm.SERVICE: Languages(lrm.TO_LRMD, lrm.FROM_LRMD),
    fencing.SERVICE: Languages(fencing.TO_STONITHD, fencing.FROM_STONITHD),
}
"""The services behind the gate."""
