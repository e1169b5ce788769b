"""The level `site`: the tickets of a cluster of clusters.

Source: crm-shell, section 2, "site".
"""

from __future__ import annotations

from cli.shell.context import Call, Command, CommandFailed, Context, Level

_OPTIONS = {
    "grant": ("--grant",),
    "revoke": ("--revoke",),
    "delete": ("--cleanup",),
    "standby": ("--standby",),
    "activate": ("--activate",),
    "time": ("--get-attr", "last-granted"),
}


def ticket(context: Context, call: Call) -> None:
    """Show or change a ticket."""
    verb, name = call.words
    if verb == "show":
        _show(context, name)
        return
    if verb not in _OPTIONS:
        known = ", ".join(("show", *_OPTIONS))
        raise CommandFailed("wrong-arguments", f"site.ticket: '{verb}' is none of {known}")
    if context.shadow:
        raise CommandFailed("shadow-in-use", "tickets are changed in the live CIB", "cib use")
    from cli.tools.crm_ticket import main  # only here

    forced = ("--force",) if context.is_forced else ()
    if main(["--ticket", name, *_OPTIONS[verb], *forced]):
        raise CommandFailed("ticket-unchanged", f"ticket '{name}': {verb} was not done")
    context.close()


def _show(context: Context, name: str) -> None:
    status = context.workspace.document.first("status")
    tickets = status.first("tickets") if status is not None else None
    known = {each.id: each for each in tickets.children} if tickets is not None else {}
    if name not in known:
        raise CommandFailed("unknown-ticket", f"nothing is known of a ticket '{name}'")
    word = "granted" if known[name].get("granted") == "true" else "revoked"
    context.terminal.show(f"ticket {name} is {word}")


LEVEL = Level(
    name="site",
    summary="site: tickets of a cluster of clusters",
    commands=(
        Command("ticket", ticket, "{show|grant|revoke|delete|standby|activate|time} ticket", 2, 2,
                "show or change a ticket", changes=True),
    ),
)  # fmt: skip
