"""The printed timeline of the demonstration: one line an observation, with the time it was made."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path


class Timeline:
    """Prints what happens against a clock that starts with it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._colour = sys.stdout.isatty()

    def __call__(self, text: str, *, since: float | None = None, at: float | None = None) -> None:
        """Print an observation made now (or `at`), with how long after `since` it came."""
        when = time.monotonic() if at is None else at
        after = f"  (+{when - since:.1f} s)" if since is not None else ""
        print(f"{when - self._began:6.1f} s  {text}{after}", flush=True)

    def chapter(self, title: str) -> None:
        """Print what is done next."""
        bold, plain = ("\033[1m", "\033[0m") if self._colour else ("", "")
        print(f"\n{bold}{time.monotonic() - self._began:6.1f} s  -- {title}{plain}", flush=True)

    def quote(self, lines: Iterable[str]) -> None:
        """Print the words of a tool, set off."""
        for line in lines:
            print(f"          | {line}", flush=True)

    def quote_logs(self, logs: Mapping[str, Path]) -> None:
        """Print the end of each node's log, for the one who has to find out what went wrong."""
        for node, path in logs.items():
            print(f"\n--- the last lines of {node}", flush=True)
            if path.is_file():
                self.quote(path.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])

    def failed(self, why: str) -> None:
        """Print what was not as expected."""
        print(f"\n{time.monotonic() - self._began:6.1f} s  FAILED: {why}", flush=True)

    def end(self, passed: bool) -> None:
        """Print the last line."""
        seconds = time.monotonic() - self._began
        print(
            f"\n{'everything expected was seen' if passed else 'not as expected'}, {seconds:.0f} s"
        )
