"""Clients that change the configuration through a node's gate and remember what they were told.

A writer has a few slots, each an option of the cluster. Its writes are numbered; number n goes into
slot n modulo SLOTS and carries a *token* as its reason, so that both the configuration and its
history tell which writes are in it. One writer asks again only when it has an answer.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crm.api import cib as api
from crm.api import gateclient
from crm.plumbing.errors import CrmError, Unreachable

SLOTS = 5
CLIENT = "durability"

ANSWER_LIMIT_S = 60.0
"""An answer that takes longer than this is a finding: every wait of the cib is shorter."""
PAUSE_S = 0.1

_NOT_MADE = frozenset(
    {
        api.Outcome.NOT_READY,
        api.Outcome.NO_QUORUM,
        api.Outcome.CONFLICT,
        api.Outcome.DENIED,
        api.Outcome.INVALID_XML,
        api.Outcome.OLD_DATA,
    }
)
"""Outcomes that say: certainly not made."""

NOTHING_CHANGED = "nothing was changed"
"""Words of a refusal for a full disk: it comes in two kinds, before and after the change."""


class Fate(enum.Enum):
    """What a writer knows of a write."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class Write:
    """One write and its end. `version` is (admin_epoch, epoch); units: `took_s` in seconds."""

    writer: str
    number: int
    fate: Fate
    said: str
    took_s: float
    version: tuple[int, int] = (0, 0)

    @property
    def token(self) -> str:
        """Name the write as the history does."""
        return token_of(self.writer, self.number)

    @property
    def slot(self) -> str:
        """Name the option it wrote."""
        return slot_of(self.writer, self.number)


def token_of(writer: str, number: int) -> str:
    """Name a write."""
    return f"{writer}-{number}"


def slot_of(writer: str, number: int) -> str:
    """Name the option that a write changes."""
    return f"durable-{writer}-{number % SLOTS}"


def options_in(xml: bytes) -> Iterator[tuple[str, int]]:
    """Read slots and the numbers in them out of a configuration."""
    from crm.plumbing import xml as reading

    for pair in reading.parse(xml).iter("nvpair"):
        name = pair.get("name", "")
        if name.startswith("durable-"):
            yield name, int(pair.get("value", ""))


@dataclass
class Logbook:
    """All writes of all writers, in the order of their ends."""

    writes: list[Write] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, write: Write) -> None:
        """Note a write."""
        with self._news:
            self.writes.append(write)
            self._news.notify_all()

    def count(self, fate: Fate) -> int:
        """Count the writes that ended like this."""
        with self._news:
            return sum(write.fate is fate for write in self.writes)

    def await_acknowledged(self, more: int, limit_s: float) -> bool:
        """Wait until so many more writes are acknowledged; tells whether they were in time."""
        wanted = self.count(Fate.ACKNOWLEDGED) + more
        return self.await_that(lambda: self.count(Fate.ACKNOWLEDGED) >= wanted, limit_s)

    def await_said(self, text: str, since: int, limit_s: float) -> bool:
        """Wait until a write after the first `since` ended with words that hold `text`."""
        return self.await_that(
            lambda: any(text in write.said for write in self.writes[since:]), limit_s
        )

    def await_that(self, holds: Callable[[], bool], limit_s: float) -> bool:
        """Wait for what the writes bring about."""
        with self._news:
            return self._news.wait_for(holds, limit_s)


class Writer(threading.Thread):
    """Writes through the gate of the installation at `root` until told to stop."""

    def __init__(self, name: str, root: Path, book: Logbook) -> None:
        super().__init__(name=f"writer-{name}", daemon=True)
        self._writer = name
        self._root = root
        self._book = book
        self._ended = threading.Event()
        self._session: gateclient.Session | None = None

    def stop(self) -> None:
        """Ask for the end; `join` waits for the answer that is still due."""
        self._ended.set()

    def run(self) -> None:
        """Write one number after the other."""
        number = 0
        while not self._ended.is_set():
            session = self._connected()
            if session is None:
                self._ended.wait(PAUSE_S)
                continue
            number += 1
            write = self._write(session, number)
            self._book.enter(write)
            if write.fate is not Fate.ACKNOWLEDGED:
                self._ended.wait(PAUSE_S)
        self._drop()

    def _connected(self) -> gateclient.Session | None:
        if self._session is None:
            try:
                self._session = gateclient.connect(
                    self._root, name=CLIENT, timeout_s=ANSWER_LIMIT_S, patience_s=1
                )
            except CrmError:
                return None  # the node is down: nothing was asked
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _write(self, session: gateclient.Session, number: int) -> Write:
        began = time.monotonic()
        version = (0, 0)
        try:
            reply = session.ask(api.SERVICE, self._change(number))
            assert isinstance(reply, api.ChangeReply), f"a change was answered by {reply}"
            said = f"{reply.outcome.name}: {'; '.join(f.message for f in reply.findings)}"
            fate = Fate.UNKNOWN
            if reply.outcome is api.Outcome.OK:
                fate = Fate.ACKNOWLEDGED
                version = (reply.version.admin_epoch, reply.version.epoch)
            elif reply.outcome in _NOT_MADE or NOTHING_CHANGED in said:
                fate = Fate.REFUSED
        except gateclient.AnswerTimeout as problem:
            fate, said = Fate.OVERDUE, str(problem)
            self._drop()
        except (gateclient.Denied, Unreachable) as problem:
            fate, said = Fate.UNKNOWN, f"{type(problem).__name__}: {problem}"
            self._drop()
        took_s = time.monotonic() - began
        return Write(self._writer, number, fate, said, took_s, version)

    def _change(self, number: int) -> api.Change:
        slot = slot_of(self._writer, number)
        group = f"durable-{self._writer}"
        text = (
            f'<cluster_property_set id="{group}">'
            f'<nvpair id="{slot}" name="{slot}" value="{number}"/></cluster_property_set>'
        )
        step = api.XmlOperation(api.XmlTask.MODIFY, text.encode(), "crm_config", may_create=True)
        origin = api.Origin(CLIENT, reason=token_of(self._writer, number))
        return api.Change(0, (step,), origin)
