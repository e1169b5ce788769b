"""One run: writers on every node, one fault after the other, then rest and the judgement.

Each fault waits for what it brings about, not for a time: the next one comes when writes have been
acknowledged again, at a number of them that the seed draws. So it strikes in the middle of writing.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from crm.api import cib as api
from crm.api import gateclient
from tests.durability import faults, verdict
from tests.durability.copies import Copies, differing
from tests.durability.writers import Fate, Logbook, Writer, options_in

NODES = ("node1", "node2", "node3")
SMALL = "node3"
"""The node whose cib has a small disk of its own."""

KILLS = ("two nodes killed", "two nodes without power")

RECOVER_S = 90.0
"""So long after a fault a write must be acknowledged again; generous, machines are shared."""

COMPLAIN_S = 45.0
AGAIN_S = 0.2
REST_S = 120.0


@dataclass
class Report:
    """What a run did and found. Empty `findings` mean that every promise was kept."""

    seed: int
    killed: int = 0
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    fates: dict[str, int] = field(default_factory=dict)
    versions: int = 0
    longest_s: float = 0.0

    def text(self) -> str:
        """Say it in a few lines."""
        counts = {name: self.done.count(name) for name in dict.fromkeys(self.done)}
        lines = [
            "writes: " + ", ".join(f"{count} {fate}" for fate, count in self.fates.items()),
            f"longest wait for an answer: {self.longest_s:.1f} s",
            "faults: " + ", ".join(f"{count} x {name}" for name, count in counts.items()),
            f"processes killed: {self.killed}",
            f"versions seen on disks: {self.versions}, forks and losses: {len(self.findings)}",
            *(f"left out: {text}" for text in self.skipped),
            *(f"FINDING: {text}" for text in self.findings),
        ]
        return "\n".join(lines)


class Wear:
    """A lab that is being worn down."""

    def __init__(self, lab: Lab, seed: int, say: Callable[[str], None]) -> None:
        self.lab = lab
        self.book = Logbook()
        self.report = Report(seed)
        self._rng = random.Random(seed)
        self._say = say
        self._faults: dict[str, Callable[[], None]] = {
            "two nodes killed": self._kill,
            "two nodes without power": self._crash,
            "disk full": self._fill,
            "disk errors": self._fail,
            "disk full, two nodes killed": self._fill_and_kill,
        }

    def run(self, seconds: float) -> None:
        """Do every fault once, then others until the time is over."""
        began = time.monotonic()
        for name in self._sequence(began + seconds):
            more = self._rng.randint(1, 30)
            if not self.book.await_acknowledged(more, RECOVER_S):
                before = self.report.done[-1] if self.report.done else "the start"
                told = self.book.writes[-1].said if self.book.writes else "nothing"
                self._find(
                    f"no {more} writes were acknowledged within {RECOVER_S:.0f} s after {before};"
                    f" the last one was told: {told}"
                )
                return
            try:
                self._faults[name]()
            except faults.CannotInject as problem:
                self.report.skipped.append(f"{name}: {problem}")
                del self._faults[name]
                continue
            self.report.done.append(name)
            self.lab.start()  # a node whose disk is broken leaves, an administrator brings it back
            since_s = time.monotonic() - began
            acknowledged = self.book.count(Fate.ACKNOWLEDGED)
            self._say(f"{since_s:6.1f} s  {name:30} {acknowledged} writes acknowledged so far")

    def _sequence(self, until: float) -> Iterator[str]:
        yield from list(self._faults)
        while time.monotonic() < until and self._faults:
            # Killing is what must be survived most often.
            chosen = self._rng.choice([*KILLS, *KILLS, *KILLS, *self._faults])
            if chosen in self._faults:
                yield chosen

    def _find(self, text: str) -> None:
        self.report.findings.append(text)
        self._say(f"FINDING: {text}")

    # --- faults -------------------------------------------------------------------------------

    def _two(self) -> list[str]:
        return self._rng.sample(NODES, 2)

    def _kill(self) -> None:
        for node in self._two():
            self.report.killed += faults.kill_everything(self.lab, node)

    def _crash(self) -> None:
        nodes = self._two()
        self.report.killed += sum(len(faults.processes(self.lab, node)) for node in nodes)
        self.lab.crash(*nodes)
        self.lab.start(*nodes)

    def _fill(self) -> None:
        self._require_small_disk()
        with faults.full_disk(self.lab, SMALL) as fill:
            self._await_complaint("No space left on device", fill)

    def _fill_and_kill(self) -> None:
        self._require_small_disk()
        with faults.full_disk(self.lab, SMALL) as fill:
            self._kill()
            self._await_complaint("No space left on device", fill)

    def _fail(self) -> None:
        with faults.failing_disk(self.lab, self._rng.choice(NODES)):
            self._await_complaint("Input/output error")

    def _require_small_disk(self) -> None:
        if not faults.state_directory(self.lab, SMALL).is_mount():
            raise faults.CannotInject("mounting a small disk needs root")

    def _await_complaint(self, text: str, again: Callable[[], None] = lambda: None) -> None:
        """Wait until a writer is told what is wrong with a disk: nobody may be told "ok".

        The fault is repeated (`again`) until then.
        """
        since = len(self.book.writes)
        until = time.monotonic() + COMPLAIN_S
        while not self.book.await_said(text, since, AGAIN_S):
            if time.monotonic() > until:
                self._find(f"no writer was told of '{text}' within {COMPLAIN_S:.0f} s")
                return
            again()

    # --- judgement ----------------------------------------------------------------------------

    def judge(self, copies: Copies) -> Report:
        """Compare what was promised with what is there, on every node."""
        report, writes = self.report, self.book.writes
        report.fates = {fate.value: self.book.count(fate) for fate in Fate}
        report.versions = len(copies.seen)
        report.longest_s = max((write.took_s for write in writes), default=0.0)
        report.findings += [f"fork: {text}" for text in copies.forks]
        report.findings += [
            f"{write.token} had no answer for {write.took_s:.0f} s"
            for write in writes
            if write.fate is Fate.OVERDUE
        ]
        described, histories = [], {}
        for node in NODES:
            slots, version, digest = self._configuration_of(node)
            described.append((node, version, digest))
            histories[node] = self._history_of(node)
            report.findings += verdict.lost(writes, slots, node)
            report.findings += verdict.made_although_refused(
                writes, slots, histories[node].values(), node
            )
        report.findings += differing(described)
        report.findings += verdict.forked(writes, histories)
        return report

    def _configuration_of(self, node: str) -> tuple[dict[str, int], str, str]:
        with gateclient.connect(self.lab.root(node), name="judge") as session:
            reply = session.ask(api.SERVICE, api.Query(0, section="configuration"))
            told = session.ask(api.SERVICE, api.DescribeCib(0))
        assert isinstance(reply, api.QueryReply), f"a query was answered by {reply}"
        assert isinstance(told, api.CibDescription), f"a question was answered by {told}"
        version = f"{told.version.admin_epoch}.{told.version.epoch}"
        return dict(options_in(reply.xml)), version, told.digest

    def _history_of(self, node: str) -> dict[tuple[int, int], str]:
        """Ask which write made which version."""
        with gateclient.connect(self.lab.root(node), name="judge") as session:
            told = session.ask(api.SERVICE, api.AskRevisions(0))
        assert isinstance(told, api.Revisions), f"a question was answered by {told}"
        return {
            (entry.after.admin_epoch, entry.after.epoch): entry.reason
            for entry in told.revisions
            if entry.is_known
        }


def await_whole(lab: Lab) -> None:
    """Wait until every node sees all of them online.

    Raises: Missing.
    """
    names = " ".join(NODES)
    for node in NODES:
        await_answer(
            lab,
            node,
            ["crm_mon", "-1"],
            lambda text: f"Online: [ {names} ]" in text,
            limit_s=REST_S,
        )


def _keep_files(lab: Lab, folder: Path) -> None:
    """Copy what the nodes wrote; sockets are no files."""
    for node in NODES:
        for part in ("var/log", "var/lib/heartbeat"):
            shutil.copytree(lab.root(node) / part, folder / node / part)


def wear_down(
    directory: Path,
    *,
    seconds: float,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
    keep: Path | None = None,
) -> Report:
    """Make a lab in `directory`, wear it down for so long, judge it, take it down.

    The nodes' files (logs, copies, histories) go to `keep` before they are removed.

    Raises: CrmError if the lab cannot be made; Missing if it never comes to rest.
    """
    plan = make_plan(len(NODES), keepalive_ms=250, deadtime_ms=2000, with_router=False)
    lab = Lab.up(plan, directory)
    with contextlib.ExitStack() as ending:
        ending.callback(lab.down)
        lab.crash(SMALL)
        with contextlib.suppress(faults.CannotInject):
            ending.enter_context(faults.small_disk(lab, SMALL))
        if keep is not None:
            ending.callback(_keep_files, lab, keep)
        lab.start()
        await_whole(lab)
        folders = {node: faults.state_directory(lab, node) for node in NODES}
        copies = Copies(folders)
        copies.start()
        wear = Wear(lab, seed, say)
        writers = [Writer(node, lab.root(node), wear.book) for node in NODES]
        for writer in writers:
            writer.start()
        try:
            wear.run(seconds)
        finally:
            for writer in writers:
                writer.stop()
            for writer in writers:
                writer.join()
            copies.stop()
        lab.start()
        await_whole(lab)
        copies.look()
        return wear.judge(copies)
