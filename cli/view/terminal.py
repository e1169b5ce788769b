"""Where a tool's words go: results on standard output, problems on standard error.

The only place that knows how a problem looks. Commands hand over values.

Source: house style, section 10; crm-shell, section 1.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from crm.plumbing.errors import CrmError, Problem, Severity


class Terminal:
    """Prints results and problems."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def show(self, text: str) -> None:
        """Print a result; nothing for an empty one."""
        if text:
            print(text, file=self._out)

    def page(self, text: str) -> None:
        """Print a result that may be long: on a terminal that it does not fit, with a pager."""
        rows = shutil.get_terminal_size().lines
        if self._out.isatty() and text.count("\n") + 2 > rows:
            import click  # only where there is something to page

            click.echo_via_pager(text + "\n")
        else:
            self.show(text)

    def show_json(self, value: Any) -> None:  # Any: whatever JSON can say
        """Print a result as JSON."""
        print(json.dumps(value, indent=2, ensure_ascii=False), file=self._out)

    def tell(self, text: str) -> None:
        """Print a remark about what was done."""
        print(f"INFO: {text}", file=self._err)

    def remark(self, text: str) -> None:
        """Print a line beside the result, as it stands."""
        print(text, file=self._err)

    def warn(self, text: str) -> None:
        """Print a remark that should not be missed."""
        print(f"WARNING: {text}", file=self._err)

    def report(self, problems: Iterable[Problem]) -> bool:
        """Print problems; tells whether one of them is an error."""
        failed = False
        for problem in problems:
            print(problem, file=self._err)
            failed |= problem.severity is Severity.ERROR
        return failed

    def report_error(self, problem: CrmError) -> None:
        """Print an error: all its problems, or its message when it has none."""
        problems: tuple[Problem, ...] = getattr(problem, "problems", ())
        self.report(problems)
        if not any(each.severity is Severity.ERROR for each in problems):
            hint: str = getattr(problem, "hint", "")
            code = _code_of(problem)
            text = f"error[{code}]: {problem}" + (f"\n  hint: {hint}" if hint else "")
            print(text, file=self._err)


def _code_of(problem: CrmError) -> str:
    """Make a code of the class's name: `StaleVersion` is `stale-version`."""
    name = type(problem).__name__
    return "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in name).lstrip("-")
