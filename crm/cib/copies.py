"""One cib.xml as it is found on a disk: whether it is whole, whose it is, and what it is worth.

A file that we wrote says at its end what it is worth and whether it is whole (`trailer`). The
classic `cib.xml.sig` decides about files without that comment. A file without either was put there
by hand and is believed.

Responsible for reading, and for what a file says of itself; not for which of several is used, nor
for writing (`store`).

Source: docs/protocol/cib.md, "On disk"; faults-and-security 40.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from crm.cib import document as documents
from crm.cib import revisions, trailer
from crm.cib.operations import Rules
from crm.cib.warrants import NOT_SAID, Pair, Warrant, pair_of
from crm.model.version import Version
from crm.plumbing import atomicfile, errors, xml
from crm.plumbing.errors import ConfigurationError, Problem
from crm.plumbing.kernel import Kernel
from crm.plumbing.settings import CLUSTER_USER

REVISIONS = "cib.revisions"
MAX_REVISIONS_BYTES = 32 * 1024 * 1024
"""A longer journal than this is not ours; it is set aside, not read."""

MAX_SMALL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Copy:
    """One file that was read: its tree and the warrant it was written on.

    `digest` is what the file says of itself, if that is true. `steps` counts the changes of
    `cib.ahead` that the tree was led on by; then the warrant is that of the last. `is_edited`: we
    wrote it, and somebody has changed it since. `is_damaged`: nobody has, but what it says of
    itself is not what we wrote.
    """

    path: Path
    root: etree._Element
    warrant: Warrant
    digest: str = ""
    steps: int = 0
    is_edited: bool = False
    is_damaged: bool = False

    @property
    def standing(self) -> tuple[Warrant, Pair]:
        """What decides which copy is the newest."""
        return self.warrant, pair_of(documents.Document(self.root).version)


class Copies:
    """The files of one folder, as a reader finds them. `owner` is (uid, gid) of whom they are."""

    def __init__(
        self, directory: Path, owner: tuple[int, int] | None = None, *, kernel: Kernel = os
    ) -> None:
        self._directory = directory
        self._owner = owner
        self._kernel = kernel

    def read(self, name: str, rules: Rules, problems: list[Problem]) -> Copy | None:
        """Read one file; None, and in `problems` what is wrong with it, if it cannot be used."""
        path = self._directory / name
        try:
            data, status = atomicfile.read(path, xml.ORDINARY.total_bytes + 1, kernel=self._kernel)
            self.check_owner(path, status)
            copy = self._whole(path, data)
        except FileNotFoundError:
            return None
        except OSError as problem:
            message = f"{path} cannot be read: {problem.strerror}"
            hint = "correct its owner and mode"
            if problem.errno == errno.ELOOP:
                message = f"{path} cannot be read: it is a symbolic link"
                hint = "put the file itself there"
            problems.append(errors.error("cib-unreadable", name, message, hint))
            return None
        except ConfigurationError as problem:
            found = problem.problems[0] if problem.problems else None
            code, hint = (found.code, found.hint) if found is not None else ("cib-corrupt", "")
            problems.append(errors.error(code, name, f"{path}: {problem}", hint))
            return None
        found_wrong = [p for p in rules.validate(copy.root) if errors.has_errors([p])]
        if found_wrong:
            text = "; ".join(p.message for p in found_wrong[:3])
            message = f"{path} is not a valid configuration: {text}"
            hint = "correct it with an editor and remove cib.xml.sig, or put a good copy there"
            problems.append(errors.error("cib-invalid", name, message, hint))
            return None
        return copy

    def _whole(self, path: Path, data: bytes) -> Copy:
        """Check that a file is complete, and read it.

        Raises: ConfigurationError if it is not.
        """
        root = xml.parse(data, keep_comments=True)
        if root.tag != "cib":
            raise wrong("cib-corrupt", path.name, f"the root element is <{root.tag}>, not <cib>")
        found = trailer.read(data)
        if found is None or not found.digest:
            signature = self._signature(path)
            if signature is not None and signature != trailer.classic_digest(root):
                hint = f"if it was edited on purpose, remove {path.name}.sig and start again"
                raise wrong("cib-digest", path.name, "it does not match its digest", hint)
        return self.judged(path, root, found)

    def judged(self, path: Path, root: etree._Element, found: trailer.Trailer | None) -> Copy:
        """Say what a file is worth that was read, and whether it was edited since we wrote it.

        One that fits the classic digest beside it was not edited: what it says of itself was
        damaged if it does not fit its own.
        """
        version = documents.Document(root).version
        if found is None or found.digest:
            digest = "" if found is None else found.digest
            warrant = self._with_settled(trailer.warrant_of(found, version), version)
            return Copy(path, root, warrant, digest)
        is_unchanged = self._signature(path) == trailer.classic_digest(root)
        warrant = trailer.warrant_of(found, version, is_unchanged=is_unchanged)
        warrant = self._with_settled(warrant, version, is_edited=not is_unchanged)
        return Copy(path, root, warrant, is_edited=not is_unchanged, is_damaged=is_unchanged)

    def _with_settled(
        self, warrant: Warrant, version: Version, *, is_edited: bool = False
    ) -> Warrant:
        """Say how far a copy was settled whose file was written before decision 0028.

        All of it was, but for what was changed in the file alone: that is for the history to
        tell, and by hand it may have been counted on to any number.
        """
        if warrant.settled != NOT_SAID:
            return warrant
        entries, _ = revisions.decode(self.journal_text() or b"")
        told = {pair_of(entry.after): entry for entry in entries}
        settled = pair_of(version)
        if is_edited:
            settled = max((pair for pair in told if pair <= settled), default=(0, 0))
        while (entry := told.get(settled)) is not None and entry.is_offline:
            settled = pair_of(entry.before)
        return Warrant(warrant.decided, warrant.written, settled)

    def _signature(self, path: Path) -> str | None:
        """Read the classic digest beside a file; None if there is none, as if somebody removed it.

        A power cut leaves an empty one, which was not removed: that says of no file that it was
        edited on purpose.
        """
        try:
            text = self.text(path.name + ".sig").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            return ""
        return text.split()[0] if text else ""

    def text(self, name: str) -> str:
        """Read a small file. Raises: OSError, UnicodeDecodeError."""
        data, _ = atomicfile.read(self._directory / name, MAX_SMALL_BYTES, kernel=self._kernel)
        return data.decode("ascii")

    def check_owner(self, path: Path, status: os.stat_result) -> None:
        """Refuse a file that is none of ours. Raises: ConfigurationError."""
        if not stat.S_ISREG(status.st_mode):
            raise wrong("cib-foreign", path.name, "it is not a plain file")
        trusted = {0, os.getuid()} | ({self._owner[0]} if self._owner else set())
        if status.st_uid not in trusted:
            owner = CLUSTER_USER if self._owner else "the user the cib runs as"
            hint = f"look at what it says; if it is right, give it to {owner}"
            message = f"it belongs to user {status.st_uid}"
            raise wrong("cib-owner", path.name, message, hint)

    def journal_text(self) -> bytes | None:
        """Read the file of the history; None if that cannot be read."""
        path = self._directory / REVISIONS
        try:
            data, status = atomicfile.read(path, MAX_REVISIONS_BYTES, kernel=self._kernel)
            self.check_owner(path, status)
        except FileNotFoundError:
            return b""
        except (OSError, ConfigurationError):
            return None
        return data if status.st_size <= MAX_REVISIONS_BYTES else None


def wrong(code: str, subject: str, message: str, hint: str = "") -> ConfigurationError:
    """Say what is wrong with a file, and what to do."""
    return ConfigurationError(message, [errors.error(code, subject, message, hint)])
