"""Corosync on the hosts of a lab, and a member of one of its closed process groups.

For benchmarks: nothing of the project needs it. It runs once per host, with places of its own
for what it writes.
"""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
from pathlib import Path
from typing import Any

from crm.plumbing.errors import CrmError
from tests.kit.talker import LIMIT_S, Talker

COROSYNC = Path("/usr/sbin/corosync")
CPG_LIBRARY = "libcpg.so.4"
CONFIGURATION = "etc/corosync/corosync.conf"
OWN_CONFIGURATION = Path("/run/corosync.conf")
KEY = Path("/run/corosync.key")
CIPHERS = {"plain": ("none", "none"), "sealed": ("aes256", "sha256")}


def prepare(settings: str) -> None:
    """Give it places of its own on this host of the lab, with this corosync.conf."""
    for place in ("/run", "/var/lib/corosync", "/dev/shm"):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    KEY.write_bytes(b"k" * 128)
    KEY.chmod(0o400)
    OWN_CONFIGURATION.write_text(settings, encoding="utf-8")


def start() -> subprocess.Popen[bytes]:
    """Start it on this host of the lab."""
    return subprocess.Popen([str(COROSYNC), "-f", "-c", str(OWN_CONFIGURATION)])


def configuration(names: tuple[str, ...], token_ms: int, cipher: str, digest: str) -> str:
    """What corosync.conf says for nodes of these names, in order."""
    nodes = "".join(
        f" node {{\n  nodeid: {number}\n  name: {name}\n  ring0_addr: 10.77.1.{number}\n }}\n"
        for number, name in enumerate(names, 1)
    )
    return (
        "totem {\n version: 2\n cluster_name: bench\n transport: knet\n"
        f" crypto_cipher: {cipher}\n crypto_hash: {digest}\n keyfile: {KEY}\n"
        f" token: {token_ms}\n token_coefficient: 0\n}}\n"
        "system {\n move_to_root_cgroup: no\n}\n"
        f"nodelist {{\n{nodes}}}\n"
        "quorum {\n provider: corosync_votequorum\n}\n"
        "logging {\n to_stderr: no\n to_syslog: no\n}\n"
    )


class _Name(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint32), ("value", ctypes.c_char * 128))


class _Place(ctypes.Structure):
    _fields_ = (("node", ctypes.c_uint32), ("pid", ctypes.c_uint32), ("reason", ctypes.c_uint32))


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


_Places = ctypes.POINTER(_Place)
_OnMessage = ctypes.CFUNCTYPE(
    None,
    ctypes.c_uint64,
    ctypes.POINTER(_Name),
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_void_p,
    ctypes.c_size_t,
)
_OnMembers = ctypes.CFUNCTYPE(
    None,
    ctypes.c_uint64,
    ctypes.POINTER(_Name),
    *(_Places, ctypes.c_size_t) * 3,
)


class _Callbacks(ctypes.Structure):
    _fields_ = (("message", _OnMessage), ("members", _OnMembers))


class CpgTalker(Talker):
    """A member of a closed process group of Corosync; see cpg_overview(3)."""

    tells_deaths = False

    _OK, _TRY_AGAIN = 1, 6
    _DISPATCH_ALL = 2
    _AGREED = 2
    _TO_BYTES = 8

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, names, loop)
        self._library = ctypes.CDLL(CPG_LIBRARY)
        self._handle = ctypes.c_uint64()
        self._callbacks = _Callbacks(_OnMessage(self._on_message), _OnMembers(self._on_members))
        self._group = _Name(5, b"bench")

    async def enter(self) -> None:
        """Enter the group as soon as Corosync lets us."""
        await self._patiently("initialize", ctypes.byref(self._handle), self._callbacks_at())
        await self._patiently("join", self._handle, ctypes.byref(self._group))
        descriptor = ctypes.c_int()
        await self._patiently("fd_get", self._handle, ctypes.byref(descriptor))
        self.loop.add_reader(descriptor.value, self._dispatch)
        self._dispatch()

    def _callbacks_at(self) -> Any:  # Any: a pointer of ctypes
        return ctypes.byref(self._callbacks)

    async def _patiently(self, call: str, *arguments: Any) -> None:  # Any: values of ctypes
        async with asyncio.timeout(LIMIT_S):
            while getattr(self._library, f"cpg_{call}")(*arguments) != self._OK:
                await asyncio.sleep(0.1)

    def _dispatch(self) -> None:
        self._library.cpg_dispatch(self._handle, self._DISPATCH_ALL)

    def send(self, payload: bytes, to: str = "") -> bool:
        """Say it to the group; who it is not for takes no notice."""
        data = to.encode().ljust(self._TO_BYTES) + payload
        vector = _Vector(data, len(data))
        answer = self._library.cpg_mcast_joined(self._handle, self._AGREED, ctypes.byref(vector), 1)
        if answer not in (self._OK, self._TRY_AGAIN):
            raise CrmError(f"cpg_mcast_joined says {answer}")
        return bool(answer == self._OK)

    def _on_message(self, _: int, __: Any, node: int, ___: int, at: int, size: int) -> None:
        data = ctypes.string_at(at, size)
        to = data[: self._TO_BYTES].rstrip().decode()
        if to in ("", self.name):
            self.take(self.names[node - 1], data[self._TO_BYTES :])

    def _on_members(self, _: int, __: Any, members: Any, count: int, *___: Any) -> None:
        self.take_members(frozenset(self.names[members[at].node - 1] for at in range(count)))
