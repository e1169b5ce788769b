"""How the members follow the master: numbered changes, and snapshots for who lacks some.

Responsible for the sequence of one reign, for what each member has shown and acknowledged, and for
what it is sent. Not responsible for whose copy is the better one, nor for making changes and
answering them (`mastery`).

Theory of operation. Every member that has presented itself gets a snapshot, and from then on each
change. Changes of the status are collected for some milliseconds, one of the configuration goes at
once. What is too much to be repeated in one turn of a member's loop is not sent: all members get
a snapshot; what follows has to wait until these are on their way, or it would be a gap.

Source: docs/protocol/cib.md, "Between nodes"; decisions 0027, 0029.
"""

from __future__ import annotations

from collections.abc import Iterable

from crm.cib import wire
from crm.cib.localcopy import LocalCopy
from crm.cib.outbox import Outbox
from crm.cib.warrants import Standing
from crm.model.version import Reign

BATCH_S = 0.005

PATCH_TO_READING = 5
"""Repeating a patch costs so much more than reading a copy of so many bytes."""

LEAST_LARGE_BYTES = 1_000
"""A patch that is shorter is never too large to be repeated in one turn."""


class Replication:
    """What the members of one reign have, and what is on its way to them.

    `members` are those of the present view without us, `presented` is what each has shown.
    `sequence` is the place of the last message, `configuration_sequence` that of the last one that
    members acknowledge.
    """

    def __init__(
        self,
        reign: Reign,
        copy: LocalCopy,
        outbox: Outbox,
        *,
        life: int,
        slice_bytes: int,
        now: float,
    ) -> None:
        self.members: tuple[str, ...] = ()
        self.sequence = 0
        self.configuration_sequence = 0
        self.presented: dict[str, Standing] = {}
        self._reign = reign
        self._copy = copy
        self._outbox = outbox
        self._life = life
        self._slice_bytes = slice_bytes
        self._installed: dict[str, int] = {}
        self._to_install: dict[str, None] = {}
        self._batch: list[wire.Replicated] = []
        self._batch_at: float | None = None
        self._last_batch = now - BATCH_S
        self.is_spreading = False
        """Whether the members are being sent what came of a large change."""

    # --- who has what -------------------------------------------------------------------------

    @property
    def are_all_presented(self) -> bool:
        """Tell whether every member has shown what it has."""
        return all(member in self.presented for member in self.members)

    @property
    def known(self) -> tuple[str, ...]:
        """Everybody something is known of."""
        return (*self.presented, *self._installed)

    def forget(self, node: str) -> None:
        """Forget the life of a cib that has ended."""
        self.presented.pop(node, None)
        self._installed.pop(node, None)
        self._to_install.pop(node, None)

    def has_presented(self, node: str, standing: Standing) -> None:
        """Note what a member has; it follows when it has been given a snapshot."""
        self.presented[node] = standing
        self._installed.pop(node, None)

    def acknowledged(self, message: wire.Acknowledge, node: str) -> bool:
        """Note how far a member has come; False if it says that to another life of ours."""
        if node not in self.presented or message.life != self._life:
            return False
        self._installed[node] = max(message.sequence, self._installed.get(node, 0))
        return True

    def behind(self, nodes: Iterable[str], sequence: int) -> tuple[str, ...]:
        """Name those of these nodes that have not acknowledged all up to `sequence`."""
        return tuple(node for node in nodes if self._installed.get(node, -1) < sequence)

    # --- changes ------------------------------------------------------------------------------

    def is_too_much(self, change: wire.Replicated) -> bool:
        """Tell whether a change is more than a member can repeat in one turn."""
        most_bytes = max(self._slice_bytes // PATCH_TO_READING, LEAST_LARGE_BYTES)
        return change.replaced or len(change.patch) > most_bytes

    def pass_on(self, change: wire.Replicated, digest: str, now: float) -> None:
        """Have the members make a change: at once if it is one of the configuration (`digest`)."""
        self._batch.append(change)
        if digest or now >= self._last_batch + BATCH_S:
            self.flush(now, digest=digest)
        elif self._batch_at is None:
            self._batch_at = self._last_batch + BATCH_S

    def flush(self, now: float, digest: str = "") -> None:
        """Send the changes collected so far as one message; with `digest`, the warrant too."""
        if not self._batch and not digest:
            return
        self.sequence += 1
        if digest:
            self.configuration_sequence = self.sequence
        if self.members:
            self._outbox.to_node(
                "",
                wire.Apply(
                    self._reign, self.sequence, self._copy.warrant, tuple(self._batch), digest
                ),
            )
        self._batch.clear()
        self._batch_at = None
        self._last_batch = now

    # --- snapshots ----------------------------------------------------------------------------

    def spread(self, now: float, *, configuration: bool) -> None:
        """Have the members take our copy as a whole, because what was changed is too much."""
        self.flush(now)
        self.sequence += 1
        if configuration:
            self.configuration_sequence = self.sequence
        for member in self.presented:
            self.install(member)
        self.is_spreading = bool(self._to_install)

    def begin_anew(self) -> None:
        """Note that our copy is another one now; what was collected was about the last one."""
        self._batch.clear()
        self._batch_at = None
        self.sequence += 1
        self.configuration_sequence = self.sequence

    def install(self, node: str) -> None:
        """Have a member take our copy."""
        self._installed.pop(node, None)
        self._to_install[node] = None

    def send_snapshot(self, now: float) -> None:
        """Send our document to one whom it is to be installed at, once it is packed."""
        if not self._to_install:
            self.is_spreading = False
            return
        pieces = self._copy.packed(self._slice_bytes)
        if pieces is None:
            return
        self.flush(now)
        node = next(iter(self._to_install))
        del self._to_install[node]
        missed = self._copy.history_since(self.presented[node])
        snapshot = wire.Snapshot(
            self._reign, self.sequence, self._copy.warrant, pieces, missed, self._life
        )
        self._outbox.to_node(node, snapshot)
        self.is_spreading = self.is_spreading and bool(self._to_install)

    # --- time ---------------------------------------------------------------------------------

    def send_batch(self, now: float) -> None:
        """Send the changes that were collected long enough."""
        if self._batch_at is not None and now >= self._batch_at:
            self.flush(now)

    def deadlines(self) -> list[float]:
        """Say when something is to be sent."""
        due = [0.0] if self._to_install or self.is_spreading else []
        return due if self._batch_at is None else [*due, self._batch_at]
