"""Which agents are our own, and the names they answer to.

Two names mean a Dummy that other projects install; ours answers when theirs is absent.
"""

from __future__ import annotations

from collections.abc import Mapping

from lrmd.agentkit.agent import Agent
from lrmd.agents.dummy import Dummy
from lrmd.agents.ipaddr import IPaddr, IPaddr2
from lrmd.agents.webpage import Webpage

BUILT_IN: Mapping[tuple[str, str], type[Agent]] = {
    ("heartbeat", "IPaddr"): IPaddr,
    ("heartbeat", "IPaddr2"): IPaddr2,
    ("pacekeeper", "Dummy"): Dummy,
    ("pacekeeper", "webpage"): Webpage,
    ("heartbeat", "Dummy"): Dummy,
    ("pacemaker", "Dummy"): Dummy,
}
"""By provider and type."""

STAND_INS = frozenset({("heartbeat", "Dummy"), ("pacemaker", "Dummy")})
"""Names under which an installed agent comes before ours."""
