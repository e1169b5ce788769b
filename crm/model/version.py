"""The version of a CIB: admin_epoch.epoch.num_updates, compared as integers in that order."""

from __future__ import annotations

import msgspec


class Version(msgspec.Struct, frozen=True, order=True):
    """`epoch` counts configuration changes, `updates` status changes since the last of those."""

    admin_epoch: int = 0
    epoch: int = 0
    updates: int = 0

    def __str__(self) -> str:
        return f"{self.admin_epoch}.{self.epoch}.{self.updates}"


class Reign(msgspec.Struct, frozen=True, order=True):
    """The time of office of one DC: the fencing token that cib and lrmd check.

    A greater reign is a later one; between partitions the DC's name breaks a tie, so two DCs
    never share a reign.
    """

    number: int = 0
    dc: str = ""

    def __str__(self) -> str:
        return f"{self.number}@{self.dc or 'nobody'}"
