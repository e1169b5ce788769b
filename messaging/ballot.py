"""What a cluster and its quorum server say to each other, and the seal on it.

Responsible for form and seal. Not responsible for who gets the tie (`quorumserver`), nor for when
it is asked for (`arbitration`).

A datagram is `PQ`, version, key number, the tag of the cluster, a nonce, and the sealed message.
The keys are made from those of authkeys; questions and answers have keys of their own, so that
none can be sent back as the other. An answer repeats the random word of its question.

Source: docs/protocol/quorumd.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crm.plumbing.codec import Codec, Message
from crm.plumbing.errors import RemoteProtocolError
from messaging import auth, frame
from messaging.authkeys import KeyFile

WORD_BYTES = 16
MAX_DATAGRAM_BYTES = 16 * 1024
MAX_MEMBERS = 100
_NONCE_BYTES = 12
_HEADER = struct.Struct(f">2sBB4s{_NONCE_BYTES}s")
_MAGIC, _VERSION = b"PQ", 1


class Ask(Message, frozen=True, array_like=True):
    """A node asks for the tie for exactly these members, for `lease_ms` from when it asked.

    For `hold_ms` from the arrival of this question nobody else gets it. `word` is random. `token`
    is what the server said last to this node: a recorded question has an old one. One without it
    asks which token is good.
    """

    node: str
    word: bytes
    token: bytes
    members: tuple[str, ...]
    lease_ms: frame.Count
    hold_ms: frame.Count


class Answer(Message, frozen=True, array_like=True):
    """Whether the members of the question with this `word` have the tie.

    `token` belongs into the next question; where `is_stale` the question has to be repeated with
    it. `reason` says why not, or why never.
    """

    word: bytes
    token: bytes
    granted: bool = False
    is_stale: bool = False
    reason: str = ""


QUESTIONS = Codec(Ask)
ANSWERS = Codec(Answer)


def cluster_of(data: bytes) -> bytes:
    """The tag of the cluster in a datagram (`frame.cluster_tag`); it is not believed yet.

    Raises: RemoteProtocolError.
    """
    return _unpack(data)[1]


class Sealer:
    """Seals what one side says and opens what the other says.

    `is_server` tells which side this is.
    """

    def __init__(
        self,
        keys: KeyFile,
        cluster: str,
        *,
        is_server: bool,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._cluster = cluster
        self._tag = frame.cluster_tag(cluster)
        self._random_bytes = random_bytes
        self._says, self._hears = (ANSWERS, QUESTIONS) if is_server else (QUESTIONS, ANSWERS)
        self.replace_keys(keys)

    def replace_keys(self, keys: KeyFile) -> None:
        """Seal with other keys from now on."""
        self._signing = keys.signing
        self._secrets = {key.number: auth.secret_of(key) for key in keys.keys}

    def seal(self, message: msgspec.Struct) -> bytes:
        """Make the datagram for a message."""
        nonce = self._random_bytes(_NONCE_BYTES)
        header = _HEADER.pack(_MAGIC, _VERSION, self._signing, self._tag, nonce)
        cipher = self._cipher(self._signing, self._says)
        return header + cipher.encrypt(nonce, self._says.encode(message), header)

    def open(self, data: bytes) -> msgspec.Struct:
        """Read a datagram of the other side.

        Raises: RemoteProtocolError.
        """
        number, tag, nonce = _unpack(data)
        if tag != self._tag or number not in self._secrets:
            raise RemoteProtocolError("sealed for another cluster, or with an unknown key")
        header, sealed = data[: _HEADER.size], data[_HEADER.size :]
        try:
            body = self._cipher(number, self._hears).decrypt(nonce, sealed, header)
        except InvalidTag as problem:
            raise RemoteProtocolError("sealed with another key") from problem
        return self._hears.decode(body)

    def _cipher(self, number: int, codec: Codec) -> AESGCM:
        direction = b"ask" if codec is QUESTIONS else b"answer"
        info = b"pacekeeper quorum 1\0" + self._cluster.encode() + b"\0" + direction
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info)
        return AESGCM(derived.derive(self._secrets[number]))


def _unpack(data: bytes) -> tuple[int, bytes, bytes]:
    if not _HEADER.size < len(data) <= MAX_DATAGRAM_BYTES:
        raise RemoteProtocolError("length")
    magic, version, number, tag, nonce = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _VERSION:
        raise RemoteProtocolError("magic")
    return number, tag, nonce
