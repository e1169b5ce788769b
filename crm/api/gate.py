"""The conversation over mgmtd's Unix socket: tools and people on one side, daemons on the other.

Frames are a four-byte big-endian length and that many bytes, one `Envelope` each. The first
frame each way is `Greeting`. An envelope carries a message of another conversation in the bytes
of that conversation's codec; mgmtd replaces `request` by a number of its own on the way in and
restores it on the way out, checks the right to send it, and fills in who is asking.

Source: docs/protocol/gate.md, decision 2 of the design.
"""

from __future__ import annotations

from crm.plumbing.codec import Codec, Message

SERVICE = "mgmtd"
PROTOCOL = 1
MAX_FRAME_BYTES = 32 * 1024 * 1024
TRUSTED_USERS = frozenset({"root", "hacluster"})
"""Users no access list holds for: to ask on their behalf is to ask for oneself."""
SOCKET = "run/heartbeat/mgmtd"
"""Where the socket lies, relative to the root of the installation."""


class Greeting(Message, frozen=True, omit_defaults=True):
    """Who speaks: protocol version and a name for the log (`crm_mon`, `mgmtd`)."""

    protocol: int
    name: str
    node: str = ""


class Envelope(Message, frozen=True, omit_defaults=True):
    """A message for (or from) the daemon `service`, in that conversation's bytes.

    `wait_s`: how long the gate may keep a request for a daemon that is just being started again.
    `user`, who is in `groups`: on whose behalf root or a daemon's user asks; access lists then
    hold for that user, in every conversation.
    """

    service: str
    payload: bytes
    wait_s: float = 0.0
    user: str = ""
    groups: tuple[str, ...] = ()


class Watch(Message, frozen=True):
    """Ask to be sent `CibChanged` and `NodeChanged` envelopes from now on."""


class Refusal(Message, frozen=True, omit_defaults=True):
    """No answer will come. `code` is a classic exit code (4 denied, 102 no daemon).

    `taken`: the daemon had the request and went away before it answered, so a change may have
    been made. Otherwise the request was never passed on.
    """

    code: int
    message: str
    request: int = 0
    hint: str = ""
    taken: bool = False


FRAMES = Codec(Greeting, Envelope, Watch, Refusal)
