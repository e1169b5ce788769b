"""A disk in memory that forgets what was not synced, fills up, and fails; call by call.

It is a `crm.plumbing.kernel.Kernel` for one folder. What it models:

- Content is durable after a sync of the file, names after a sync of the folder. A power cut keeps
  a prefix of the rest, or any part of it, and the last write kept may be torn.
- A sync that fails with EIO has lost what it was to write. It can be read until the power cut, and
  the next sync says that all is well.
- A full disk (ENOSPC), a disk that may not be written (EROFS), and one that is broken for good.
- The power is cut, or the process killed, at a chosen call.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 64
"""Small, so that small files have several."""

FOLDER = Path("/var/lib/heartbeat/crm")
_FIRST_DESCRIPTOR = 1_000


class Interrupted(BaseException):
    """Nothing after this call happened: the process is gone. No handler for errors may see it."""


@dataclass(eq=False)
class Inode:
    """A file: what readers see, what is durable, and what it was in between."""

    number: int
    mode: int = 0o600
    content: bytes = b""
    durable: bytes = b""
    pending: list[bytes] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)

    def become(self, content: bytes) -> None:
        self.content = content
        self.pending.append(content)

    def sync(self) -> None:
        """Make durable what is there; what an earlier sync has lost stays lost."""
        kept = bytearray(self.content)
        for start, end in self.lost:
            end = min(end, len(kept))
            kept[start:end] = bytes(max(end - start, 0))
        self.durable = bytes(kept)
        self.pending.clear()

    def lose(self) -> None:
        """Fail to sync: the pages count as clean from now on, and are not on the disk."""
        start = _alike(self.durable, self.content)
        if start < len(self.content):
            self.lost.append((start, len(self.content)))
        self.pending.clear()

    def after_power_cut(self, chance: random.Random) -> bytes:
        """What a new boot finds."""
        states = [self.durable, *self.pending]
        kept = chance.randrange(len(states))
        if kept + 1 < len(states) and chance.random() < 0.5:
            return _torn(states[kept], states[kept + 1], chance)
        return states[kept]


def _alike(one: bytes, other: bytes) -> int:
    """Count the bytes at the beginning that are the same: writing them again changes nothing."""
    same = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        same += 1
    return same


def _torn(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """A write of which only a part, or only some sectors, came to the disk."""
    if chance.random() < 0.5:
        return new[: chance.randrange(_alike(old, new), len(new) + 1)]
    base = bytearray(old[: len(new)].ljust(len(new), b"\0"))
    for start in range(0, len(new), SECTOR_BYTES):
        if chance.random() < 0.5:
            base[start : start + SECTOR_BYTES] = new[start : start + SECTOR_BYTES]
    return bytes(base)


Naming = tuple[tuple[str, Inode | None], ...]
"""Names that came to mean another file, or none, at one moment."""


class FrailDisk:
    """One folder of a disk, and the calls of the processes that use it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.read_only = False
        self.broken = False
        self.unreadable: set[str] = set()
        self.interrupt_after: int | None = None
        self._failures: dict[str, list[int]] = {}
        self._names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._pending: list[Naming] = []
        self._open: dict[int, tuple[Inode | None, int, int]] = {}
        self._descriptor = _FIRST_DESCRIPTOR
        self._number = 0
        self._dead = False
        self._is_short = False

    # --- what a test does ---------------------------------------------------------------------

    def put(self, name: str, data: bytes) -> None:
        """Have a file there, durably."""
        inode = self._new_inode()
        inode.content = inode.durable = data
        self._names[name] = self._durable_names[name] = inode

    def remove(self, name: str) -> None:
        """Have no such file, durably."""
        self._names.pop(name, None)
        self._durable_names.pop(name, None)

    def files(self) -> dict[str, bytes]:
        """What a reader finds."""
        return {name: inode.content for name, inode in sorted(self._names.items())}

    def fail(self, call: str, number: int, *, times: int = 1, after: int = 0) -> None:
        """Have calls of this name fail with this error, once some have gone well.

        `sync_folder` is an fsync of the folder, `create` an open that makes a file.
        """
        self._failures.setdefault(call, []).extend([0] * after + [number] * times)

    def repair(self) -> None:
        """End all trouble; what is lost stays lost."""
        self.read_only = self.broken = False
        self.unreadable.clear()
        self.interrupt_after = None
        self._failures.clear()

    def restart_process(self) -> None:
        """Another process uses the disk: what the last one wrote is there, synced or not."""
        self._dead = False
        self.interrupt_after = None
        self._open.clear()

    def cut_power(self, chance: random.Random) -> None:
        """Keep what was durable, and some of the rest."""
        names = dict(self._durable_names)
        for naming in self._survivors(chance):
            _rename(names, naming)
        content = {id(inode): inode.after_power_cut(chance) for inode in _inodes(names)}
        for inode in _inodes(names):
            inode.content = inode.durable = content[id(inode)]
            inode.pending.clear()
            inode.lost.clear()
        self._names, self._durable_names = dict(names), dict(names)
        self._pending.clear()
        self.restart_process()

    def _survivors(self, chance: random.Random) -> list[Naming]:
        if chance.random() < 0.7:
            return self._pending[: chance.randrange(len(self._pending) + 1)]
        return [naming for naming in self._pending if chance.random() < 0.5]

    # --- the kernel: files ----------------------------------------------------------------------

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        name = path.name
        if name in self.unreadable:
            raise _error(errno.EACCES, path)
        if flags & os.O_DIRECTORY or path == FOLDER:
            self._enter("open")
            return self._descriptor_of(None, flags)
        inode = self._names.get(name)
        if inode is None:
            if not flags & os.O_CREAT:
                self._enter("open")
                raise _error(errno.ENOENT, path)
            self._change("create", path)
            inode = self._new_inode()
            inode.mode = mode
            self._name((name, inode))
        elif flags & os.O_EXCL:
            raise _error(errno.EEXIST, path)
        elif flags & (os.O_WRONLY | os.O_RDWR):
            self._change("open", path)
        else:
            self._enter("open")
        return self._descriptor_of(inode, flags)

    def close(self, fd: int, /) -> None:
        self._enter("close")
        del self._open[fd]

    def read(self, fd: int, size: int, /) -> bytes:
        self._enter("read")
        inode, place, flags = self._open[fd]
        if inode is None:
            raise _error(errno.EISDIR)
        data = inode.content[place : place + size]
        self._open[fd] = (inode, place + len(data), flags)
        return data

    def pread(self, fd: int, size: int, offset: int, /) -> bytes:
        self._enter("read")
        return self._file(fd).content[offset : offset + size]

    def write(self, fd: int, data: memoryview, /) -> int:
        inode, place, flags = self._open[fd]
        assert inode is not None
        waiting = self._failures.get("write", [])
        if waiting and waiting[0] == errno.ENOSPC and len(data) > 1 and not self._is_short:
            data = data[: len(data) // 2]  # a disk that fills up takes a part first
            self._is_short = True
        else:
            self._change("write")
            self._is_short = False
        if flags & os.O_APPEND:
            place = len(inode.content)
        old = inode.content
        inode.become(old[:place].ljust(place, b"\0") + bytes(data) + old[place + len(data) :])
        self._open[fd] = (inode, place + len(data), flags)
        return len(data)

    def ftruncate(self, fd: int, length: int, /) -> None:
        self._change("truncate")
        inode = self._file(fd)
        inode.become(inode.content[:length].ljust(length, b"\0"))

    def fstat(self, fd: int, /) -> os.stat_result:
        self._enter("stat")
        return self._status(self._open[fd][0])

    def fchmod(self, fd: int, mode: int, /) -> None:
        self._change("chmod")
        self._file(fd).mode = mode

    def fchown(self, fd: int, uid: int, gid: int, /) -> None:
        self._change("chown")

    def fsync(self, fd: int, /) -> None:
        inode = self._open[fd][0]
        try:
            self._change("fsync" if inode is not None else "sync_folder")
            if self.broken:
                raise _error(errno.EIO)
        except OSError as problem:
            if problem.errno == errno.EIO:
                self._lose(inode)
            raise
        if inode is not None:
            inode.sync()
            return
        for naming in self._pending:
            _rename(self._durable_names, naming)
        self._pending.clear()

    def fdatasync(self, fd: int, /) -> None:
        self.fsync(fd)

    # --- the kernel: names ----------------------------------------------------------------------

    def lstat(self, path: Path, /) -> os.stat_result:
        self._enter("stat")
        return self._status(None if path == FOLDER else self._found(path))

    def rename(self, source: Path, target: Path, /) -> None:
        inode = self._found(source)
        self._change("rename", source)
        self._name((source.name, None), (target.name, inode))

    def link(self, source: Path, target: Path, /, *, follow_symlinks: bool = True) -> None:
        inode = self._found(source)
        if target.name in self._names:
            raise _error(errno.EEXIST, target)
        self._change("link", source)
        self._name((target.name, inode))

    def unlink(self, path: Path, /) -> None:
        self._found(path)
        self._change("unlink", path)
        self._name((path.name, None))

    def listdir(self, path: Path, /) -> list[str]:
        self._enter("list")
        return sorted(self._names)

    # --- how it works ---------------------------------------------------------------------------

    def _enter(self, call: str) -> None:
        if self._dead:
            raise Interrupted(call)
        self._raise(call, None)

    def _change(self, call: str, path: Path | None = None) -> None:
        """Begin a call that changes something: it may be the last one, or be refused."""
        if self._dead:
            raise Interrupted(call)
        if self.interrupt_after is not None:
            if self.interrupt_after <= 0:
                self._dead = True
                raise Interrupted(call)
            self.interrupt_after -= 1
        self.calls.append(call)
        if self.read_only and call not in ("fsync", "sync_folder"):
            raise _error(errno.EROFS, path)
        self._raise(call, path)

    def _raise(self, call: str, path: Path | None) -> None:
        waiting = self._failures.get(call)
        if waiting and (number := waiting.pop(0)):
            raise _error(number, path)

    def _lose(self, inode: Inode | None) -> None:
        if inode is not None:
            inode.lose()
        else:
            self._pending.clear()

    def _name(self, *naming: tuple[str, Inode | None]) -> None:
        _rename(self._names, naming)
        self._pending.append(naming)

    def _new_inode(self) -> Inode:
        self._number += 1
        return Inode(self._number)

    def _descriptor_of(self, inode: Inode | None, flags: int) -> int:
        self._descriptor += 1
        self._open[self._descriptor] = (inode, 0, flags)
        return self._descriptor

    def _file(self, fd: int) -> Inode:
        inode = self._open[fd][0]
        assert inode is not None, "a folder is no file"
        return inode

    def _found(self, path: Path) -> Inode:
        inode = self._names.get(path.name)
        if inode is None:
            raise _error(errno.ENOENT, path)
        return inode

    def _status(self, inode: Inode | None) -> os.stat_result:
        uid, gid = os.getuid(), os.getgid()
        if inode is None:
            return os.stat_result((stat.S_IFDIR | 0o750, 0, 1, 1, uid, gid, 0, 0, 0, 0))
        size = len(inode.content)
        kind = stat.S_IFREG | inode.mode
        return os.stat_result((kind, inode.number, 1, 1, uid, gid, size, 0, 0, 0))


def _rename(names: dict[str, Inode], naming: Naming) -> None:
    for name, inode in naming:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _inodes(names: dict[str, Inode]) -> Iterable[Inode]:
    return {id(inode): inode for inode in names.values()}.values()


def _error(number: int, path: Path | None = None) -> OSError:
    name = None if path is None else str(path)
    return OSError(number, os.strerror(number), name)
