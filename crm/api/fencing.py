"""The conversation with `stonithd`: make sure that a node is down."""

from __future__ import annotations

from crm.plumbing.codec import Codec, Message

SERVICE = "stonithd"


class Fence(Message, frozen=True, omit_defaults=True):
    """Have `node` fenced by `action` (reboot, off, on); answered by `Fenced`.

    `user`, for the log, is who asks ("": the cluster itself).
    """

    request: int
    node: str
    action: str = "reboot"
    timeout_ms: int = 60_000
    user: str = ""


class ConfirmDown(Message, frozen=True):
    """A person says that `node` is down for certain."""

    request: int
    node: str
    user: str


class AskDevices(Message, frozen=True, omit_defaults=True):
    """Ask which devices are known, or which can fence `node`; answered by `Devices`."""

    request: int
    node: str = ""


class Fenced(Message, frozen=True, omit_defaults=True):
    """The end of a fencing: `rc` 0 only when it is certain that the node was fenced."""

    request: int
    node: str
    rc: int
    device: str = ""
    reason: str = ""


class Devices(Message, frozen=True, omit_defaults=True):
    """Known fencing devices by name."""

    request: int
    names: tuple[str, ...] = ()


TO_STONITHD = Codec(Fence, ConfirmDown, AskDevices)
FROM_STONITHD = Codec(Fenced, Devices)
