"""Words of a line, where each stands, and how to complain about one of them.

Responsible for POSIX shell quoting and for the cursor every statement is parsed with. Not for
what the words mean.

Source: crm-shell, "Lexing".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from crm.plumbing.errors import Problem, UsageError, error

_BARE = re.compile(r"[A-Za-z0-9_.-]+\Z")


class Token(NamedTuple):
    """One word: its text without quotes, and where it begins in the line."""

    text: str
    start: int
    width: int


class StatementError(UsageError):
    """A statement that cannot be understood; `problems` says why and shows where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problems = (problem,)


def split(line: str) -> list[Token]:
    """Cut a line into words, by the quoting rules of a POSIX shell.

    Raises: StatementError if a quote is not closed.
    """
    tokens: list[Token] = []
    position, end = 0, len(line)
    while position < end:
        if line[position].isspace():
            position += 1
            continue
        start = position
        text, position = _word(line, position)
        tokens.append(Token(text, start, position - start))
    return tokens


def _word(line: str, position: int) -> tuple[str, int]:
    parts: list[str] = []
    quote, opened = "", position
    while position < len(line):
        sign = line[position]
        if quote == "'":
            if sign == "'":
                quote = ""
            else:
                parts.append(sign)
        elif sign == "\\" and position + 1 < len(line):
            following = line[position + 1]
            # Inside double quotes a backslash only takes the meaning of these signs away.
            if quote and following not in '"\\':
                parts.append(sign)
            else:
                parts.append(following)
                position += 1
        elif quote == '"':
            if sign == '"':
                quote = ""
            else:
                parts.append(sign)
        elif sign in "'\"":
            quote, opened = sign, position
        elif sign.isspace():
            break
        else:
            parts.append(sign)
        position += 1
    if quote:
        raise StatementError(
            error("open-quote", "", f"the quote {quote} is not closed", _caret(line, opened, 1))
        )
    return "".join(parts), position


def from_words(words: Sequence[str]) -> tuple[str, list[Token]]:
    """Make the line that a list of words (a command line) stands for, and its tokens."""
    line = ""
    tokens: list[Token] = []
    for word in words:
        shown = word if word and not set(word) & set(" \t\n'\"\\") else shlex.quote(word)
        if line:
            line += " "
        tokens.append(Token(word, len(line), len(shown)))
        line += shown
    return line, tokens


def quoted(value: str) -> str:
    """Write a value as the display does: bare if it can be, else in double quotes."""
    if _BARE.match(value):
        return value
    # A backslash is doubled only where it would take the next sign's meaning away.
    careful = re.sub(r'\\(?=["\\]|\Z)', r"\\\\", value)
    return '"' + careful.replace('"', '\\"') + '"'


class Words:
    """A cursor over the words of one statement; `kind` is its keyword, for complaints."""

    def __init__(self, line: str, tokens: Sequence[Token], kind: str) -> None:
        self._line = line
        self._tokens = tokens
        self._at = 0
        self.kind = kind

    @property
    def left(self) -> int:
        """How many words are left."""
        return len(self._tokens) - self._at

    def peek(self, ahead: int = 0) -> str:
        """Look at a coming word ("" after the last) without taking it."""
        position = self._at + ahead
        return self._tokens[position].text if position < len(self._tokens) else ""

    def is_next(self, *keywords: str) -> bool:
        """Tell whether the next word is one of these keywords, in any case."""
        return self.left > 0 and self.peek().lower() in keywords

    def take(self, wanted: str) -> str:
        """Take the next word; complain that `wanted` is missing when there is none."""
        if not self.left:
            self.fail(f"expected {wanted} after '{self.last()}'")
        self._at += 1
        return self._tokens[self._at - 1].text

    def last(self) -> str:
        """Show the word taken last."""
        return self._tokens[self._at - 1].text if self._at else self.kind

    def replace_next(self, parts: Sequence[str]) -> None:
        """Put several words in the place of the next one: `(a` is `(` and `a`."""
        token = self._tokens[self._at]
        pieces: list[Token] = []
        start = token.start
        for part in parts:
            pieces.append(Token(part, start, len(part)))
            start += len(part)
        self._tokens = [*self._tokens[: self._at], *pieces, *self._tokens[self._at + 1 :]]

    def fail(self, message: str, *, back: int = 0) -> NoReturn:
        """Refuse the statement; the caret stands under the next word, or `back` words before.

        Raises: StatementError, always.
        """
        position = max(0, self._at - back)
        if position < len(self._tokens):
            token = self._tokens[position]
            where = _caret(self._line, token.start, token.width)
        else:
            where = _caret(self._line, len(self._line.rstrip()), 1)
        raise StatementError(error("syntax", self.kind, f"in '{self.kind}': {message}", where))


def _caret(line: str, start: int, width: int) -> str:
    return f"{line.rstrip()}\n        {' ' * start}{'^' * max(1, width)}"
