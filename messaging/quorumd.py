"""`quorumd`: the shell of the quorum server, a daemon on a host that is no node of the cluster.

Responsible for its file, the keys and the socket. Decides nothing (`quorumserver`).

Source: docs/protocol/quorumd.md; the name and place are those of Heartbeat's quorum server.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crm.plumbing import clock
from crm.plumbing.daemon import Options, Plan, Shell, parse_options, run
from crm.plumbing.errors import Problem, error, has_errors
from crm.plumbing.settings import Paths
from messaging import authkeys, ballot, quorumserver
from messaging.authkeys import KeyFile
from messaging.cluster_settings import DEFAULT_QUORUM_PORT
from messaging.media.answering import AnsweringSocket

log = logging.getLogger("ha.quorumd")

BATCH = 64
EXIT_NOT_CONFIGURED = 6
MOST_S = 3600.0
_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(s|ms)?\Z", re.ASCII)
_PORT = re.compile(r"\d{1,5}\Z", re.ASCII)
USAGE = """usage: quorumd [-f] [--check] [--root DIR] [--log-level info|debug]
  -f       stay in the foreground (it always does: systemd or a shell starts it)
  --check  read the file and the keys, say what they mean or what is wrong"""


@dataclass(frozen=True)
class ServerSettings:
    """What etc/ha.d/quorumd.conf says."""

    keys: dict[str, KeyFile] = field(repr=False)
    port: int = DEFAULT_QUORUM_PORT
    address: str = "::"
    longest_s: float = quorumserver.LONGEST_S


def read_settings(paths: Paths) -> tuple[ServerSettings | None, list[Problem]]:
    """Read the file and the keys it names; None exactly when there is an error."""
    path = paths.ha_cf.parent / "quorumd.conf"
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as trouble:
        hint = "a line 'cluster NAME KEYFILE' for each cluster; a sample lies in docs/examples"
        return None, [error("no-file", str(path), f"{path}: {trouble.strerror}", hint)]
    reading = _Reading(paths, path)
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            reading.take(number, words)
    return reading.end()


class _Reading:
    """What has been read of quorumd.conf so far."""

    def __init__(self, paths: Paths, path: Path) -> None:
        self._paths = paths
        self._path = path
        self._keys: dict[str, KeyFile] = {}
        self._values: dict[str, Any] = {}  # Any: each of the fields of ServerSettings
        self.problems: list[Problem] = []

    def take(self, number: int, words: list[str]) -> None:
        """Read one line."""
        match words:
            case ["cluster", name, key_file] if name not in self._keys:
                self._take_keys(number, name, key_file)
            case ["cluster", name, _]:
                self._refuse(number, f"cluster '{name}' is listed twice", "remove a line")
            case ["port", word] if _PORT.match(word) and 0 < int(word) < 65536:
                self._values["port"] = int(word)
            case ["bind", address]:
                self._values["address"] = address
            case ["longest", word] if self._span_s(word) > 0:
                self._values["longest_s"] = self._span_s(word)
            case _:
                hint = (
                    "expected 'cluster NAME KEYFILE', 'port NUMBER', 'bind ADDRESS' or"
                    f" 'longest TIME' (up to {MOST_S:g} s)"
                )
                self._refuse(number, f"'{' '.join(words)}' is not understood", hint)

    def end(self) -> tuple[ServerSettings | None, list[Problem]]:
        """What the whole file says."""
        if not self._keys and not self.problems:
            hint = "add 'cluster NAME KEYFILE', NAME being that of ha.cf (default linux-ha)"
            text = f"{self._path}: no cluster is named"
            self.problems.append(error("no-cluster", str(self._path), text, hint))
        if has_errors(self.problems):
            return None, self.problems
        return ServerSettings(self._keys, **self._values), self.problems

    def _take_keys(self, number: int, name: str, key_file: str) -> None:
        path = self._paths.below(key_file)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
            mode = stat.S_IMODE(path.stat().st_mode)
        except (OSError, ValueError) as trouble:  # the latter where no path can be so
            self._refuse(
                number,
                f"{path}: {getattr(trouble, 'strerror', None) or trouble}",
                "copy etc/ha.d/authkeys of a node to that place",
            )
            return
        keys, problems = authkeys.read(text, path=str(path))
        self.problems += authkeys.check_mode(mode, str(path)) + problems
        if keys is not None:
            self._keys[name] = keys

    def _refuse(self, number: int, what: str, hint: str) -> None:
        where = f"{self._path}:{number}"
        self.problems.append(error("bad-line", where, f"{where}: {what}", hint))

    @staticmethod
    def _span_s(word: str) -> float:
        found = _TIME.match(word)
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0
        return seconds if seconds <= MOST_S else 0.0


class _Deeds:
    """The socket, and the signal to read the files again."""

    def __init__(self, settings: ServerSettings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._socket: AnsweringSocket | None = None
        self._shell: Shell | None = None

    def start(self, shell: Shell) -> None:
        """Open the socket."""
        self._shell = shell
        self._socket = AnsweringSocket(self._settings.address, self._settings.port)
        shell.loop.add_reader(self._socket, self._read)
        shell.loop.add_signal_handler(signal.SIGHUP, self._reread)
        names = " ".join(sorted(self._settings.keys))
        wait = f"gives nothing for {self._settings.longest_s:g} s"
        log.info("port %s, clusters %s; %s", self._settings.port, names, wait)

    def carry_out(self, effect: object) -> None:
        """Send an answer."""
        assert isinstance(effect, quorumserver.SendAnswer), "the only effect of its own"
        if self._socket is not None:
            self._socket.send(effect.data, effect.way)

    def _read(self) -> None:
        assert self._shell is not None
        assert self._socket is not None
        for _ in range(BATCH):
            heard = self._socket.receive(ballot.MAX_DATAGRAM_BYTES)
            if heard is None:
                return
            self._shell.receive(quorumserver.QuestionArrived(*heard))

    def _reread(self) -> None:
        assert self._shell is not None
        settings, problems = read_settings(self._options.paths)
        report(problems)
        if settings is None:
            log.error("the changed files are refused; the clusters and keys in use stay")
            return
        if replace(settings, keys=self._settings.keys) != self._settings:
            text = "a changed port, bind address or longest time takes effect at the next start"
            log.warning(text)
        self._shell.receive(quorumserver.KeysRead(settings.keys))


def report(problems: list[Problem]) -> None:
    """Say what is wrong, in the log and to who started this."""
    for problem in problems:
        text = problem.message + (f" ({problem.hint})" if problem.hint else "")
        print(f"quorumd: {text}", file=sys.stderr)  # noqa: T201


def main(argv: list[str] | None = None) -> int:
    """Run the quorum server."""
    options = parse_options("quorumd", argv)
    unknown = [word for word in options.extra if word not in ("-f", "--check")]
    if unknown:
        print(f"quorumd: unknown option '{unknown[0]}'\n{USAGE}", file=sys.stderr)  # noqa: T201
        return 1
    settings, problems = read_settings(options.paths)
    report(problems)
    if settings is None:
        return EXIT_NOT_CONFIGURED
    if "--check" in options.extra:
        print("\n".join(_meaning(settings)))  # noqa: T201
        return 0
    machine = quorumserver.QuorumServer(
        settings.keys,
        now=clock.monotonic_s(),
        random_bytes=os.urandom,
        longest_s=settings.longest_s,
    )
    deeds = _Deeds(settings, options)
    plan = Plan("quorumd", machine, carry_out=deeds.carry_out, started=deeds.start)
    return run(plan, options)


def _meaning(settings: ServerSettings) -> Iterator[str]:
    where = "every address" if settings.address == "::" else settings.address
    yield f"listens on   {where}, port {settings.port}"
    for name in sorted(settings.keys):
        yield f"cluster      {name}"
    yield f"longest      {settings.longest_s:g} s: no deadtime may be longer; a start waits so long"


if __name__ == "__main__":
    sys.exit(main())
