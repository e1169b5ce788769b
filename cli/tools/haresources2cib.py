"""`haresources2cib`: turn a haresources file into a CIB.

Prints to standard output with `--stdout`, or when standard output is not a terminal; otherwise
writes the CIB file of this node, which must not exist yet. The conversion itself is
`crm.cib.haresources`.

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from crm.cib import haresources
from crm.plumbing import atomicfile, xml
from crm.plumbing.errors import CrmError, Problem, Severity
from crm.plumbing.settings import CLUSTER_USER, Paths

EXIT_REFUSED = 1
EXIT_USAGE = 1
_CIB_MODE = 0o600
_DIRECTORY_MODE = 0o750


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    root: Path
    resource_file: Path | None
    config: Path | None
    to_stdout: bool
    no_ocf: bool
    no_monitor: bool
    historic: bool
    dialect: str


@click.command(name="haresources2cib", add_help_option=False)
@click.option("--stdout", "to_stdout", is_flag=True, help="print the CIB, write no file")
@click.option("--no-ocf", is_flag=True, help="heartbeat and lsb classes only")
@click.option("--no-monitor", is_flag=True, help="no operations")
@click.option("--config", "-c", type=click.Path(path_type=Path), help="ha.cf to read")
@click.option(
    "--dialect",
    type=click.Choice(["modern", "heartbeat-2"]),
    default="modern",
    help="the language of the CIB (default: modern)",
)
@click.option("--historic", is_flag=True, help="repeat the faults of the converter of 2.1.3")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=None,
    help="root of the installation (default: $PACEKEEPER_ROOT or /)",
)
@click.option("--help", "-h", "wants_help", is_flag=True, help="show this, exit 1")
@click.argument("resource_file", required=False, type=click.Path(path_type=Path))
@click.pass_context
def command(
    context: click.Context,
    to_stdout: bool,
    no_ocf: bool,
    no_monitor: bool,
    config: Path | None,
    dialect: str,
    historic: bool,
    root: Path | None,
    wants_help: bool,
    resource_file: Path | None,
) -> int:
    """Turn a haresources file (default /etc/ha.d/haresources) into a CIB."""
    if wants_help:
        click.echo(context.get_help())
        return EXIT_USAGE
    return convert(
        Request(
            root=(root or Path(os.environ.get("PACEKEEPER_ROOT") or "/")).absolute(),
            resource_file=resource_file,
            config=config,
            to_stdout=to_stdout or not sys.stdout.isatty(),
            no_ocf=no_ocf,
            no_monitor=no_monitor,
            historic=historic,
            dialect=dialect,
        )
    )


def convert(request: Request) -> int:
    """Carry the conversion out; returns the exit code."""
    paths = Paths(request.root)
    if not request.to_stdout and (taken := _taken(paths)):
        click.echo(f"{taken} exists; it is not overwritten", err=True)
        click.echo("Remove it, or use --stdout to see the CIB", err=True)
        return 0 if request.historic else EXIT_REFUSED
    conversion = haresources.convert_files(
        request.resource_file or paths.haresources,
        request.config or paths.ha_cf,
        resource_d=paths.resource_d,
        init_d=paths.below("etc/init.d"),
        dialect=request.dialect,
        no_ocf=request.no_ocf,
        no_monitor=request.no_monitor,
        historic=request.historic,
    )
    report(conversion.problems)
    document = xml.serialise(conversion.root, pretty=True)
    if request.to_stdout:
        click.echo(document, nl=False)
    else:
        write(paths, document)
    return 0


def report(problems: Iterable[Problem]) -> None:
    """Say on standard error what could not be read, or needs a look.

    Two complaints keep the words they always had; where it was follows with the hint.
    """
    for problem in problems:
        where = f"{problem.subject}: "
        if problem.code in {"unreadable-line", "unknown-agent"}:
            click.echo(problem.message, err=True)
            click.echo(f"  hint: {where}{problem.hint}", err=True)
            continue
        prefix = "" if problem.severity is Severity.ERROR else "warning: "
        click.echo(f"{prefix}{where}{problem.message}", err=True)
        if problem.hint:
            click.echo(f"  hint: {problem.hint}", err=True)


def write(paths: Paths, document: bytes) -> None:
    """Write the CIB file durably, for the user the cluster runs as.

    Raises: CrmError if it cannot be written.
    """
    owner = _cluster_user() if os.geteuid() == 0 else None
    try:
        if not paths.cib_dir.is_dir():
            paths.cib_dir.mkdir(mode=_DIRECTORY_MODE, parents=True)
            if owner is not None:
                os.chown(paths.cib_dir, *owner)
        atomicfile.write_durably(paths.cib_xml, document, _CIB_MODE, owner)
    except OSError as problem:
        raise CrmError(f"cannot write {paths.cib_xml}: {problem.strerror}") from problem


def _taken(paths: Paths) -> Path | None:
    for path in (paths.cib_xml, paths.cib_xml.with_name("cib.xml.sig")):
        if path.exists():
            return path
    return None


def _cluster_user() -> tuple[int, int] | None:
    """Find uid and gid of the cluster's user; hosts without one run as who starts them."""
    try:
        entry = pwd.getpwnam(CLUSTER_USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        code = command.main(args=argv, prog_name="haresources2cib", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        return EXIT_USAGE
    except click.Abort:
        return EXIT_USAGE
    except CrmError as problem:
        click.echo(f"haresources2cib: {problem}", err=True)
        return EXIT_REFUSED
    return int(code)


if __name__ == "__main__":
    raise SystemExit(main())
