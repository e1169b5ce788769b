"""What `configure` does with texts and files: save, load, edit, filter, and XML.

Source: crm-shell, section 2, "configure".
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cli import edits, removals, rewriting
from cli.edits import Located, section
from cli.grammar.statements import Surroundings
from cli.selection import select
from cli.shell.context import Call, CommandFailed, Context
from cli.view import configuration as view
from crm.model.configuration import Item

SECTIONS_ERASED = tuple(name for name in edits.SECTIONS if name != "nodes")


def around(context: Context) -> Surroundings:
    """Collect what statements need to know: the rest of the configuration, and the agents."""
    found = view.surroundings(context.workspace.configuration)
    return replace(found, providers=functools.partial(_provider_of, context.root))


def _provider_of(root: Path, agent_type: str) -> str:
    """Choose the provider of an agent written without one: the classic ones come first."""
    from lrmd import catalog  # the agents are of interest only here

    found = catalog.providers(root, agent_type)
    classic = [each for each in ("heartbeat", "pacemaker") if each in found]
    return (classic or found or ["heartbeat"])[0]


def save(context: Context, call: Call) -> None:
    """Write the configuration to a file, as text or XML."""
    words = list(call.words)
    as_xml = words[0] == "xml"
    terms = words[1:] if as_xml else words
    if not terms:
        raise CommandFailed("wrong-arguments", "configure.save: expected a file name")
    path = Path(terms.pop())
    workspace = context.workspace
    chosen = select(workspace.configuration, workspace.base, terms)
    text = (
        view.show_xml(workspace.document, chosen)
        if as_xml
        else view.show(workspace.configuration, chosen)
    )
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise CommandFailed("unwritable-file", f"cannot write '{path}': {reason}") from problem


def load(context: Context, call: Call) -> None:
    """Read statements or XML from a file: `update` merges, `replace` erases first.

    `push` deletes what the file does not name.
    """
    words = list(call.words)
    as_xml = words[0] == "xml"
    if as_xml:
        words = words[1:]
    if len(words) == 1:  # the method may be left out
        words = ["update", *words]
    if len(words) != 2 or words[0] not in ("update", "replace", "push"):
        raise CommandFailed(
            "wrong-arguments", "configure.load: expected ([xml] {update|replace|push} FILE)"
        )
    method, name = words
    text = read_text(name)
    configuration = context.workspace.configuration
    candidate = configuration.copy()
    if method == "replace" or (method == "push" and as_xml):
        clear(candidate, SECTIONS_ERASED)
    if as_xml:
        _load_xml(candidate, text, name)
    elif method == "push":
        everything = list(edits.objects(candidate))
        rewriting.push(candidate, everything, text, around(context), name)
    else:
        rewriting.load(candidate, text, around(context), name)
    configuration.children = candidate.children


def clear(configuration: Item, names: Iterable[str]) -> None:
    """Empty some sections."""
    for part in list(configuration.children):
        if part.tag not in names:
            continue
        part.children.clear()
        if part.tag == "fencing-topology":  # an empty one is not allowed to stand
            configuration.children.remove(part)


def read_text(name: str) -> str:
    """Read a file, "-" for standard input.

    Raises: CommandFailed if that cannot be done.
    """
    try:
        if name == "-":
            return Path("/dev/stdin").read_text(encoding="utf-8")
        return Path(name).read_text(encoding="utf-8")
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise CommandFailed("unreadable-file", f"cannot read '{name}': {reason}") from problem
    except UnicodeDecodeError as problem:
        raise CommandFailed("unreadable-file", f"'{name}' is no UTF-8 text") from problem


def add_xml(context: Context, call: Call) -> None:
    """Add one object written as XML."""
    configuration = context.workspace.configuration
    rewriting.put_xml(configuration, rewriting.xml_object(" ".join(call.words)))


def _load_xml(configuration: Item, text: str, name: str) -> None:
    from cli.workspace import configuration_of, parse_document

    given = configuration_of(parse_document(text.encode(), name))
    for part in given.children:
        where = section(configuration, part.tag)
        for item in part.children:
            at = next(
                (index for index, each in enumerate(where.children) if each.id == item.id), None
            )
            if at is None:
                where.children.append(item)
            else:
                where.children[at] = item


def filter_text(context: Context, call: Call) -> None:
    """Send the text of the chosen objects through a program and take the result."""
    program, *terms = call.words
    chosen, before, as_xml = _text_of(context, terms)
    try:
        done = subprocess.run(
            shlex.split(program), input=before + "\n", capture_output=True, text=True, check=False
        )
    except (OSError, ValueError) as problem:
        raise CommandFailed("filter", f"cannot run '{program}': {problem}") from problem
    if done.returncode != 0:
        said = done.stderr.strip()
        raise CommandFailed("filter", f"'{program}' ended with {done.returncode}: {said}")
    _take_text(context, chosen, before, done.stdout, as_xml=as_xml)


def _text_of(context: Context, terms: list[str]) -> tuple[list[Located], str, bool]:
    """Find what is to be changed, its text, and whether that is XML."""
    workspace = context.workspace
    as_xml = terms[:1] == ["xml"]
    chosen = select(workspace.configuration, workspace.base, terms[1:] if as_xml else terms)
    if as_xml:
        return chosen, view.show_xml(workspace.document, chosen), True
    return chosen, view.show(workspace.configuration, chosen), False


def _take_text(
    context: Context, chosen: Sequence[Located], before: str, after: str, *, as_xml: bool = False
) -> None:
    """Make the chosen objects what the text says; all of it or nothing."""
    if after.strip() == before.strip():
        return
    configuration = context.workspace.configuration
    candidate = configuration.copy()
    if as_xml:
        _replace_by_xml(candidate, chosen, after)
    else:
        names = {(each.item.tag, each.item.id) for each in chosen}
        same = [e for e in edits.objects(candidate) if (e.item.tag, e.item.id) in names]
        rewriting.rewrite(candidate, same, after, around(context), "text")
    configuration.children = candidate.children


def _replace_by_xml(configuration: Item, chosen: Sequence[Located], text: str) -> None:
    from cli.workspace import configuration_of, parse_document

    given = configuration_of(parse_document(text.encode(), "the text"))
    kept = {each.item.id for each in edits.objects(given)}
    for each in chosen:
        if each.item.id not in kept and edits.find(configuration, each.item.id) is not None:
            removals.delete(configuration, each.item.id)
    for part in given.children:
        for item in part.children:
            rewriting.put_xml(configuration, item)


def edit(context: Context, call: Call) -> None:
    """Open the editor on the text of the chosen objects and take the result."""
    if not context.is_interactive:
        raise CommandFailed("not-interactive", "'edit' needs a terminal")
    chosen, before, as_xml = _text_of(context, list(call.words))
    _take_text(context, chosen, before, _edited(before), as_xml=as_xml)


def _edited(text: str) -> str:
    editor = os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile("w+", prefix="crm-edit-", suffix=".pcmk") as file:
        file.write(text + "\n")
        file.flush()
        if subprocess.call([*editor.split(), file.name]) != 0:
            raise CommandFailed("editor", f"the editor '{editor}' ended with an error")
        return Path(file.name).read_text(encoding="utf-8")
