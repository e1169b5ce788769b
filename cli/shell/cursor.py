"""Where you are in the shell, and how a line finds its command.

The cursor holds the path of levels and runs lines; levels are loaded when first entered, so that
`crm status` never pays for `crm configure`. It knows no command by name except those of every
level (`up`, `quit`, `help` ...).

Source: crm-shell, sections 1 and 2.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from cli.grammar.tokens import Token, from_words, split
from cli.shell.context import Call, Command, CommandFailed, Context, Level
from crm.plumbing.errors import CrmError

LEVELS = {
    "": "cli.levels.root",
    "configure": "cli.levels.configure",
    "resource": "cli.levels.resource",
    "node": "cli.levels.node",
    "maintenance": "cli.levels.maintenance",
    "cluster": "cli.levels.cluster",
    "options": "cli.levels.options",
    "cib": "cli.levels.cib",
    "ra": "cli.levels.ra",
    "site": "cli.levels.site",
}
"""Where each level lives; its module has it as `LEVEL`."""

_EVERYWHERE = ("help", "up", "back", "cd", "ls", "quit", "exit", "bye", "end")


class Left(Exception):
    """The user asked to leave the shell."""


def load(name: str) -> Level:
    """Find a level by its name."""
    level = importlib.import_module(LEVELS[name]).LEVEL
    assert isinstance(level, Level)
    return level


class Cursor:
    """A place in the tree of levels."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._path: list[Level] = [load("")]
        self.failed = False

    @property
    def level(self) -> Level:
        """The level the next line is for."""
        return self._path[-1]

    @property
    def prompt(self) -> str:
        """What to show before a line is read."""
        place = self._context.shadow or "live"
        names = "/".join(level.name for level in self._path[1:])
        return f"crm({place}){names}# "

    def run_line(self, line: str) -> bool:
        """Run one line; problems are printed, and the answer is whether all went well."""
        try:
            text = line.strip()
            if not text or text.startswith("#"):
                return True
            self._run(text, split(text))
        except CrmError as problem:
            self._context.terminal.report_error(problem)
            self.failed = True
            return False
        return True

    def run_words(self, words: Sequence[str]) -> bool:
        """Run one command given as the words of a command line."""
        try:
            line, tokens = from_words(words)
            self._run(line, tokens)
        except CrmError as problem:
            self._context.terminal.report_error(problem)
            self.failed = True
            return False
        return True

    def leave_all(self) -> bool:
        """Leave every level, as at the end of input; a pending change is committed."""
        went_well = True
        while len(self._path) > 1:
            went_well &= self._leave()
        return went_well

    # --- one line ---------------------------------------------------------------------------

    def _run(self, line: str, tokens: list[Token]) -> None:
        depth = len(self._path)
        try:
            self._descend(line, tokens, depth)
        except CrmError:
            if len(self._path) > depth:  # a command that is refused leads nowhere
                del self._path[depth:]
                if depth == 1:
                    self._context.close()  # what it had begun to change is dropped
            raise

    def _descend(self, line: str, tokens: list[Token], depth: int) -> None:
        """Follow the words down to a command, and come back up after it."""
        while tokens:
            word = tokens[0].text
            if word.lower() in _EVERYWHERE and self.level.command(word) is None:
                self._run_everywhere(word.lower(), [token.text for token in tokens[1:]])
                if word.lower() == "cd":
                    return  # to go somewhere is to stay there
                break
            entered = self._sublevel(word)
            if entered is None:
                self._run_command(line, tokens)
                break
            self._path.append(entered)
            tokens = tokens[1:]
            if not tokens:
                return  # a level alone: stay in it
        while len(self._path) > depth:
            if not self._leave():
                self.failed = True

    def _run_command(self, line: str, tokens: list[Token]) -> None:
        command = self._find(tokens[0].text)
        words = tuple(token.text for token in tokens[1:])
        _check_count(self.level, command, words)
        start = line[tokens[0].start :]
        command.run(self._context, Call(words, start))
        if command.changes and self._context.waits:
            from cli.levels.waiting import wait_until_idle  # only with -w

            wait_until_idle(self._context)

    def _sublevel(self, word: str) -> Level | None:
        names = self.level.levels
        if word in names:
            return load(word)
        if self.level.command(word) is not None:
            return None
        near = [name for name in names if name.startswith(word.lower())]
        commands = [each.name for each in self.level.commands if each.name.startswith(word.lower())]
        if len(near) == 1 and not commands:
            self._context.terminal.tell(f'"{word}" is accepted as "{near[0]}"')
            return load(near[0])
        return None

    def _find(self, word: str) -> Command:
        level = self.level
        command = level.command(word) or level.command(word.lower())
        if command is not None:
            if word.lower() in command.old_names:
                self._context.terminal.warn(
                    f"This command '{word}' is deprecated, please use '{command.name}'"
                )
            return command
        near = [each for each in level.commands if each.name.startswith(word.lower())]
        if len(near) == 1:
            self._context.terminal.tell(f'"{word}" is accepted as "{near[0].name}"')
            return near[0]
        place = level.name or "crm"
        if near:
            names = ", ".join(each.name for each in near)
            raise CommandFailed("ambiguous-command", f"{place}: '{word}' may be {names}")
        raise CommandFailed(
            "unknown-command",
            f"{place}: there is no command '{word}'",
            f"'{' '.join(['crm', level.name]).strip()} help' lists them",
        )

    def _run_everywhere(self, word: str, arguments: list[str]) -> None:
        if word in ("quit", "exit", "bye"):
            if not self.leave_all():
                self.failed = True
            raise Left
        if word in ("up", "back", "end") or (word == "cd" and arguments == [".."]):
            self._go_up()
        elif word == "cd":
            self._go_to(arguments)
        elif word == "ls":
            names = [*self.level.levels, *(each.name for each in self.level.commands)]
            self._context.terminal.show("  ".join(sorted(names)))
        else:
            self._help(arguments)

    def _go_up(self) -> None:
        if len(self._path) == 1:
            raise CommandFailed("no-level-above", "there is no level above this one", "say: quit")
        if not self._leave():
            self.failed = True

    def _go_to(self, arguments: list[str]) -> None:
        target = self._sublevel(arguments[0]) if len(arguments) == 1 else None
        if target is None:
            raise CommandFailed("unknown-level", f"there is no level '{' '.join(arguments)}' here")
        self._path.append(target)

    def _leave(self) -> bool:
        level = self._path.pop()
        try:
            level.leave(self._context)
        except CrmError as problem:
            self._context.terminal.report_error(problem)
            self._context.close()
            self.failed = True
            return False
        return True

    def _help(self, arguments: list[str]) -> None:
        level = self.level
        wanted = arguments[0] if arguments else ""
        command = level.command(wanted) if wanted else None
        if command is not None:
            text = f"{command.name} {command.usage}".rstrip()
            self._context.terminal.show(f"{text}\n    {command.summary}")
            return
        if wanted in level.levels:
            level = load(wanted)
        elif wanted:
            raise CommandFailed("unknown-topic", f"there is no help on '{wanted}'")
        lines = [level.summary, ""]
        lines += [f"  {name:14} {load(name).summary}" for name in level.levels]
        lines += [
            f"  {f'{each.name} {each.usage}'.rstrip():46} {each.summary}" for each in level.commands
        ]
        self._context.terminal.show("\n".join(lines))


def _check_count(level: Level, command: Command, words: tuple[str, ...]) -> None:
    if len(words) >= command.least and (command.most is None or len(words) <= command.most):
        return
    place = f"{level.name}.{command.name}" if level.name else command.name
    wanted = str(command.least)
    if command.most is None:
        wanted += " or more"
    elif command.most != command.least:
        wanted += f" to {command.most}"
    raise CommandFailed(
        "wrong-arguments",
        f"{place}: expected ({command.usage}), takes {wanted} arguments ({len(words)} given)",
        subject=place,
    )
