"""A network with somebody who has the keys and writes down what is said on it, line by line."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from crm.api import membership as api
from crm.plumbing.errors import RemoteProtocolError
from messaging import auth, events, frame, streams
from messaging.authkeys import KeyFile
from tests.kit.messaging import KEYS, Network, random_bytes

Keep = Callable[[msgspec.Struct], bool]


class Overheard(Network):
    """Writes each packet (`a > b  what`), log line (`a # text`) and view (`a = view`) down.

    `keep` chooses the packets; `drop` names those that get lost on the way.
    """

    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        self.lines: list[str] = []
        self.keep: Keep = lambda message: True
        self.drop: Keep = lambda message: False
        self._zero = self.now
        self._words: dict[bytes, str] = {}
        self._ears: dict[KeyFile, auth.Wire] = {}

    def begin(self) -> None:
        """Write down from here, with the clock at zero."""
        self._zero = self.now
        self.lines.clear()

    def remark(self, text: str) -> None:
        """Say what the story does now."""
        self.write(f"-- {text}")

    def write(self, line: str) -> None:
        """Write a line down with the time."""
        self.lines.append(f"{self._clock()} {line}")

    def understood(self, data: bytes) -> msgspec.Struct | None:
        """What a packet says, to somebody with the keys."""
        try:
            header = frame.unpack_header(data)
        except RemoteProtocolError:
            return None
        for keys in (KEYS, *self.keys.values()):
            ear = self._ears.setdefault(keys, self._make_ear(keys))
            body = ear._decrypt(header, data)
            if body is not None:
                is_handshake = header.kind == frame.Kind.HANDSHAKE
                return (frame.HANDSHAKES if is_handshake else frame.PACKETS).decode(body)
        return None

    def _make_ear(self, keys: KeyFile) -> auth.Wire:
        return auth.Wire(
            keys,
            cluster=self.settings.cluster,
            node="an ear",
            peers=self.settings.nodes,
            random_bytes=random_bytes(random.Random(0)),
        )

    def _transmit(self, name: str, link: str, data: bytes, destination: str) -> None:
        message = self.understood(data)
        if message is not None and self.keep(message):
            lost = "   (lost)" if self.drop(message) else ""
            to = destination or getattr(message, "to", "") or "*"
            self.lines.append(f"{self._clock()} {name} > {to}  {self._told(message)}{lost}")
        if message is None or not self.drop(message):
            super()._transmit(name, link, data, destination)

    def _carry_out(self, name: str, life: object, effects: list[events.Effect]) -> None:
        known = len(self.lives[name].told), len(self.lives[name].notes)
        record = self.lives[name]
        super()._carry_out(name, life, effects)  # type: ignore[arg-type]
        for _, note in record.notes[known[1] :]:
            self.lines.append(f"{self._clock()} {name} # {note.text}")
        for _, client, message in record.told[known[0] :]:
            if isinstance(message, api.ViewInstalled) and client == self.clients[0]:
                view = message.view
                members = " ".join(f"{each.name}@{each.born}" for each in view.members)
                has = "quorum" if view.quorate else "no quorum"
                what = f"{message.event.value}: view {view.id} of {members}, {has}"
                self.lines.append(f"{self._clock()} {name} = {what}")
            elif isinstance(message, api.KeyRotated):
                ended = message.problem or f"key {message.number}"
                self.lines.append(f"{self._clock()} {name} = rotation: {ended}")

    def _clock(self) -> str:
        return f"{1000 * (self.now - self._zero):8.1f}"

    def _word(self, secret: bytes) -> str:
        """A name for a random word: the first one is w1."""
        return self._words.setdefault(secret, f"w{len(self._words) + 1}")

    def _told(self, message: msgspec.Struct) -> str:
        match message:
            case frame.Handshake(challenges, answers):
                asked = [f"throw {self._word(word)} back, {to}" for to, word in challenges.items()]
                given = [f"here is {self._word(word)}, {to}" for to, word in answers.items()]
                return f"Handshake: {'; '.join([*given, *asked])}"
            case frame.Status():
                hears = " ".join(sorted(message.hearings)) or "nobody"
                acts = f", acts for {' '.join(message.members)}" if message.members else ""
                return f"Status {message.status}, hears {hears}{acts}"
            case frame.Beat():
                return "Beat, answer" if message.ask else "Beat"
            case frame.Data():
                return self._piece(message)
            case frame.Ack():
                missing = ", ".join(f"{first}-{last}" for first, last in message.missing)
                lacks = f", missing {missing}" if missing else ""
                return f"Ack {_stream(message.channel)} up to {message.heard.upto}{lacks}"
        return type(message).__name__

    def _piece(self, piece: frame.Data) -> str:
        again = f" (copy {piece.copy})" if piece.copy > 1 else ""
        again += f" (heard up to {piece.heard.upto})" if piece.heard else ""
        head = f"{_stream(piece.channel)} {piece.seq}{again}: "
        if not piece.last or piece.chunk[:1] != b"\0":
            return f"{head}{len(piece.chunk)} bytes{', the last' if piece.last else ''}"
        is_control = piece.channel == streams.Channel.CONTROL
        codec = frame.MEMBERSHIP_MESSAGES if is_control else frame.NODE_MESSAGES
        try:
            inner = codec.decode(piece.chunk[1:])
        except RemoteProtocolError:
            return f"{head}{len(piece.chunk)} bytes, the last"
        return head + self._inside(inner)

    def _inside(self, message: msgspec.Struct) -> str:
        match message:
            case frame.Join():
                reach = " ".join(sorted(name for name, _ in message.reach)) or "nobody"
                base = f", from view {message.view_id}" if message.view_id else ", new"
                return f"Join round {message.round} of {message.origin}: reaches {reach}{base}"
            case frame.KeyOrder():
                return f"KeyOrder {message.step} key {message.number}"
            case frame.KeyDone():
                return f"KeyDone {message.step}{': ' + message.problem if message.problem else ''}"
            case frame.KeyState():
                return f"KeyState: has keys {' '.join(map(str, message.numbers))}"
            case frame.Clients():
                return f"Clients {' '.join(message.names)}"
            case frame.ClientData():
                return f"ClientData to {message.to_client}: {message.payload.decode()}"
        return type(message).__name__


def _stream(channel: int) -> str:
    return streams.Channel(channel).name.lower()
