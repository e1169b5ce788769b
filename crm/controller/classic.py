"""What the log says in haresources mode when a script is run, in the words people search it for.

Heartbeat itself ran the scripts of a haresources line and said so: `Running
/etc/ha.d/resource.d/IPaddr 10.0.0.1/24/eth0 start`. Here the same line is said of the operation
that stands in its place. The agent is the one of today, so the path is a name, not a file.

Source: docs/tools.md, "heartbeat"; decision 6 of the design.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm.api.lrm import ResourceAgent
from crm.model.heartbeat_agents import ADDRESS_AGENTS, AGENT_PARAMETERS

_FOLDERS = {"ocf": "/etc/ha.d/resource.d", "heartbeat": "/etc/ha.d/resource.d"}
_SERVICES = "/etc/init.d"
_ADDRESS_PARTS = ("ip", "cidr_netmask", "nic", "broadcast")
OPERATIONS = frozenset({"start", "stop"})


def running(agent: ResourceAgent, operation: str, parameters: Mapping[str, str]) -> str:
    """Say which script runs, with its arguments as in haresources and the action behind them."""
    folder = _FOLDERS.get(agent.agent_class, _SERVICES)
    words = (f"{folder}/{agent.type}", *_arguments(agent, parameters), operation)
    return f"Running {' '.join(words)}"


def _arguments(agent: ResourceAgent, parameters: Mapping[str, str]) -> list[str]:
    if agent.type in ADDRESS_AGENTS:
        return ["/".join(filter(None, (parameters.get(part) for part in _ADDRESS_PARTS)))]
    if agent.agent_class == "ocf":
        names = AGENT_PARAMETERS.get(agent.type, ())
    else:
        names = tuple(str(number) for number in range(1, len(parameters) + 1))
    return [parameters[name] for name in names if name in parameters]
