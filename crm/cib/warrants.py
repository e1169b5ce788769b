"""What a copy of the CIB is worth: on whose word it was written, and how far.

Responsible for the order in which copies win when cibs meet (`Standing`), and for how a change
moves a copy in it (`Warrant`). Not responsible for asking, comparing or taking over (`mastery`,
`localcopy`).

Copies are compared by, in this order,

- `decided`: the admin_epoch that counts as an administrator's decision;
- `written`: the reign of the last change that was made in a partition with quorum;
- `settled`: the version that change led to. What was changed since, without quorum or in the file
  of a stopped node, does not move it: it wins over a copy that was written up to the same place,
  and loses against one that was written further;
- `admin_epoch`, `epoch`, `updates`, and the digest, which only makes the order total.

A raised `admin_epoch` decides at once where it is raised without quorum or in a file, because
nobody else is asked there; and so does one that stands open when it is set once more. Where there
is quorum it decides when every member has it on its disk: until then it is a change like any other,
so a master that is cut off and does not know it yet decides nothing.

Source: decision 0028; why nothing acknowledged is lost stands in `vouching`.
"""

from __future__ import annotations

import msgspec

from crm.model.version import Reign, Version

Pair = tuple[int, int]
"""Which configuration a version names: admin_epoch and epoch."""

NOT_SAID: Pair = (-1, -1)
"""What a file says of `settled` that was written before decision 0028: nothing."""


class Warrant(msgspec.Struct, frozen=True, order=True):
    """On whose word a configuration was written, and up to where; the greater one wins."""

    decided: int = 0
    written: Reign = Reign()
    settled: Pair = (0, 0)

    def with_quorum(self, reign: Reign, version: Version) -> Warrant:
        """What holds after a change to this version that the master of a quorum made."""
        return Warrant(self.decided, reign, pair_of(version))

    def without_quorum(self, version: Version) -> Warrant:
        """What holds after a change to this version that nobody else was asked about."""
        is_raised = version.admin_epoch > max(self.decided, self.settled[0])
        return self.deciding(version.admin_epoch) if is_raised else self

    def deciding(self, admin_epoch: int) -> Warrant:
        """What holds once this admin_epoch counts as a decision."""
        return Warrant(admin_epoch, self.written, self.settled)


class Standing(msgspec.Struct, frozen=True, order=True):
    """How much a copy is worth: of two copies the greater wins."""

    warrant: Warrant
    admin_epoch: int
    epoch: int
    updates: int
    digest: str


def by_hand(version: Version) -> Warrant:
    """What a file is worth that no cib has written."""
    return Warrant(version.admin_epoch)


def pair_of(version: Version) -> Pair:
    """Say which configuration a version names."""
    return version.admin_epoch, version.epoch
