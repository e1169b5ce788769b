"""What commands on resources share: where one runs, what it is inside of, how a change is made."""

from __future__ import annotations

from collections.abc import Callable

from cli import edits
from cli.edits import EditRefused, Located, section
from cli.shell.context import Context
from cli.view.status import ClusterView, read_status
from crm.model.configuration import Item


def places_of(view: ClusterView, located: Located) -> list[tuple[str, str]]:
    """Say on which nodes a resource is active, and in which role."""
    return view.places(*(part.id for part in located.item.walk() if part.tag == "primitive"))


def topmost(configuration: Item, located: Located) -> Item:
    """Find the outermost container of a resource."""
    item = located.item
    for each in section(configuration, "resources").children:
        if any(part is item for part in each.walk()):
            return each
    return item


def apply_change(context: Context, edit: Callable[[Item], None]) -> None:
    """Make a small change of the configuration, commit it, and report warnings."""
    context.terminal.report(context.workspace.apply(edit, force=context.is_forced))


def check_node(context: Context, node: str) -> None:
    """Make sure that a node exists.

    Raises: EditRefused, with the nearest name.
    """
    known = read_status(context.workspace.document).node(node)
    if known is None:
        nodes = section(context.workspace.configuration, "nodes").children
        raise EditRefused(edits.unknown("node", node, [each.get("uname") for each in nodes]))
