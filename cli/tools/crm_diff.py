"""`crm_diff`: show how two XML documents differ, or apply such a difference.

Responsible for the options, where the documents come from and the exit codes; what a difference
says is `crm.cib.difference`'s affair.

Source: tools.md section 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cli.tools import result
from cli.tools.result import Failure
from crm.cib import difference
from crm.cib.patch import PatchDoesNotFit
from crm.model.exit_codes import Exit
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError


@click.command(
    "crm_diff",
    context_settings=result.HELP,
    help="Compare two Pacemaker configurations, or apply a difference of two.",
)
@click.option("-o", "--original", help="The original, in a file.")
@click.option("-O", "--original-string", help="The original, as text.")
@click.option("-n", "--new", help="The new document, in a file; - is standard input.")
@click.option("-N", "--new-string", help="The new document, as text.")
@click.option("-p", "--patch", help="Apply this difference (a file) to the original.")
@click.option("-c", "--cib", is_flag=True, help="Compare as CIBs, and add a digest.")
@click.option("-u", "--no-version", is_flag=True, help="Do not count the version.")
@click.option("-V", "--verbose", count=True, help="Say more.")
@result.json_option
@result.version_option
@click.pass_obj
def crm_diff(
    answer: result.Answer,
    original: str | None,
    original_string: str | None,
    new: str | None,
    new_string: str | None,
    patch: str | None,
    cib: bool,
    no_version: bool,
    verbose: int,
) -> int:
    """Compare two documents, or apply a difference."""
    if patch is not None:
        return _apply(answer, _first(original, original_string), patch, no_version, verbose)
    if cib and no_version:
        raise Failure(Exit.USAGE, "error: -u/--no-version incompatible with -c/--cib")
    old = _first(original, original_string)
    fresh = _read(new, new_string, "Could not parse the second XML fragment")
    if difference.is_versioned(old) and difference.is_versioned(fresh):
        found = difference.write(old, fresh, as_cib=cib, versions=not no_version)
    else:
        found = difference.write_first_format(old, fresh)
    if found is None:
        return answer.end(Exit.OK)
    answer.line(xml.serialise(found, pretty=True).decode().rstrip("\n"))
    return answer.end(Exit.ERROR)


def _apply(
    answer: result.Answer,
    old: Any,  # Any: an element; lxml stays in its rooms
    patch: str,
    no_version: bool,
    verbose: int,
) -> int:
    if no_version:
        answer.error("warning: -u/--no-version ignored with -p/--patch")
    found = _read(patch, None, "Could not parse the second XML fragment")
    try:
        root = difference.apply(old, found)
    except (PatchDoesNotFit, ConfigurationError) as problem:
        why = f"\n  {problem}" if verbose else ""
        message = f"Could not apply patch: Application of update diff failed{why}"
        raise Failure(Exit.ERROR, message) from problem
    answer.line(xml.serialise(root, pretty=True).decode().rstrip("\n"))
    return answer.end(Exit.OK)


def _first(file: str | None, text: str | None) -> Any:  # Any: an element
    return _read(file, text, "Could not parse the first XML fragment")


def _read(file: str | None, text: str | None, complaint: str) -> Any:  # Any: an element
    try:
        if text is not None:
            data = text.encode("utf-8", "surrogateescape")
        elif file == "-":
            data = sys.stdin.buffer.read()
        elif file is not None:
            data = Path(file).read_bytes()
        else:
            raise Failure(Exit.BAD_DATA, complaint)
        return xml.parse(data, keep_comments=True)
    except OSError as problem:
        raise Failure(Exit.BAD_DATA, f"{complaint}\n  {file}: {problem.strerror}") from problem
    except ConfigurationError as problem:
        raise Failure(Exit.BAD_DATA, f"{complaint}\n  {problem}") from problem


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_diff, argv)


if __name__ == "__main__":
    sys.exit(main())
