"""`crm_simulate`: what would the scheduler do about a cluster, and what would come of it.

Takes a CIB from the running cluster, a file (also a kept `pe-input-N.bz2`) or standard input.
`--explain RSC` says why a resource is where it is.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.tools.injections import Injections
from cli.view import dot, picture, scores, summary
from crm.api import gateclient
from crm.api.cib import SERVICE, Outcome, Query, QueryReply
from crm.model.cluster import Cluster
from crm.model.readxml import cluster as reading
from crm.model.readxml import dates
from crm.model.writexml import graph as graph_writing
from crm.plumbing import errors, xml
from crm.plumbing.errors import ConfigurationError, CrmError, Unreachable
from pengine import Decision, archive, inject, schedule
from pengine.simulate import Simulation, simulate

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 64
EXIT_NO_INPUT = 66
EXIT_INVALID = 78
EXIT_NO_SUCH = 105

_SETTINGS = {"help_option_names": ["-h", "--help"]}


class _NoSuchResource(click.ClickException):
    exit_code = EXIT_NO_SUCH


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be shown and written."""

    run: bool = False
    simulate: bool = False
    scores: bool = False
    quiet: bool = False
    graph_file: str | None = None
    dot_file: str | None = None
    failures: Mapping[tuple[str, str], int] | None = None


@click.command(context_settings=_SETTINGS)
@click.option("-x", "--xml-file", "file", metavar="FILE", help="Take the CIB from FILE.")
@click.option("-p", "--xml-pipe", "pipe", is_flag=True, help="Take the CIB from standard input.")
@click.option("-L", "--live-check", "live", is_flag=True, help="Ask the running cluster.")
@click.option("-R", "--run", is_flag=True, help="Show what the scheduler decides.")
@click.option("-S", "--simulate", "simulates", is_flag=True, help="Carry it out on paper as well.")
@click.option("-s", "--show-scores", is_flag=True, help="Show allocation scores.")
@click.option("-D", "--save-dotfile", "dot_file", metavar="FILE", help="Write for graphviz.")
@click.option("-G", "--save-graph", "graph_file", metavar="FILE", help="Write the graph as XML.")
@click.option("-q", "--quorum", metavar="BOOL", help="Pretend to have (true) or lack quorum.")
@click.option("-w", "--watchdog", metavar="BOOL", help="Pretend that there is a watchdog, or none.")
@click.option("-u", "--node-up", "nodes_up", metavar="NODE", multiple=True, help="Put NODE online.")
@click.option("-d", "--node-down", "nodes_down", metavar="NODE", multiple=True, help="Let NODE go.")
@click.option("-f", "--node-fail", "nodes_failed", metavar="NODE", multiple=True, help="Fail NODE.")
@click.option("-g", "--ticket-grant", "granted", metavar="TICKET", multiple=True, help="Grant it.")
@click.option(
    "-r", "--ticket-revoke", "revoked", metavar="TICKET", multiple=True, help="Revoke it."
)
@click.option("-b", "--ticket-standby", "standby", metavar="TICKET", multiple=True, help="Suspend.")
@click.option(
    "-e", "--ticket-activate", "activated", metavar="TICKET", multiple=True, help="Resume."
)
@click.option(
    "-i",
    "--op-inject",
    "outcomes",
    metavar="RSC_TASK_MS@NODE=RC",
    multiple=True,
    help="Pretend that an operation ended so.",
)
@click.option(
    "-F",
    "--op-fail",
    "failing",
    metavar="RSC_TASK_MS@NODE=RC",
    multiple=True,
    help="Let an operation end so when it is carried out on paper.",
)
@click.option("-P", "--profile", metavar="DIR", help="Time the scheduler on every CIB in DIR.")
@click.option("-N", "--repeat", type=click.IntRange(1), default=1, help="With --profile: so often.")
@click.option("-Q", "--quiet", is_flag=True, help="Show only what is asked for by option.")
@click.option("-t", "--set-datetime", "date", metavar="DATE", help="Pretend that it is DATE.")
@click.option("--explain", "explained", metavar="RSC", help="Say why RSC is where it is.")
@click.option("--node", metavar="NODE", help="With --explain: only about NODE.")
@click.option("--json", "as_json", is_flag=True, help="With --explain: as JSON.")
@click.option("--root", metavar="DIR", help="Root of the installation.")
@click.option("-V", "--verbose", is_flag=True, help="Show what was not understood.")
def command(
    file: str | None,
    pipe: bool,
    live: bool,
    run: bool,
    simulates: bool,
    show_scores: bool,
    dot_file: str | None,
    graph_file: str | None,
    quorum: str | None,
    watchdog: str | None,
    nodes_up: tuple[str, ...],
    nodes_down: tuple[str, ...],
    nodes_failed: tuple[str, ...],
    granted: tuple[str, ...],
    revoked: tuple[str, ...],
    standby: tuple[str, ...],
    activated: tuple[str, ...],
    outcomes: tuple[str, ...],
    failing: tuple[str, ...],
    profile: str | None,
    repeat: int,
    quiet: bool,
    date: str | None,
    explained: str | None,
    node: str | None,
    as_json: bool,
    root: str | None,
    verbose: bool,
) -> None:
    """Show what the scheduler would do about a cluster, and why."""
    if profile is not None:
        for line in _profile(Path(profile), repeat):
            click.echo(line)
        return
    data = _read(file, pipe, live, root)
    cluster, problems = reading.read(xml.parse(data))
    now = datetime.now(UTC)
    if date is not None:
        try:
            now = dates.moment(date)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from problem
        cluster = replace(cluster, execution_s=None)
    decision = schedule(cluster, now)
    if verbose:
        for found in (*problems, *decision.problems):
            click.echo(str(found), err=True)
    injections = Injections(
        nodes_up=nodes_up,
        nodes_down=nodes_down,
        nodes_failed=nodes_failed,
        granted=granted,
        revoked=revoked,
        standby=standby,
        activated=activated,
        outcomes=outcomes,
        quorum=quorum,
        watchdog=watchdog,
    )
    if explained is not None:
        if not injections.is_empty:
            decision = schedule(injections.apply(cluster, _seconds(cluster, now))[0], now)
        _explain(decision, explained, node, as_json)
        return
    failures = _failures(failing)
    wishes = Wishes(run, simulates, show_scores, quiet, graph_file, dot_file, failures)
    for line in report(cluster, decision, now, wishes, injections):
        click.echo(line)


def main(argv: list[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    # One question, then the end: looking for garbage would cost a tenth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return _run(argv)
    finally:
        if collects:
            gc.enable()


def _run(argv: list[str] | None) -> int:
    try:
        command.main(args=argv, prog_name="crm_simulate", standalone_mode=False)
    except click.UsageError as problem:
        click.echo(f"crm_simulate: {problem.format_message()}", err=True)
        return EXIT_USAGE
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as problem:
        click.echo(f"crm_simulate: {problem.format_message()}", err=True)
        return problem.exit_code
    except ConfigurationError as problem:
        click.echo(f"crm_simulate: {problem}", err=True)
        return EXIT_INVALID
    except (Unreachable, OSError) as problem:
        click.echo(f"crm_simulate: {problem}", err=True)
        return EXIT_NO_INPUT
    except CrmError as problem:
        click.echo(f"crm_simulate: {problem}", err=True)
        return EXIT_ERROR
    return EXIT_OK


def _read(file: str | None, pipe: bool, live: bool, root: str | None) -> bytes:
    if sum((file is not None, pipe, live)) > 1:
        raise click.UsageError("only one of -x, -p and -L can be given")
    if file is not None:
        return archive.load(Path(file))
    if pipe:
        return sys.stdin.buffer.read()
    classic = os.environ.get("CIB_file")  # noqa: SIM112 - the classic name
    if classic:
        return archive.load(Path(classic))
    with gateclient.connect(gateclient.installation_root(root), name="crm_simulate") as session:
        reply = session.ask(SERVICE, Query(request=0))
    if not isinstance(reply, QueryReply) or reply.outcome is not Outcome.OK:
        raise CrmError("the cib did not give its document")
    return reply.xml


def _explain(decision: Decision, resource: str, node: str | None, as_json: bool) -> None:
    found = decision.explain(resource, node)
    if not found:
        problem = errors.error("unknown-resource", resource, f"there is no resource '{resource}'")
        raise _NoSuchResource(str(problem))
    if as_json:
        click.echo(json.dumps([explanation.as_value() for explanation in found], indent=2))
        return
    click.echo("\n".join(explanation.as_text() for explanation in found), nl=False)


def _seconds(cluster: Cluster, now: datetime) -> int:
    return cluster.execution_s if cluster.execution_s is not None else int(now.timestamp())


def _failures(texts: Iterable[str]) -> dict[tuple[str, str], int]:
    """Read which operations fail when they are carried out."""
    try:
        found = [inject.parse_outcome(text) for text in texts]
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
    return {(outcome.key, outcome.node): outcome.exit_code for outcome in found}


def _profile(folder: Path, repeat: int) -> Iterator[str]:
    """Yield how long the scheduler takes for each CIB of a folder, reading not counted."""
    for path in sorted(folder.glob("*.xml")):
        cluster, _ = reading.read(xml.parse(path.read_bytes()))
        begin = time.process_time()
        for _ in range(repeat):
            schedule(cluster, datetime.now(UTC))
        yield f"* Testing {path.name} ... {time.process_time() - begin:.2f} secs"


def report(
    cluster: Cluster,
    decision: Decision,
    now: datetime,
    wishes: Wishes,
    injections: Injections | None = None,
) -> Iterator[str]:
    """Yield the text of a run, section by section."""
    acts = wishes.run or wishes.simulate or wishes.scores
    acts = acts or wishes.graph_file is not None or wishes.dot_file is not None
    date = ""
    if cluster.execution_s is not None:
        then = datetime.fromtimestamp(cluster.execution_s, UTC)
        date = f"Using the original execution date of: {then:%Y-%m-%d %H:%M:%S}Z"
    if not wishes.quiet:
        if date:
            yield date
        for text in (picture.notice(decision.facts), picture.headline(decision.facts)):
            if text:
                yield text
                yield ""
        yield "Current cluster status:"
        yield from picture.status(decision.facts)
        yield ""
    if injections is not None and not injections.is_empty:
        cluster, changes = injections.apply(cluster, _seconds(cluster, now))
        decision = schedule(cluster, now)
        if not wishes.quiet and changes:
            yield "Performing Requested Modifications:"
            yield from (f"  * {line}" for line in changes)
            yield ""
        acts = True
    if not acts:
        return
    if wishes.scores:
        if not wishes.quiet:
            yield "Assignment Scores:"
        yield from scores.lines(decision)
        if not wishes.quiet:
            yield ""
    if not wishes.quiet:
        yield "Transition Summary:"
        yield from summary.transition(decision)
        yield ""
    _write_files(decision, wishes)
    if wishes.simulate and not wishes.quiet:
        yield from _simulation(simulate(cluster, decision.graph, wishes.failures), now, date)


def _simulation(result: Simulation, now: datetime, date: str) -> Iterable[str]:
    yield "Executing Cluster Transition:"
    yield from summary.executed(result.executed)
    yield ""
    if date:
        yield date
    yield "Revised Cluster Status:"
    yield from picture.status(picture.settled(schedule(result.cluster, now).facts))
    yield ""


def _write_files(decision: Decision, wishes: Wishes) -> None:
    if wishes.graph_file is not None:
        data = xml.serialise(graph_writing.write(decision.graph), pretty=True)
        Path(wishes.graph_file).write_bytes(data)
    if wishes.dot_file is not None:
        Path(wishes.dot_file).write_text("\n".join(dot.lines(decision)) + "\n")
