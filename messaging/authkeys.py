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
_AUTH = re.compile(r"a\w*?\s*(\d+)\s*\Z", re.IGNORECASE)
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
    problems: list[Problem] = []
    keys: dict[int, SharedKey] = {}
    signing: int | None = None
    signing_line = 0
    key_before_auth = False
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        where = f"{path}:{number}"
        if content[0] in "aA":
            match = _AUTH.match(content)
            if match is None or int(match[1]) > MAX_KEY_NUMBER:
                problems.append(
                    error(
                        "bad-auth-line",
                        where,
                        f"{where}: the auth line names no key",
                        "expected 'auth N' alone on its line, N from 0 to 15",
                    )
                )
                signing, signing_line = (signing if match is None else int(match[1])), number
                if match is None:
                    leading = re.match(r"a\w*?\s*(\d{1,2})\b", content, re.IGNORECASE)
                    signing = int(leading[1]) if leading else -1
                continue
            signing, signing_line = int(match[1]), number
            key_before_auth = signing in keys
            continue
        key, found = _read_key(content, where)
        problems.extend(found)
        if key is not None:
            keys[key.number] = key
    if signing is None:
        problems.append(
            error(
                "no-auth-line",
                path,
                f"{path}: Missing auth directive in keyfile",
                "begin the file with 'auth N'",
            )
        )
    elif signing not in keys or key_before_auth:
        problems.append(
            error(
                "auth-key-missing",
                f"{path}:{signing_line}",
                f"Auth Key [{signing}] not found in keyfile [{path}]",
                f"write the key on a line of its own below: '{signing} sha1 SECRET'",
            )
        )
    if has_errors(problems) or signing is None:
        return None, problems
    if not keys[signing].secret:
        problems.append(
            warning(
                "crc-key",
                path,
                f"{path}: key {signing} has method crc, which has no secret:"
                " ANYBODY ON THE NETWORK CAN SPEAK FOR THIS CLUSTER",
                f"write '{signing} sha1 SECRET' on every node",
            )
        )
    return KeyFile(signing, tuple(keys[number] for number in sorted(keys))), problems


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
    if not re.match(r"\d{1,3}\Z", number_text, re.ASCII) or int(number_text) > MAX_KEY_NUMBER:
        return None, [
            error(
                "bad-key-line",
                where,
                f"{where}: the line begins with neither 'auth' nor a key number",
                "expected 'N METHOD SECRET', N from 0 to 15",
            )
        ]
    if method not in _METHODS:
        return None, [
            error(
                "unknown-method",
                where,
                f"{where}: unknown method '{method}'",
                "expected crc, md5 or sha1",
            )
        ]
    if method == "crc" and secret:
        return None, [
            error("crc-with-secret", where, f"{where}: method crc takes no secret", "remove it")
        ]
    if method != "crc" and not secret:
        return None, [
            error("no-secret", where, f"{where}: method {method} needs a secret", "add one word")
        ]
    problems: list[Problem] = []
    if len(words) > 3 and not words[3].startswith("#"):
        problems.append(
            warning(
                "words-after-secret",
                where,
                f"{where}: words after the secret are ignored",
                "a secret is one word; a secret with blanks is cut at the first",
            )
        )
    return SharedKey(int(number_text), method, secret.encode()), problems
