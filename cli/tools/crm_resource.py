"""`crm_resource`: show, change and move resources, and run their agents by hand.

Responsible for the options and for choosing the command; each family of commands has a file of its
own beside this one (`resource_*`).

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.parameters import Ambiguous
from cli.tools import (
    resource_agents,
    resource_constraints,
    resource_digests,
    resource_lists,
    resource_live,
    resource_moves,
    resource_values,
    result,
)
from cli.tools.resource_request import Request
from cli.tools.resource_scene import TOOL, Scene, failure, wrong_use
from cli.tools.result import Answer
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit
from crm.plumbing import durations


@dataclass(frozen=True)
class _Command:
    """A command: what carries it out, with a CIB (`run`) or without (`run_here`)."""

    run: Callable[[Scene, Request, Answer], int] | None = None
    run_here: Callable[[Path, Request, Answer], int] | None = None
    needs_resource: bool = False
    takes_overrides: bool = False


def _about_one(run: Callable[[Scene, Request, Answer], int]) -> _Command:
    return _Command(run, needs_resource=True)


_COMMANDS = {
    "list": _Command(resource_lists.list_all),
    "list-raw": _Command(resource_lists.list_raw),
    "list-cts": _Command(resource_lists.list_for_tests),
    "list-operations": _Command(resource_lists.list_operations),
    "list-all-operations": _Command(resource_lists.list_all_operations),
    "list-standards": _Command(run_here=resource_agents.list_standards),
    "list-ocf-providers": _Command(run_here=resource_agents.list_providers),
    "list-ocf-alternatives": _Command(run_here=resource_agents.list_providers),
    "list-agents": _Command(run_here=resource_agents.list_agents),
    "list-options": _Command(run_here=resource_agents.list_options),
    "show-metadata": _Command(run_here=resource_agents.show_metadata),
    "query-xml": _about_one(resource_lists.query),
    "query-xml-raw": _about_one(resource_lists.query_raw),
    "locate": _about_one(resource_lists.locate),
    "constraints": _about_one(resource_constraints.constraints),
    "stack": _about_one(resource_constraints.stack),
    "why": _Command(resource_lists.why),
    "get-parameter": _about_one(resource_values.get_parameter),
    "set-parameter": _about_one(resource_values.set_parameter),
    "delete-parameter": _about_one(resource_values.delete_parameter),
    "get-property": _about_one(resource_values.get_property),
    "set-property": _about_one(resource_values.set_property),
    "delete": _about_one(resource_values.delete),
    "move": _about_one(resource_moves.move),
    "ban": _about_one(resource_moves.ban),
    "clear": _about_one(resource_moves.clear),
    "cleanup": _Command(resource_live.cleanup),
    "refresh": _Command(resource_live.refresh),
    "fail": _about_one(resource_live.fail),
    "restart": _about_one(resource_live.restart),
    "wait": _Command(resource_live.wait),
    "digests": _Command(resource_digests.show_digests, needs_resource=True, takes_overrides=True),
    "validate": _Command(resource_agents.validate, needs_resource=True, takes_overrides=True),
    **{
        f"force-{task}": _Command(
            functools.partial(resource_agents.force, task),
            needs_resource=True,
            takes_overrides=True,
        )
        for task in ("start", "stop", "promote", "demote", "check")
    },
}


def _choose(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Make the callback that notes which command was asked for; the last one counts."""

    def note(context: click.Context, _parameter: click.Parameter, given: Any) -> Any:
        if given not in (None, False):
            context.meta["command"] = name
            if given is not True:
                context.meta["subject"] = given
        return given

    return note


_Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]  # Any: click's functions


def _does(name: str, text: str, *words: str) -> _Wrap:
    """Give the tool a command that is an option without a value."""
    return click.option(
        f"--{name}", *words, f"do_{name}".replace("-", "_"), is_flag=True,
        callback=_choose(name), expose_value=False, help=text,
    )  # fmt: skip


def _takes(name: str, what: str, text: str, *words: str, optional: bool = False) -> _Wrap:
    """Give the tool a command that is an option with a value."""
    extra: dict[str, Any] = {"is_flag": False, "flag_value": ""} if optional else {}
    return click.option(
        f"--{name}", *words, f"do_{name}".replace("-", "_"), metavar=what,
        callback=_choose(name), expose_value=False, help=text, **extra,
    )  # fmt: skip


_QUERIES = (
    _does("list", "List all resources with what they do.", "-L"),
    _does("list-raw", "List the ids of all instances.", "-l"),
    _does("list-cts", "List resources as test suites read them.", "-c"),
    _does("list-operations", "List the operations that count.", "-O"),
    _does("list-all-operations", "List all recorded operations.", "-o"),
    _does("list-standards", "List the classes of agents."),
    _takes("list-ocf-providers", "AGENT", "List providers of OCF agents.", optional=True),
    _takes("list-agents", "CLASS[:PROVIDER]", "List agents."),
    _takes("list-ocf-alternatives", "AGENT", "List who provides an OCF agent."),
    _takes("list-options", "KIND", "List meta attributes of a primitive, group, clone ...."),
    _takes("show-metadata", "CLASS[:PROVIDER]:TYPE", "Show what an agent says of itself."),
    _does("query-xml", "Show how a resource is configured, templates filled in.", "-q"),
    _does("query-xml-raw", "Show how a resource is configured, as written.", "-w"),
    _takes("get-parameter", "NAME", "Show a parameter as it holds now.", "-g"),
    _takes("get-property", "NAME", "Show an attribute of the element.", "-G"),
    _does("locate", "Show where a resource runs.", "-W"),
    _does("constraints", "Show locations and colocations of a resource.", "-a"),
    _does("stack", "The same, followed from resource to resource.", "-A"),
    _does("why", "Say what keeps resources as they are.", "-Y"),
    _does("digests", "Show digests of parameters (NAME=VALUE stand in for configured ones)."),
)
_CHANGES = (
    _takes("set-parameter", "NAME", "Set a parameter to -v VALUE.", "-p"),
    _takes("delete-parameter", "NAME", "Delete a parameter.", "-d"),
    _takes("set-property", "NAME", "Set an attribute of an element of tag -t.", "-S"),
    _does("delete", "Delete a resource of tag -t.", "-D"),
    _does("move", "Move to -N, or away.", "-M", "--migrate"),
    _does("ban", "Keep off -N, or off where it is.", "-B"),
    _does("clear", "End what move and ban made.", "-U", "--un-move", "--un-migrate"),
    _does("cleanup", "Forget failures.", "-C"),
    _does("refresh", "Forget everything and look again.", "-R", "-P", "--reprobe"),
    _does("fail", "Tell the cluster that it has failed on -N.", "-F"),
    _does("restart", "Stop it, and what depends on it, and let it start."),
    _does("wait", "Wait until the cluster has settled."),
)
_BY_HAND = (
    _takes("validate", "LEVEL", "Have the agent check parameters.", optional=True),
    _does("force-start", "Start here, past the cluster."),
    _does("force-stop", "Stop here, past the cluster."),
    _does("force-promote", "Promote here, past the cluster."),
    _does("force-demote", "Demote here, past the cluster."),
    _takes("force-check", "LEVEL", "Look whether it runs here.", optional=True),
)
_DETAILS = (
    click.option("-r", "--resource", default="", metavar="ID", help="The resource."),
    click.option("-N", "-H", "--node", "--host-uname", default="", metavar="NODE", help="Node."),
    click.option("-v", "--parameter-value", "--property-value", "value", help="The value."),
    click.option("-t", "--resource-type", "element", metavar="TAG", help="The element's tag."),
    click.option("-m", "--meta", "kind", flag_value="meta", help="Meta attributes."),
    click.option("-z", "--utilization", "kind", flag_value="utilization", help="Utilization."),
    click.option("--element", "kind", flag_value="element", help="Attributes of the element."),
    click.option("-s", "--set-name", "set_id", metavar="ID", help="The set a value stands in."),
    click.option("-i", "--nvpair", "pair_id", metavar="ID", help="The nvpair a value stands in."),
    click.option("-n", "--operation", default="", help="With -C: only this operation."),
    click.option("-I", "--interval", default="", help="Its interval."),
    click.option("-u", "--lifetime", default="", metavar="DURATION", help="As PT10M."),
    click.option("-e", "--expired", is_flag=True, help="With -U: only what is over."),
    click.option("--promoted", "--master", is_flag=True, help="Only the promoted role."),
    click.option("--recursive", is_flag=True, help="Follow colocations."),
    click.option("--all", "everything", is_flag=True, help="With --list-options: all."),
    click.option("--class", "standard", default="", help="With --validate: a class."),
    click.option("--provider", default="", help="With --validate: a provider."),
    click.option("--agent", default="", help="With --validate: an agent."),
    click.option("--option", "given", multiple=True, metavar="NAME=VALUE", help="Its parameters."),
    click.option("-T", "--timeout", default="", metavar="TIME", help="Give up after this."),
    click.option("-f", "--force", "forced", is_flag=True, help="Insist."),
    click.option("-Q", "--quiet", is_flag=True, help="Say less."),
    click.option("-V", "--verbose", count=True, help="Accepted."),
    click.option("--text-fancy", is_flag=True, expose_value=False, help="Accepted."),
    click.option("--root", metavar="DIR", default=None, help="The installation."),
    click.argument("words", nargs=-1),
    result.output_options,
    result.version_option,
)


def _all_options(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click's functions
    for option in reversed((*_QUERIES, *_CHANGES, *_BY_HAND, *_DETAILS)):
        command = option(command)
    return command


@click.command(
    TOOL,
    context_settings={"help_option_names": ["-?", "-h", "--help", "--help-all"]},
    help="Show, change and move resources, and run their agents by hand.",
)
@_all_options
@click.pass_context
def crm_resource(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Show, change and move resources, and run their agents by hand."""
    answer: Answer = context.obj
    name = context.meta.get("command", "list")
    command = _COMMANDS[name]
    root = installation_root(options.pop("root"))
    request = _request(options, context.meta.get("subject", ""), command)
    if command.run_here is not None:
        return answer.end(command.run_here(root, request, answer))
    if _is_about_agent(request):
        return answer.end(_for_agent(name, root, request, answer))
    is_for_all = name == "clear" and request.expired
    if command.needs_resource and not request.resource and not is_for_all:
        raise wrong_use("Must supply a resource id with -r")
    if name in ("fail", "digests") and not request.node:
        raise wrong_use("Must supply a node name with -N")
    if name == "set-parameter" and not request.value:
        raise wrong_use("You need to supply a value with the -v option")
    assert command.run is not None, "a command is run with a CIB or without"
    try:
        return answer.end(command.run(Scene(root), request, answer))
    except Ambiguous as problem:
        for line in problem.lines:
            answer.line(line)
        raise failure(Exit.MULTIPLE) from problem


def _is_about_agent(request: Request) -> bool:
    return bool(request.standard or request.provider or request.agent)


def _for_agent(name: str, root: Path, request: Request, answer: Answer) -> int:
    """Carry out a command about an agent that no configured resource has."""
    if request.resource:
        raise wrong_use("--resource cannot be used with --class, --agent, and --provider")
    if name != "validate":
        text = "--class, --agent, and --provider can only be used with --validate and --force-*"
        raise wrong_use(text)
    if not request.standard or not request.agent:
        raise wrong_use("--validate of an agent needs --class and --agent")
    return resource_agents.validate_agent(root, request, answer)


def _request(options: dict[str, Any], subject: str, command: _Command) -> Request:
    """Make the request of the options; words NAME=VALUE go with some commands only."""
    words: tuple[str, ...] = options.pop("words")
    given: tuple[str, ...] = options.pop("given")
    if words and (not command.takes_overrides or any("=" not in word for word in words)):
        listed = "".join(f"\n[{at} of {len(words)}] {each}" for at, each in enumerate(words, 1))
        raise wrong_use(f"non-option ARGV-elements:{listed}\n")
    for text in given:
        if "=" not in text:
            raise wrong_use(f"'{text}' is no parameter: expected NAME=VALUE")
    pairs = (text.partition("=")[::2] for text in (*given, *words))
    options["kind"] = options["kind"] or "instance"
    options["timeout_s"] = _seconds(options.pop("timeout"))
    return Request(**options, subject=subject, overrides=dict(pairs))


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        return durations.seconds(durations.parse_ms(text))
    except ValueError as problem:
        raise wrong_use(f"--timeout: {problem}") from problem


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    # One question, then the end: looking for garbage would cost a tenth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return result.run(crm_resource, argv, has_xml=True)
    finally:
        if collects:
            gc.enable()


if __name__ == "__main__":
    sys.exit(main())
