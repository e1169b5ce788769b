"""The cluster layer of a simulated computer, behind a seam: the rest need not know which it is.

Responsible for making the machine that serves the conversation of `crm.api.membership`, for what
comes to it from outside, and for its effects. Starting children is the computer's own (`nodes`).
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from messaging.authkeys import KeyFile, SharedKey
from messaging.cluster_settings import ClusterSettings, Medium, MediumKind, Timing
from messaging.events import DatagramArrived, KeepNodes, SendDatagram, Started
from messaging.rotation import KeysWritten, WriteKeys
from tests.sim.processes import Process

if TYPE_CHECKING:
    from tests.sim.nodes import Node

TIMING = Timing(keepalive_s=1.0, deadtime_s=6.0, warntime_s=3.0, initdead_s=10.0, deadping_s=6.0)
KEYS = KeyFile(1, (SharedKey(1, "sha1", b"simulated"),))
WRITING_S = 0.002


class Layer(abc.ABC):
    """How one computer is joined to the others."""

    @abc.abstractmethod
    def make(self) -> Any:
        """Make the machine of the life that begins."""

    @abc.abstractmethod
    def begin(self, process: Process) -> None:
        """Connect a new life with the network."""

    @abc.abstractmethod
    def carry_out(self, effect: object) -> None:
        """Do what the machine wants done outside."""

    @abc.abstractmethod
    def end(self) -> None:
        """Be gone without a word."""


class Heartbeat(Layer):
    """The real machine of `messaging` and its datagrams."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._keys = KEYS
        self._settings = ClusterSettings(
            nodes=tuple(node.names),
            media=(Medium(MediumKind.BCAST, "eth1"),),
            timing=TIMING,
            parameters={"keepalive": "1000", "deadtime": "6000", "initdead": "10000"},
        )

    def make(self) -> Any:
        node = self._node
        return node.makers["heartbeat"](
            self._settings,
            self._keys,
            node=node.name,
            uuid=node.uuid,
            now=node.clock(),
            random_bytes=node.engine.random.randbytes,
            child_plans=node.children,
            generation=node.life,
        )

    def begin(self, process: Process) -> None:
        self._node.network.listeners[self._node.name] = self._datagram
        process.receive(Started())

    def carry_out(self, effect: object) -> None:
        node = self._node
        match effect:
            case SendDatagram(link, data, ""):
                node.network.broadcast(node.name, link, data)
            case SendDatagram(link, data, destination):
                node.network.send(node.name, destination, link, data)
            case WriteKeys(keys=keys):
                self._keys = keys
                node.engine.after(WRITING_S, node.tell_heartbeat, KeysWritten(keys))
            case KeepNodes():
                pass  # who starts again reads the list of its ha.cf, and is told the newer one
            case _:
                raise AssertionError(f"heartbeat wants {effect!r}")

    def end(self) -> None:
        self._node.network.listeners.pop(self._node.name, None)

    def _datagram(self, link: str, source: str, data: bytes) -> None:
        self._node.tell_heartbeat(DatagramArrived(link, source, data))
