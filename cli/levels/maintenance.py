"""The level `maintenance`: leave the cluster, or one resource, alone.

Source: crm-shell, section 2, "maintenance".
"""

from __future__ import annotations

from cli import edits
from cli.levels.resource import change_meta
from cli.shell.context import Call, Command, Context, Level
from crm.model.configuration import Item


def _switch(context: Context, call: Call, value: str) -> None:
    if call.words:
        words = (call.words[0], "set", "maintenance", value)
        change_meta(context, Call(words, call.line))
        return

    def edit(configuration: Item) -> None:
        pair = Item("nvpair", {"name": "maintenance-mode", "value": value})
        made = Item("cluster_property_set", {"id": "cib-bootstrap-options"}, [pair])
        edits.add(configuration, made, "property")

    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))


def on(context: Context, call: Call) -> None:
    """Begin maintenance."""
    _switch(context, call, "true")


def off(context: Context, call: Call) -> None:
    """End maintenance."""
    _switch(context, call, "false")


LEVEL = Level(
    name="maintenance",
    summary="maintenance: leave the cluster or a resource alone",
    commands=(
        Command("on", on, "[rsc]", 0, 1, "begin", changes=True),
        Command("off", off, "[rsc]", 0, 1, "end", changes=True),
    ),
)
