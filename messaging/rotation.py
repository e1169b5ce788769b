"""A new key for the whole cluster while it runs: one node leads, every node takes part.

Responsible for the order of the steps and for the promise that no two nodes ever stop believing
each other. Not responsible for packets (`auth`), for the form of authkeys (`authkeys`) nor for the
file on the disk (the shell).

Theory of operation. Every configured node must be in contact; a node that is away would keep a key
that nobody accepts. The leader asks each node for its key numbers, which also makes it take part in
this rotation and no other, then goes through three steps. Each is ordered when every node has the
step before it on its disk and in use:

1. *add*: every node accepts a new key besides those it has;
2. *sign*: every node seals with the new key;
3. *remove*: every node forgets all keys but the new one.

Whoever stops anywhere, the leader included, leaves a cluster in which everybody accepts what
everybody seals with. To resume is to begin anew: a further new key goes through the same steps, and
the last one clears away what is left of the interrupted rotation.

The new secret travels inside sealed packets and is sealed once more under keys that both ends make
for this rotation alone (X25519), so a recording is not opened by somebody who has the old key.

Source: docs/protocol/wire.md, "A new key"; decision 0017.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crm.api import membership as api
from crm.plumbing.machine import Note, Tell, info, warn
from messaging import frame
from messaging.authkeys import MAX_KEY_NUMBER, KeyFile, SharedKey

STEP_LIMIT_S = 10.0
"""How long a node may take to write a file."""

LOCK_S = 30.0
"""How long a node takes part in a rotation that it hears nothing of."""

SECRET_BYTES = 32


class Step(enum.Enum):
    """What a node is told to do; the values are what the log says."""

    ADD = "add"
    SIGN = "sign"
    REMOVE = "remove"
    RELEASE = "release"


_ORDER = (Step.ADD, Step.SIGN, Step.REMOVE)

# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A client wants the cluster to have a new key."""

    client: str
    request: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of another node about a rotation."""

    peer: str
    message: frame.KeyQuestion | frame.KeyState | frame.KeyOrder | frame.KeyDone


@dataclass(frozen=True, slots=True)
class KeysWritten:
    """The file was written, or could not be: then `problem` says why."""

    keys: KeyFile
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PeerAppeared:
    """Contact with a peer has begun."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerVanished:
    """Contact with a peer has ended."""

    peer: str


Event = Asked | Heard | KeysWritten | PeerAppeared | PeerVanished

# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SayTo:
    """Send a message to a peer, in its turn."""

    peer: str
    message: frame.KeyQuestion | frame.KeyState | frame.KeyOrder | frame.KeyDone


@dataclass(frozen=True, slots=True)
class WriteKeys:
    """Put these keys on the disk in place of `before`; answered by `KeysWritten`."""

    before: KeyFile
    keys: KeyFile


@dataclass(frozen=True, slots=True)
class UseKeys:
    """Seal and open with these keys from now on: they are on the disk."""

    keys: KeyFile


Effect = SayTo | WriteKeys | UseKeys | Tell | Note


@dataclass
class _Lead:
    """A rotation that this node leads."""

    client: str
    request: int
    name: bytes
    private: X25519PrivateKey = field(repr=False)
    secret: bytes = field(repr=False)
    waiting: set[str]
    due: float
    step: Step | None = None
    number: int = -1
    states: dict[str, frame.KeyState] = field(default_factory=dict)


@dataclass
class _Part:
    """A rotation that this node takes part in."""

    leader: str
    name: bytes
    private: X25519PrivateKey = field(repr=False)
    until: float


@dataclass(frozen=True)
class _Writing:
    """A file that the disk has not answered for yet, and who waits for that."""

    keys: KeyFile
    leader: str
    name: bytes
    step: Step


class Rotation:
    """The machine: leads a rotation when a client asks, takes part when a node leads one."""

    def __init__(
        self,
        keys: KeyFile,
        *,
        node: str,
        peers: Iterable[str],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._keys = keys
        self._node = node
        self._peers = tuple(peers)
        self._random_bytes = random_bytes
        self._present: set[str] = set()
        self._lead: _Lead | None = None
        self._part: _Part | None = None
        self._writing: _Writing | None = None

    def replace_peers(self, peers: Iterable[str]) -> None:
        """Count other nodes from now on; a rotation that runs ends with those it began with."""
        self._peers = tuple(peers)

    def replace_keys(self, keys: KeyFile) -> None:
        """The file was changed by hand and read again."""
        self._keys = keys

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what was asked, said, written, or lost."""
        match event:
            case Asked(client, request):
                return self._begin(client, request, now)
            case Heard(peer, message):
                return self._hear(peer, message, now)
            case KeysWritten(keys, problem):
                return self._note_written(keys, problem, now)
            case PeerAppeared(peer):
                self._present.add(peer)
            case PeerVanished(peer):
                return self._lose(peer, now)
        return []

    def tick(self, now: float) -> list[Effect]:
        """Give up waiting for a node that does not answer."""
        if self._lead is None or now < self._lead.due:
            return []
        silent = ", ".join(sorted(self._lead.waiting))
        return self._abandon(f"no answer from {silent} within {STEP_LIMIT_S:g} s", now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        return None if self._lead is None else self._lead.due

    # --- leading ----------------------------------------------------------------------------

    def _begin(self, client: str, request: int, now: float) -> list[Effect]:
        away = [peer for peer in self._peers if peer not in self._present]
        problem = ""
        if self._lead is not None:
            problem = "a rotation that this node leads is running"
        elif away:
            problem = (
                f"node {', '.join(away)} is away and would keep a key that nobody accepts;"
                " start it, or change authkeys on every node by hand"
            )
        if problem:
            return [Tell(client, api.KeyRotated(request, problem=problem))]
        nodes = self._everybody()
        self._lead = _Lead(
            client=client,
            request=request,
            name=self._random_bytes(8),
            private=X25519PrivateKey.from_private_bytes(self._random_bytes(32)),
            secret=self._random_bytes(SECRET_BYTES).hex().encode(),
            waiting=set(nodes),
            due=now + STEP_LIMIT_S,
        )
        question = frame.KeyQuestion(self._lead.name)
        effects: list[Effect] = [info("heartbeat", "a new key is made for the cluster")]
        for node in nodes:
            effects += self._say(node, question, now)
        return effects

    def _note_state(self, peer: str, state: frame.KeyState, now: float) -> list[Effect]:
        lead = self._lead
        if lead is None or state.round != lead.name or lead.step is not None:
            return []
        if state.problem:
            return self._abandon(f"node {peer}: {state.problem}", now)
        lead.states[peer] = state
        lead.waiting.discard(peer)
        if lead.waiting:
            return []
        used = {number for each in lead.states.values() for number in each.numbers}
        free = [number for number in (*range(1, MAX_KEY_NUMBER + 1), 0) if number not in used]
        if not free:
            return self._abandon("all key numbers are used; remove old keys from authkeys", now)
        lead.number = free[0]
        return self._order(Step.ADD, now)

    def _order(self, step: Step, now: float) -> list[Effect]:
        """Tell every node to take a step."""
        lead = self._lead
        assert lead is not None
        lead.step, lead.due = step, now + STEP_LIMIT_S
        lead.waiting = set(self._everybody())
        effects: list[Effect] = []
        for node in self._everybody():
            order = frame.KeyOrder(lead.name, step.value, lead.number)
            if step is Step.ADD:
                public = lead.private.public_key().public_bytes_raw()
                try:
                    sealed = _box(lead.private, lead.states[node].public, lead.name).encrypt(
                        bytes(12), lead.secret, lead.name
                    )
                except ValueError:
                    return self._abandon(f"node {node} gave no key to seal for", now)
                order = frame.KeyOrder(lead.name, step.value, lead.number, public, sealed)
            effects += self._say(node, order, now)
        return effects

    def _note_done(self, peer: str, done: frame.KeyDone, now: float) -> list[Effect]:
        lead = self._lead
        if lead is None or done.round != lead.name or lead.step is None:
            return []
        if done.step != lead.step.value:
            return []
        if done.problem:
            return self._abandon(f"node {peer}: {done.problem}", now)
        lead.waiting.discard(peer)
        if lead.waiting:
            return []
        place = _ORDER.index(lead.step) + 1
        if place < len(_ORDER):
            return self._order(_ORDER[place], now)
        text = f"key {lead.number} is the only one on all {1 + len(self._peers)} nodes"
        return [
            info("heartbeat", text),
            *self._release(now, api.KeyRotated(lead.request, lead.number)),
        ]

    def _abandon(self, reason: str, now: float) -> list[Effect]:
        lead = self._lead
        assert lead is not None
        stand = (
            "nothing was changed" if lead.step is None else f"stopped at step '{lead.step.value}'"
        )
        problem = f"{reason}; {stand}, all nodes still accept each other"
        told = api.KeyRotated(lead.request, problem=problem)
        return [warn("heartbeat", f"no new key: {problem}"), *self._release(now, told)]

    def _release(self, now: float, told: api.KeyRotated) -> list[Effect]:
        """End a rotation that this node leads."""
        lead, self._lead = self._lead, None
        assert lead is not None
        effects: list[Effect] = []
        order = frame.KeyOrder(lead.name, Step.RELEASE.value, max(lead.number, 0))
        for node in self._everybody():
            effects += self._say(node, order, now)
        return [*effects, Tell(lead.client, told)]

    def _lose(self, peer: str, now: float) -> list[Effect]:
        self._present.discard(peer)
        if self._part is not None and self._part.leader == peer:
            self._part = None
        if self._lead is None:
            return []
        return self._abandon(f"node {peer} is lost", now)

    # --- taking part ------------------------------------------------------------------------

    def _hear(
        self,
        peer: str,
        message: frame.KeyQuestion | frame.KeyState | frame.KeyOrder | frame.KeyDone,
        now: float,
    ) -> list[Effect]:
        match message:
            case frame.KeyQuestion(name):
                return self._take_part(peer, name, now)
            case frame.KeyState():
                return self._note_state(peer, message, now)
            case frame.KeyOrder():
                return self._obey(peer, message, now)
            case frame.KeyDone():
                return self._note_done(peer, message, now)

    def _take_part(self, leader: str, name: bytes, now: float) -> list[Effect]:
        part = self._part
        if part is not None and now < part.until and part.leader != leader:
            text = f"a rotation that node {part.leader} leads is running"
            return self._say(leader, frame.KeyState(name, problem=text), now)
        if self._writing is not None:
            # Its end must be taken for no step but its own, and what it leaves is not known yet.
            text = "a write of authkeys is not finished"
            return self._say(leader, frame.KeyState(name, problem=text), now)
        private = X25519PrivateKey.from_private_bytes(self._random_bytes(32))
        self._part = _Part(leader, name, private, now + LOCK_S)
        numbers = tuple(key.number for key in self._keys.keys)
        public = private.public_key().public_bytes_raw()
        return self._say(leader, frame.KeyState(name, numbers, public), now)

    def _obey(self, leader: str, order: frame.KeyOrder, now: float) -> list[Effect]:
        part = self._part
        if part is None or (part.leader, part.name) != (leader, order.round):
            text = "this node does not take part in that rotation"
            return self._say(leader, frame.KeyDone(order.round, order.step, text), now)
        if order.step == Step.RELEASE.value:
            self._part = None
            return []
        part.until = now + LOCK_S
        keys, problem = self._changed(part, order)
        if keys is not None and self._writing is not None:
            keys, problem = None, "a write of authkeys is not finished"
        if keys is None or keys == self._keys:
            return self._say(leader, frame.KeyDone(order.round, order.step, problem), now)
        self._writing = _Writing(keys, part.leader, part.name, Step(order.step))
        return [WriteKeys(self._keys, keys)]

    def _changed(self, part: _Part, order: frame.KeyOrder) -> tuple[KeyFile | None, str]:
        """What our keys become by an order, or why it cannot be obeyed."""
        number, known = order.number, {key.number: key for key in self._keys.keys}
        match order.step:
            case Step.ADD.value:
                if number in known or number > MAX_KEY_NUMBER:
                    return None, f"key number {number} is used here"
                try:
                    box = _box(part.private, order.public, order.round)
                    secret = box.decrypt(bytes(12), order.sealed, order.round)
                except (InvalidTag, ValueError):
                    return None, "the new key cannot be opened here"
                if len(secret) != 2 * SECRET_BYTES or not secret.isalnum():
                    return None, "the new key is not as long as it should be"
                added = SharedKey(number, "sha1", secret)
                keys = tuple(sorted((*self._keys.keys, added), key=lambda key: key.number))
                return KeyFile(self._keys.signing, keys), ""
            case Step.SIGN.value:
                if number not in known:
                    return None, f"key {number} is not there"
                return KeyFile(number, self._keys.keys), ""
            case Step.REMOVE.value:
                if self._keys.signing != number:
                    return None, f"this node seals with key {self._keys.signing}, not {number}"
                return KeyFile(number, (known[number],)), ""
        return None, f"there is no step '{order.step}'"

    def _note_written(self, keys: KeyFile, problem: str, now: float) -> list[Effect]:
        """A write has ended: its keys are in use, and the leader of its rotation hears so."""
        writing = self._writing
        if writing is None or keys != writing.keys:
            return []
        self._writing = None
        effects: list[Effect] = []
        if not problem:
            self._keys = keys
            effects.append(UseKeys(keys))
        part = self._part
        if part is not None and (part.leader, part.name) == (writing.leader, writing.name):
            done = frame.KeyDone(writing.name, writing.step.value, problem)
            effects += self._say(writing.leader, done, now)
        return effects

    def _everybody(self) -> tuple[str, ...]:
        """All nodes; this one comes last, so that what it answers at once finds all told."""
        return (*self._peers, self._node)

    def _say(
        self,
        node: str,
        message: frame.KeyQuestion | frame.KeyState | frame.KeyOrder | frame.KeyDone,
        now: float,
    ) -> list[Effect]:
        """Say something to a node; the leader takes part like any other."""
        return self._hear(node, message, now) if node == self._node else [SayTo(node, message)]


def _box(private: X25519PrivateKey, public: bytes, name: bytes) -> AESGCM:
    """The cipher that two nodes share for one message of one rotation.

    Raises: ValueError if `public` is no public key.
    """
    shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    key = HKDF(
        algorithm=hashes.SHA256(), length=32, salt=name, info=b"pacekeeper key rotation 1"
    ).derive(shared)
    return AESGCM(key)
