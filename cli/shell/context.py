"""What a command is given: the options of the call, the CIB in hand, and a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.view.terminal import Terminal
from crm.plumbing.errors import UsageError, error

if TYPE_CHECKING:
    from cli.workspace import Workspace


@dataclass
class Context:
    """The state of one run of the shell. The CIB is opened when a command first needs it."""

    root: Path
    terminal: Terminal
    is_forced: bool = False
    waits: bool = False
    as_json: bool = False
    is_interactive: bool = False
    shadow: str = ""
    preferences: dict[str, str] = field(default_factory=dict)
    _workspace: Workspace | None = field(default=None, repr=False)

    @property
    def workspace(self) -> Workspace:
        """The CIB in hand."""
        if self._workspace is None:
            from cli.workspace import Workspace, open_source  # lxml and the gate, when needed

            source = open_source(self.root, shadow=self.shadow, notify=self.terminal.tell)
            self._workspace = Workspace(source, self.root, warn=self.terminal.warn)
        return self._workspace

    @property
    def has_changes(self) -> bool:
        """Whether something waits to be committed."""
        return self._workspace is not None and self._workspace.is_changed

    def preference(self, name: str, default: str) -> str:
        """Read a preference of this run."""
        return self.preferences.get(name, default)

    def close(self) -> None:
        """Forget the CIB in hand, so that the next command reads it again."""
        self._workspace = None

    def use_shadow(self, name: str) -> None:
        """Work on a shadow CIB ("" = the live one) from now on."""
        self.shadow = name
        self.close()


class CommandFailed(UsageError):
    """A command cannot be carried out as it was given."""

    def __init__(self, code: str, message: str, hint: str = "", *, subject: str = "") -> None:
        super().__init__(message)
        self.problems = (error(code, subject, message, hint),)


@dataclass(frozen=True)
class Call:
    """One command line: the words after the command, and the whole line for complaints."""

    words: tuple[str, ...]
    line: str


Run = Callable[[Context, Call], None]


@dataclass(frozen=True)
class Command:
    """One command of a level. `usage` names its arguments; `most` None means any number."""

    name: str
    run: Run
    usage: str = ""
    least: int = 0
    most: int | None = 0
    summary: str = ""
    aliases: tuple[str, ...] = ()
    old_names: tuple[str, ...] = ()
    changes: bool = False


def _stay(_context: Context) -> None:
    """Do nothing on leaving a level."""


@dataclass(frozen=True)
class Level:
    """One level: its commands, the levels below it, and what happens on leaving it."""

    name: str
    summary: str
    commands: tuple[Command, ...]
    levels: tuple[str, ...] = ()
    leave: Callable[[Context], None] = _stay

    def command(self, name: str) -> Command | None:
        """Find a command by its exact name or an alias."""
        for command in self.commands:
            if name in (command.name, *command.aliases, *command.old_names):
                return command
        return None
