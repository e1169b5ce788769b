"""`crm_simulate`: what would the scheduler do about a cluster, and what would come of it.

Takes a CIB from the running cluster, a file (also a kept `pe-input-N.bz2`) or standard input.
`--explain RSC` says why a resource is where it is. `ptest` is the old name.

Source: tools.md, "crm_simulate".
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec.structs import replace

from cli.tools import result, simulating, sources
from cli.tools.injections import Injections
from cli.tools.simulating import Result, Wishes
from cli.tools.sources import load
from cli.view import explanation, outcome, simulation_json
from cli.view.simulation import Text
from cli.view.simulation_xml import Document
from crm.model import exit_codes
from crm.model.cluster import Cluster
from crm.model.exit_codes import Exit
from crm.model.readxml import cluster as reading
from crm.model.readxml import dates
from crm.plumbing import errors, xml
from crm.plumbing.errors import ConfigurationError, CrmError, Unreachable
from pengine import Decision, inject, schedule

_TOOL = "crm_simulate"


class _NoSuchResource(click.ClickException):
    exit_code = Exit.NO_SUCH_OBJECT


def _many(
    short: str, long: str, name: str, what: str, text: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(short, long, name, metavar=what, multiple=True, help=text)


EXIT_OK = int(Exit.OK)
EXIT_ERROR = int(Exit.ERROR)
EXIT_USAGE = int(Exit.USAGE)
EXIT_NO_INPUT = int(Exit.NO_INPUT)
EXIT_INVALID = int(Exit.INVALID_CONFIGURATION)
EXIT_NO_SUCH = int(Exit.NO_SUCH_OBJECT)


@click.command(context_settings=result.HELP)
@click.option("-x", "--xml-file", "file", metavar="FILE", help="Take the CIB from FILE.")
@click.option("-p", "--xml-pipe", "pipe", is_flag=True, help="Take the CIB from standard input.")
@click.option("-L", "--live-check", "live", is_flag=True, help="Ask the running cluster.")
@click.option("-R", "--run", is_flag=True, help="Show what the scheduler decides.")
@click.option("-S", "--simulate", "simulates", is_flag=True, help="Carry it out on paper as well.")
@click.option("-X", "--in-place", is_flag=True, help="Like -S; the input becomes what is left.")
@click.option("-A", "--show-attrs", is_flag=True, help="Show attributes of nodes.")
@click.option("-c", "--show-failcounts", is_flag=True, help="Show how often resources failed.")
@click.option("-s", "--show-scores", is_flag=True, help="Show allocation scores.")
@click.option("-U", "--show-utilization", is_flag=True, help="Show what nodes have left.")
@click.option("-D", "--save-dotfile", "dot_file", metavar="FILE", help="Write for graphviz.")
@click.option("-a", "--all-actions", is_flag=True, help="With -D: also what is not needed.")
@click.option("-G", "--save-graph", "graph_file", metavar="FILE", help="Write the graph as XML.")
@click.option("-I", "--save-input", metavar="FILE", help="Write the CIB as it came.")
@click.option("-O", "--save-output", metavar="FILE", help="Write the CIB as it is afterwards.")
@click.option("-q", "--quorum", metavar="BOOL", help="Pretend to have (true) or lack quorum.")
@click.option("-w", "--watchdog", metavar="BOOL", help="Pretend that there is a watchdog, or none.")
@_many("-u", "--node-up", "nodes_up", "NODE", "Put NODE online.")
@_many("-d", "--node-down", "nodes_down", "NODE", "Let NODE go.")
@_many("-f", "--node-fail", "nodes_failed", "NODE", "Fail NODE.")
@_many("-g", "--ticket-grant", "granted", "TICKET", "Grant it.")
@_many("-r", "--ticket-revoke", "revoked", "TICKET", "Revoke it.")
@_many("-b", "--ticket-standby", "standby", "TICKET", "Suspend.")
@_many("-e", "--ticket-activate", "activated", "TICKET", "Resume.")
@_many("-i", "--op-inject", "outcomes", "RSC_TASK_MS@NODE=RC", "Pretend an operation ended so.")
@_many("-F", "--op-fail", "failing", "RSC_TASK_MS@NODE=RC", "Let an operation end so on paper.")
@click.option("-P", "--profile", metavar="DIR", help="Time the scheduler on every CIB in DIR.")
@click.option("-N", "--repeat", type=click.IntRange(1), default=1, help="With --profile: so often.")
@click.option("-Q", "--quiet", is_flag=True, help="Show only what is asked for by option.")
@click.option("-t", "--set-datetime", "date", metavar="DATE", help="Pretend that it is DATE.")
@click.option("--output-as", type=click.Choice(["text", "xml"]), default="text", help="Form.")
@click.option("--output-to", metavar="FILE", default="", help="Write there; - is standard output.")
@click.option("--text-fancy", is_flag=True, help="With headings; they are there anyway.")
@click.option("--explain", "explained", metavar="RSC", help="Say why RSC is where it is.")
@click.option("--node", metavar="NODE", help="With --explain: only about NODE.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--root", metavar="DIR", help="Root of the installation.")
@click.option("-V", "--verbose", count=True, help="Show what was not understood.")
@result.version_option
@click.argument("ignored", nargs=-1)
@click.pass_obj
def command(
    request: str,
    file: str | None,
    pipe: bool,
    live: bool,
    run: bool,
    simulates: bool,
    in_place: bool,
    show_attrs: bool,
    show_failcounts: bool,
    show_scores: bool,
    show_utilization: bool,
    dot_file: str | None,
    all_actions: bool,
    graph_file: str | None,
    save_input: str | None,
    save_output: str | None,
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
    output_as: str,
    output_to: str,
    text_fancy: bool,
    explained: str | None,
    node: str | None,
    as_json: bool,
    root: str | None,
    verbose: int,
    ignored: tuple[str, ...],
) -> None:
    """Show what the scheduler would do about a cluster, and why."""
    if profile is not None:
        _say("".join(f"{line}\n" for line in _profile(Path(profile), repeat)), output_to)
        return
    source = load(file, pipe, live, root)
    document = xml.parse(source.data)
    _check(document, is_partial=source.is_partial)
    cluster, problems = reading.read(document)
    if save_input is not None:
        _save(save_input, source.data)
    cluster, now = _at(cluster, date)
    decision = schedule(cluster, now)
    for found in (*problems, *decision.problems) if verbose else ():
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
            changed = injections.apply(cluster, simulating.seconds(cluster, now)).cluster
            decision = schedule(changed, now)
        _explain(decision, explained, node, as_json)
        return
    wishes = Wishes(
        run=run,
        simulate=simulates or in_place,
        scores=show_scores,
        quiet=quiet or as_json,
        graph_file=graph_file,
        dot_file=dot_file,
        all_actions=all_actions,
        failures=_failures(failing),
        utilization=show_utilization,
        attributes=show_attrs,
        fail_counts=show_failcounts,
        date=date or "",
    )
    view = _view(wishes, request if output_as == "xml" else "")
    done = simulating.carry_out(cluster, decision, now, wishes, injections, view)
    for problem in done.problems:
        click.echo(problem, err=True)
    _say(_written(view, done, as_json=as_json), output_to)
    target = source.path if in_place else Path(save_output) if save_output is not None else None
    if in_place and pipe:
        raise click.UsageError("--in-place needs a file to write to")
    if target is not None:
        _save(str(target), _afterwards(document, cluster, done, watchdog))


def _written(view: Text | Document, done: Result, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(simulation_json.value(done.decision, done.executed), indent=2) + "\n"
    if isinstance(view, Document):
        return _document(view, EXIT_OK, [])
    return "".join(f"{line}\n" for line in view.lines)


def _document(view: Document, code: int, problems: Iterable[str]) -> str:
    root = view.end(code, exit_codes.exit_code(code).text, problems)
    return xml.serialise(root, pretty=True).decode()


def _say(text: str, target: str) -> None:
    if target and target != "-":
        Path(target).write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


def _save(target: str, data: bytes) -> None:
    Path(target).write_bytes(xml.serialise(xml.parse(data), pretty=True))


def _afterwards(
    document: xml.Element, before: Cluster, done: Result, watchdog: str | None
) -> bytes:
    """Write the CIB that a run leaves."""
    root = outcome.after(document, before, done.end, updates=done.updates, watchdog=watchdog or "")
    return xml.serialise(root)


def _check(document: xml.Element, *, is_partial: bool) -> None:
    """Refuse what is no CIB; say so if it was not asked to be checked."""
    problems = sources.check(document)
    if is_partial and (problems or document.get("validate-with") is None):
        why = "what may be seen of the configuration is no whole that could be simulated"
        raise result.Failure(Exit.INSUFFICIENT_PRIVILEGES, f"{_TOOL}: {why}")
    if problems:
        raise ConfigurationError("the configuration is not valid", problems)
    remark = sources.remark(document)
    if remark:
        click.echo(remark, err=True)


def _at(cluster: Cluster, date: str | None) -> tuple[Cluster, datetime]:
    """Give the time of the run: the one asked for counts more than that of the document."""
    if date is None:
        return cluster, datetime.now(UTC)
    try:
        return replace(cluster, execution_s=None), dates.moment(date)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem


def _view(wishes: Wishes, request: str) -> Text | Document:
    if request:
        return Document(result.API_VERSION, request)
    is_plain = wishes.scores or wishes.utilization
    return Text(is_plain=is_plain, is_quiet=wishes.quiet)


def report(
    cluster: Cluster,
    decision: Decision,
    now: datetime,
    wishes: Wishes,
    injections: Injections | None = None,
) -> Iterator[str]:
    """Yield the text of a run, section by section."""
    view = Text(is_quiet=wishes.quiet)
    simulating.carry_out(cluster, decision, now, wishes, injections or Injections(), view)
    yield from view.lines


def main(argv: list[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    # One question, then the end: looking for garbage would cost a tenth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    finally:
        if collects:
            gc.enable()


def _run(arguments: list[str]) -> int:
    request = " ".join((_TOOL, *arguments))
    try:
        command.main(args=arguments, prog_name=_TOOL, standalone_mode=False, obj=request)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as problem:
        return result.refuse(result.begin(_TOOL, arguments, has_xml=True), problem)
    except click.ClickException as problem:
        return _fail(problem.exit_code, problem.format_message(), arguments)
    except ConfigurationError as problem:
        for found in problem.problems:
            click.echo(str(found), err=True)
        return _fail(EXIT_INVALID, str(problem), arguments)
    except result.Failure as problem:
        return _fail(problem.code, str(problem), arguments)
    except (Unreachable, OSError) as problem:
        return _fail(EXIT_NO_INPUT, str(problem), arguments)
    except CrmError as problem:
        return _fail(EXIT_ERROR, str(problem), arguments)
    return EXIT_OK


def _fail(code: int, text: str, arguments: list[str]) -> int:
    """Say why a run came to nothing, in the form that was asked for."""
    answer = result.begin(_TOOL, arguments, has_xml=True)
    answer.error(text if text.startswith(f"{_TOOL}: ") else f"{_TOOL}: {text}")
    return answer.end(code)


def _explain(decision: Decision, resource: str, node: str | None, as_json: bool) -> None:
    found = decision.explain(resource, node)
    if not found:
        problem = errors.error("unknown-resource", resource, f"there is no resource '{resource}'")
        raise _NoSuchResource(str(problem))
    if as_json:
        click.echo(json.dumps([explanation.as_value() for explanation in found], indent=2))
        return
    click.echo("\n\n".join(explanation.text(each) for each in found))


def _failures(texts: Iterable[str]) -> dict[tuple[str, str], int]:
    """Read which operations fail when they are carried out; what is no operation never does."""
    found = {}
    for text in texts:
        try:
            parsed = inject.parse_outcome(text)
        except ValueError:
            continue
        found[parsed.key, parsed.node] = parsed.exit_code
    return found


def _profile(folder: Path, repeat: int) -> Iterator[str]:
    """Yield how long the scheduler takes for each CIB of a folder, reading not counted."""
    yield "Timings:"
    for path in sorted(folder.glob("*.xml")):
        cluster, _ = reading.read(xml.parse(path.read_bytes()))
        begin = time.process_time()
        for _ in range(repeat):
            schedule(cluster, datetime.now(UTC))
        yield f"  * Testing {folder}/{path.name} ... {time.process_time() - begin:.2f} secs"
