"""The processes of one cluster in a lab, one on each host, that obey words on their input.

A word is a line on standard input, its answer a line of JSON on standard output; other lines are
log lines and are passed on. No answer is waited for without a limit: who is late, ends, or says
that it could not do it (`{"problem": ...}`) ends the bench with a sentence that says who and what.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from typing import Any

from cli.lab.remote import Lab
from crm.plumbing.errors import CrmError

Answer = dict[str, Any]  # Any: a JSON object
_END_LIMIT_S = 5.0


class Worker:
    """One process on a host of the lab."""

    def __init__(self, lab: Lab, host: str, *command: str) -> None:
        self.host = host
        self._process = lab.popen(host, *command)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def say(self, words: str) -> None:
        """Ask for something."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{words}\n")
            self._process.stdin.flush()
        except OSError as problem:
            raise CrmError(f"{self.host} has ended before '{words}'") from problem

    def answer(self, limit_s: float) -> Answer:
        """Read what it answers.

        Raises: CrmError when nothing comes in time, when it has ended, or when it has a problem.
        """
        until = time.monotonic() + limit_s
        while True:
            try:
                line = self._lines.get(timeout=max(until - time.monotonic(), 0.001))
            except queue.Empty:
                raise CrmError(f"{self.host} has not answered within {limit_s:.0f} s") from None
            if not line:
                raise CrmError(f"the process on {self.host} has ended")
            if line.startswith("{"):
                answer: Answer = json.loads(line)
                if "problem" in answer:
                    raise CrmError(f"{self.host}: {answer['problem']}")
                return answer
            print(f"    {line}", end="", file=sys.stderr)

    def end(self) -> None:
        """Close its input, so that it ends in order; by force if it does not."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(_END_LIMIT_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


class Team:
    """One worker on each of some hosts."""

    def __init__(self, workers: dict[str, Worker], *, limit_s: float) -> None:
        self.workers = workers
        self._limit_s = limit_s

    def say(self, words: str, *names: str) -> None:
        """Ask something of these, or of all, without waiting for the answers."""
        for name in names or self.workers:
            self.workers[name].say(words)

    def answers(self, *names: str, beyond_s: float = 0.0) -> list[Answer]:
        """Read one answer of each of these, or of all."""
        limit_s = self._limit_s + beyond_s
        return [self.workers[name].answer(limit_s) for name in names or self.workers]

    def ask(self, words: str, *names: str, beyond_s: float = 0.0) -> list[Answer]:
        """Ask something of these, or of all, and read their answers."""
        self.say(words, *names)
        return self.answers(*names, beyond_s=beyond_s)

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers.values():
            worker.end()
