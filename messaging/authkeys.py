"""Reads authkeys: which secret seals our packets, and which are accepted from others.

Responsible for the grammar and the permission rule. What is made of a secret is `auth`'s.
A file is accepted or refused as a whole; secrets never appear in a problem or a repr.

Source: docs/decisions/0010-sealed-packets.md.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field

from crm.plumbing.errors import Problem, error, has_errors, warning

MAX_KEY_NUMBER = 15
NO_NUMBER = -1
_AUTH = re.compile(r"a\w*?\s*(\d+)\s*\Z", re.IGNORECASE)
_AUTH_AND_MORE = re.compile(r"a\w*?\s*(\d{1,2})\b", re.IGNORECASE)
_METHODS = ("crc", "md5", "sha1")


@dataclass(frozen=True)
class SharedKey:
    """One line of authkeys; `secret` is empty for method crc."""

    number: int
    method: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyFile:
    """All keys of a file: each verifies, `signing` seals."""

    signing: int
    keys: tuple[SharedKey, ...]


def check_mode(mode: int, path: str = "/etc/ha.d/authkeys") -> list[Problem]:
    """Refuse a key file that group or others may read."""
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        return [
            error(
                "authkeys-mode",
                path,
                f"Bad permissions on keyfile [{path}], 600 recommended.",
                f"run: chmod 600 {path}",
            )
        ]
    return []


def read(text: str, *, path: str = "/etc/ha.d/authkeys") -> tuple[KeyFile | None, list[Problem]]:
    """Read the text of an authkeys file; None exactly when there is an error."""
    reading = _Reading(path)
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if content[0] in "aA":
            reading.take_auth_line(content, number)
        else:
            reading.take_key_line(content, number)
    return reading.end()


@dataclass
class _Reading:
    """What has been read of a file so far."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    keys: dict[int, SharedKey] = field(default_factory=dict)
    signing: int | None = None
    signing_line: int = 0
    key_before_auth: bool = False

    def take_auth_line(self, content: str, number: int) -> None:
        """Note which key seals; of several lines the last one counts."""
        self.signing_line = number
        match = _AUTH.match(content)
        if match is not None and int(match[1]) <= MAX_KEY_NUMBER:
            self.signing = int(match[1])
            self.key_before_auth = self.signing in self.keys
            return
        where = f"{self.path}:{number}"
        self.problems.append(
            error(
                "bad-auth-line",
                where,
                f"{where}: the auth line names no key",
                "expected 'auth N' alone on its line, N from 0 to 15",
            )
        )
        meant = match or _AUTH_AND_MORE.match(content)
        self.signing = int(meant[1]) if meant else NO_NUMBER

    def take_key_line(self, content: str, number: int) -> None:
        """Note a key; of several with one number the last one counts."""
        key, found = _read_key(content, f"{self.path}:{number}")
        self.problems += found
        if key is not None:
            self.keys[key.number] = key

    def end(self) -> tuple[KeyFile | None, list[Problem]]:
        """Judge the file as a whole."""
        path, signing = self.path, self.signing
        if signing is None:
            text = f"{path}: Missing auth directive in keyfile"
            hint = "begin the file with 'auth N'"
            self.problems.append(error("no-auth-line", path, text, hint))
        elif signing != NO_NUMBER and (signing not in self.keys or self.key_before_auth):
            where = f"{path}:{self.signing_line}"
            text = f"Auth Key [{signing}] not found in keyfile [{path}]"
            hint = f"write the key on a line of its own below: '{signing} sha1 SECRET'"
            self.problems.append(error("auth-key-missing", where, text, hint))
        if has_errors(self.problems) or signing is None:
            return None, self.problems
        if not self.keys[signing].secret:
            text = (
                f"{path}: key {signing} has method crc, which has no secret:"
                " ANYBODY ON THE NETWORK CAN SPEAK FOR THIS CLUSTER"
            )
            hint = f"write '{signing} sha1 SECRET' on every node"
            self.problems.append(warning("crc-key", path, text, hint))
        keys = tuple(self.keys[number] for number in sorted(self.keys))
        return KeyFile(signing, keys), self.problems


def render(keys: KeyFile, before: str = "") -> str:
    """Write keys as a file; the remarks of the file that was there `before` stay, at the top."""
    remarks = [line for line in before.splitlines() if line.strip().startswith("#")]
    lines = [*remarks, f"auth {keys.signing}"]
    for key in keys.keys:
        lines.append(" ".join([str(key.number), key.method, key.secret.decode()]).rstrip())
    return "\n".join(lines) + "\n"


def _read_key(content: str, where: str) -> tuple[SharedKey | None, list[Problem]]:
    """Read one key line."""
    words = content.split()
    number_text, method = words[0], (words[1] if len(words) > 1 else "")
    secret = words[2] if len(words) > 2 else ""
    wrong = _wrong_with_key(number_text, method, secret, where)
    if wrong is not None:
        return None, [wrong]
    problems: list[Problem] = []
    if len(words) > 3 and not words[3].startswith("#"):
        text = f"{where}: words after the secret are ignored"
        hint = "a secret is one word; a secret with blanks is cut at the first"
        problems.append(warning("words-after-secret", where, text, hint))
    return SharedKey(int(number_text), method, secret.encode()), problems


def _wrong_with_key(number_text: str, method: str, secret: str, where: str) -> Problem | None:
    """Say why a key line is refused; None if it is not."""
    if not re.match(r"\d{1,3}\Z", number_text, re.ASCII) or int(number_text) > MAX_KEY_NUMBER:
        text = f"{where}: the line begins with neither 'auth' nor a key number"
        return error("bad-key-line", where, text, "expected 'N METHOD SECRET', N from 0 to 15")
    if method not in _METHODS:
        text = f"{where}: unknown method '{method}'"
        return error("unknown-method", where, text, "expected crc, md5 or sha1")
    if method == "crc" and secret:
        return error("crc-with-secret", where, f"{where}: method crc takes no secret", "remove it")
    if method != "crc" and not secret:
        text = f"{where}: method {method} needs a secret"
        return error("no-secret", where, text, "add one word")
    return None
