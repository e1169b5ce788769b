"""`crm_shadow`: try changes on a copy of the configuration, and commit what proved itself.

Responsible for making, comparing, committing and deleting shadow instances, and for the shell
that works on one. That tools work on a shadow is the affair of each (`cli.tools.ends`).

A commit really reaches a file that `CIB_file` names; the classic tool loses it without a word.

Source: tools.md section 2.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from cli.tools import ends, result
from cli.tools.result import Failure
from crm.api import cib as api
from crm.api.gateclient import installation_root
from crm.cib import difference, rules
from crm.cib import document as documents
from crm.model.exit_codes import Exit
from crm.plumbing import atomicfile, errors, xml
from crm.plumbing.errors import ConfigurationError

_VARIABLE = "CIB_shadow"
_MODE = 0o600
_QUERIES = ("which", "display", "edit", "diff", "file")
_ADDITIONAL = ("force", "batch", "everything", "schema", "verbose")
_COMMANDS = ("create", "create_empty", "commit", "delete", "reset", "switch")


@click.command(
    "crm_shadow",
    context_settings={"help_option_names": ["-?", "--help"]},
    help="Try changes of the configuration in a sandbox.",
)
@click.option("-w", "--which", is_flag=True, help="Show which shadow instance is active.")
@click.option("-p", "--display", is_flag=True, help="Show the active instance.")
@click.option("-E", "--edit", is_flag=True, help="Edit the active instance with $EDITOR.")
@click.option("-d", "--diff", is_flag=True, help="Show what the active instance changes.")
@click.option("-F", "--file", is_flag=True, help="Show the file of the active instance.")
@click.option("-c", "--create", help="Make an instance: a copy of the configuration.")
@click.option("-e", "--create-empty", help="Make an instance with an empty configuration.")
@click.option("-C", "--commit", help="Let the cluster take an instance over. Needs --force.")
@click.option("-D", "--delete", help="Delete an instance. Needs --force.")
@click.option("-r", "--reset", help="Make an instance a copy of the configuration again.")
@click.option("-s", "--switch", help="Work on an instance.")
@click.option("-f", "--force", is_flag=True, help="Do it although it is dangerous.")
@click.option("-b", "--batch", is_flag=True, help="Start no shell.")
@click.option("-a", "--all", "everything", is_flag=True, help="With --commit: the status as well.")
@click.option("-v", "--validate-with", "schema", help="With --create-empty: follow this schema.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", type=click.Path(path_type=Path), default=None, help="The installation.")
@result.json_option
@result.version_option
@click.pass_obj
def crm_shadow(answer: result.Answer, /, **options: Any) -> int:  # Any: click's options
    """Try changes in a sandbox."""
    root = installation_root(options["root"])
    for name in _QUERIES:
        if options[name]:
            return _query(answer, name, root)
    for name in _COMMANDS:
        if options[name] is not None:
            return _command(answer, name, options, root)
    if any(options[name] for name in _ADDITIONAL):
        raise Failure(Exit.NO_SUCH_OBJECT, "No shadow instance provided")
    raise Failure(Exit.USAGE, "crm_shadow: A query or command option is required")


# --- queries ------------------------------------------------------------------------------------


def _query(answer: result.Answer, query: str, root: Path) -> int:
    name = os.environ.get(_VARIABLE)
    if name is None:
        raise Failure(Exit.NO_SUCH_OBJECT, "No active shadow configuration defined")
    path = ends.shadow_file(root, name)
    if query == "which":
        answer.line(name)
        return answer.end(Exit.OK)
    if query == "file":
        answer.line(str(path))
        return answer.end(Exit.OK)
    if query == "edit":
        return _edit(answer, path, name)
    shadow = _read(path, name)
    if query == "display":
        answer.line(xml.serialise(shadow.root, pretty=True).decode().rstrip("\n"))
        return answer.end(Exit.OK)
    current = _cluster(root).document()
    changes = difference.write(current.root, shadow.root, as_cib=True)
    if changes is None:
        return answer.end(Exit.OK)
    lines = difference.text_lines(changes, current.root, shadow.root)
    if current.version == shadow.version:
        lines[:2] = [f"  : Local-only Change: {current.version}"]
    for line in lines:
        answer.line(_as_printed(line))
    return answer.end(Exit.ERROR)


def _as_printed(line: str) -> str:
    """Close the tag of a new element in its first line, as the classic tool does by mistake."""
    opens = line.startswith("++ /") and line.endswith(">") and not line.endswith(("/>", "-->"))
    return f"{line[:-1]}/>" if opens else line


def _edit(answer: result.Answer, path: Path, name: str) -> int:
    _check_exists(path, name)
    editor = os.environ.get("EDITOR")
    if not editor:
        raise Failure(Exit.NOT_CONFIGURED, "No value for EDITOR defined")
    click.edit(filename=str(path), editor=editor)
    _read(path, name)
    return answer.end(Exit.OK)


def _check_exists(path: Path, name: str) -> None:
    if not path.exists():
        message = f"Could not access shadow instance '{name}': No such file or directory"
        raise Failure(Exit.NO_SUCH_OBJECT, message)


def _read(path: Path, name: str) -> documents.Document:
    _check_exists(path, name)
    try:
        return documents.Document.parse(path.read_bytes())
    except ConfigurationError as problem:
        message = f"Could not read shadow instance '{name}': {problem}"
        raise Failure(Exit.INVALID_CONFIGURATION, message) from problem


def _cluster(root: Path) -> ends.Ends:
    """Open what a shadow is a copy of: never a shadow itself."""
    return ends.open_cib("crm_shadow", root, shadows=False)


# --- commands -----------------------------------------------------------------------------------


def _command(answer: result.Answer, command: str, options: dict[str, Any], root: Path) -> int:
    name: str = options[command]
    path = ends.shadow_file(root, name)
    if command in ("commit", "delete") and not options["force"]:
        raise Failure(Exit.USAGE, result.DANGER)
    if command == "delete":
        path.unlink(missing_ok=True)
        return _leave(answer)
    if command == "commit":
        _commit(_cluster(root), path, name, everything=options["everything"])
        return _leave(answer)
    if command in ("switch", "reset"):
        _check_exists(path, name)
    elif path.exists() and not options["force"]:
        raise Failure(
            Exit.CANNOT_CREATE,
            f"A shadow instance '{name}' already exists.\n  To prevent accidental destruction of"
            " the cluster, the --force flag is required in order to proceed.",
        )
    if command == "create_empty":
        empty = _empty(options["schema"])
        _write(path, empty)
        answer.line(f"Created new {empty.get('validate-with')} configuration")
    elif command != "switch":
        _write(path, _cluster(root).document().root)
    return _enter(answer, name, is_new=command != "switch", batch=options["batch"])


def _empty(schema: str | None) -> Any:  # Any: an element; lxml stays in its rooms
    root = documents.empty()
    if schema is not None:
        root.set("validate-with", schema)
    wrong = [problem for problem in rules.validate(root) if errors.has_errors([problem])]
    if wrong:
        raise Failure(Exit.INVALID_CONFIGURATION, f"crm_shadow: {wrong[0].message}")
    return root


def _write(path: Path, root: Any) -> None:  # Any: an element
    try:
        atomicfile.write_durably(path, xml.serialise(root, pretty=True), _MODE)
    except OSError as problem:
        message = f"Could not create the shadow instance '{path}': {problem.strerror}"
        raise Failure(Exit.CANNOT_CREATE, message) from problem


def _commit(cluster: ends.Ends, path: Path, name: str, *, everything: bool) -> None:
    shadow = _read(path, name)
    element = shadow.root if everything else shadow.configuration
    operation = api.XmlOperation(api.XmlTask.REPLACE, xml.serialise(element))
    cluster.change([operation], f"Could not commit shadow instance '{name}' to the CIB")


def _leave(answer: result.Answer) -> int:
    answer.line(
        "Please remember to unset the CIB_shadow variable by pasting the following into your"
        f" shell:\n  unset {_VARIABLE}"
    )
    return answer.end(Exit.OK)


def _enter(answer: result.Answer, name: str, *, is_new: bool, batch: bool) -> int:
    if not batch:
        answer.line("Setting up shadow instance")
        answer.line("Type Ctrl-D to exit the crm_shadow shell")
        answer.end(Exit.OK)
        _start_shell(name)
    answer.line("Setting up shadow instance")
    if is_new:
        answer.line(
            "A new shadow instance was created.  To begin using it paste the following into your"
            " shell:"
        )
    else:
        answer.line("To switch to the named shadow instance, paste the following into your shell:")
    answer.line(f"  {_VARIABLE}={shlex.quote(name) if name else ''} ; export {_VARIABLE}")
    return answer.end(Exit.OK)


def _start_shell(name: str) -> NoReturn:
    """Become a shell that works on an instance and says so in its prompt."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    plain = ["--norc", "--noprofile"] if Path(shell).name == "bash" else []
    environment = {**os.environ, _VARIABLE: name, "PS1": f"shadow[{name}] # "}
    sys.stdout.flush()
    os.execve(shell, [shell, *plain], environment)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_shadow, argv)


if __name__ == "__main__":
    sys.exit(main())
