"""What attrds say to each other, as payloads of cluster messages.

An attribute belongs to the attrd of its node; the others hold a copy, so that a restarted attrd
gets its own values back and everybody can answer questions. Not here: what clients say (`crm.api`).
"""

from __future__ import annotations

from crm.plumbing.codec import Codec, Message


class Held(Message, frozen=True, omit_defaults=True):
    """One attribute as its owner holds it; value None means it is deleted."""

    name: str
    value: str | None = None
    set_id: str = ""
    dampen_ms: int = 0


class Announcement(Message, frozen=True):
    """The sender's own attributes have become this (only those named)."""

    values: tuple[Held, ...]


class Question(Message, frozen=True):
    """A new attrd asks for everything others hold."""


class Answer(Message, frozen=True):
    """To a new attrd: the sender's own attributes, and what it holds of the asker's."""

    mine: tuple[Held, ...]
    yours: tuple[Held, ...]


class Instruction(Message, frozen=True, omit_defaults=True):
    """Set an attribute of the receiver's node; answered by `Written` unless `token` is 0."""

    name: str
    value: str | None = None
    set_id: str = ""
    dampen_ms: int | None = None
    token: int = 0


class Written(Message, frozen=True):
    """The instruction of that token is carried out."""

    token: int


class Flush(Message, frozen=True):
    """Everybody writes its own current value of this attribute now."""

    name: str


WIRE = Codec(Announcement, Question, Answer, Instruction, Written, Flush)
