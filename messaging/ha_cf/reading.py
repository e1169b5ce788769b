"""Reads ha.cf: text in, settings and problems out; accepted or refused as a whole.

Responsible for lines: a remark begins with `#` anywhere, a directive ends at the first blank, and
what follows is one value or, word by word, several. What the values mean together is for
`building`.

Source: Heartbeat's ha.cf as published; the reading rules are told in docs/protocol/links.md.
"""

from __future__ import annotations

import difflib
import re

from crm.plumbing.errors import Problem, error, has_errors, warning
from messaging.cluster_settings import DEFAULT_PORT, ClusterSettings
from messaging.ha_cf import building
from messaging.ha_cf.building import Statement
from messaging.ha_cf.directives import DIRECTIVES, Directive, Reading, Stance
from messaging.ha_cf.values import BadValueError

MAX_TEXT = 1024 * 1024
DEFAULT_PATH = "/etc/ha.d/ha.cf"
_NO_REMARK = "'//' and '/.../' are not remarks here, a remark begins with '#'"


def read(
    text: str,
    *,
    node: str,
    path: str = DEFAULT_PATH,
    has_haresources: bool = False,
    default_port: int = DEFAULT_PORT,
) -> tuple[ClusterSettings | None, list[Problem]]:
    """Read the text of an ha.cf for the node called `node`.

    `default_port` is the port of media that stand below no `udpport` line.
    Settings are None exactly when a problem of severity ERROR is among the problems.
    """
    statements, problems = read_statements(text, path=path)
    if len(text) > MAX_TEXT:
        return None, problems
    settings, found = building.build(
        statements,
        path=path,
        node=node.lower(),
        has_haresources=has_haresources,
        default_port=default_port,
    )
    problems = [*problems, *found]
    return (None if has_errors(problems) else settings), problems


def read_statements(
    text: str, *, path: str = DEFAULT_PATH
) -> tuple[list[Statement], list[Problem]]:
    """Read line by line; a line with a problem states nothing."""
    if len(text) > MAX_TEXT:
        return [], [error("too-large", path, f"the file has {len(text)} characters")]
    reader = _Reader(path)
    for number, line in enumerate(text.splitlines(), start=1):
        reader.take_line(number, line)
    return reader.statements, reader.problems


class _Reader:
    """Collects what the lines state, and what is wrong with them."""

    def __init__(self, path: str) -> None:
        self.statements: list[Statement] = []
        self.problems: list[Problem] = []
        self._path = path
        self._where = path
        self._first_lines: dict[str, int] = {}

    def take_line(self, number: int, line: str) -> None:
        """Take one line of the file."""
        self._where = f"{self._path}:{number}"
        if "\0" in line:
            self._fail("bad-character", "the line holds a zero byte", "write the line again")
            return
        name, *rest = line.split("#", 1)[0].strip().split(None, 1)[:2] or [""]
        if not name:
            return
        directive = DIRECTIVES.get(name)
        if directive is None:
            self._refuse_unknown(name)
        elif directive.stance is Stance.REFUSED:
            self._fail("unsupported-directive", f"directive '{name}'", directive.effect)
        elif not rest:
            self._fail("missing-value", f"directive '{name}' has no value", _form(directive))
        elif self._may_stand_here(number, directive):
            self._take_values(number, directive, rest[0])

    def _may_stand_here(self, number: int, directive: Directive) -> bool:
        """Refuse what may stand once only, and note what stands below what it is for."""
        self._first_lines.setdefault(directive.name, number)
        first = self._first_lines.setdefault(directive.kept_as, number)
        if directive.may_stand_once and first != number:
            self._fail(
                "bad-value",
                f"{directive.kept_as} is stated a second time, first in line {first}",
                "remove one of the lines",
            )
            return False
        if directive.must_precede in self._first_lines:
            self._warn(
                "too-low",
                f"directive '{directive.name}' stands below '{directive.must_precede}'",
                f"move it above line {self._first_lines[directive.must_precede]}",
            )
        return True

    def _take_values(self, number: int, directive: Directive, rest: str) -> None:
        if directive.old_name_of:
            what = f"directive '{directive.name}' is an old name"
            self._warn("old-name", what, f"write '{directive.old_name_of}'")
        is_line = directive.reading is Reading.LINE
        words = [rest] if is_line else [word for word in re.split(r"[\s,]+", rest) if word]
        for word in words:
            try:
                value = directive.parse(word)
            except BadValueError as problem:
                what = f"directive '{directive.name}', value '{word}'"
                self._fail("bad-value", what, str(problem))
            else:
                self.statements.append(Statement(number, directive, word, value))
        if len(words) > 1 and not directive.is_list:
            what = f"directive '{directive.name}' has {len(words)} values"
            self._warn("stated-again", what, f"the last one, '{words[-1]}', is taken")

    def _fail(self, code: str, what: str, hint: str) -> None:
        if "//" in what or re.search(r"'/.*[^\x00-\x7f]", what):
            hint = f"{hint}; {_NO_REMARK}"
        self.problems.append(error(code, self._where, f"{self._where}: {what}", hint))

    def _warn(self, code: str, what: str, hint: str) -> None:
        self.problems.append(warning(code, self._where, f"{self._where}: {what}", hint))

    def _refuse_unknown(self, name: str) -> None:
        near = difflib.get_close_matches(name, DIRECTIVES, n=1)
        if name.startswith("/"):
            hint = _NO_REMARK
        elif near:
            hint = f"did you mean '{near[0]}'?"
        else:
            hint = "remove the line, or put '#' in front of it"
        message = f"{self._where}: Illegal directive [{name}] in {self._path}"
        self.problems.append(error("unknown-directive", self._where, message, hint))


def _form(directive: Directive) -> str:
    return f"expected '{directive.name} {directive.form}'"
