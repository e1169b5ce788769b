"""Which agent manages a resource: its standard, its provider, its type."""

from __future__ import annotations

import msgspec


class Agent(msgspec.Struct, frozen=True):
    """An agent as the CIB names it: `class`, `provider` (ocf only) and `type`."""

    standard: str
    provider: str
    type: str

    @property
    def is_fencing(self) -> bool:
        """Tell whether this is a fencing device, which runs inside the fencer."""
        return self.standard == "stonith"

    @property
    def has_parameters_in_unique_clones(self) -> bool:
        """Tell whether instances of a globally unique clone can be told apart."""
        return self.standard == "ocf"

    def __str__(self) -> str:
        return ":".join(part for part in (self.standard, self.provider, self.type) if part)
