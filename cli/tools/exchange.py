"""What a node of haresources mode holds, and how one node gives and the other takes.

Responsible for `cl_status rscstatus`, and for what `hb_standby` and `hb_takeover` have in common:
who may give what to whom, how it is carried out, and the words. Only for haresources mode; a
cluster with `crm yes` has `crm_standby` and `crm resource move`.

The giver is kept off (a ban that ends by itself after `BAN_LIFETIME`, should this tool be killed)
until the other node runs what was given; then the ban is taken back, so that the giver can help
out when the other node dies. If the other node does not take it, all constraints become what they
were. With `auto_failback off` the resources stay where they are then. With `on` they would go home
at once: a constraint holds them as long as both nodes have a transient attribute. That ends with
this life of a node: when the taker dies and returns, what is at home elsewhere stays there; when
the giver does, it gets back what is at home there, as after any fault.

Source: Heartbeat's hb_standby and hb_takeover; tools, "Heartbeat's own tools".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from cli import homes, moves
from cli.homes import Line
from cli.tools import ends
from cli.tools.resource_moves import creation, removal
from cli.tools.result import Failure
from crm.api import attributes, controller, membership
from crm.api import cib as api
from crm.api.gateclient import installation_root
from crm.api.membership import ClusterDescription, NodeKind, NodeStatus
from crm.model.configuration import Item
from crm.model.readxml import cluster as clusters
from crm.model.readxml import configuration as reading
from crm.plumbing.errors import CrmError
from pengine.facts.facts import conclude

OK = 0
FAILED = 1
BAN_LIFETIME = "PT1H"
"""The classic limit of the whole dialogue."""

ANSWER_LIMIT_S = 3600.0
HOLDS, GAVE = "hb_holds", "hb_gave"
"""The transient attributes of a node that has taken what is at home elsewhere, and of that one."""

LOOKS = 3
"""How often the cluster may come to rest without the resources having moved."""


class Exchange:
    """The cluster, as far as giving and taking needs it.

    Raises: Failure if it cannot be reached, or does not run in haresources mode.
    """

    def __init__(self, tool: str, root: Path) -> None:
        self._tool = tool
        self._cib = ends.open_cib(tool, root, files=False, timeout_s=ANSWER_LIMIT_S)
        self.cluster = describe(self._cib)
        if self.cluster.mode != "haresources":
            text = f"{tool}: this cluster runs with 'crm yes', not from haresources"
            raise Failure(FAILED, f"{text}\n  use 'crm_standby -v on' or 'crm resource move'")

    @property
    def own(self) -> str:
        """The name of this node."""
        return self.cluster.node

    def other(self) -> str:
        """Name the other node.

        Raises: Failure if there is not exactly one other, or if it is not active.
        """
        others = [
            node
            for node in self.cluster.nodes
            if node.kind is NodeKind.NORMAL and node.node != self.own
        ]
        if len(others) != 1:
            text = f"{self._tool}: haresources knows two nodes, this cluster has {len(others) + 1}"
            raise Failure(FAILED, f"{text}\n  use 'crm resource move RESOURCE NODE'")
        if others[0].status is not NodeStatus.ACTIVE:
            text = f"node '{others[0].node}' is {others[0].status.value}, not active"
            raise Failure(FAILED, f"{self._tool}: {text}: nobody can take the resources")
        return others[0].node

    def give(self, giver: str, taker: str, heap: str) -> None:
        """Move what a node runs of a heap to the other, and wait until it is there.

        Raises: Failure if it was refused, or if the other node does not take it: then the
            constraints are what they were before.
        """
        configuration, lines = look(self._cib)
        given = homes.given_by(giver, heap, lines)
        if not given:
            return
        constraints = configuration.first("constraints") or Item("constraints")
        until = moves.end_of_lifetime(BAN_LIFETIME, datetime.now(UTC))
        bans = [moves.ban(line.id, giver, until=until) for line in given]
        ended = [
            each for line in given for each in moves.left_over(constraints, line.id, wherever=True)
        ]
        holds = [
            moves.hold(line.id, taker, line.home, line.pull, taken=HOLDS, given=GAVE)
            for line in given
            if line.home != taker and self._goes_home()
        ]
        if holds:
            self._mark(taker, HOLDS)
            self._mark(giver, GAVE)
        self._change([*map(removal, ended), *map(creation, (*bans, *holds))])
        undone = [*map(removal, (*bans, *holds)), *map(creation, ended)]
        with contextlib.ExitStack() as undoing:  # also when it is interrupted while it waits
            undoing.callback(self._change, undone)
            self._await(given, taker)
            undoing.pop_all()
        self._change([removal(ban) for ban in bans])

    def _mark(self, node: str, what: str) -> None:
        """Remember at a node, for this life of it, what it has taken or given."""
        mark = attributes.UpdateAttribute(what, "1", node=node, dampen_ms=0, request=1)
        self._cib.ask(attributes.SERVICE, mark)

    def _goes_home(self) -> bool:
        stated = self.cluster.parameters.get("auto_failback", "legacy").lower()
        return stated not in ("off", "false", "no", "n", "0")

    def _await(self, given: Sequence[Line], taker: str) -> None:
        wanted = {line.id for line in given}
        missing = wanted
        for _ in range(LOOKS):
            self._cib.ask(controller.SERVICE, controller.WaitUntilIdle(0))
            _, lines = look(self._cib)
            missing = {line.id for line in lines if line.id in wanted and line.nodes != (taker,)}
            if not missing:
                return
        text = f"{self._tool}: node '{taker}' does not run {', '.join(sorted(missing))}"
        raise Failure(FAILED, f"{text}\n  'crm resource explain RESOURCE' tells why")

    def _change(self, changes: Sequence[api.Operation]) -> None:
        self._cib.change(changes, f"{self._tool}: the resources stay where they are")


def held_here(tool: str, root: Path, *, timeout_s: float) -> str:
    """Say what this node holds: none, local, foreign, all, or transition while something moves.

    With `crm yes` it is none: that is said of haresources only.

    Units: seconds.
    Raises: Failure if the cluster cannot be asked.
    """
    cib = ends.open_cib(tool, root, files=False, timeout_s=timeout_s)
    cluster = describe(cib)
    if cluster.mode != "haresources":
        return "none"
    state = cib.ask(controller.SERVICE, controller.AskController(0))
    if isinstance(state, controller.ControllerDescription) and state.pending_actions:
        return "transition"
    _, lines = look(cib)
    return homes.held_by(cluster.node, lines)


def describe(cib: ends.Ends) -> ClusterDescription:
    """Ask heartbeat for the state of the cluster.

    Raises: Failure if it cannot be asked.
    """
    found = cib.ask(membership.SERVICE, membership.AskCluster(0))
    assert isinstance(found, ClusterDescription), "a question is answered by a description"
    return found


def look(cib: ends.Ends) -> tuple[Item, list[Line]]:
    """Read the configuration, and the lines of haresources behind it.

    Raises: Failure if it cannot be read.
    """
    document = cib.document()
    facts = conclude(clusters.read(document.root)[0], datetime.now(UTC))
    configuration = reading.read(document.configuration)
    return configuration, homes.lines_of(configuration, facts)


def run(tool: str, arguments: Sequence[str], act: Callable[[Exchange, str], None]) -> int:
    """Read the call of one of the two tools and carry it out; the exit code is 0 or 1."""
    words = list(arguments)
    root = None
    if words[:1] == ["--root"] and len(words) > 1:
        root, words = words[1], words[2:]
    usage = f"usage: {tool} [--root DIR] [{'|'.join(homes.HEAPS)}]"
    if words in (["-h"], ["--help"]):
        click.echo(usage)
        return OK
    heap = words[0] if words else "all"
    if len(words) > 1 or heap not in homes.HEAPS:
        click.echo(f"{tool}: '{' '.join(words)}' is nothing that can be given\n{usage}", err=True)
        return FAILED
    try:
        exchange = Exchange(tool, installation_root(root))
        click.echo(f"Going standby [{heap}].")
        act(exchange, heap)
    except CrmError as problem:
        click.echo(str(problem), err=True)
        return FAILED
    return OK
