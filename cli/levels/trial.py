"""What would happen if the changes were committed, and what agents advise: `ptest` and the like.

Source: crm-shell, section 2, "configure".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from cli import edits
from cli.edits import EditRefused
from cli.grammar import ids
from cli.shell.context import Call, CommandFailed, Context
from cli.tools import simulating
from cli.tools.injections import Injections
from cli.view.agents import Advice, advice_of, required_of
from cli.view.simulation import Text
from crm.api.lrm import ResourceAgent
from crm.model.configuration import Item, own_ids
from crm.model.readxml import cluster as reading
from crm.model.writexml import configuration as writing
from crm.plumbing import durations
from crm.plumbing.errors import ConfigurationError, Problem, UsageError, error
from pengine import schedule

_WORDS = ("nograph", "scores", "actions", "utilization")
_ADDED = ("start", "stop")
"""Operations that get a timeout even where the resource does not name them."""


def ptest(context: Context, call: Call) -> None:
    """Show what would happen if the changes were committed."""
    for word in call.words:
        if word not in _WORDS and not re.fullmatch("v+", word):
            known = ", ".join(_WORDS)
            raise CommandFailed("wrong-arguments", f"'{word}' is none of {known}, v, vv ...")
    cluster, _problems = reading.read(writing.element(context.workspace.document))
    now = datetime.now(UTC)
    wishes = simulating.Wishes(
        simulate=True, scores="scores" in call.words, utilization="utilization" in call.words
    )
    view = Text(is_plain=wishes.scores or wishes.utilization)
    decision = schedule(cluster, now)
    simulating.carry_out(cluster, decision, now, wishes, Injections(), view)
    context.terminal.show("\n".join(view.lines))


def default_timeouts(context: Context, call: Call) -> None:
    """Give the operations of resources the timeouts that their agents advise."""
    configuration = context.workspace.configuration
    problems: list[Problem] = []
    for name in call.words:
        located = edits.find(configuration, name)
        if located is None:
            problems.append(error("unknown-object", name, f"object '{name}' does not exist"))
        elif located.item.tag in ("primitive", "template"):
            _advise(configuration, located.item, _advice(context.root, configuration, located.item))
        else:
            text = f"'{name}' is a {located.keyword}; only primitives have agents"
            context.terminal.warn(text)
    if problems:
        raise EditRefused(*problems)


def spell_as_the_agent(context: Context, item: Item) -> None:
    """Write `op-sleep` as `op_sleep` where only that is a parameter of the agent."""
    pairs = [
        pair
        for made in item.each("instance_attributes")
        for pair in made.each("nvpair")
        if "-" in pair.get("name")
    ]
    if not pairs:
        return
    metadata = _metadata(context.root, context.workspace.configuration, item)
    known = required_of(metadata) if metadata else {}
    for pair in pairs:
        name = pair.get("name").replace("-", "_")
        if pair.get("name") not in known and name in known:
            pair.attributes["name"] = name


def _advice(root: Path, configuration: Item, item: Item) -> list[Advice]:
    metadata = _metadata(root, configuration, item)
    return advice_of(metadata) if metadata else []


def _metadata(root: Path, configuration: Item, item: Item) -> bytes:
    from lrmd import catalog  # the agents are of interest only here

    template = edits.find(configuration, item.get("template")) if item.get("template") else None
    about = item if template is None else template.item
    agent = ResourceAgent(
        agent_class=about.get("class"), provider=about.get("provider"), type=about.get("type")
    )
    try:
        return catalog.metadata(root, agent)
    except (UsageError, ConfigurationError):
        return b""


def _advise(configuration: Item, item: Item, advice: list[Advice]) -> None:
    holder = item.first("operations")
    known = holder.children if holder is not None else []
    for operation in known:
        named = [each for each in advice if each.name == operation.get("name")]
        fit = next((each for each in named if each.role == operation.get("role").lower()), None)
        wanted = fit or (named[0] if named else None)
        if wanted is not None and _is_shorter(operation.get("timeout"), wanted.timeout):
            operation.attributes["timeout"] = wanted.timeout
    told = {operation.get("name") for operation in known}
    added = [each for each in advice if each.name in _ADDED and each.name not in told]
    if not added:
        return
    if holder is None:
        holder = Item("operations")
        item.children.append(holder)
    for each in added:
        attributes = {"name": each.name, "timeout": each.timeout, "interval": "0"}
        holder.children.append(Item("op", attributes))
    ids.fill(item, own_ids(configuration))


def _is_shorter(present: str, advised: str) -> bool:
    try:
        return not present or durations.parse_ms(present) < durations.parse_ms(advised)
    except ValueError:
        return False


def upgrade(context: Context, call: Call) -> None:
    """Bring the CIB to the newest schema, as far as the shell needs it."""
    if call.words not in ((), ("force",)):
        raise CommandFailed("wrong-arguments", f"expected 'force', not '{call.words[0]}'")
    present = context.workspace.document.get("validate-with")
    context.terminal.tell(
        f"the shell can edit '{present}' as it is; cibadmin --upgrade --force brings it forward"
    )


def schema(context: Context, call: Call) -> None:
    """Show the schema that the CIB follows; `cibadmin --upgrade` brings an old one forward."""
    present = context.workspace.document.get("validate-with")
    if not call.words:
        context.terminal.show(present)
        return
    from crm.cib import schema as schemas  # compiling one takes time

    if not schemas.accepts(call.words[0]):
        raise CommandFailed("unknown-schema", f"there is no schema '{call.words[0]}'")
    if call.words[0] != present:
        text = f"the CIB stays with '{present}'; cibadmin --upgrade --force brings it forward"
        context.terminal.tell(text)
