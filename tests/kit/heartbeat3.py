"""Heartbeat 3 on the hosts of a lab, and a client of it and of its membership service.

For benchmarks: nothing of the project needs it. It has one fixed place for everything it reads and
writes, so each host of a lab gets file systems of its own there; its node name is the host's. The
client is made of its libraries by ctypes: no compiler, no header. Of the interface only what is
called is described here, see hb_api(3) and oc_event(3) of its packages: `ll_cluster_new` gives a
table of functions, of which `_Call` names the places.

Only root can run it: it changes owners, which a user namespace of one user does not have.
"""

from __future__ import annotations

import asyncio
import ctypes
import enum
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from crm.plumbing.errors import CrmError
from tests.kit.talker import ANSWER_EVERY, LIMIT_S, Talker

HEARTBEAT = Path("/usr/libexec/heartbeat/heartbeat")
CONFIGURATION = Path("/etc/ha.d")
OWN_PLACES = ("/run", "/var/lib/heartbeat", "/var/log", "/var/lock", "/dev/shm")
CLIENT = "bench"
SIGN_ON_S = 0.02

_OK = 1
_CCM_CLASS = 2
_NEW_MEMBERSHIP, _INVALID = 1, 0
_EVENT_BITS = 22


def prepare(settings: Path) -> None:
    """Give it places of its own on this host of the lab, with ha.cf and authkeys of a folder."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "ha.d"
        shutil.copytree(CONFIGURATION, kept, symlinks=True)
        _mount(str(CONFIGURATION))
        shutil.copytree(kept, CONFIGURATION, symlinks=True, dirs_exist_ok=True)
    for place in filter(os.path.isdir, OWN_PLACES):
        _mount(place)
    for place in ("/run/lock", "/run/heartbeat/ccm", "/var/lib/heartbeat/cores"):
        Path(place).mkdir(parents=True, exist_ok=True)
    shutil.chown("/run/heartbeat/ccm", "hacluster", "haclient")
    for name in ("ha.cf", "authkeys"):
        text = (settings / name).read_text(encoding="utf-8")
        (CONFIGURATION / name).write_text(text, encoding="utf-8")
        (CONFIGURATION / name).chmod(0o600)


def start() -> None:
    """Start it on this host of the lab.

    Raises: CrmError with what it says if it does not start.
    """
    done = subprocess.run([str(HEARTBEAT)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CrmError(f"Heartbeat 3 does not start: {done.stderr.strip()}")


def _mount(place: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", place], check=True)


def configuration(ha_cf: str) -> str:
    """Make of our ha.cf one it takes: membership alone, and our client let in."""
    return ha_cf.replace("crm yes", "crm ccm-only") + f"use_logd off\napiauth {CLIENT} uid=root\n"


class _Call(enum.IntEnum):
    """Places in the table of functions."""

    SIGN_ON = 0
    ON_MESSAGE = 3
    ON_STATUS = 4
    SEND_TO_ALL = 22
    SEND_TO_NODE = 23
    DESCRIPTOR = 27
    IS_READY = 29
    RECEIVE = 31


class _Cluster(ctypes.Structure):
    _fields_ = (("own", ctypes.c_void_p), ("calls", ctypes.POINTER(ctypes.c_void_p)))


class _Member(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("id", ctypes.c_uint), ("born", ctypes.c_uint))


class _Membership(ctypes.Structure):
    _fields_ = (
        ("instance", ctypes.c_uint),
        ("count", ctypes.c_uint),
        ("first", ctypes.c_uint),
        ("lost_and_new", ctypes.c_uint * 4),
        ("members", _Member * 1),
    )


_OnStatus = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_OnMessage = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_OnMembers = ctypes.CFUNCTYPE(
    None, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
)


class Heartbeat3Talker(Talker):
    """A client of heartbeat (messages, node states) and of ccm (membership)."""

    answer_every = ANSWER_EVERY
    messages = 2000
    rounds = 100

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, names, loop)
        self._messages = _messages_library()
        library = ctypes.CDLL("libhbclient.so.1")
        library.ll_cluster_new.restype = ctypes.POINTER(_Cluster)
        self._cluster = library.ll_cluster_new(b"heartbeat")
        self._events = ctypes.CDLL("libccmclient.so.1")
        self._token = ctypes.c_void_p()
        self._callbacks = (
            _OnMessage(self._on_message),
            _OnStatus(self._on_status),
            _OnMembers(self._on_members),
        )

    def _call(self, which: _Call, *arguments: Any, kinds: tuple[Any, ...] = ()) -> int:
        # Any: values and types of ctypes
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Cluster), *kinds)
        call = kind(self._cluster.contents.calls[which])
        return int(call(self._cluster, *arguments))

    async def enter(self) -> None:
        """Sign on to both as soon as they let us."""
        async with asyncio.timeout(LIMIT_S):
            name = CLIENT.encode()
            while self._call(_Call.SIGN_ON, name, kinds=(ctypes.c_char_p,)) != _OK:
                await asyncio.sleep(SIGN_ON_S)
            on_message, on_status, on_members = self._callbacks
            self._call(
                _Call.ON_MESSAGE,
                *(name, on_message, None),
                kinds=(ctypes.c_char_p, _OnMessage, ctypes.c_void_p),
            )
            self._call(_Call.ON_STATUS, on_status, None, kinds=(_OnStatus, ctypes.c_void_p))
            self.loop.add_reader(self._call(_Call.DESCRIPTOR), self._dispatch)
            self._dispatch()
            self._events.oc_ev_register(ctypes.byref(self._token))
            self._events.oc_ev_set_callback(self._token, _CCM_CLASS, on_members, None)
            descriptor = ctypes.c_int(-1)
            while self._events.oc_ev_activate(self._token, ctypes.byref(descriptor)) != 0:
                await asyncio.sleep(SIGN_ON_S)
        self.loop.add_reader(descriptor.value, lambda: self._events.oc_ev_handle_event(self._token))

    def _dispatch(self) -> None:
        while self._call(_Call.IS_READY):
            self._call(_Call.RECEIVE, 0, kinds=(ctypes.c_int,))

    def send(self, payload: bytes, to: str = "") -> bool:
        """Say it to the clients of this name, everywhere or on one node."""
        message = self._messages.ha_msg_new(0)
        self._messages.ha_msg_add(message, b"t", CLIENT.encode())
        self._messages.ha_msg_addbin(message, b"payload", payload, len(payload))
        if to:
            kinds = (ctypes.c_void_p, ctypes.c_char_p)
            answer = self._call(_Call.SEND_TO_NODE, message, to.encode(), kinds=kinds)
        else:
            answer = self._call(_Call.SEND_TO_ALL, message, kinds=(ctypes.c_void_p,))
        self._messages.ha_msg_del(message)
        self.loop.call_soon(self._dispatch)  # what came while it was sent wakes nobody
        return answer == _OK

    def _on_message(self, message: int, _: Any) -> None:
        size = ctypes.c_size_t()
        at = self._messages.cl_get_binary(message, b"payload", ctypes.byref(size))
        sender = self._messages.cl_get_string(message, b"src")
        if at and sender:
            self.take(sender.decode(), ctypes.string_at(at, size.value))

    def _on_status(self, node: bytes, status: bytes, _: Any) -> None:
        if status == b"dead":
            self.take_death(node.decode())

    def _on_members(self, event: int, cookie: int, _: int, at: int | None) -> None:
        kind = event & ((1 << _EVENT_BITS) - 1)
        if kind in (_NEW_MEMBERSHIP, _INVALID) and at:
            found = ctypes.cast(at, ctypes.POINTER(_Membership)).contents
            place = ctypes.addressof(found) + _Membership.members.offset
            members = ctypes.cast(place, ctypes.POINTER(_Member))
            chosen = range(found.first, found.first + found.count)
            self.take_members(frozenset(members[each].name.decode() for each in chosen))
        self._events.oc_ev_callback_done(ctypes.c_void_p(cookie))


def _messages_library() -> Any:  # Any: a library of ctypes
    library = ctypes.CDLL("libplumb.so.2", mode=ctypes.RTLD_GLOBAL)
    library.ha_msg_new.restype = ctypes.c_void_p
    library.ha_msg_add.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
    library.ha_msg_addbin.argtypes = (
        *(ctypes.c_void_p, ctypes.c_char_p),
        *(ctypes.c_char_p, ctypes.c_size_t),
    )
    library.ha_msg_del.argtypes = (ctypes.c_void_p,)
    library.cl_get_string.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.cl_get_string.restype = ctypes.c_char_p
    library.cl_get_binary.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    library.cl_get_binary.restype = ctypes.c_void_p
    return library
