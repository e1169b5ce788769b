"""`crm_attribute`: show and change cluster options, node attributes and defaults.

Responsible for the options, texts and exit codes. Not responsible for where the values stand in
the CIB (`namedvalues`), nor for how attributes that last until a reboot spread (`attrd`).

Source: tools.md section 2.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from cli.tools import ends, namedvalues, optionlist, result
from cli.tools.namedvalues import Node, Place, Value, Wanted
from cli.tools.result import Failure
from crm.api import attributes
from crm.api import cib as api
from crm.api.gateclient import installation_root
from crm.cib import document as documents
from crm.model.exit_codes import Exit

TOOL = "crm_attribute"
SECTIONS = (
    "crm_config", "nodes", "status", "rsc_defaults", "op_defaults", "tickets",
)  # fmt: skip
_NEVER_OF_A_NODE = ("crm_config", "tickets")
_LIFETIMES = {"reboot": "status", "forever": "nodes"}
_HERE = ("auto", "localhost")
"""Words for the node the command runs on."""
_ON_NODE = "OCF_RESKEY_CRM_meta_on_node"
"""Where an agent is told the name of its node."""
_NONE_SUCH = f"{TOOL}: Error performing operation: No such device or address"


@dataclass(frozen=True)
class Request:
    """What is asked for. `section` and `lifetime` are words as they were given, not yet judged."""

    action: str = "query"
    name: str | None = None
    pattern: str | None = None
    section: str | None = None
    lifetime: str | None = None
    node: str | None = None
    utilization: bool = False
    value: str = ""
    default: str | None = None
    set_id: str | None = None
    id: str | None = None
    quiet: bool = False


_Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]  # Any: click's functions


def query_option(text: str) -> _Wrap:
    """Give a command the option that shows a value."""
    words = ("-G", "--query", "--get-value")
    return click.option(*words, is_flag=True, callback=result.noted("query"), help=text)


def update_option(text: str) -> _Wrap:
    """Give a command the option that sets a value."""
    words = ("-v", "--update", "--attr-value", "value")
    return click.option(*words, callback=result.noted("update"), help=text)


def delete_option(text: str) -> _Wrap:
    """Give a command the option that takes a value away."""
    return click.option("-D", "--delete", is_flag=True, callback=result.noted("delete"), help=text)


def shown_as(shown: str) -> _Wrap:
    """Give a command for one attribute of a node the options that say which, and how to answer."""
    options = (
        click.option("-N", "-U", "--node", help="The node; this one if none is named."),
        click.option("-l", "--lifetime", help="How long it lasts: reboot or forever."),
        click.option("-i", "--id", "--attr-id", help="The id of the nvpair."),
        click.option("-q", "-Q", "--quiet", is_flag=True, help=f"Show {shown} and nothing else."),
        click.option("-!", "--inhibit-policy-engine", is_flag=True, help="Accepted, of no effect."),
        click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add."),
        click.option("--root", metavar="DIR", default=None, help="The installation."),
        result.output_options,
        result.version_option,
    )

    def wrap(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click's functions
        for option in reversed(options):
            command = option(command)
        return command

    return wrap


def request_for(name: str, context: click.Context, options: dict[str, Any]) -> Request:
    """Make the request of a command for one attribute of a node, which lasts unless told not to.

    Any: click's options.
    """
    return Request(
        action=context.meta.get("action", "query"),
        name=name,
        lifetime=options["lifetime"] or "forever",
        node=options["node"],
        value=options["value"] or "",
        id=options["id"],
        quiet=options["quiet"],
    )


@click.command(
    TOOL,
    context_settings=result.HELP,
    help="Query and update cluster options, node attributes and defaults.",
)
@click.option("-n", "--name", "--attr-name", help="The name of the value.")
@click.option("-P", "--pattern", help="All values whose name fits this regular expression.")
@click.option("-i", "--id", "--attr-id", help="The id of the nvpair.")
@click.option("-s", "--set-name", help="The id of the set it stands in.")
@click.option(
    "-p",
    "--promotion",
    is_flag=False,
    flag_value="\0",
    help="The promotion score of a resource (an agent need not name its own).",
)
@query_option("Show the value.")
@update_option("Set the value; value++ and value+=N count on.")
@delete_option("Delete it.")
@click.option("-t", "--type", "section", help=f"Where it stands: {', '.join(SECTIONS)}.")
@click.option("-N", "-U", "--node", "--node-uname", help="The node whose attribute it is.")
@click.option("-l", "--lifetime", help="Of a node's attribute: reboot or forever.")
@click.option("-z", "--utilization", is_flag=True, help="A utilization attribute of a node.")
@click.option("-d", "--default", help="What to show where there is no value.")
@click.option("-q", "-Q", "--quiet", is_flag=True, help="Show the value and nothing else.")
@click.option("--list-options", type=click.Choice(["cluster"]), help="List the known options.")
@click.option("--all", "everything", is_flag=True, help="List advanced options as well.")
@click.option("-!", "--inhibit-policy-engine", is_flag=True, help="Accepted, of no effect.")
@result.ordinary_options
@click.pass_context
def crm_attribute(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Query and update cluster options, node attributes and defaults."""
    answer: result.Answer = context.obj
    if options["list_options"]:
        return optionlist.show(answer, everything=options["everything"])
    promotion = options["promotion"]
    request = Request(
        action=context.meta.get("action", "query"),
        name=options["name"] if promotion is None else _promotion_score(promotion),
        pattern=options["pattern"],
        section=options["section"],
        lifetime=options["lifetime"] if promotion is None else options["lifetime"] or "reboot",
        node=options["node"],
        utilization=options["utilization"],
        value=options["value"] or "",
        default=options["default"],
        set_id=options["set_name"],
        id=options["id"],
        quiet=options["quiet"],
    )
    return perform(answer, request, ends.open_cib(TOOL, installation_root(options["root"])))


def _promotion_score(resource: str) -> str:
    if resource == "\0":
        resource = os.environ.get("OCF_RESOURCE_INSTANCE", "")
        if not resource:
            raise Failure(
                Exit.USAGE,
                f"{TOOL}: -p/--promotion must be called from an OCF resource agent or with a"
                " resource ID specified",
            )
    return f"master-{resource}"


def perform(answer: result.Answer, request: Request, cib: ends.Ends) -> int:
    """Carry a request out, and say what came of it.

    Raises: Failure if it cannot be.
    """
    carry_out(answer, request, cib)
    return answer.end(Exit.OK)


def carry_out(answer: result.Answer, request: Request, cib: ends.Ends) -> None:
    """Do the same as one of several requests: the answer does not end with it."""
    place, found = look_up(request, cib.document())
    if request.action == "query":
        _query(answer, request, place, found)
    elif request.action == "delete":
        _delete(answer, request, place, found, cib)
    else:
        _update(answer, request, place, found, cib)


def look_up(request: Request, document: documents.Document) -> tuple[Place, list[Value]]:
    """Find where the values that are meant stand, and those there are.

    Raises: Failure if there is no such place, or the request must not be carried out there.
    """
    section = _section(request)
    if section not in SECTIONS:
        node_named(document, request.node)  # an unknown node is told first, as ever
        given = request.section or request.lifetime
        text = f"{TOOL}: Error performing operation: No message of desired type"
        hint = f"'{given}' is neither one of {', '.join(SECTIONS)} nor reboot or forever"
        raise Failure(Exit.PROTOCOL, f"{text}\n  {hint}")
    node = None if section in _NEVER_OF_A_NODE else node_named(document, request.node)
    place = namedvalues.place_of(section, node, utilization=request.utilization)
    _check(request, place)
    wanted = Wanted(request.name, _pattern(request.pattern), request.set_id, request.id)
    return place, namedvalues.find(document, place, wanted)


def _section(request: Request) -> str:
    """Decide where the value stands; what only a node has is not looked for elsewhere."""
    section = request.section
    if section in (None, "crm_config") and request.lifetime is not None:
        return _LIFETIMES.get(request.lifetime, "")
    if section is None:
        of_a_node = request.utilization or request.node is not None
        return "nodes" if of_a_node else "crm_config"
    return section


def node_named(document: documents.Document, name: str | None) -> Node:
    """Find a node by its name, or the one this command runs on.

    Raises: Failure if the CIB has no such node.
    """
    if name is None or name in _HERE:
        name = os.environ.get(_ON_NODE) or os.uname().nodename
    node = namedvalues.find_node(document, name)
    if node is None:
        raise Failure(Exit.NO_SUCH_OBJECT, f"{TOOL}: Could not map name={name} to a UUID")
    return node


def _check(request: Request, place: Place) -> None:
    """Refuse what would change more than was meant."""
    if request.action == "query":
        return
    if request.pattern is not None and not place.is_status:
        text = "pattern can only be used with query, or with till-reboot update or delete"
        raise Failure(Exit.USAGE, f"{TOOL}: Error: {text}")
    if request.name is None and request.pattern is None:
        if request.action == "delete":
            text = "must specify attribute name or pattern to delete"
            raise Failure(Exit.USAGE, f"{TOOL}: Error: {text}")
        if request.id is not None:
            return
        text = f"{TOOL}: Error performing operation: Invalid argument\n  give a name with -n"
        raise Failure(Exit.INTERNAL_BUG, text)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as problem:
        message = f"{TOOL}: '{text}' is no regular expression: {problem}"
        raise Failure(Exit.USAGE, message) from problem


# --- showing ------------------------------------------------------------------------------------


def _query(answer: result.Answer, request: Request, place: Place, found: list[Value]) -> None:
    if not found and request.default is not None and request.name is not None:
        found = [Value(request.id or "", request.name, request.default, "")]
    if not found and request.pattern is None:
        raise Failure(Exit.NO_SUCH_OBJECT, _NONE_SUCH)
    for value in found:
        say(answer, place.section, value.name, value.value, id_=request.id, quiet=request.quiet)


def say(
    answer: result.Answer,
    section: str,
    name: str,
    value: str,
    *,
    id_: str | None = None,
    quiet: bool = False,
) -> None:
    """Say one value."""
    identity = f"id={id_}" if id_ else ""
    answer.line(value if quiet else f"scope={section} {identity} name={name} value={value}")
    words = {"name": name, "value": value, "scope": section}
    answer.element("attribute", {**words, "id": id_} if id_ else words)


def _say_matches(answer: result.Answer, name: str | None, found: list[Value]) -> None:
    answer.line(f"Multiple attributes match name={name}")
    for value in found:
        answer.line(f"  Value: {value.value} \t(id={value.id})")


# --- changing -----------------------------------------------------------------------------------


def _update(
    answer: result.Answer, request: Request, place: Place, found: list[Value], cib: ends.Ends
) -> None:
    if len(found) > 1 and request.pattern is None:
        _say_matches(answer, request.name, found)
        text = "Please choose from one of the matches below and supply the 'id' with --attr-id"
        raise Failure(Exit.MULTIPLE, f"{TOOL}: {text}")
    if not found and request.name is None:
        # A pattern, or an id, sets what is there; nothing tells the name of something new.
        raise Failure(Exit.NO_SUCH_OBJECT, _NONE_SUCH)
    if place.is_status and cib.session is not None:
        names = [value.name for value in found] if request.name is None else [request.name]
        for name in names:
            _tell_attrd(cib, place, name, request.value, request.set_id or "")
        return
    node = place.node if place.is_status else None
    if node is not None and cib.document().node_state(uuid=node.id) is None:
        text = f"{_NONE_SUCH}\n  '{node.name}' has no status that could hold it"
        raise Failure(Exit.NO_SUCH_OBJECT, text)
    wanted = Wanted(request.name, set_id=request.set_id, id=request.id)
    targets: list[Value | None] = [*found] or [None]
    for old in targets:
        _change(cib, namedvalues.setting(place, wanted, old, request.value))


def _delete(
    answer: result.Answer, request: Request, place: Place, found: list[Value], cib: ends.Ends
) -> None:
    if len(found) > 1 and request.pattern is None:
        _say_matches(answer, request.name, found)
        return
    if place.is_status and cib.session is not None:
        for value in found:
            _tell_attrd(cib, place, value.name, None, value.set_id)
    else:
        for value in found:
            _change(cib, namedvalues.deletion(place, value))
    what = "option" if place.section == "crm_config" else "attribute"
    if request.id is not None:
        # The classic words for a value that was named by its id, whether there was one or not.
        answer.line(f"Deleted {place.section} {what}: id=(null) name={request.name}")
        return
    for value in found:
        answer.line(f"Deleted {place.section} {what}: id={value.id} name={value.name}")


def _change(cib: ends.Ends, change: api.Operation) -> None:
    cib.change([change], f"{TOOL}: Error performing operation")


def _tell_attrd(cib: ends.Ends, place: Place, name: str, value: str | None, set_id: str) -> None:
    """Have attrd change what lasts until the node leaves: it writes that section itself."""
    assert place.node is not None, "the values in status are those of a node"
    if place.sets == "utilization":
        text = f"{TOOL}: attrd keeps no utilization until a reboot\n  set it with -l forever"
        raise Failure(Exit.UNIMPLEMENTED, text)
    # The usual set is attrd's own affair.
    set_id = "" if set_id == place.new_set else set_id
    cib.ask(
        attributes.SERVICE,
        attributes.UpdateAttribute(name, value, place.node.name, set_id=set_id),
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_attribute, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
