"""The level `ra`: which agents are installed, and what they say of themselves.

Source: crm-shell, section 2, "ra".
"""

from __future__ import annotations

from cli.shell.context import Call, Command, CommandFailed, Context, Level
from crm.api.lrm import ResourceAgent
from lrmd import catalog


def classes(context: Context, _call: Call) -> None:
    """Show the classes of agents, ocf with its providers."""
    lines = [each for each in catalog.CLASSES if each != "ocf"]
    found = catalog.providers(context.root)
    context.terminal.show("\n".join([*lines, f"ocf / {' '.join(found)}"]))


def list_agents(context: Context, call: Call) -> None:
    """Show the agents of a class (and provider)."""
    if call.words[0] not in catalog.CLASSES:
        known = ", ".join(catalog.CLASSES)
        raise CommandFailed("unknown-class", f"there is no class '{call.words[0]}'", known)
    provider = call.words[1] if len(call.words) > 1 else ""
    found = catalog.types(context.root, call.words[0], provider)
    if context.as_json:
        context.terminal.show_json(found)
    else:
        context.terminal.show("\n".join(found))


def providers(context: Context, call: Call) -> None:
    """Show who provides an agent."""
    context.terminal.show("\n".join(catalog.providers(context.root, call.words[0])))


def info(context: Context, call: Call) -> None:
    """Show an agent's parameters and operations."""
    from cli.view.agents import describe  # lxml only here

    agent = parse_agent(context, call.words[0])
    context.terminal.show(describe(catalog.metadata(context.root, agent)))


def parse_agent(context: Context, text: str) -> ResourceAgent:
    """Read [CLASS:[PROVIDER:]]TYPE.

    Raises: CommandFailed if no provider has the type.
    """
    parts = text.split(":")
    if len(parts) == 3:
        return ResourceAgent(agent_class=parts[0], provider=parts[1], type=parts[2])
    if len(parts) == 2 and parts[0] != "ocf":
        return ResourceAgent(agent_class=parts[0], type=parts[1])
    found = catalog.providers(context.root, parts[-1])
    if not found:
        raise CommandFailed("unknown-agent", f"there is no agent '{text}'", subject=text)
    provider = next((each for each in ("heartbeat", "pacemaker") if each in found), found[0])
    return ResourceAgent(agent_class="ocf", provider=provider, type=parts[-1])


LEVEL = Level(
    name="ra",
    summary="ra: resource agents",
    commands=(
        Command("classes", classes, "", summary="classes and providers"),
        Command("list", list_agents, "class [provider]", 1, 2, "agents of a class"),
        Command("providers", providers, "type [class]", 1, 2, "who provides an agent"),
        Command("info", info, "[[class:]provider:]type", 1, 1, "parameters and operations",
                aliases=("meta",)),
    ),
)  # fmt: skip
