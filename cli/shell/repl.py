"""Lines from a person or a pipe: prompt, continuation lines, end of input.

Source: crm-shell, section 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.shell.cursor import Cursor, Left

HISTORY = ".config/crm/history"
MAX_HISTORY_LINES = 2000


def run_lines(cursor: Cursor, lines: Iterable[str]) -> bool:
    """Run lines to their end; goes on after an error. Tells whether all went well."""
    with contextlib.suppress(Left):
        for line in join_continued(lines):
            cursor.run_line(line)
        cursor.leave_all()
    return not cursor.failed


def join_continued(lines: Iterable[str]) -> Iterator[str]:
    """Join lines that end in a backslash with the next one."""
    pending = ""
    for line in lines:
        text = line.rstrip("\n")
        if text.endswith("\\") and not text.lstrip().startswith("#"):
            pending += text[:-1] + " "
            continue
        yield pending + text
        pending = ""
    if pending.strip():
        yield pending


def run_interactive(cursor: Cursor) -> bool:
    """Talk with a person at a terminal until they leave."""
    history = _open_history()
    try:
        with contextlib.suppress(Left):
            _ask_and_run(cursor)
            cursor.leave_all()
    finally:
        _save_history(history)
    return not cursor.failed


def _ask_and_run(cursor: Cursor) -> None:
    pending = ""
    while True:
        try:
            line = input("   > " if pending else cursor.prompt)
        except EOFError:
            return
        except KeyboardInterrupt:
            pending = ""
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        cursor.run_line(pending + line)
        pending = ""


def _open_history() -> Path:
    import readline  # only with a terminal

    path = Path.home() / HISTORY
    readline.set_history_length(MAX_HISTORY_LINES)
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    return path


def _save_history(path: Path) -> None:
    import readline

    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        readline.write_history_file(path)
