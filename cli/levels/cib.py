"""The level `cib`: shadow CIBs, copies to try changes on.

Source: crm-shell, section 2, "cib".
"""

from __future__ import annotations

from pathlib import Path

from cli.shell.context import Call, Command, CommandFailed, Context, Level
from cli.workspace import FileSource, Workspace, configuration_of, open_source, shadow_directory
from crm.model.configuration import Item
from crm.model.names import is_xml_id
from crm.model.writexml.configuration import document as write_document
from crm.model.writexml.configuration import element as write_element
from crm.plumbing.atomicfile import write_durably

SCHEMA = "pacemaker-3.9"


def _directory(context: Context) -> Path:
    return shadow_directory(context.root)


def _path(context: Context, name: str) -> Path:
    if not is_xml_id(name):
        raise CommandFailed("invalid-name", f"'{name}' cannot be the name of a shadow CIB")
    return _directory(context) / f"shadow.{name}"


def _existing(context: Context, name: str) -> Path:
    path = _path(context, name)
    if not path.exists():
        raise CommandFailed("unknown-shadow", f"there is no shadow CIB '{name}'", subject=name)
    return path


def _live(context: Context) -> Workspace:
    return Workspace(open_source(context.root), context.root)


def new(context: Context, call: Call) -> None:
    """Make a shadow CIB from the live one (or an empty one), and use it."""
    words = [word for word in call.words if word not in ("force", "--force", "empty", "withstatus")]
    if len(words) != 1:
        raise CommandFailed("wrong-arguments", "cib.new: expected a name")
    path = _path(context, words[0])
    if path.exists() and not (context.is_forced or {"force", "--force"} & set(call.words)):
        raise CommandFailed("shadow-exists", f"there is a shadow CIB '{words[0]}' already")
    content = _empty() if "empty" in call.words else _live(context).document
    _write(path, content)
    context.use_shadow(words[0])
    context.terminal.tell(f"cib.new: {words[0]} shadow CIB created")


def _empty() -> Item:
    sections = [Item(name) for name in ("crm_config", "nodes", "resources", "constraints")]
    root = {"validate-with": SCHEMA, "admin_epoch": "0", "epoch": "0", "num_updates": "0"}
    return Item("cib", root, [Item("configuration", {}, sections), Item("status")])


def _write(path: Path, content: Item) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, write_document(content))


def use(context: Context, call: Call) -> None:
    """Work on a shadow CIB from now on; without a name on the live one."""
    names = [word for word in call.words if word != "withstatus"]
    name = names[0] if names else ""
    if name:
        _existing(context, name)
    context.use_shadow("" if name == "live" else name)


def commit(context: Context, call: Call) -> None:
    """Make the live configuration equal to a shadow's."""
    name = call.words[0] if call.words else context.shadow
    if not name:
        raise CommandFailed("no-shadow", "no shadow CIB is in use, and none is named")
    shadow = FileSource(_existing(context, name)).read()
    live = _live(context)

    def replace(configuration: Item) -> None:
        configuration.children = configuration_of(shadow).copy().children

    context.terminal.report(live.apply(replace, force=context.is_forced))
    context.close()
    context.terminal.tell(f"cib.commit: committed '{name}' shadow CIB to the cluster")


def diff(context: Context, _call: Call) -> None:
    """Show how the shadow CIB in use differs from the live one."""
    from crm.cib import difference  # only here

    if not context.shadow:
        raise CommandFailed("no-shadow", "no shadow CIB is in use", "say: cib use NAME")
    shadow = write_element(FileSource(_existing(context, context.shadow)).read())
    live = write_element(_live(context).document)
    changes = difference.write(live, shadow, as_cib=True)
    if changes is not None:
        context.terminal.show("\n".join(difference.text_lines(changes, live, shadow)))


def delete(context: Context, call: Call) -> None:
    """Delete a shadow CIB; not the one in use."""
    for name in call.words:
        path = _existing(context, name)
        if name == context.shadow:
            raise CommandFailed("shadow-in-use", f"'{name}' is in use", "say: cib use")
        path.unlink()
        context.terminal.tell(f"cib.delete: {name} shadow CIB deleted")


def reset(context: Context, call: Call) -> None:
    """Make a shadow CIB equal to the live one again."""
    name = call.words[0]
    _write(_existing(context, name), _live(context).document)
    context.close()
    context.terminal.tell(f"cib.reset: copied live CIB to {name}")


def import_file(context: Context, call: Call) -> None:
    """Make a shadow CIB from a file, and use it."""
    source = Path(call.words[0])
    path = _path(context, call.words[1] if len(call.words) > 1 else source.stem)
    if path.exists() and not context.is_forced:
        raise CommandFailed("shadow-exists", f"'{path}' is a shadow CIB already")
    _write(path, FileSource(source).read())
    name = path.name.removeprefix("shadow.")
    context.use_shadow(name)
    context.terminal.tell(f"cib.import: {name} shadow CIB created from '{source}'")


def list_shadows(context: Context, _call: Call) -> None:
    """Show the names of the shadow CIBs."""
    found = sorted(path.name[7:] for path in _directory(context).glob("shadow.*"))
    if context.as_json:
        context.terminal.show_json(found)
    else:
        context.terminal.show("\n".join(found))


LEVEL = Level(
    name="cib",
    summary="cib: shadow CIBs, copies to try changes on",
    commands=(
        Command("new", new, "name [withstatus] [force] [empty]", 1, 4, "make one and use it"),
        Command("use", use, "[name] [withstatus]", 0, 2, "work on it"),
        Command("commit", commit, "[name]", 0, 1, "make it live"),
        Command("delete", delete, "name ...", 1, None, "delete it"),
        Command("reset", reset, "name", 1, 1, "copy the live one over it"),
        Command("import", import_file, "file [name]", 1, 2, "make one from a file and use it"),
        Command("diff", diff, "", summary="how it differs from the live one"),
        Command("list", list_shadows, "", summary="show their names"),
    ),
)
