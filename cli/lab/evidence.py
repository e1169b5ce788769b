"""What can be seen of a lab from outside: the client's view and the nodes' logs, as they grow.

The demonstration, the system tests and the benchmarks wait for observations here and measure
gaps with them. Waiting ends with the observation or with `Missing`, which says what was awaited.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cli.lab.plan import CLIENT
from cli.lab.remote import Lab
from crm.plumbing.errors import CrmError

_LOG_POLL_S = 0.05


class Missing(CrmError):
    """An expected observation was not made in time; the lab is as it was at that moment."""


@dataclass
class Gap:
    """A time during which the page did not come, in monotonic seconds."""

    began: float
    ended: float
    before: str
    after: str

    @property
    def ms(self) -> int:
        """How long, in milliseconds."""
        return round((self.ended - self.began) * 1000)


@dataclass
class Sightings:
    """Everything the client saw: pages as (time, node), owners as (time, hardware addresses)."""

    pages: list[tuple[float, str]] = field(default_factory=list)
    owners: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)


class ClientView:
    """An observer on the client host: who answers for the address, seen every few milliseconds."""

    def __init__(self, lab: Lab, url: str, *, interface: str = "eth0", every_ms: int = 50) -> None:
        self._news = threading.Condition()
        self._seen = Sightings()
        self._process = lab.popen(
            CLIENT,
            sys.executable,
            "-m",
            "cli.lab.observer",
            url,
            f"--interface={interface}",
            f"--every-ms={every_ms}",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End the observer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            with self._news:
                if "page" in said:
                    self._seen.pages.append((said["t"], said["page"]))
                elif "owners" in said:
                    self._seen.owners.append((said["t"], tuple(said["owners"])))
                self._news.notify_all()

    def await_page(self, node: str | None, *, since: float, limit_s: float) -> tuple[float, str]:
        """Wait for a page that names `node` (None: any) and came after `since`.

        Raises: Missing if none came within `limit_s` of now.
        """

        def look() -> tuple[float, str] | None:
            for when, who in reversed(self._seen.pages):
                if when <= since:
                    return None
                if node is None or who == node:
                    return when, who
            return None

        return self._await(look, f"a page of {node or 'any node'}", limit_s)

    def await_silence(self, *, quiet_s: float, limit_s: float) -> float:
        """Wait until neither a page nor an ARP answer came for `quiet_s`; returns when it began."""
        deadline = time.monotonic() + limit_s
        while True:
            with self._news:
                last = max(
                    [when for when, _ in self._seen.pages[-1:]]
                    + [when for when, _ in self._seen.owners[-1:]],
                    default=0.0,
                )
                now = time.monotonic()
                if now - last >= quiet_s:
                    return last
                if now > deadline:
                    raise Missing(f"the address still answers after {limit_s:.0f} s")
                self._news.wait(quiet_s - (now - last))

    def first_page_of(self, node: str, since: float) -> float:
        """When the first page of `node` after `since` came."""
        with self._news:
            return next(when for when, who in self._seen.pages if when > since and who == node)

    def gap_after(self, since: float) -> Gap:
        """The longest time without a page that ended after `since`."""
        with self._news:
            pages = list(self._seen.pages)
        longest = Gap(since, since, "", "")
        for (left, before), (right, after) in itertools.pairwise(pages):
            if right > since and right - left > longest.ended - longest.began:
                longest = Gap(left, right, before, after)
        return longest

    def duels(self) -> list[tuple[float, tuple[str, ...]]]:
        """Moments at which more than one hardware address claimed the address."""
        with self._news:
            return [(when, owners) for when, owners in self._seen.owners if len(owners) > 1]

    def _await(
        self, look: Callable[[], tuple[float, str] | None], what: str, limit_s: float
    ) -> tuple[float, str]:
        deadline = time.monotonic() + limit_s
        with self._news:
            while True:
                found = look()
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self._process.poll() is not None:
                    raise Missing(f"the client did not see {what} within {limit_s:.0f} s")
                self._news.wait(left)


class LogView:
    """The ha-log of one node as it grows, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """Remember how long the log is now: later lines are news."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def lines_since(self, mark: int) -> list[str]:
        """The complete lines written after `mark`."""
        try:
            with self._path.open("rb") as log:
                log.seek(mark)
                data = log.read()
        except FileNotFoundError:
            return []
        complete, _, _ = data.rpartition(b"\n")
        return complete.decode(errors="replace").splitlines()

    def await_line(self, *texts: str, since: int = 0, limit_s: float) -> str:
        """Wait for a line after `since` that contains every one of `texts`.

        Raises: Missing if there was none within `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        pause = threading.Event()
        while True:
            for line in self.lines_since(since):
                if all(text in line for text in texts):
                    return line
            if time.monotonic() > deadline:
                raise Missing(f"{self._path}: no line with {' and '.join(map(repr, texts))}")
            pause.wait(_LOG_POLL_S)


def log_of(lab: Lab, node: str) -> LogView:
    """The log of a node, where its ha.cf puts it."""
    return LogView(lab.root(node) / "var/log/ha-log")


def await_answer(
    lab: Lab, node: str, command: list[str], accept: Callable[[str], bool], *, limit_s: float
) -> str:
    """Repeat a command on a node until its output is accepted; returns the output.

    Raises: Missing with the last output if that never happened within `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    pause = threading.Event()
    while True:
        done = lab.run(node, *command)
        if done.returncode == 0 and accept(done.stdout):
            return done.stdout
        if time.monotonic() > deadline:
            said = (done.stdout + done.stderr).strip()
            raise Missing(f"`{' '.join(command)}` on {node} never said what was expected:\n{said}")
        pause.wait(0.1)
