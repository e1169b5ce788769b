"""What is fed to decoders: noise, spoilt messages, and messages whose every field is odd."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from crm.plumbing.codec import Codec


@dataclass(frozen=True)
class Target:
    """One decoder: what goes in, and what is done with it."""

    inputs: st.SearchStrategy[Any]  # Any: each target has inputs of its own kind
    take: Callable[[Any], None]


NAMES = ("a", "b", "c", "crmd", "", "*", "a" * 300, "\u0000", "n\u00f6de")
LEAST, MOST = -(2**63), 2**64 - 1
WHOLE_NUMBERS = st.one_of(
    st.integers(-2, 70_000), st.sampled_from([LEAST, MOST, 2**31, 2**32, 2**63])
)


# Any: what a type hint may be has no type of its own.
def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a decoder accepts for a field with this type hint."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values_of, inner))
    if (origin is tuple and inner[1:] == (...,)) or origin in (list, frozenset):
        return st.lists(values_of(inner[0]), max_size=4).map(tuple if origin is tuple else origin)
    if origin is typing.Annotated:
        return values_of(inner[0])
    if origin is tuple:
        return st.tuples(*map(values_of, inner))
    if origin is not None and len(inner) == 2:
        return st.dictionaries(values_of(inner[0]), values_of(inner[1]), max_size=4)
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return messages_of(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(list(hint))
    if hasattr(hint, "__supertype__"):
        return values_of(hint.__supertype__)
    return _PLAIN[hint]


_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: WHOLE_NUMBERS,
    float: st.floats(allow_nan=False),
    str: st.one_of(st.sampled_from(NAMES), st.text(max_size=8)),
    bytes: st.one_of(st.sampled_from([b"", b"\0", bytes(8), bytes(16)]), st.binary(max_size=40)),
    type(None): st.none(),
    Any: st.none() | st.text(max_size=4) | st.integers(-1, 5),
}


def messages_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Messages of one class, every field filled without regard to the others."""
    fields = msgspec.structs.fields(kind)
    return st.deferred(
        lambda: st.builds(kind, **{field.name: values_of(field.type) for field in fields})
    )


def messages(codec: Codec) -> st.SearchStrategy[msgspec.Struct]:
    """Messages of every class of a family."""
    return st.one_of(*map(messages_of, codec.members))


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=6)
    | st.binary(max_size=6) | st.floats(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes that were right before something was cut out, put in, turned over, or put twice."""
    data = draw(whole)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.integers(0, 3))
        if how == 0:
            data = data[:at] + data[at + draw(st.integers(1, 8)) :]
        elif how == 1:
            data = data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
        elif how == 2 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        elif how == 3:
            data = data[:at] + data
    return data


def deep(levels: int) -> bytes:
    """An array in an array in an array, as msgpack writes it."""
    return b"\x91" * levels + b"\xc0"


def encoded(codec: Codec) -> st.SearchStrategy[bytes]:
    """Bytes for the decoder of a family: whole, spoilt, of another form, or noise."""
    return st.one_of(
        spoilt(messages(codec).map(codec.encode)),
        _TREES.map(msgspec.msgpack.encode),
        st.binary(max_size=64),
        st.integers(1, 2000).map(deep),
    )
