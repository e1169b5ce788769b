"""The level `configure`: statements, show, delete, rename, load, save, edit, commit.

The commands of one visit are one transaction: leaving the level commits it.

Source: crm-shell, sections 2 to 4.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cli import edits
from cli.edits import EditRefused, Located, need, section
from cli.grammar.settings import OPTION_SETS
from cli.grammar.statements import ALIASES, KEYWORDS, parse_tokens
from cli.grammar.tokens import Token, split
from cli.levels import history
from cli.selection import select
from cli.shell.context import Call, Command, CommandFailed, Context, Level
from cli.shell.repl import join_continued
from cli.view import configuration as view
from crm.model.configuration import Item
from crm.model.options import cluster_option, is_true
from crm.plumbing.errors import Problem, error

SECTIONS_ERASED = tuple(name for name in edits.SECTIONS if name != "nodes")


# --- statements ---------------------------------------------------------------------------------


def state(context: Context, call: Call) -> None:
    """Carry out one statement: make or change an object."""
    configuration = context.workspace.configuration
    around = replace(
        view.surroundings(configuration), providers=functools.partial(_provider_of, context.root)
    )
    tokens = split(call.line)
    item = parse_tokens(call.line, tokens, around)
    keyword = tokens[0].text.lower()
    edits.add(configuration, item, ALIASES.get(keyword, keyword))


def _provider_of(root: Path, agent_type: str) -> str:
    """Choose the provider of an agent written without one: the classic ones come first."""
    from lrmd import catalog  # the agents are of interest only here

    found = catalog.providers(root, agent_type)
    classic = [each for each in ("heartbeat", "pacemaker") if each in found]
    return (classic or found or ["heartbeat"])[0]


def monitor(context: Context, call: Call) -> None:
    """Add a monitor operation to a resource: RSC[:ROLE] INTERVAL[:TIMEOUT]."""
    name, _, role = call.words[0].partition(":")
    interval, _, timeout = call.words[1].partition(":")
    configuration = context.workspace.configuration
    item = edits.need_resource(configuration, name).item
    if item.tag != "primitive":
        raise CommandFailed("not-a-primitive", f"'{name}' is a {item.tag}, not a primitive")
    operation = Item("op", {"name": "monitor"})
    if role:
        operation.attributes["role"] = role
    operation.attributes["interval"] = interval
    if timeout:
        operation.attributes["timeout"] = timeout
    edits.add_operation(configuration, item, operation)


# --- reading ------------------------------------------------------------------------------------


def show(context: Context, call: Call) -> None:
    """Show the configuration, or some objects of it."""
    words = list(call.words)
    workspace = context.workspace
    configuration = workspace.configuration
    as_xml = bool(words) and words[0] == "xml"
    terms = words[1:] if as_xml else words
    chosen = select(configuration, workspace.base, terms)
    if context.as_json:
        context.terminal.show_json(view.as_json(chosen))
    elif as_xml:
        context.terminal.show(view.show_xml(workspace.document, chosen))
    else:
        obscured = [term[8:] for term in terms if term.startswith("obscure:")]
        if not obscured:
            obscured = context.preference("obscure-pattern", "passw*").split()
        text = view.show(
            configuration,
            chosen,
            obscured=obscured,
            is_sorted=is_true(context.preference("sort-elements", "yes")),
        )
        context.terminal.show(text)


def get_property(context: Context, call: Call) -> None:
    """Show the value of a cluster option, or its default."""
    words = [word for word in call.words if word != "-t"]
    config = section(context.workspace.configuration, "crm_config")
    if not words:
        names = [pair.get("name") for made in config.children for pair in made.each("nvpair")]
        context.terminal.show("\n".join(sorted(names)))
        return
    for made in config.children:
        for pair in made.each("nvpair"):
            if pair.get("name") == words[0]:
                context.terminal.show(pair.get("value"))
                return
    option = cluster_option(words[0])
    if option is None or option.default is None:
        raise CommandFailed("property-not-set", f"the property '{words[0]}' is not set")
    context.terminal.show(str(option.default))


# --- changing -----------------------------------------------------------------------------------


def delete(context: Context, call: Call) -> None:
    """Delete objects, and what only makes sense with them."""
    names = [word for word in call.words if word not in ("--force", "-f")]
    configuration = context.workspace.configuration
    problems: list[Problem] = []
    for name in names:
        if edits.find(configuration, name) is None:
            problems.append(error("unknown-object", name, f"object '{name}' does not exist"))
    chosen = [name for name in names if edits.find(configuration, name) is not None]
    _refuse_running(context, chosen, forced=len(names) != len(call.words))
    for name in chosen:
        if edits.find(configuration, name) is None:
            continue  # it went with another one
        for note in edits.delete(configuration, name):
            context.terminal.tell(note)
    if problems:
        raise EditRefused(*problems)


def _refuse_running(context: Context, names: list[str], *, forced: bool) -> None:
    if forced or context.is_forced:
        return
    from cli.view.status import read_status

    status = read_status(context.workspace.document)
    for name in names:
        located = need(context.workspace.configuration, name)
        if located.item.tag not in ("primitive", "group", "clone", "master", "bundle"):
            continue
        running = [
            each.id
            for each in [located.item, *located.item.walk()]
            if each.tag == "primitive" and status.is_running(each.id)
        ]
        if running and located.item.tag != "group":
            raise CommandFailed(
                "resource-running",
                f"'{running[0]}' is running, so '{name}' cannot be deleted",
                f"stop it first: crm resource stop {name}",
                subject=name,
            )


def rename(context: Context, call: Call) -> None:
    """Give an object another id."""
    _refuse_running(context, [call.words[0]], forced=False)
    edits.rename(context.workspace.configuration, call.words[0], call.words[1])


def modgroup(context: Context, call: Call) -> None:
    """Add a member to a group or take one out."""
    edits.change_group(context.workspace.configuration, list(call.words))


def erase(context: Context, call: Call) -> None:
    """Remove everything but the nodes (or, with `nodes`, only the nodes)."""
    if call.words not in ((), ("nodes",)):
        raise CommandFailed(
            "wrong-arguments", f"expected 'nodes' or nothing, not '{call.words[0]}'"
        )
    _clear(context.workspace.configuration, ("nodes",) if call.words else SECTIONS_ERASED)


def _clear(configuration: Item, names: Iterable[str]) -> None:
    for part in list(configuration.children):
        if part.tag not in names:
            continue
        part.children.clear()
        if part.tag == "fencing-topology":  # an empty one is not allowed to stand
            configuration.children.remove(part)


def set_value(context: Context, call: Call) -> None:
    """Change an existing value: ID[.OP[.INTERVAL]].NAME VALUE."""
    edits.set_value(context.workspace.configuration, call.words[0], call.words[1])


# --- files --------------------------------------------------------------------------------------


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
    """Read statements or XML from a file: `update` merges, `replace` erases first."""
    words = list(call.words)
    as_xml = words[0] == "xml"
    if as_xml:
        words = words[1:]
    if len(words) != 2 or words[0] not in ("update", "replace", "push"):
        raise CommandFailed(
            "wrong-arguments", "configure.load: expected ([xml] {update|replace|push} FILE)"
        )
    method, name = words
    text = _read_text(name)
    configuration = context.workspace.configuration
    candidate = configuration.copy()
    if method in ("replace", "push"):
        _clear(candidate, SECTIONS_ERASED)
    if as_xml:
        _load_xml(candidate, text, name)
    else:
        load_text(candidate, text, name)
    configuration.children = candidate.children


def _read_text(name: str) -> str:
    try:
        if name == "-":
            return Path("/dev/stdin").read_text(encoding="utf-8")
        return Path(name).read_text(encoding="utf-8")
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise CommandFailed("unreadable-file", f"cannot read '{name}': {reason}") from problem
    except UnicodeDecodeError as problem:
        raise CommandFailed("unreadable-file", f"'{name}' is no UTF-8 text") from problem


def load_text(configuration: Item, text: str, name: str) -> None:
    """Add the statements of a text; an object that exists is replaced by its new form.

    Raises: EditRefused with every line's problem; some statements may have been carried out, so
    the caller works on a copy.
    """
    problems: list[Problem] = []
    comments: list[str] = []
    for number, line in enumerate(join_continued(text.splitlines()), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            comments.append(stripped.lstrip("# "))
            continue
        if not stripped:
            continue
        try:
            _replace_line(configuration, stripped, comments)
        except EditRefused as problem:
            problems += [each._replace(subject=f"{name}:{number}") for each in problem.problems]
        comments = []
    if problems:
        raise EditRefused(*problems)


def _replace_line(configuration: Item, line: str, comments: list[str]) -> None:
    tokens = split(line)
    if tokens[0].text.lower() == "xml":
        _add_xml(configuration, line.split(None, 1)[1] if len(tokens) > 1 else "")
        return
    keyword = ALIASES.get(tokens[0].text.lower(), tokens[0].text.lower())
    if keyword == "monitor":
        raise EditRefused(error("not-an-object", "", "'monitor' is a command, not an object"))
    item = parse_tokens(line, tokens, view.surroundings(configuration))
    item.comments = tuple(comments)
    existing = edits.find(configuration, item.id) if item.id else None
    if existing is not None and item.tag != "node" and keyword not in OPTION_SETS:
        edits.put_in_place(configuration, existing, item)
    else:
        edits.add(configuration, item, keyword)


def _add_xml(configuration: Item, text: str) -> None:
    from crm.model.readxml.configuration import read
    from crm.plumbing import xml

    item = read(xml.parse(text.strip().strip("'").encode()))
    existing = edits.find(configuration, item.id) if item.id else None
    if existing is not None:
        existing.parent.children[existing.parent.children.index(existing.item)] = item
        return
    if item.tag not in edits.SECTION_OF:
        raise EditRefused(error("unknown-element", item.tag, f"<{item.tag}> is no object"))
    section(configuration, edits.SECTION_OF[item.tag]).children.append(item)


def add_xml(context: Context, call: Call) -> None:
    """Add one object written as XML."""
    _add_xml(context.workspace.configuration, " ".join(call.words))


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
    workspace = context.workspace
    chosen = select(workspace.configuration, workspace.base, terms)
    before = view.show(workspace.configuration, chosen)
    try:
        done = subprocess.run(
            shlex.split(program), input=before + "\n", capture_output=True, text=True, check=False
        )
    except (OSError, ValueError) as problem:
        raise CommandFailed("filter", f"cannot run '{program}': {problem}") from problem
    if done.returncode != 0:
        said = done.stderr.strip()
        raise CommandFailed("filter", f"'{program}' ended with {done.returncode}: {said}")
    _take_text(context, chosen, before, done.stdout)


def _take_text(context: Context, chosen: list[Located], before: str, after: str) -> None:
    """Make the chosen objects what the text says; all of it or nothing."""
    if after.strip() == before.strip():
        return
    configuration = context.workspace.configuration
    candidate = configuration.copy()
    _drop_missing(candidate, chosen, after)
    load_text(candidate, after, "text")
    configuration.children = candidate.children


def edit(context: Context, call: Call) -> None:
    """Open the editor on the text of the chosen objects and take the result."""
    if not context.is_interactive:
        raise CommandFailed("not-interactive", "'edit' needs a terminal")
    workspace = context.workspace
    chosen = select(workspace.configuration, workspace.base, call.words)
    before = view.show(workspace.configuration, chosen)
    _take_text(context, chosen, before, _edited(before))


def _edited(text: str) -> str:
    editor = os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile("w+", prefix="crm-edit-", suffix=".pcmk") as file:
        file.write(text + "\n")
        file.flush()
        if subprocess.call([*editor.split(), file.name]) != 0:
            raise CommandFailed("editor", f"the editor '{editor}' ended with an error")
        return Path(file.name).read_text(encoding="utf-8")


def _drop_missing(configuration: Item, chosen: list[Located], text: str) -> None:
    """Delete what was taken out in the editor."""
    kept = {token.text.rstrip(":") for line in text.splitlines() for token in _words_of(line)[1:2]}
    for each in chosen:
        gone = each.item.id not in kept and each.name not in kept
        if gone and edits.find(configuration, each.item.id) is not None:
            edits.delete(configuration, each.item.id)


def _words_of(line: str) -> list[Token]:
    return [] if line.startswith(("\t", " ", "#")) else split(line.rstrip("\\"))


# --- the transaction ----------------------------------------------------------------------------


def commit(context: Context, call: Call) -> None:
    """Check the candidate and write it; `-m TEXT` says why, for `configure log`."""
    words, reason = _without_reason(list(call.words))
    for word in words:
        if word not in ("force", "--force", "replace"):
            text = f"'{word}' is not understood here"
            hint = "expected force, replace or -m TEXT, or nothing"
            raise CommandFailed("wrong-arguments", text, hint)
    if not context.has_changes:
        context.terminal.tell("apparently there is nothing to commit")
        context.terminal.tell("try changing something first")
        return
    forced = context.is_forced or bool({"force", "--force"} & set(words))
    context.terminal.report(context.workspace.commit(force=forced, reason=reason))


def _without_reason(words: list[str]) -> tuple[list[str], str]:
    for flag in ("-m", "--message"):
        if flag in words:
            place = words.index(flag)
            if len(words) < place + 2:
                raise CommandFailed(
                    "wrong-arguments", f"{flag} wants a text", "-m 'why it is done'"
                )
            return words[:place] + words[place + 2 :], words[place + 1]
    return words, ""


def schema(context: Context, _call: Call) -> None:
    """Show the schema that the CIB follows; `cibadmin --upgrade` brings an old one forward."""
    context.terminal.show(context.workspace.document.get("validate-with"))


def verify(context: Context, _call: Call) -> None:
    """Check the candidate without writing it."""
    if context.terminal.report(context.workspace.check()):
        raise CommandFailed("invalid-configuration", "the configuration has errors")


def refresh(context: Context, _call: Call) -> None:
    """Drop the changes and read again."""
    context.workspace.refresh()


def leave(context: Context) -> None:
    """Commit what is pending."""
    if context.has_changes:
        context.terminal.report(context.workspace.commit(force=context.is_forced))


_STATEMENTS = tuple(
    Command(keyword, state, "id ...", most=None, summary=f"define: {keyword}", changes=True,
            old_names=tuple(old for old, new in ALIASES.items() if new == keyword))
    for keyword in KEYWORDS
)  # fmt: skip

LEVEL = Level(
    name="configure",
    summary="configure: the cluster's configuration",
    commands=(
        *_STATEMENTS,
        Command("show", show, "[xml] [id ...]", most=None, summary="show objects"),
        Command("get_property", get_property, "[-t] [name]", most=2, old_names=("get-property",),
                summary="show a cluster option"),
        Command("delete", delete, "[--force] id [id ...]", least=1, most=None, aliases=("rm",),
                summary="delete objects", changes=True),
        Command("rename", rename, "old_id new_id", least=2, most=2, summary="give another id"),
        Command("modgroup", modgroup, "id {add id [after|before id] | remove id}", least=3, most=5,
                summary="change a group's members"),
        Command("monitor", monitor, "rsc[:role] interval[:timeout]", least=2, most=2,
                summary="add a monitor operation"),
        Command("set", set_value, "id[.op[.interval]].name value", least=2, most=2,
                summary="change an existing value"),
        Command("xml", add_xml, "'<element .../>'", least=1, most=None, summary="add XML"),
        Command("edit", edit, "[id ...]", most=None, summary="edit the text of objects"),
        Command("filter", filter_text, "program [id ...]", least=1, most=None,
                summary="send the text of objects through a program"),
        Command("load", load, "[xml] {update|replace|push} file", least=2, most=3,
                summary="read statements from a file"),
        Command("save", save, "[xml] [id ...] file", least=1, most=None, summary="write a file"),
        Command("erase", erase, "[nodes]", most=1, summary="remove everything but nodes"),
        Command("verify", verify, "", summary="check the candidate", aliases=("_test",)),
        Command("commit", commit, "[force] [replace] [-m text]", most=4,
                summary="write the changes"),
        *history.COMMANDS,
        Command("schema", schema, "", summary="show the schema of the CIB"),
        Command("refresh", refresh, "", summary="drop the changes", aliases=("reset",)),
    ),
    levels=("cib", "ra"),
    leave=leave,
)  # fmt: skip
