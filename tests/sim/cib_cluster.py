"""A run of the profile `cib`: writers on every node, and disks that forget, fail and lie.

The cluster is the usual one without resources. In the end every node must take a write again,
and in half of the runs the power fails everywhere once more before the last look.
"""

from __future__ import annotations

import errno
import random
from typing import Any

from crm.api.cib import Change, ChangeReply, Origin, Outcome
from crm.cib import store as stores
from crm.cib.copies import REVISIONS
from crm.cib.document import Document
from crm.cib.slices import SLICE_BYTES
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from crm.plumbing.kernel import Kernel
from crm.plumbing.machine import Tell
from tests.kit.frail_disk import FOLDER, FrailDisk
from tests.sim import cib_faults, cib_offline, cib_writers
from tests.sim.cluster import Cluster
from tests.sim.engine import Violation
from tests.sim.faults import Script
from tests.sim.ledger import Entry, Ledger
from tests.sim.nodes import Makers, Node
from tests.sim.processes import Process

SIZES = ((2, 3, 4, 5), (2, 10, 2, 2))
LENGTH_S = 60.0
SLICES = (400, SLICE_BYTES)
"""So much is done in one turn: that the whole document takes many turns, or one."""

BEHIND_S = 0.02
"""While a replacement of the whole document is under way, others write."""

LAST_WRITE_BOUND_S = 10.0
LEAVING_BOUND_S = 40.0
FOREIGN_NODES = {"m1": "6e9d25a5-aaaa-4b6c-9d10-6d1f1a2a3b01"}


class CibCluster(Cluster):
    """A cluster whose only work is its configuration."""

    def __init__(
        self, seed: int, *, makers: Makers | None = None, length_s: float = LENGTH_S
    ) -> None:
        self.ledger = Ledger(dict.fromkeys(cib_writers.REGISTERS, "first"))
        self._open: dict[tuple[str, int, int], Entry] = {}
        super().__init__(seed, makers=makers, length_s=length_s)
        self._writers = cib_writers.Writers(self.engine.random, self.ledger)
        slice_bytes = self.engine.random.choice(SLICES)
        for node in self.nodes.values():
            node.slice_bytes = slice_bytes
            node.watchers.append(self._watch_answers)
        for write in cib_faults.writes(self.engine.random, list(self.nodes), length_s):
            self.engine.at(write.when, self.befall, write)

    # --- what is different from the usual run ---------------------------------------------------

    def _size(self, chance: random.Random) -> int:
        return chance.choices(*SIZES)[0]

    def _resources(self) -> list[str]:
        return []

    def _configuration(self, chance: random.Random, uuids: dict[str, str]) -> bytes:
        return cib_writers.text(uuids)

    def _script(self, chance: random.Random, names: list[str], length_s: float) -> Script:
        return cib_faults.write(chance, names, length_s)

    @property
    def acknowledged(self) -> int:
        """How many changes of the configuration were answered "ok"."""
        return self.ledger.acknowledged

    def run(self) -> float:
        """Live through the script, come to rest, write everywhere, and perhaps do without power.

        Raises: Violation when an invariant does not hold.
        """
        rested_s = super().run()
        self._judge()
        self._write_everywhere()
        if self.engine.random.random() < 0.3:
            self._edit_while_all_is_down()
        if self.engine.random.random() < 0.5:
            for node in self.nodes.values():
                node.crash()
            self.engine.run_until(self.engine.now + 0.5)
            self._come_to_rest()
            self._judge()
        return rested_s

    def _write_everywhere(self) -> None:
        """I7: nothing keeps a node from taking a write once all is well again.

        A disk that was bad a moment ago may refuse until the next try of its node.
        """
        for node in self.nodes.values():
            end = self.engine.now + LAST_WRITE_BOUND_S
            entry = None
            while self.engine.now < end and (entry is None or entry.outcome is not Outcome.OK):
                if entry is None or entry.outcome is Outcome.NOT_DURABLE:
                    entry = self._write(node, "modify")
                self.engine.run_until(self.engine.now + 1.0)
                self._collect_answers()
            if entry is None or entry.outcome is not Outcome.OK:
                raise Violation("I7 live", f"all is well on {node.name}, but {entry}")
        self._judge()

    def _edit_while_all_is_down(self) -> None:
        """What is changed in one node's file stays if nobody has changed anything since.

        Raises: Violation.
        """
        for node in self.nodes.values():
            node.leave()
        end = self.engine.now + LEAVING_BOUND_S
        while any(node.is_up for node in self.nodes.values()) and self.engine.now < end:
            self.engine.run_until(self.engine.now + 0.5)
        if any(node.is_up for node in self.nodes.values()):
            raise Violation("I7 live", "a node does not leave")
        worth = {name: cib_offline.worth_of(node.disk.folder) for name, node in self.nodes.items()}
        best = [name for name in worth if worth[name] == max(worth.values())]
        node = self.nodes[self.engine.random.choice(best)]
        entry = self._writers.edit(node.name, node.disk.folder)
        self.engine.remember(node.name, "?", f"edited, all are down: {entry}")
        for each in self.nodes.values():
            self.engine.after(self.engine.random.choice((0.0, 20.0)), each.boot)
        self.engine.run_until(self.engine.now + 25.0)
        self._come_to_rest()
        for each in self.nodes.values():
            document = self._document(each)
            if entry is None or document is None:
                raise Violation("I7 live", f"no edit on {node.name}, or no copy on {each.name}")
            if not entry.is_in(document):
                raise Violation("edits stay", f"{document.version} on {each.name}: {entry}")
        self._judge()

    def _judge(self) -> None:
        """I2: every copy holds what was answered.

        Two nodes are not judged: each may rule alone while the other is down, and when they take
        turns neither has seen what the other acknowledged.
        """
        for node in self.nodes.values():
            document = self._document(node)
            if document is not None and len(self.nodes) > 2:
                self.ledger.check(node.name, document)

    def _look(self) -> None:
        super()._look()
        self.look_for_refused()
        if self.checks.stable_for() > cib_faults.CALM_S - 2 and not self.checks.why_not_at_rest():
            self._judge()

    def look_for_refused(self) -> None:
        """I2: no copy holds what was refused.

        Raises: Violation.
        """
        for node in self.nodes.values():
            document = self._document(node)
            if document is not None:
                self.ledger.check_refused(node.name, document)

    @staticmethod
    def _document(node: Node) -> Document | None:
        process = node.process("cib")
        document: Document | None = getattr(process and process.machine, "document", None)
        return document

    def _watch_answers(self, process: Process, effect: object) -> None:
        """I3: who was told "ok" and reads at the same node right after sees what was changed.

        A node whose disk takes no promise cannot follow, and waits for nothing.

        Raises: Violation.
        """
        match effect:
            case Tell("mgmtd", ChangeReply(outcome=Outcome.OK, version=version)):
                machine: Any = process.machine  # it is the cib's, or a plant around it
                found = machine.document.version
                if found < version and not machine._promise.problem:
                    raise Violation("I3 agreed", f"{process.label} is at {found}, told {version}")

    # --- writers ----------------------------------------------------------------------------------

    def _write(self, node: Node, kind: str = "") -> Entry | None:
        """Somebody changes the configuration at a node; the answer is looked at later."""
        process = node.process("mgmtd")
        document = self._document(node)
        if process is None or document is None:
            return None
        wish = self._writers.wish(node.name, document, kind, alone=not _has_quorum(node))
        request, question = process.machine.ask(
            "cib",
            lambda number: Change(
                number,
                wish.operations,
                Origin("cibadmin", node.name),
                wish.based_on,
                force=wish.force,
            ),
        )
        if wish.entry is not None:
            self._open[node.name, id(process), request] = wish.entry
        process.receive(question)
        for _ in range(wish.behind):
            who = self.engine.random.choice(list(self.nodes.values()))
            self.engine.after(self.engine.random.uniform(0, BEHIND_S), self._write_if_up, who)
        return wish.entry

    def _write_if_up(self, node: Node) -> None:
        if node.is_up:
            self._write(node)

    def _collect_answers(self) -> None:
        for node in self.up():
            process = node.process("mgmtd")
            if process is None:
                continue
            answers = process.machine.answers
            for request, answer in answers.items():
                entry = self._open.pop((node.name, id(process), request), None)
                if entry is not None and isinstance(answer, ChangeReply):
                    self.engine.remember(node.name, "?", f"{answer.outcome.name}: {entry}")
                    if len(self.nodes) > 2:
                        self.ledger.answered(entry, answer.outcome, answer.version)
                    else:
                        entry.outcome = answer.outcome
            answers.clear()

    # --- misfortune -------------------------------------------------------------------------------

    def _befall_node(self, node: Node, kind: str, detail: str, number: float) -> None:
        disk = node.disk
        match kind:
            case "power-at-call" | "kill-at-call":
                disk.folder.interrupt_after = int(number)
                disk.cuts_power = kind == "power-at-call"
            case "full":
                disk.folder.fail(detail, errno.ENOSPC, times=int(number))
            case "sync-error":
                disk.folder.fail(detail, errno.EIO, times=int(number))
            case "broken":
                disk.folder.broken = True
            case "read-only":
                disk.folder.read_only = True
            case "good-disk":
                disk.folder.repair()
                super()._befall_node(node, kind, detail, number)
            case "halt":
                node.halt()
            case "damage":
                self.testimony.forget(node.name)
                _damage(disk.folder, detail, self.engine.random)
            case "edit" if not node.is_up:
                entry = self._writers.edit(node.name, disk.folder, decides=detail == "decide")
                self.engine.remember(node.name, "?", f"edited: {entry}")
            case "write":
                self._write(node, detail)
            case _:
                super()._befall_node(node, kind, detail, number)


def _has_quorum(node: Node) -> bool:
    """Tell whether a node's cib believes that it has quorum."""
    process = node.process("cib")
    view = getattr(process and process.machine, "_view", None)
    return view is not None and bool(view.quorate)


def _damage(disk: FrailDisk, kind: str, chance: random.Random) -> None:
    """Spoil what was durable on the disk of a node that is down."""
    files = disk.files()
    data = files.get(stores.FILE, b"")
    match kind:
        case "empty":
            disk.put(stores.FILE, b"")
        case "torn":
            disk.put(stores.FILE, data[: chance.randrange(len(data) + 1)])
        case "flipped":
            _flip(disk, stores.FILE, chance)
        case "zeroed":
            disk.put(stores.FILE, bytes(len(data)))
        case "older":
            backups = [name for name in files if name.endswith(".raw")]
            if backups:
                disk.put(stores.FILE, files[chance.choice(backups)])
        case "foreign":
            disk.put(stores.FILE, _foreign())
        case "removed":
            disk.remove(stores.FILE)
        case "new-disk":
            for name in files:
                disk.remove(name)
        case "journal":
            _flip(disk, REVISIONS, chance)
        case "journal-removed":
            disk.remove(REVISIONS)
        case "promise":
            disk.put(stores.PROMISE, chance.choice((b"", b"\xff\xfe", b"7", b"-1 n1")))
        case "signature":
            disk.put(stores.SIGNATURE, b"0" * 32 + b"\n")


def _flip(disk: FrailDisk, name: str, chance: random.Random) -> None:
    data = bytearray(disk.files().get(name, b""))
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(7)
        disk.put(name, bytes(data))


def _foreign() -> bytes:
    """A whole cib.xml as another cluster with a long past has it."""
    other = FrailDisk()
    kernel: Kernel = other
    document = Document.parse(
        cib_writers.text(FOREIGN_NODES).replace(b'epoch="1"', b'epoch="4711"', 1)
    )
    worth = Warrant(0, Reign(900, "m1"), (0, 4711))
    stores.Store(FOLDER, kernel=kernel).write(document.configuration_text(), worth)
    return other.files()[stores.FILE]
