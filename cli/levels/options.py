"""The level `options`: preferences of this run of the shell.

They last as long as the shell; `crm -o NAME=VALUE` gives one for a single call.

Source: crm-shell, section 2, "options".
"""

from __future__ import annotations

from collections.abc import Callable

from cli.shell.context import Call, Command, CommandFailed, Context, Level

DEFAULTS = {
    "add-quotes": "yes",
    "check-frequency": "always",
    "check-mode": "strict",
    "colorscheme": "",
    "editor": "",
    "ignore-missing-metadata": "no",
    "manage-children": "ask",
    "obscure-pattern": "passw*",
    "output": "plain",
    "pager": "",
    "skill-level": "expert",
    "sort-elements": "yes",
    "user": "",
    "wait": "no",
}
_CHOICES = {
    "check-frequency": ("always", "on-verify", "never"),
    "check-mode": ("strict", "relaxed"),
    "manage-children": ("ask", "never", "always"),
    "output": ("plain", "color", "color-always", "uppercase"),
    "skill-level": ("operator", "administrator", "expert"),
}


def _setter(name: str) -> Callable[[Context, Call], None]:
    def run(context: Context, call: Call) -> None:
        _set(context, name, call.words[0])

    return run


def _set(context: Context, name: str, value: str) -> None:
    choices = _CHOICES.get(name)
    if choices is not None and value not in choices:
        raise CommandFailed("wrong-value", f"{name}: '{value}' is none of {', '.join(choices)}")
    context.preferences[name] = value
    if name == "wait":
        context.waits = value.lower() in ("yes", "on", "true", "1")


def set_option(context: Context, call: Call) -> None:
    """Set a preference by its dotted name."""
    section, _, name = call.words[0].rpartition(".")
    name = name.replace("_", "-")
    if not section or name not in DEFAULTS:
        known = ", ".join(DEFAULTS)
        raise CommandFailed(
            "unknown-option",
            f"there is no option '{name}'",
            f"known: {known}; each with its section, as core.wait",
        )
    _set(context, name, call.words[1])


def show(context: Context, call: Call) -> None:
    """Show the preferences."""
    words = [word.rpartition(".")[2].replace("_", "-") for word in call.words]
    names = [word for word in words if word in DEFAULTS] if words else list(DEFAULTS)
    lines = [f"{name} = {context.preference(name, DEFAULTS.get(name, ''))}" for name in names]
    context.terminal.show("\n".join(lines))


LEVEL = Level(
    name="options",
    summary="options: preferences of this shell",
    commands=(
        Command("show", show, "[option]", 0, 1, "show preferences"),
        Command("set", set_option, "option value", 2, 2, "set one"),
        *(
            Command(
                name,
                _setter(name),
                "value",
                1,
                1,
                f"set {name}",
                old_names=(name.replace("-", "_"),) if "-" in name else (),
            )
            for name in DEFAULTS
        ),
    ),
)
