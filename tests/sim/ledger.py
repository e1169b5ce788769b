"""What writers asked of the configuration and were told, and whether that is true: I2 and I3.

The judge is slow and obvious. The configuration is a set of *registers*: each `nvpair` that
writers touch is one, the number `admin_epoch` another. A change sets registers to values that
nobody else ever writes, so what stands in a register says whose change it was. Then:

- answered "ok": the register holds that value, or that of a change answered "ok" with a later
  version, or that of one whose outcome nobody was told;
- refused: its value stands in no register of any copy, ever;
- anything else (no answer, "unknown outcome"), and what was forced without quorum or edited in the
  file of a stopped node: either.

Who raises admin_epoch without asking the others decides: `DECIDES` times as much as a change with
quorum raises it by. The hundreds of a copy's admin_epoch are its *era*; it must hold what was
answered "ok" in its era, and be of no earlier era than anything that was.

Versions of changes answered "ok" are all different (they never fork), later than all that was
answered before the change was asked for (they never go back), and follow the base they named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crm.api.cib import Outcome
from crm.cib.document import Document
from crm.model.version import Version
from tests.sim.engine import Violation

ADMIN_EPOCH = "admin_epoch"
EITHER = (None, Outcome.UNKNOWN_OUTCOME)
"""What was not answered, or answered so, may have been made or not."""

NOWHERE = Version()
DECIDES = 100

Pair = tuple[int, int]


@dataclass
class Entry:
    """One change: what it sets (None = gone), and what its writer was told."""

    number: int
    node: str
    register: str
    value: str | None
    based_on: Version | None
    after: Pair
    outcome: Outcome | None = None
    version: Version = NOWHERE
    is_forced: bool = False

    @property
    def is_acknowledged(self) -> bool:
        """Tell whether it must stay."""
        return self.outcome is Outcome.OK and not self.is_forced

    @property
    def may_stay(self) -> bool:
        """Tell whether it may be there or not."""
        return self.outcome in EITHER or (self.is_forced and self.outcome is Outcome.OK)

    @property
    def is_distinct(self) -> bool:
        """Tell whether only this change writes its value, and always changes something."""
        return self.value is not None and self.register != ADMIN_EPOCH

    def is_in(self, document: Document) -> bool:
        """Tell whether a copy has what this change set."""
        return _read(document, self.register) == self.value

    def __str__(self) -> str:
        told = "nothing" if self.outcome is None else self.outcome.name
        return (
            f"change {self.number} of {self.node} ({self.register}={self.value}),"
            f" told {told} at {self.version}"
        )


class Ledger:
    """All changes of a run."""

    def __init__(self, initial: dict[str, str]) -> None:
        self.entries: list[Entry] = []
        self._initial = initial
        self._latest: Pair = (0, 0)
        self._makers: dict[Pair, Entry] = {}

    @property
    def acknowledged(self) -> int:
        """How many were answered "ok"."""
        return sum(entry.is_acknowledged for entry in self.entries)

    def asked(
        self, node: str, register: str, value: str | None, based_on: Version | None = None
    ) -> Entry:
        """Enter a change that is about to be asked for."""
        number = len(self.entries) + 1
        entry = Entry(number, node, register, value, based_on, self._latest)
        self.entries.append(entry)
        return entry

    def answered(self, entry: Entry, outcome: Outcome, version: Version) -> None:
        """Enter what the writer was told.

        Raises: Violation if that cannot be true.
        """
        entry.outcome, entry.version = outcome, version
        if not entry.is_acknowledged:
            return
        pair = _pair(version)
        if pair < entry.after:
            raise Violation("I3 agreed", f"{entry}, after {entry.after} had been answered")
        base = entry.based_on
        if base is not None and pair != (base.admin_epoch, base.epoch + 1):
            raise Violation("I3 agreed", f"{entry}, which was based on {base}")
        if entry.is_distinct:
            known = self._makers.setdefault(pair, entry)
            if known is not entry:
                raise Violation("I3 agreed", f"one version for {entry} and {known}")
        self._latest = max(self._latest, pair)

    def check_refused(self, node: str, document: Document) -> None:
        """Look for changes that were refused and are there all the same.

        Raises: Violation.
        """
        for entry in self.entries:
            if entry.is_acknowledged or entry.may_stay or not entry.is_distinct:
                continue
            if _read(document, entry.register) == entry.value:
                raise Violation("I2 durable", f"refused, but made on {node}: {entry}")

    def check(self, node: str, document: Document) -> None:
        """Look at a copy of the quorate line that must hold all that was answered.

        Raises: Violation.
        """
        era = _era(document.version)
        self._check_admin_epoch(node, document)
        for register in sorted({entry.register for entry in self.entries} - {ADMIN_EPOCH}):
            about = [entry for entry in self.entries if entry.register == register]
            kept = [entry for entry in about if entry.is_acknowledged]
            last = max(kept, key=lambda entry: _pair(entry.version), default=None)
            allowed = {entry.value for entry in about if entry.may_stay}
            allowed.add(self._initial.get(register) if last is None else last.value)
            if last is None or _era(last.version) < era:
                # The copy that was decided for may lack it, and have what was there before.
                allowed |= {self._initial.get(register), *(entry.value for entry in kept)}
            found = _read(document, register)
            if found not in allowed:
                wanted = last or "nothing was asked"
                text = f"{register} is {found} at {document.version} on {node}: {wanted}"
                raise Violation("I2 durable", text)

    def _check_admin_epoch(self, node: str, document: Document) -> None:
        """No copy is of an earlier era, or less decided in the same, than what was answered."""
        kept = (entry for entry in self.entries if entry.is_acknowledged)
        last = max(kept, key=lambda entry: _pair(entry.version), default=None)
        if last is not None and document.version.admin_epoch < last.version.admin_epoch:
            raise Violation("I2 durable", f"{document.version} on {node}: {last}")

    def report(self, registers: Iterable[str]) -> list[str]:
        """List what was asked of some registers."""
        wanted = set(registers)
        return [str(entry) for entry in self.entries if entry.register in wanted]


def _era(version: Version) -> int:
    return version.admin_epoch // DECIDES


def _pair(version: Version) -> Pair:
    return version.admin_epoch, version.epoch


def _read(document: Document, register: str) -> str | None:
    pair = document.by_id(register)
    return None if pair is None else pair.get("value")
