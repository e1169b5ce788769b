"""Bugs planted in how the configuration is kept and agreed on; the profile `cib` must find each.

The number beside each is how many seeds may be needed (`./run sim PROFILE=cib PLANTS=all`).
"""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import msgspec

from crm.api.cib import Change, ChangeReply, Outcome
from crm.api.membership import ClusterMessage
from crm.cib import document as documents
from crm.cib import trailer, wire
from crm.cib.copies import Copies, Copy
from crm.cib.disk import NOTHING, Journal, KeepPromise, Persist, Persisted
from crm.cib.localcopy import LocalCopy
from crm.cib.mastery import Mastery
from crm.cib.operations import Rules
from crm.cib.replica import Replica
from crm.cib.store import FILE, Loaded, Store
from crm.cib.warrants import Standing, Warrant, by_hand, pair_of
from crm.model.version import Reign
from crm.plumbing import xml
from crm.plumbing.kernel import Kernel
from crm.plumbing.machine import MessageArrived, Tell
from tests.kit.frail_disk import FrailDisk
from tests.sim import plants
from tests.sim.nodes import Makers
from tests.sim.plants import Planted, wrapped

# --- between the store and the disk -------------------------------------------------------------


class Meddling:
    """A kernel that passes calls on."""

    def __init__(self, disk: FrailDisk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def _is_folder(self, fd: int) -> bool:
        return (self._disk.fstat(fd).st_mode & 0o170000) == 0o040000


class SkipsSync(Meddling):
    """Files are not synced."""

    def fsync(self, fd: int) -> None:
        if self._is_folder(fd):
            self._disk.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        pass


class SkipsFolderSync(Meddling):
    """Names are not synced."""

    def fsync(self, fd: int) -> None:
        if not self._is_folder(fd):
            self._disk.fsync(fd)


class TrustsRetriedSync(Meddling):
    """A sync that failed is tried again, and believed."""

    def fsync(self, fd: int) -> None:
        try:
            self._disk.fsync(fd)
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            self._disk.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd)


def _kernel(kind: type[Meddling]) -> Makers:
    def make(disk: FrailDisk) -> Kernel:
        kernel: Any = kind(disk)  # it passes on what it does not define
        made: Kernel = kernel
        return made

    return {"kernel": make}


# --- the store ----------------------------------------------------------------------------------


class _WithoutDigest(Copies):
    """Any cib.xml that can be parsed is whole."""

    def _whole(self, path: Path, data: bytes) -> Copy:
        found = super()._whole if path.name != FILE else None
        if found is not None:
            return found(path, data)
        root = xml.parse(data, keep_comments=True)
        version = documents.Document(root).version
        said = trailer.read(data)
        return Copy(path, root, trailer.warrant_of(said, version), said.digest if said else "")


class ForgetsDigest(Store):
    """The digest of a file decides nothing."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.copies.__class__ = _WithoutDigest


class LatchesOff(Store):
    """After a full disk, nothing is written any more."""

    _is_off = False

    def write(self, data: bytes, warrant: Warrant, journal: Journal = NOTHING) -> str:
        if self._is_off:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), FILE)
        try:
            return super().write(data, warrant, journal)
        except OSError as problem:
            self._is_off = problem.errno == errno.ENOSPC
            raise


class WritesInPlace(Store):
    """Files are overwritten where they are."""

    def _replace(self, path: Path, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT
        handle = self._kernel.open(path, flags, 0o600)
        try:
            self._kernel.ftruncate(handle, 0)
            self._kernel.write(handle, memoryview(data))
            self._kernel.fsync(handle)
        finally:
            self._kernel.close(handle)


# --- the replica --------------------------------------------------------------------------------


class ObeysAnybody(Planted):
    """A master of an earlier reign is followed as well."""

    def into(self, event: object) -> object | None:
        match event:
            case MessageArrived(_, ClusterMessage(payload=payload, from_node=node)):
                message = wire.PEERS.decode(payload)
                of_his = isinstance(message, wire.Hail | wire.Apply) and message.reign.dc == node
                if of_his and message.reign < self.inner.promised and not self.inner.is_master:
                    self.inner._promise.made = Reign()
        return event


class ForgetsPromise(Planted):
    """Promises are not written down."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, KeepPromise):
            return self._meddle(self.inner.receive(Persisted(effect.ticket, True), now), now)
        return [effect]


class TakesBegunForDone(Planted):
    """A write counts as durable when it has only begun."""

    def out(self, effect: Any, now: float) -> list[Any]:
        if isinstance(effect, Persist):
            done = Persisted(effect.ticket, True)
            return [effect, *self._meddle(self.inner.receive(done, now), now)]
        return [effect]

    def into(self, event: object) -> object | None:
        is_late = isinstance(event, Persisted) and event.ticket % 2 == 0
        return None if is_late else event


class IgnoresBase(Planted):
    """It does not matter which version a change was made for."""

    def into(self, event: object) -> object | None:
        if isinstance(event, MessageArrived) and isinstance(event.message, Change):
            return MessageArrived(event.peer, msgspec.structs.replace(event.message, based_on=None))
        return event


class DeniesWhatItMade(Planted):
    """What was made and could not be written is answered as if it had never been made."""

    def out(self, effect: Any, now: float) -> list[Any]:
        match effect:
            case Tell(
                peer, ChangeReply(outcome=Outcome.UNKNOWN_OUTCOME, findings=findings) as told
            ):
                if any("cannot be written" in finding.message for finding in findings):
                    told = msgspec.structs.replace(told, outcome=Outcome.NOT_DURABLE)
                return [Tell(peer, told)]
        return [effect]


class OwnCopyIsBest(Mastery):
    """A new master never takes over the better copy of a member."""

    def _is_better(self, theirs: Standing) -> bool:
        return False


class LetsOthersPass(Mastery):
    """Changes are made on the document while its copy is being changed."""

    def _may_begin(self, change: Change, now: float) -> bool:
        draft, self._draft = self._draft, None
        may = super()._may_begin(change, now)
        self._draft = draft
        return may


class IgnoresSettled(LocalCopy):
    """Copies of one reign are compared by what they counted."""

    def standing(self) -> Standing:
        found = super().standing()
        return msgspec.structs.replace(found, warrant=_unsettled(found.warrant))

    def is_beaten_by(self, new: documents.Document | None, warrant: Warrant) -> bool:
        return super().is_beaten_by(new, _unsettled(warrant))


class DecidesAtOnce(LocalCopy):
    """A raised admin_epoch decides as soon as it is made."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "warrant" and value.settled[0] > value.decided:
            value = value.deciding(value.settled[0])
        super().__setattr__(name, value)


class EditsOfNoReign(Store):
    """What was changed in a file is of no reign."""

    def load(self, rules: Rules) -> Loaded:
        found = super().load(rules)
        pair = pair_of(found.document.version)
        if found.warrant.settled == pair:
            return found
        return dataclasses.replace(found, warrant=by_hand(found.document.version))


def _unsettled(warrant: Warrant) -> Warrant:
    return Warrant(warrant.decided, warrant.written)


def _keeping(kind: type[LocalCopy]) -> Makers:
    class Keeping(Replica):
        """A replica whose copy is of another kind."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._copy.__class__ = kind

    return {"cib": Keeping}


def _ruled_by(kind: type[Mastery]) -> Makers:
    class Ruled(Replica):
        """A replica whose masteries are of another kind."""

        def _rule(self, number: int, now: float) -> None:
            super()._rule(number, now)
            if self._mastery is not None:
                self._mastery.__class__ = kind

    return {"cib": Ruled}


CIB_PLANTS: dict[str, tuple[Makers, int]] = {
    "skip-fsync": (_kernel(SkipsSync), 20),
    "skip-folder-sync": (_kernel(SkipsFolderSync), 20),
    "trust-retried-fsync": (_kernel(TrustsRetriedSync), 50),
    "forget-digest": ({"store": ForgetsDigest}, 200),
    "latch-off": ({"store": LatchesOff}, 50),
    "write-in-place": ({"store": WritesInPlace}, 20),
    "obey-anybody": (wrapped("cib", ObeysAnybody), 200),
    "forget-promise": (wrapped("cib", ForgetsPromise), 20),
    "ignore-base": (wrapped("cib", IgnoresBase), 10),
    "deny-what-was-made": (wrapped("cib", DeniesWhatItMade), 20),
    "own-copy-is-best": (_ruled_by(OwnCopyIsBest), 60),
    "let-others-pass": (_ruled_by(LetsOthersPass), 60),
    "ignore-settled": (_keeping(IgnoresSettled), 250),
    "decide-at-once": (_keeping(DecidesAtOnce), 200),
    "edits-of-no-reign": ({"store": EditsOfNoReign}, 60),
    "early-answer": (plants.PLANTS["early-answer"], 10),
    "ack-before-persist": (wrapped("cib", TakesBegunForDone), 100),
    "silent-corruption": (plants.PLANTS["silent-corruption"], 50),
}
"""The bugs by name, and within how many seeds they are found."""
