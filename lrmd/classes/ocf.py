"""OCF agents: one argument, everything else in the environment, exit codes as they are.

Source: the OCF resource agent API 1.0 and 1.1.
"""

from __future__ import annotations

from pathlib import Path

from lrmd.commands import Command
from lrmd.operations import StartAgent
from lrmd.surroundings import Surroundings

_META_PREFIX = "CRM_meta_"


def command(start: StartAgent, program: Path | None, surroundings: Surroundings) -> Command:
    """Make the command line and environment; `program` is None for one of our own agents."""
    environment = environment_of(start, surroundings)
    if program is None:
        return Command(
            (start.operation,), environment, built_in=f"{start.agent.provider}/{start.agent.type}"
        )
    return Command((str(program), start.operation), environment)


def environment_of(start: StartAgent, surroundings: Surroundings) -> dict[str, str]:
    """Make an agent's whole environment: nothing of lrmd's own leaks into it."""
    environment = surroundings.environment()
    environment |= {
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": start.resource,
        "OCF_RESOURCE_TYPE": start.agent.type,
        "OCF_RESOURCE_PROVIDER": start.agent.provider,
    }
    exact = {
        "on_node": surroundings.node,
        **{name.removeprefix(_META_PREFIX): value for name, value in start.meta.items()},
        "name": start.operation,
        "interval": str(start.interval_ms),
        "timeout": str(start.timeout_ms),
    }
    for name, value in exact.items():
        environment[f"OCF_RESKEY_{_META_PREFIX}{name.replace('-', '_')}"] = value
    for name, value in start.parameters.items():
        environment[f"OCF_RESKEY_{name}"] = value
        if name == "OCF_CHECK_LEVEL":
            environment[name] = value
    return environment
