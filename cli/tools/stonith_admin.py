"""`stonith_admin`: what can fence a node, having one fenced, and confirming that one is down.

Responsible for the options, texts and exit codes. What stonithd cannot do (it runs no fencing
agents, keeps no history, and knows the devices of the CIB alone) is refused with exit code 3 and
said plainly; nothing is ever called fenced that was not.

Source: tools.md section 2; docs/architecture.md, "The processes of a node".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.tools import ends, result
from cli.tools.result import Element, Failure
from crm.api import fencing
from crm.api.gateclient import installation_root
from crm.model.exit_codes import Exit
from lrmd import catalog

TOOL = "stonith_admin"
DEFAULT_TIMEOUT_S = 120
_FENCES = {"fence": "off", "reboot": "reboot", "unfence": "on"}
"""The commands that have a node fenced, with the action each asks for."""
_UNABLE = {
    "register": "devices are those of the configuration: create a primitive of class stonith",
    "deregister": "devices are those of the configuration: delete the primitive",
    "register_level": "levels are those of the configuration: see fencing-topology there",
    "deregister_level": "levels are those of the configuration: see fencing-topology there",
    "list_targets": "fencing agents, which know their targets, cannot be run by this version",
    "history": "stonithd keeps no history of fencing; the logs and the status of nodes tell",
    "last": "stonithd keeps no history of fencing; the logs and the status of nodes tell",
}
"""What the daemon cannot do, and what to do instead."""
_NEED_AGENT = ("metadata", "validate", "register")


def _command(
    *names: str, task: str, text: str
) -> Callable[[Any], Any]:  # Any: click decorates anything
    return click.option(*names, task, callback=result.noted(task), help=text)


def _plain_command(
    *names: str, task: str, text: str
) -> Callable[[Any], Any]:  # Any: click decorates anything
    return click.option(*names, task, is_flag=True, callback=result.noted(task), help=text)


@click.command(
    TOOL,
    context_settings={"help_option_names": ["-?", "--help", "--help-all"]},
    help="Ask for fencing devices, and for fencing. Of several commands, the last counts.",
)
@_plain_command("-L", "--list-registered", task="list_registered", text="List the known devices.")
@_plain_command("-I", "--list-installed", task="list_installed", text="List installed agents.")
@_command("-l", "--list", task="list_devices", text="List devices that can fence this node.")
@_command("-Q", "--query", task="query", text="Check a device.")
@_command("-s", "--list-targets", task="list_targets", text="List the nodes of a device.")
@_command("-F", "--fence", task="fence", text="Have a node turned off.")
@_command("-B", "--reboot", task="reboot", text="Have a node rebooted.")
@_command("-U", "--unfence", task="unfence", text="Have a node turned on.")
@_command("-C", "--confirm", task="confirm", text="Say that a node is down for certain.")
@_command("-H", "--history", task="history", text="Show when a node was fenced (* for all).")
@_command("-h", "--last", task="last", text="Show when a node was fenced last.")
@_plain_command("-M", "--metadata", task="metadata", text="Show what --agent says of itself.")
@_plain_command("-K", "--validate", task="validate", text="Check parameters of --agent.")
@_command("-R", "--register", task="register", text="Refused: the CIB holds the devices.")
@_command("-D", "--deregister", task="deregister", text="Refused: the CIB holds the devices.")
@_command("-r", "--register-level", task="register_level", text="Refused: see the CIB.")
@_command("-d", "--deregister-level", task="deregister_level", text="Refused: see the CIB.")
@click.option("-a", "--agent", help="The agent for --metadata and --validate.")
@click.option("-o", "--option", "parameters", multiple=True, help="A parameter: NAME=VALUE.")
@click.option("-e", "--env-option", multiple=True, help="A parameter, from OCF_RESKEY_NAME.")
@click.option("-v", "--device", multiple=True, help="A device of a level.")
@click.option("-i", "--index", type=int, help="The number of a level.")
@click.option("-t", "--timeout", type=int, default=DEFAULT_TIMEOUT_S, help="Seconds to wait.")
@click.option("-y", "--delay", type=int, default=0, help="Accepted: stonithd delays nothing.")
@click.option("--tolerance", default="0", help="Accepted: stonithd knows of no earlier fencing.")
@click.option("-T", "--tag", default="", help="Accepted: the gate tells the daemons who asks.")
@click.option("-n", "--as-node-id", is_flag=True, help="Accepted, of no effect.")
@click.option("-c", "--cleanup", is_flag=True, help="Accepted, of no effect.")
@click.option("-b", "--broadcast", is_flag=True, help="Accepted, of no effect.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
@result.ordinary_options
@click.pass_context
def stonith_admin(context: click.Context, /, **options: Any) -> int:  # Any: click's options
    """Ask for fencing devices, and for fencing."""
    answer: result.Answer = context.obj
    task = context.meta.get("action")
    if task is None:
        text = f"{TOOL}: no command was given; {TOOL} --help lists them"
        raise Failure(Exit.USAGE, text)
    if task in _NEED_AGENT and not options["agent"]:
        text = "Please specify an agent to query using -a,--agent [value]"
        raise Failure(Exit.USAGE, text)
    root = installation_root(options["root"])
    if task == "list_installed":
        _say_list(answer, "installed fence devices", _installed(root))
    elif task in ("metadata", "validate"):
        return _ask_agent(answer, root, task, options["agent"])
    else:
        _ask_daemon(answer, _open(root, task, options), task, options)
    return answer.end(Exit.OK)


# --- agents -------------------------------------------------------------------------------------


def _installed(root: Path) -> list[str]:
    return catalog.types(root, "stonith")


def _ask_agent(answer: result.Answer, root: Path, task: str, agent: str) -> int:
    is_there = agent in _installed(root)
    if is_there:
        text = f"{TOOL}: fencing agents cannot be run by this version: '{agent}' cannot be asked"
        raise Failure(Exit.UNIMPLEMENTED, text)
    if task == "metadata":
        raise Failure(Exit.NO_SUCH_OBJECT, "Can't get fence agent meta-data: No such device")
    missing = f"Agent {agent} not found"
    answer.line(f"Validation of {agent} failed\n{missing}")
    output = Element("output", {"source": "stderr"}, text=missing)
    inner = Element("command", {"code": "-2"}, (output,))
    answer.element("validate", {"agent": agent, "valid": "false"}, [inner])
    return answer.end(Exit.NO_SUCH_OBJECT)


# --- the daemon ---------------------------------------------------------------------------------


def _open(root: Path, task: str, options: dict[str, Any]) -> ends.Ends:
    """Reach the running cluster; a file has no stonithd."""
    start = f"{TOOL}: {_failed(task, options[task])}" if task in _FENCES else ""
    opening = start or "Could not connect to fencer"
    manner = ends.Manner(
        opening.replace("{", "{{").replace("}", "}}") + ": Transport endpoint is not connected"
    )
    return ends.open_cib(
        TOOL, root, files=False, manner=manner, timeout_s=float(options["timeout"])
    )


def _failed(task: str, node: str) -> str:
    return f"Couldn't {'unfence' if task == 'unfence' else 'fence'} {node}"


def _ask_daemon(
    answer: result.Answer, cluster: ends.Ends, task: str, options: dict[str, Any]
) -> None:
    if task in _UNABLE:
        raise Failure(Exit.UNIMPLEMENTED, f"{TOOL}: {_UNABLE[task]}")
    if task == "list_registered":
        _say_list(answer, "registered fence devices", _devices(cluster))
    elif task == "list_devices":
        _say_list(answer, "fence devices", _devices(cluster, options[task]))
    elif task == "query":
        _check_device(cluster, options[task])
    else:
        _fence(cluster, task, options)


def _devices(cluster: ends.Ends, node: str = "") -> list[str]:
    reply = cluster.ask(fencing.SERVICE, fencing.AskDevices(0, node))
    assert isinstance(reply, fencing.Devices), "a question is answered by devices"
    return list(reply.names)


def _say_list(answer: result.Answer, what: str, names: list[str]) -> None:
    for name in names:
        answer.line(name)
    count = str(len(names)) if names else "No"
    answer.line(f"{count} fence device{'' if len(names) == 1 else 's'} found")
    items = [Element("item", {"name": "device"}, text=name) for name in names]
    answer.element("list", {"name": what, "count": str(len(names))}, items)


def _check_device(cluster: ends.Ends, device: str) -> None:
    known = _devices(cluster)
    if device not in known:
        names = ", ".join(known) or "none"
        text = f"{TOOL}: No such device '{device}'\n  known devices: {names}"
        raise Failure(Exit.NO_SUCH_OBJECT, text)
    text = f"{TOOL}: fencing agents cannot be run by this version: '{device}' was not checked"
    raise Failure(Exit.UNIMPLEMENTED, text)


def _fence(cluster: ends.Ends, task: str, options: dict[str, Any]) -> None:
    """Have a node fenced, or take the word of a person that it is down."""
    node: str = options[task]
    if task == "confirm":
        request: fencing.Fence | fencing.ConfirmDown = fencing.ConfirmDown(0, node, "")
        start = f"Couldn't confirm {node}"
    else:
        request = fencing.Fence(0, node, _FENCES[task], options["timeout"] * 1000)
        start = _failed(task, node)
    reply = cluster.ask(fencing.SERVICE, request)
    assert isinstance(reply, fencing.Fenced), "a request is answered by what came of it"
    if reply.rc:
        raise Failure(reply.rc, f"{TOOL}: {start}: {reply.reason}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(stonith_admin, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
