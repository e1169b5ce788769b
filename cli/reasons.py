"""Why a change is made, when nobody says why: the command line, for the history.

Source: docs/protocol/cib.md, "History".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

HIDDEN = "******"
_PASSWORD = re.compile(r"(passw[^=]*=).*", re.DOTALL)
_PAIR = re.compile(r"<nvpair\b[^>]*\bname=[\"']passw[^>]*>", re.IGNORECASE)
_VALUE = re.compile(r"(\bvalue=)(\"[^\"]*\"|'[^']*')")
_VALUE_OPTIONS = ("-v", "--attr-value", "--update", "--parameter-value")


def command_line(argv: Sequence[str]) -> str:
    """Write the command line of this process as the reason of a change; passwords are left out.

    A tool that was called without words (the shell at a terminal) gives no reason.
    """
    if len(argv) < 2:
        return ""
    words = [Path(argv[0]).name]
    names_password = any(re.match(r"(?:-n|--[a-z-]*name=)?passw", word) for word in argv[1:])
    hides_next = False
    for word in argv[1:]:
        words.append(HIDDEN if hides_next and names_password else _without_secret(word))
        hides_next = word in _VALUE_OPTIONS
    return shlex.join(words)


def _without_secret(word: str) -> str:
    if word.lstrip().startswith("<"):
        return _PAIR.sub(lambda found: _VALUE.sub(rf'\1"{HIDDEN}"', found[0]), word)
    return _PASSWORD.sub(rf"\1{HIDDEN}", word)
