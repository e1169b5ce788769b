"""The level `configure`: statements, show, delete, rename, load, save, edit, commit.

The commands of one visit are one transaction: leaving the level commits it.

Source: crm-shell, sections 2 to 4.
"""

from __future__ import annotations

from cli import edits, removals, renaming, values
from cli.edits import EditRefused, need, section
from cli.grammar.constraints import ROLES
from cli.grammar.statements import ALIASES, KEYWORDS, parse_tokens
from cli.grammar.tokens import split
from cli.levels import history, texts, trial
from cli.selection import select
from cli.shell.context import Call, Command, CommandFailed, Context, Level
from cli.view import configuration as view
from crm.model.configuration import Item
from crm.model.options import cluster_option, is_true
from crm.plumbing.errors import Problem, error

# --- statements ---------------------------------------------------------------------------------


def state(context: Context, call: Call) -> None:
    """Carry out one statement: make or change an object."""
    configuration = context.workspace.configuration
    tokens = split(call.line)
    item = parse_tokens(call.line, tokens, texts.around(context))
    keyword = tokens[0].text.lower()
    edits.add(configuration, item, ALIASES.get(keyword, keyword))
    if item.tag == "primitive":
        trial.spell_as_the_agent(context, item)


def monitor(context: Context, call: Call) -> None:
    """Add a monitor operation to a resource: RSC[:ROLE] INTERVAL[:TIMEOUT]."""
    name, _, role = call.words[0].partition(":")
    interval, _, timeout = call.words[1].partition(":")
    configuration = context.workspace.configuration
    item = edits.need_resource(configuration, name).item
    if item.tag != "primitive":
        raise CommandFailed("not-a-primitive", f"'{name}' is a {item.tag}, not a primitive")
    operation = Item("op", {"name": "monitor"})
    if role and role.capitalize() not in ROLES:
        known = ", ".join(ROLES)
        raise CommandFailed("wrong-arguments", f"'{role}' is none of the roles {known}")
    if role:
        operation.attributes["role"] = role
    operation.attributes["interval"] = interval
    if timeout:
        operation.attributes["timeout"] = timeout
    values.add_operation(configuration, item, operation)


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
        for note in removals.delete(configuration, name):
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
    renaming.rename(context.workspace.configuration, call.words[0], call.words[1])


def modgroup(context: Context, call: Call) -> None:
    """Add a member to a group or take one out."""
    edits.change_group(context.workspace.configuration, list(call.words))


def erase(context: Context, call: Call) -> None:
    """Remove everything but the nodes (or, with `nodes`, only the nodes)."""
    if call.words not in ((), ("nodes",)):
        raise CommandFailed(
            "wrong-arguments", f"expected 'nodes' or nothing, not '{call.words[0]}'"
        )
    gone = ("nodes",) if call.words else texts.SECTIONS_ERASED
    texts.clear(context.workspace.configuration, gone)


def set_value(context: Context, call: Call) -> None:
    """Change an existing value: ID[.OP[.INTERVAL]].NAME VALUE."""
    values.set_value(context.workspace.configuration, call.words[0], call.words[1])


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
        Command("delete", delete, "[--force] id [id ...]", most=None, aliases=("rm",),
                summary="delete objects", changes=True),
        Command("rename", rename, "old_id new_id", least=2, most=2, summary="give another id"),
        Command("modgroup", modgroup, "id {add id [after|before id] | remove id}", least=3, most=5,
                summary="change a group's members"),
        Command("monitor", monitor, "rsc[:role] interval[:timeout]", least=2, most=2,
                summary="add a monitor operation"),
        Command("set", set_value, "id[.op[.interval]].name value", least=2, most=2,
                summary="change an existing value"),
        Command("xml", texts.add_xml, "'<element .../>'", least=1, most=None, summary="add XML"),
        Command("edit", texts.edit, "[id ...]", most=None, summary="edit the text of objects"),
        Command("filter", texts.filter_text, "program [id ...]", least=1, most=None,
                summary="send the text of objects through a program"),
        Command("load", texts.load, "[xml] {update|replace|push} file", least=2, most=3,
                summary="read statements from a file"),
        Command("save", texts.save, "[xml] [id ...] file", least=1, most=None,
                summary="write a file"),
        Command("erase", erase, "[nodes]", most=1, summary="remove everything but nodes"),
        Command("verify", verify, "", summary="check the candidate", aliases=("_test",)),
        Command("commit", commit, "[force] [replace] [-m text]", most=4,
                summary="write the changes"),
        *history.COMMANDS,
        Command("schema", trial.schema, "[name]", most=1, summary="show the schema of the CIB"),
        Command("upgrade", trial.upgrade, "[force]", most=1, summary="how to get a newer schema"),
        Command("default-timeouts", trial.default_timeouts, "id [id ...]", least=1, most=None,
                summary="the timeouts that agents advise", changes=True,
                old_names=("default_timeouts",)),
        Command("ptest", trial.ptest, "[nograph] [v...] [scores] [actions] [utilization]",
                most=None, summary="what a commit would do", old_names=("simulate",)),
        Command("refresh", refresh, "", summary="drop the changes", aliases=("reset",)),
    ),
    levels=("cib", "ra"),
    leave=leave,
)  # fmt: skip
