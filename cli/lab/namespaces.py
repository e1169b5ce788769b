"""Linux namespaces from Python: leave the shared ones, enter others, mount inside.

Only what the lab needs of unshare(2), setns(2), mount(2) and prctl(2), through libc, because the
standard library of Python 3.11 has none of them. Every function raises OSError with what was
tried.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

NEW_MOUNT = 0x00020000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PID = 0x20000000
NEW_NET = 0x40000000

_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def leave(flags: int) -> None:
    """Leave the shared namespaces named by `flags` for new ones (unshare)."""
    _check(_libc.unshare(flags), "cannot make new namespaces")


def enter_network_of(pid: int) -> None:
    """Enter the network namespace of another process."""
    with Path(f"/proc/{pid}/ns/net").open("rb") as handle:
        _check(_libc.setns(handle.fileno(), NEW_NET), f"cannot enter the network of process {pid}")


def become_root_of_new_user_namespace() -> None:
    """Enter a new user namespace in which the caller is root: no privileges needed.

    Raises: OSError where user namespaces are switched off.
    """
    uid, gid = os.getuid(), os.getgid()
    leave(NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def make_mounts_private() -> None:
    """Keep later mounts from showing outside this mount namespace."""
    _check(
        _libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None),
        "cannot make the mounts private",
    )


def mount_proc() -> None:
    """Mount the process list of this pid namespace on /proc."""
    _check(_libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None), "cannot mount /proc")


def bind(source: Path, target: Path) -> None:
    """Show `source` in place of `target` inside this mount namespace."""
    _check(
        _libc.mount(bytes(source), bytes(target), None, ctypes.c_ulong(_MS_BIND), None),
        f"cannot mount {source} on {target}",
    )


def set_host_name(name: str) -> None:
    """Set what `uname -n` says inside this UTS namespace."""
    data = name.encode()
    _check(_libc.sethostname(data, len(data)), f"cannot set the host name {name}")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL)), "cannot follow the parent's death")
