"""The cib as a follower: promises, is given a copy, makes a master's changes, acknowledges.

Responsible for what a node does for the master it follows. Not responsible for whom it follows
(`replica`), nor for what the master does (`mastery`), with whom this is one conversation.

Theory of operation
-------------------
- *Hailed* by a master, it makes the promise to his reign durable (if it has promised nothing
  greater), and then presents what its copy is worth. A greater promise is the refusal.
- *Installed* by his snapshot, it applies his changes in sequence, and acknowledges those of the
  configuration once they are durable. A gap or a wrong digest makes it present itself again.

What may be lost: any message. What holds: the copy of an installed node is a state its master's
copy has been in.

Source: docs/protocol/cib.md, "Between nodes".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from crm.cib import operations, patch, wire
from crm.cib.disk import Disk, Mark
from crm.cib.forwarding import Forwarding
from crm.cib.localcopy import LocalCopy
from crm.cib.outbox import Outbox
from crm.cib.promise import Promise
from crm.cib.snapshots import Reading
from crm.model.version import Reign
from crm.plumbing import errors

MAX_EARLY_CHANGES = 1_000
"""So many changes may come while the copy is read that they follow."""


class Following:
    """How far the local copy follows a master's. `master_named` is whom our crmd names, or "".

    `clock` gives the time of day in seconds since 1970.
    """

    def __init__(
        self,
        copy: LocalCopy,
        disk: Disk,
        outbox: Outbox,
        promise: Promise,
        forwarding: Forwarding,
        *,
        clock: Callable[[], float],
        slice_bytes: int,
    ) -> None:
        self.master_named = ""
        self._copy = copy
        self._disk = disk
        self._outbox = outbox
        self._promise = promise
        self._forwarding = forwarding
        self._clock = clock
        self._slice_bytes = slice_bytes
        self._installed: Mark | None = None
        self._masters_life = 0
        self._is_write_older = False
        """Whether what is being written was begun under another life of the master."""
        self._due: Mark | None = None
        self._present_to: tuple[str, Reign] | None = None
        self._reading: Reading | None = None
        self._early_changes: deque[wire.Apply] = deque()
        self._give_to: wire.Give | None = None

    @property
    def reached(self) -> Mark:
        """Where in a master's sequence our copy is; nowhere if it follows none."""
        return self._installed if self._installed is not None else (Reign(), 0)

    @property
    def has_more_to_do(self) -> bool:
        """Tell whether something goes on in the next turn that would be too long in one."""
        return self._reading is not None or self._give_to is not None

    # --- whom it follows ------------------------------------------------------------------------

    def follow(self, node: str, reign: Reign) -> None:
        """Promise a greater reign to its master, who hears of us when that is durable."""
        self._promise.made = reign
        self._stop()
        self._due = None
        self._present_to = (node, reign)
        self._promise.keep()

    def hailed(self, node: str, reign: Reign) -> None:
        """Answer a hail of a reign that is not greater than what was promised."""
        self._present_to = (node, reign)
        if not self._promise.is_kept and not self._promise.is_to_be_tried_again:
            self._promise.keep()  # it was made when our own reign ended, before he hailed us
        self.present()

    def rule_oneself(self) -> None:
        """Follow nobody."""
        self._stop()
        self._present_to = None

    def _stop(self) -> None:
        """Forget how far our copy follows a master's; what is being read of his is not taken."""
        self._installed = None
        self._reading = None

    def present(self) -> None:
        """Answer a hail, once the promise it needs is durable."""
        if self._present_to is None or not self._promise.is_kept:
            return
        node, reign = self._present_to
        self._present_to = None
        self._outbox.to_node(node, wire.Present(reign, self._promise.made, self._copy.standing()))

    def tell_of_broken_promise(self, reason: str, *, is_broken: bool) -> None:
        """Tell the master who waits for our promise why it does not come."""
        if self._present_to is not None:
            node, reign = self._present_to
            self._outbox.to_node(node, wire.Acknowledge(reign, 0, reason, is_broken))

    # --- whole copies ---------------------------------------------------------------------------

    def install(self, node: str, message: wire.Snapshot, now: float) -> None:
        """Begin to read the copy of the master whom we follow."""
        if message.reign == self._promise.made and message.reign.dc == node:
            self._installed = None
            self._reading = Reading(message, self._copy.document)
            self._early_changes.clear()
            self.read_on(now)

    def read_on(self, now: float) -> None:
        """Read a slice of the master's copy, take it over when all is read, and catch up."""
        reading = self._reading
        if reading is None:
            return
        reign, node = reading.snapshot.reign, reading.snapshot.reign.dc
        try:
            if not reading.advance(self._slice_bytes):
                return
        except (errors.RemoteProtocolError, errors.ConfigurationError) as problem:
            self._outbox.error(f"cib_peer_callback: What {node} sent is of no use: {problem}")
            self._reading = None
            return
        self._reading = None
        self._take_over(node, reading, now)
        early, self._early_changes = self._early_changes, deque()
        for message in early:
            if message.sequence > reading.snapshot.sequence and self._installed is not None:
                self.apply(node, message)
        assert self._installed is None or self._installed[0] == reign

    def _take_over(self, node: str, reading: Reading, now: float) -> None:
        before = self._copy.document.version
        snapshot = reading.snapshot
        adopted = self._copy.adopt_reading(reading, node, self._clock())
        self._installed = (snapshot.reign, snapshot.sequence)
        if snapshot.life != self._masters_life:
            self._masters_life = snapshot.life
            self._is_write_older = self._disk.is_writing
        # He may have told us that he is no master when he was not yet, or not any more.
        if node == self.master_named:
            self._forwarding.set_master(node, self._copy.document.version, now)
        if adopted.given_up is not None:
            self._outbox.warn(f"Archived our configuration: {adopted.given_up.reason}")
            self._outbox.add(adopted.given_up)
        if adopted.differs:
            version = self._copy.document.version
            replaced = f"Replaced {before} with {version} from {node}"
            self._outbox.info(f"cib_process_replace: {replaced}")
            self._outbox.replaced(version)
        self._to_acknowledge(changed=adopted.configuration_differs or self._is_write_older)
        self._forwarding.shows(self._installed)

    def asked_to_give(self, message: wire.Give, *, is_master: bool) -> None:
        """Begin to send our copy, which is the better one."""
        self._give_to = message
        self.give(is_master=is_master)

    def give(self, *, is_master: bool) -> None:
        """Send our copy to the master who asked for it, once it is packed."""
        asked = self._give_to
        if asked is None:
            return
        if asked.reign != self._promise.made or is_master:
            self._give_to = None
            return
        pieces = self._copy.packed(self._slice_bytes)
        if pieces is None:
            return
        missed = () if asked.standing is None else self._copy.history_since(asked.standing)
        snapshot = wire.Snapshot(asked.reign, 0, self._copy.warrant, pieces, missed)
        self._outbox.to_node(asked.reign.dc, snapshot)
        self._give_to = None

    # --- changes --------------------------------------------------------------------------------

    def apply(self, node: str, message: wire.Apply) -> None:
        """Make the next changes; what cannot be the next is asked for as a whole copy."""
        if self._reading is not None and message.reign == self._reading.snapshot.reign:
            if len(self._early_changes) < MAX_EARLY_CHANGES:
                self._early_changes.append(message)  # the gap is noticed if these are too many
            return
        if self._installed is None or message.reign != self._installed[0]:
            return  # not installed yet, or of an earlier reign
        expected = self._installed[1] + 1
        if message.sequence < expected:
            return
        if message.sequence > expected or not self._apply_all(node, message):
            self._outbox.warn(f"Asking {node} for its CIB: lost step at {message.sequence}")
            self._installed = None
            self._present_to = (node, message.reign)
            self.present()
            return
        self._installed = (message.reign, message.sequence)
        if message.digest:
            self._copy.warrant = message.warrant
            self._to_acknowledge(changed=True)
        self._forwarding.shows(self._installed)

    def _apply_all(self, node: str, message: wire.Apply) -> bool:
        for change in message.changes:
            try:
                trace = operations.apply_patch(
                    self._copy.document, change.patch, change.before, change.after
                )
            except (errors.StaleVersion, errors.ConfigurationError, patch.PatchDoesNotFit) as why:
                self._outbox.error(f"A change of {node} does not fit: {why}")
                return False
            if trace is not None:
                digest = message.digest or self._copy.document.digest()
                self._copy.note(trace, change, digest, node, message.warrant)
            self._outbox.changed(change, alone=False)
        if message.digest and message.digest != self._copy.document.digest():
            self._outbox.error(f"{node} has another configuration at {self._copy.document.version}")
            return False
        return True

    # --- acknowledging --------------------------------------------------------------------------

    def write_ended(self) -> bool:
        """Note that a write has ended; tells whether what it covers is a place we have reached.

        One that had begun when we followed another life of the master counts places of his.
        """
        was_older, self._is_write_older = self._is_write_older, False
        return not was_older

    def may_be_durable(self, covered: Mark | None) -> None:
        """Acknowledge what a write has covered, and what is due if nothing is to be written."""
        self._acknowledge(covered)
        if self._disk.is_durable:
            self._acknowledge(self._due)  # the write had begun at an earlier mark than is due

    def _to_acknowledge(self, *, changed: bool) -> None:
        if changed:
            self._disk.want()
        self._due = self._installed
        if self._disk.is_durable:
            self._acknowledge(self._due)

    def _acknowledge(self, mark: Mark | None) -> None:
        if mark is None or self._installed is None or mark[0] != self._installed[0]:
            return
        disk = self._disk
        self._outbox.to_node(
            mark[0].dc,
            wire.Acknowledge(
                mark[0], mark[1], disk.problem, disk.is_broken, life=self._masters_life
            ),
        )
        if self._due is not None and self._due <= mark:
            self._due = None
