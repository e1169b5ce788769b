"""`crm lab`: a cluster to play with, on this computer, in one command.

Each command sends one request to the keeper of the lab and prints what an administrator needs.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import click

from cli.lab.evidence import await_answer
from cli.lab.plan import LabPlan, make_plan, read_plan
from cli.lab.remote import Lab, default_directory
from cli.view import lab as view
from crm.plumbing.errors import CrmError

_NODES = click.argument("nodes", nargs=-1)
_INTERFACE = click.option(
    "-i", "--interface", "interfaces", multiple=True, help="Only this network (may repeat)."
)


class _LabGroup(click.Group):
    """Turns our own errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (CrmError, OSError) as problem:
            raise click.ClickException(str(problem)) from problem


@click.group(name="lab", cls=_LabGroup)
@click.option("--name", default="lab", show_default=True, help="Which lab, when there are several.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where it lies.")
@click.pass_context
def lab(context: click.Context, name: str, directory: Path | None) -> None:
    """A cluster of real daemons on this computer, each node in namespaces of its own."""
    context.obj = Lab(directory or default_directory(name))


@lab.command()
@click.option("-n", "--nodes", default=3, show_default=True, help="How many nodes to make up.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A directory with a cluster's own ha.cf, authkeys, haresources and hosts.",
)
@click.option("--keepalive-ms", default=200, show_default=True)
@click.option("--deadtime-ms", default=1000, show_default=True)
@click.option("--no-start", is_flag=True, help="Power the nodes, but do not start heartbeat.")
@click.pass_obj
def up(
    here: Lab,
    nodes: int,
    source: Path | None,
    keepalive_ms: int,
    deadtime_ms: int,
    no_start: bool,
) -> None:
    """Make a lab and start the cluster in it."""
    plan: LabPlan = (
        read_plan(source)
        if source
        else make_plan(nodes, keepalive_ms=keepalive_ms, deadtime_ms=deadtime_ms)
    )
    running = Lab.up(plan, here.directory)
    first = plan.nodes[0].name
    if not no_start:
        running.start()
        view.say(f"{len(plan.nodes)} nodes are starting")
        # A node that is not heard from is waited for: initdead, a minute in some tutorials.
        await_answer(running, first, ["crm_mon", "-1"], view.shows_a_dc, limit_s=90)
    view.print_hosts(running.status(), running.directory)
    view.print_hint(first)


@lab.command()
@click.pass_obj
def down(here: Lab) -> None:
    """End the lab and remove every trace of it."""
    here.down()


@lab.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def status(here: Lab, as_json: bool) -> None:
    """Show the hosts of the lab, what runs on them and where their files lie."""
    state = here.status()
    if as_json:
        click.echo(json.dumps(state, indent=2))
    else:
        view.print_hosts(state, here.directory)


@lab.command()
@_NODES
@click.pass_obj
def start(here: Lab, nodes: tuple[str, ...]) -> None:
    """Power nodes on and start heartbeat (all nodes when none is named)."""
    here.start(*nodes)


@lab.command()
@click.argument("nodes", nargs=-1, required=True)
@click.pass_obj
def stop(here: Lab, nodes: tuple[str, ...]) -> None:
    """Stop heartbeat in order, as `service heartbeat stop` does."""
    here.stop(*nodes)


@lab.command()
@click.argument("nodes", nargs=-1, required=True)
@click.pass_obj
def crash(here: Lab, nodes: tuple[str, ...]) -> None:
    """Pull the plug of nodes."""
    here.crash(*nodes)


@lab.command()
@click.argument("nodes", nargs=-1, required=True)
@click.pass_obj
def freeze(here: Lab, nodes: tuple[str, ...]) -> None:
    """Stop every process of nodes without ending them (a paused virtual machine)."""
    here.request({"do": "freeze", "nodes": list(nodes)})


@lab.command()
@click.argument("nodes", nargs=-1, required=True)
@click.pass_obj
def thaw(here: Lab, nodes: tuple[str, ...]) -> None:
    """Let frozen nodes go on."""
    here.request({"do": "thaw", "nodes": list(nodes)})


@lab.command()
@click.argument("nodes", nargs=-1, required=True)
@_INTERFACE
@click.pass_obj
def isolate(here: Lab, nodes: tuple[str, ...], interfaces: tuple[str, ...]) -> None:
    """Unplug the cables of nodes."""
    here.request({"do": "isolate", "nodes": list(nodes), "interfaces": list(interfaces)})


@lab.command()
@click.argument("sides", nargs=-1, required=True)
@_INTERFACE
@click.pass_obj
def partition(here: Lab, sides: tuple[str, ...], interfaces: tuple[str, ...]) -> None:
    """Cut the network into SIDES, each a comma-separated list: `partition a,b c`."""
    wanted = [side.split(",") for side in sides]
    here.request({"do": "partition", "sides": wanted, "interfaces": list(interfaces)})


@lab.command()
@click.argument("source")
@click.argument("target")
@_INTERFACE
@click.pass_obj
def block(here: Lab, source: str, target: str, interfaces: tuple[str, ...]) -> None:
    """Drop what SOURCE sends to TARGET, one way."""
    here.request(
        {"do": "block", "source": source, "target": target, "interfaces": list(interfaces)}
    )


@lab.command()
@click.pass_obj
def heal(here: Lab) -> None:
    """Put every cable back, end partitions, blocks and losses."""
    state = here.status()
    here.request({"do": "heal"})
    for name, host in state["hosts"].items():
        if host["node"] and host["power"] == "on":
            here.run(name, "nft", "delete", "table", "inet", "pacekeeper_lab")


@lab.command()
@click.argument("node")
@click.argument("percent", type=click.IntRange(0, 100))
@click.pass_obj
def loss(here: Lab, node: str, percent: int) -> None:
    """Lose PERCENT of the UDP packets that arrive at NODE (needs the program nft)."""
    here.run(node, "nft", "delete", "table", "inet", "pacekeeper_lab")
    if percent == 0:
        return
    rules = (
        "table inet pacekeeper_lab {\n chain input {\n"
        "  type filter hook input priority 0;\n"
        f"  meta l4proto udp numgen random mod 100 < {percent} drop\n }}\n}}\n"
    )
    done = here.run(node, "nft", "-f", "-", stdin=rules)
    if done.returncode != 0:
        raise click.ClickException(f"nft on {node}: {done.stderr.strip() or 'is not installed'}")


@lab.command(name="exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def execute(context: click.Context, host: str, command: tuple[str, ...]) -> None:
    """Run COMMAND on a host of the lab (a shell when there is none)."""
    here: Lab = context.obj
    words = command or (os.environ.get("SHELL", "/bin/sh"),)
    done = subprocess.run(here.argv(host, words), env=here.environment(host), check=False)
    context.exit(done.returncode)


@lab.command(name="log")
@click.argument("node")
@click.option("-n", "--lines", default=40, show_default=True)
@click.pass_obj
def show_log(here: Lab, node: str, lines: int) -> None:
    """Show the end of a node's ha-log."""
    view.print_log(here.root(node), lines)
