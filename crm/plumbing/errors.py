"""The exceptions of the project, and problems as values.

A bug is an assertion or an uncaught exception; bad luck is an event or a result; bad input is a
list of `Problem`; only the misuse of an interface raises one of the classes below.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class CrmError(Exception):
    """Any error this project raises on purpose; a tool prints it and exits non-zero."""


class UsageError(CrmError):
    """A command was called with the wrong words; the caller corrects the call."""


class ConfigurationError(CrmError):
    """A file or an option is wrong; the administrator corrects what the message names.

    `problems` lists every finding, so that one run shows them all.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class LocalProtocolError(CrmError):
    """We broke the rules of a conversation: a bug on this side of the wire."""


class RemoteProtocolError(CrmError):
    """The other side broke the rules; drop what it sent and keep our state."""


class StaleVersion(CrmError):
    """A change was based on a version that is no longer current; read again and repeat."""


class Unreachable(CrmError):
    """Nobody answers; the caller may try again or report that the cluster is down."""


MOST_CHARS = 800
"""How long a text of a problem may be; what is longer loses its middle."""


class Severity(enum.Enum):
    """How much a problem matters: an error refuses the input, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Problem(NamedTuple):
    """One finding about bad input, as data: edges print it, tests compare `code`.

    `code` is kebab-case and stable; `subject` is the id (or `file:line`) it is about; `message`
    is lower case without a full stop and names the offending value; `hint` says what to do.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.severity.value}[{self.code}]: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


def error(code: str, subject: str, message: str, hint: str = "") -> Problem:
    """Make a problem that refuses the input."""
    return Problem(code, Severity.ERROR, _cut(subject), _cut(message), _cut(hint))


def warning(code: str, subject: str, message: str, hint: str = "") -> Problem:
    """Make a problem that is reported while the input is accepted."""
    return Problem(code, Severity.WARNING, _cut(subject), _cut(message), _cut(hint))


def _cut(text: str) -> str:
    """Keep what is read at once: input that is wrong may be very long, and is quoted."""
    if len(text) <= MOST_CHARS:
        return text
    half = MOST_CHARS // 2
    return f"{text[:half]} […] {text[-half:]}"


def has_errors(problems: Iterable[Problem]) -> bool:
    """Tell whether any of the problems refuses the input."""
    return any(problem.severity is Severity.ERROR for problem in problems)
