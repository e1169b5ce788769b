"""Sealed packets: who is speaking, in which life, and whether it was said before.

Responsible for keys, nonces, replay and the handshake that proves a session to be alive. Not
responsible for what the packets say.

Theory of operation. Each start of a node is a *session* with a random name of eight bytes. All
its packets are sealed with a key derived from the shared secret, the cluster, the node and the
session, under a nonce that is a salt of the session and a counter that never repeats. A receiver
knows at most one session of each peer. Packets of that session pass a sliding window; packets of
any other are dropped, and answered by a *challenge*, a random word. Only a session that throws
the word back is alive now; it takes the place of the known one. So a recording of an earlier
life is worthless, even to a receiver that has just started and remembers nothing, and no clock is
needed. The cheap checks come first: length, magic, version, cluster, key number, sender, window.

Limits may not become a weapon: whoever lacks the key can claim any source and any sender, so
nothing he sends may use up what a real peer needs. Therefore challenges go to everybody on the
link and never to the address a packet claims; answers go where a sealed packet came from, but if
that does not help soon (somebody may have sent a copy of it), to everybody too. A forged
handshake is known by its seal and counts against nobody; a recorded one is answered once, and at
most `MAX_STRANGERS_PER_S` a second are answered at all. A handshake that carries our word, or is
of the known session, passes every limit: even under a flood of recordings two living nodes
believe each other after one challenge.

The first speaker challenges with its first packet, the answer challenges back: after one round
trip the starter believes its peers, half a trip later they believe it.

Invariants: a packet is accepted at most once; a counter is used once; our word opens one session.

Source: docs/protocol/wire.md, decisions 0010 and 0015.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from crm.plumbing.errors import RemoteProtocolError
from messaging import frame
from messaging.authkeys import KeyFile, SharedKey
from messaging.nodelist import is_name
from messaging.strangers import Strangers

SESSION_BYTES = 8
CHALLENGE_BYTES = 16
WINDOW = 4096
CHALLENGE_LIFE_S = 2.0
CHALLENGE_PAUSE_S = 0.02
MAX_STRANGERS_PER_S = 100
"""How many handshakes of sessions that have not thrown our word back are answered, per peer."""

DIRECT_ANSWERS = 4
"""So many answers within a second are a sign that they do not get where they should."""

MAX_REMEMBERED = 1024
"""How many of those are remembered, so that a recording is answered once."""

_CRC_SECRET = b"pacekeeper: a key file with method crc protects against accidents only"


class Received(msgspec.Struct, frozen=True):
    """What became of one packet; a struct, as a flood makes as many of them.

    `body` is None when there is nothing to read; `reason` then says why (also a counter's name).
    `reply` is a packet to say on the same link: to the source, or with `to_all` to everybody, where
    the source may be a lie. `opened` tells that `session` has just become the known session of
    `sender`. `is_stranger`: `sender` has proven itself, but is none of our peers; it `is_joining`
    if it is in no list that it knows, and `wants_in` if it is that, or if its list names this node.
    `is_copy`: what was read before came over another medium too, which therefore works.
    """

    sender: str = ""
    session: bytes = b""
    body: bytes | None = None
    reply: bytes | None = None
    to_all: bool = False
    opened: bool = False
    is_copy: bool = False
    is_stranger: bool = False
    is_joining: bool = False
    wants_in: bool = False
    reason: str = ""


@dataclass
class _Session:
    """A known life of a peer and the window of counters seen in it."""

    name: bytes
    highest: int
    floor: int
    seen: int = 1
    newest: dict[str, int] = field(default_factory=dict)
    """By link: the highest counter that came over it."""

    def has_seen(self, counter: int) -> bool:
        if counter > self.highest:
            return False
        distance = self.highest - counter
        return counter <= self.floor or distance >= WINDOW or bool(self.seen >> distance & 1)

    def is_news_on(self, link: str, counter: int) -> bool:
        """Whether a counter seen before may be the latest word on a slower link.

        Each link only goes forward, so a recording is worth nothing there either.
        """
        is_recent = self.highest - counter < WINDOW
        return is_recent and counter > self.newest.get(link, self.floor)

    def note(self, link: str, counter: int) -> None:
        self.newest[link] = max(counter, self.newest.get(link, counter))
        if counter > self.highest:
            shift = counter - self.highest
            self.seen = ((self.seen << shift) | 1) & _MASK if shift < WINDOW else 1
            self.highest = counter
        else:
            self.seen |= 1 << (self.highest - counter)


_MASK = (1 << WINDOW) - 1


@dataclass
class _Peer:
    """What is known of one configured node."""

    node: str
    session: _Session | None = None
    challenge: bytes = b""
    challenged_at: float = 0.0
    sent_at: float = float("-inf")
    answers_at: collections.deque[float] = field(
        default_factory=lambda: collections.deque(maxlen=DIRECT_ANSWERS)
    )
    answered_at: collections.deque[float] = field(default_factory=collections.deque)
    answered: dict[tuple[bytes, int], None] = field(default_factory=dict)


class Wire:
    """Seals what this node says and opens what its peers say.

    `random_bytes` is the only source of randomness; a simulator gives its own.
    """

    def __init__(
        self,
        keys: KeyFile,
        *,
        cluster: str,
        node: str,
        peers: Iterable[str],
        random_bytes: Callable[[int], bytes],
        hears_strangers: bool = False,
    ) -> None:
        self._cluster = cluster
        self._hears_strangers = hears_strangers
        self._strangers: Strangers[_Peer] = Strangers()
        self.is_joining = False
        """Whether this node is in no list that it knows."""

        self._node = node
        self._cluster_tag = frame.cluster_tag(cluster)
        self._own_tag = frame.sender_tag(cluster, node)
        self._peers = {frame.sender_tag(cluster, peer): _Peer(peer) for peer in peers}
        self._by_name = {peer.node: peer for peer in self._peers.values()}
        self._random_bytes = random_bytes
        self.session = random_bytes(SESSION_BYTES)
        self._counter = 0
        self._ciphers: dict[tuple[int, bytes, bytes], tuple[AESGCM, bytes]] = {}
        self._roots: dict[tuple[int, bytes], bytes] = {}
        self._keys = keys
        self.counters: collections.Counter[str] = collections.Counter()

    def __repr__(self) -> str:
        return f"Wire({self._node}, <hidden>)"

    def admit(self, node: str) -> None:
        """Believe a node that was added while we run, as soon as it proves its session."""
        tag = frame.sender_tag(self._cluster, node)
        peer = self._strangers.let_in(tag) or _Peer(node)
        self._peers[tag] = peer
        self._by_name[node] = peer

    def dismiss(self, node: str) -> None:
        """Believe a node no more that was deleted while we run."""
        self._peers.pop(frame.sender_tag(self._cluster, node), None)
        self._by_name.pop(node, None)

    def replace_keys(self, keys: KeyFile) -> None:
        """Take a new key file into use; known sessions stay known."""
        self._keys = keys
        self._ciphers.clear()
        self._roots.clear()

    def session_of(self, node: str) -> bytes | None:
        """The known session of a peer."""
        peer = self._by_name.get(node)
        return None if peer is None or peer.session is None else peer.session.name

    # --- sealing ----------------------------------------------------------------------------

    def seal(self, body: bytes, kind: frame.Kind = frame.Kind.DATA) -> bytes:
        """Turn a body into a packet; every call yields a packet of its own counter."""
        self._counter += 1
        header = frame.Header(
            kind,
            self._cluster_tag,
            self._keys.signing,
            self._own_tag,
            self.session,
            self._counter,
        )
        clear = header.pack()
        cipher = self._cipher(header)
        assert cipher is not None, "the signing key is one of the keys"
        self.counters["sent"] += 1
        nonce = cipher[1] + self._counter.to_bytes(8, "big")
        return clear + cipher[0].encrypt(nonce, body, clear)

    def hello(self, now: float) -> bytes:
        """The first packet of a life: a challenge to every peer."""
        challenges = {
            peer.node: self._challenge(peer, now)
            for peer in self._by_name.values()
            if peer.session is None
        }
        return self._seal_handshake(frame.Handshake(challenges))

    def _seal_handshake(self, handshake: frame.Handshake) -> bytes:
        if self._hears_strangers:
            spoken_to = {*handshake.challenges, *handshake.answers}
            handshake = msgspec.structs.replace(
                handshake,
                node=self._node,
                is_joining=self.is_joining,
                lists_them=spoken_to <= self._by_name.keys(),
            )
        return self.seal(frame.HANDSHAKES.encode(handshake), frame.Kind.HANDSHAKE)

    # --- opening ----------------------------------------------------------------------------

    def open(self, data: bytes, now: float, link: str = "") -> Received:
        """Check a packet; whatever is not believed leaves everything as it was."""
        received = self._open(data, now, link)
        if received.reason:
            self.counters[f"dropped-{received.reason}"] += 1
        else:
            self.counters["copies" if received.is_copy else "received"] += 1
        return received

    def _open(self, data: bytes, now: float, link: str) -> Received:
        try:
            header = frame.unpack_header(data)
        except RemoteProtocolError as problem:
            return Received(reason=str(problem))
        if header.cluster != self._cluster_tag:
            return Received(reason="other-cluster")
        if header.sender == self._own_tag:
            return Received(reason="own")
        peer = self._peers.get(header.sender)
        if peer is None:
            return self._open_stranger(header, data, now, link)
        known = peer.session is not None and peer.session.name == header.session
        if header.kind == frame.Kind.HANDSHAKE:
            return self._open_handshake(peer, header, data, now, link)
        if not known:
            challenge = self._challenge_packet(peer, now)
            return Received(peer.node, reason="unknown-session", reply=challenge, to_all=True)
        assert peer.session is not None
        is_copy = peer.session.has_seen(header.counter)
        if is_copy and not peer.session.is_news_on(link, header.counter):
            return Received(peer.node, reason="replayed")
        body = self._decrypt(header, data)
        if body is None:
            return Received(peer.node, reason="bad-signature")
        if is_copy:
            peer.session.newest[link] = header.counter
            return Received(peer.node, header.session, is_copy=True)
        peer.session.note(link, header.counter)
        return Received(peer.node, header.session, body)

    def _open_stranger(self, header: frame.Header, data: bytes, now: float, link: str) -> Received:
        """Hear who speaks that no list names, if it has the key and says its name."""
        unknown = Received(reason="unknown-sender")
        is_handshake = header.kind == frame.Kind.HANDSHAKE
        if not (self._hears_strangers and is_handshake and self._strangers.may_try(now)):
            return unknown
        body = self._decrypt(header, data)
        if body is None:
            return unknown
        try:
            said = frame.HANDSHAKES.decode(body)
        except RemoteProtocolError:
            return unknown
        assert isinstance(said, frame.Handshake)
        if not is_name(said.node) or frame.sender_tag(self._cluster, said.node) != header.sender:
            return unknown
        peer = self._strangers.get(header.sender)
        if peer is None:
            peer = _Peer(said.node)
            self._strangers.remember(header.sender, peer)
        received = self._open_handshake(peer, header, data, now, link)
        spoken_to = {*said.challenges, *said.answers}
        is_proven = peer.session is not None and peer.session.name == header.session
        reply, to_all = received.reply, received.to_all
        if reply is None and not is_proven and not received.reason:
            reply, to_all = self._challenge_packet(peer, now), True
        return msgspec.structs.replace(
            received,
            reply=reply,
            to_all=to_all,
            opened=False,
            is_stranger=is_proven,
            is_joining=said.is_joining,
            wants_in=said.is_joining or (said.lists_them and self._node in spoken_to),
        )

    def _open_handshake(
        self, peer: _Peer, header: frame.Header, data: bytes, now: float, link: str
    ) -> Received:
        """Believe a session that throws our word back; throw back the peer's word."""
        known = peer.session is not None and peer.session.name == header.session
        if known and peer.session is not None and peer.session.has_seen(header.counter):
            return Received(peer.node, reason="replayed")
        body = self._decrypt(header, data)
        if body is None:
            return Received(peer.node, reason="bad-signature")
        if known and peer.session is not None:
            peer.session.note(link, header.counter)
        try:
            handshake = frame.HANDSHAKES.decode(body)
        except RemoteProtocolError:
            return Received(peer.node, reason="unreadable")
        assert isinstance(handshake, frame.Handshake)
        opened = self._take_answer(peer, header, handshake.answers.get(self._node), now)
        word = handshake.challenges.get(self._node, b"")
        if len(word) != CHALLENGE_BYTES:
            return Received(peer.node, header.session, opened=opened)
        known = peer.session is not None and peer.session.name == header.session
        refusal = "" if known else _refusal_of_stranger(peer, header, now)
        if refusal:
            return Received(peer.node, reason=refusal)
        challenges = {} if known else {peer.node: self._challenge(peer, now)}
        reply = self._seal_handshake(frame.Handshake(challenges, {peer.node: word}))
        peer.answers_at.append(now)
        to_all = peer.answers_at[0] > now - 1.0 and len(peer.answers_at) == DIRECT_ANSWERS
        return Received(peer.node, header.session, reply=reply, to_all=to_all, opened=opened)

    def _take_answer(
        self, peer: _Peer, header: frame.Header, answer: bytes | None, now: float
    ) -> bool:
        """Open the session of a packet that carries the word we are waiting for."""
        fresh = now - peer.challenged_at <= CHALLENGE_LIFE_S
        if not peer.challenge or answer != peer.challenge or not fresh:
            return False
        peer.challenge = b""
        if peer.session is not None and peer.session.name == header.session:
            return False
        peer.session = _Session(header.session, header.counter, header.counter)
        return True

    def _challenge(self, peer: _Peer, now: float) -> bytes:
        """The word this peer has to throw back; made anew when the old one has aged."""
        if not peer.challenge or now - peer.challenged_at > CHALLENGE_LIFE_S / 2:
            peer.challenge = self._random_bytes(CHALLENGE_BYTES)
            peer.challenged_at = now
        return peer.challenge

    def _challenge_packet(self, peer: _Peer, now: float) -> bytes | None:
        if now - peer.sent_at < CHALLENGE_PAUSE_S:
            return None
        peer.sent_at = now
        return self._seal_handshake(frame.Handshake({peer.node: self._challenge(peer, now)}))

    def _decrypt(self, header: frame.Header, data: bytes) -> bytes | None:
        cipher = self._cipher(header)
        if cipher is None:
            return None
        nonce = cipher[1] + header.counter.to_bytes(8, "big")
        clear, sealed = data[: frame.HEADER_BYTES], data[frame.HEADER_BYTES :]
        try:
            return cipher[0].decrypt(nonce, sealed, clear)
        except InvalidTag:
            return None

    # --- keys -------------------------------------------------------------------------------

    def _cipher(self, header: frame.Header) -> tuple[AESGCM, bytes] | None:
        """The cipher and nonce salt of one session, or None for a key number nobody has.

        Only those of our own and of known sessions are kept, so that forged packets with made-up
        sessions cannot push them out.
        """
        place = (header.key_number, header.sender, header.session)
        cipher = self._ciphers.get(place)
        if cipher is not None:
            return cipher
        root = self._root_key(header.key_number, header.sender)
        if root is None:
            return None
        expand = HKDFExpand(algorithm=hashes.SHA256(), length=36, info=header.session)
        derived = expand.derive(root)
        cipher = (AESGCM(derived[:32]), derived[32:])
        if header.session in (self.session, self._session_behind(header.sender)):
            if len(self._ciphers) >= 4 * (len(self._peers) + 1) * max(len(self._keys.keys), 1):
                self._ciphers.clear()
            self._ciphers[place] = cipher
        return cipher

    def _root_key(self, key_number: int, sender: bytes) -> bytes | None:
        """What the keys of all sessions of a node are derived from; the slow step, done once."""
        root = self._roots.get((key_number, sender))
        if root is not None:
            return root
        secret = next((secret_of(key) for key in self._keys.keys if key.number == key_number), None)
        if secret is None:
            return None
        root = HKDF(
            algorithm=hashes.SHA256(),
            length=32,
            salt=None,
            info=b"pacekeeper wire 1\0" + self._cluster.encode() + b"\0" + sender,
        ).derive(secret)
        if sender in self._peers or sender == self._own_tag:  # a forger makes up any number
            self._roots[key_number, sender] = root
        return root

    def _session_behind(self, sender: bytes) -> bytes | None:
        peer = self._peers.get(sender)
        return None if peer is None or peer.session is None else peer.session.name


def secret_of(key: SharedKey) -> bytes:
    """What keys are made from; for method crc it is no secret, and protects against accidents."""
    return key.secret or _CRC_SECRET


def _refusal_of_stranger(peer: _Peer, header: frame.Header, now: float) -> str:
    """Why the handshake of a session that has not proven itself is not answered, "" if it is."""
    place = (header.session, header.counter)
    if place in peer.answered:
        return "replayed"
    while peer.answered_at and peer.answered_at[0] <= now - 1.0:
        peer.answered_at.popleft()
    if len(peer.answered_at) >= MAX_STRANGERS_PER_S:
        return "too-many-handshakes"
    peer.answered_at.append(now)
    peer.answered[place] = None
    if len(peer.answered) > MAX_REMEMBERED:
        del peer.answered[next(iter(peer.answered))]
    return ""
