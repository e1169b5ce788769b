"""Which two codecs each daemon's conversation uses, by service name, and what only asks.

The gate and its clients carry the messages of every conversation; here they find how to read
them. What the messages mean stands in the conversation's own file. A conversation is loaded when
it is first looked up: a command that asks one daemon does not pay for the words of six.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from crm.plumbing.codec import Codec


class Languages(NamedTuple):
    """What a client says to a service, what the service answers, and which words only ask.

    What is in `reading` changes nothing, so that it may be said again when the answer was lost.
    """

    requests: Codec
    replies: Codec
    reading: frozenset[str]


class _Place(NamedTuple):
    """Where a conversation is written down."""

    module: str
    requests: str
    replies: str
    reading: frozenset[str]


_PLACES = {
    "heartbeat": _Place("membership", "TO_HEARTBEAT", "TO_CLIENT", frozenset({"AskCluster"})),
    "cib": _Place("cib", "TO_CIB", "FROM_CIB", frozenset({"Query", "AskRevisions", "DescribeCib"})),
    "crmd": _Place(
        "controller", "TO_CRMD", "FROM_CRMD", frozenset({"AskController", "WaitUntilIdle"})
    ),
    "attrd": _Place("attributes", "TO_ATTRD", "FROM_ATTRD", frozenset({"AskAttributes"})),
    "lrmd": _Place("lrm", "TO_LRMD", "FROM_LRMD", frozenset({"DescribeExecutor"})),
    "stonithd": _Place("fencing", "TO_STONITHD", "FROM_STONITHD", frozenset({"AskDevices"})),
}


@functools.cache
def _load(service: str) -> Languages:
    place = _PLACES[service]
    module = importlib.import_module(f"crm.api.{place.module}")
    return Languages(getattr(module, place.requests), getattr(module, place.replies), place.reading)


class _Conversations(Mapping[str, Languages]):
    """The conversations by service name."""

    def __getitem__(self, service: str) -> Languages:
        if service not in _PLACES:
            raise KeyError(service)
        return _load(service)

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


BY_SERVICE: Mapping[str, Languages] = _Conversations()
"""The services behind the gate."""
