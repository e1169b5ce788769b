"""Ways to hurt the nodes of a lab: kill, pull the plug, fill the disk, make it report errors."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.lab.remote import Lab
from crm.plumbing.errors import CrmError

DISK_BYTES = 16 * 1024 * 1024
_ATTACH_LIMIT_S = 10.0


class CannotInject(CrmError):
    """The fault needs a right or a program that is not here."""


def processes(lab: Lab, node: str) -> dict[int, str]:
    """Name all processes of a node by their ids outside, but for its init."""
    init = lab.status()["hosts"][node]["init"]
    wanted = Path(f"/proc/{init}/ns/pid").readlink()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == init:
            continue
        with contextlib.suppress(OSError):
            if (entry / "ns/pid").readlink() == wanted:
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def kill_everything(lab: Lab, node: str) -> int:
    """SIGKILL for every process of a node; its init starts heartbeat again. Gives the number."""
    killed = 0
    # Whoever was just forked is not in the first list; heartbeat goes first, so that nobody is
    # started again by it.
    for _ in range(2):
        found = processes(lab, node)
        for pid in sorted(found, key=lambda pid: found[pid] != "heartbeat"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def state_directory(lab: Lab, node: str) -> Path:
    """Where the cib of a node keeps its files."""
    return lab.root(node) / "var/lib/heartbeat/crm"


@contextlib.contextmanager
def small_disk(lab: Lab, node: str) -> Iterator[None]:
    """Give a node that is off a small file system of its own below its cib, as long as it lasts.

    Raises: CannotInject if we may not mount.
    """
    place = state_directory(lab, node)
    kept = {path.name: path.read_bytes() for path in place.iterdir()}
    options = f"size={DISK_BYTES},mode=0750"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotInject(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        for name, data in kept.items():
            (place / name).write_bytes(data)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def full_disk(lab: Lab, node: str) -> Iterator[Callable[[], None]]:
    """Fill a node's small disk to the last byte, and empty it again.

    What is given fills it once more: each write of the cib may let an old backup go.
    """
    ballast = state_directory(lab, node) / "ballast"
    with ballast.open("wb", buffering=0) as file:

        def fill() -> None:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass

        fill()
        try:
            yield fill
        finally:
            ballast.unlink()


@contextlib.contextmanager
def failing_disk(lab: Lab, node: str) -> Iterator[None]:
    """Let every fsync and fdatasync of a node's cib end with EIO.

    Raises: CannotInject if there is no strace, or it may not trace.
    """
    program = shutil.which("strace")
    if program is None:
        raise CannotInject("strace is not installed")
    pids = [pid for pid, name in processes(lab, node).items() if name == "cib"]
    if not pids:
        yield  # it has just been killed, which is another fault
        return
    calls = "fsync,fdatasync"
    command = [program, "-f", "-qq", "-o", "/dev/null", "-p", str(pids[0])]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _await_attached(tracer, pids[0])
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def _await_attached(tracer: subprocess.Popen[str], pid: int) -> None:
    """Wait until every thread of a process is traced."""
    deadline = time.monotonic() + _ATTACH_LIMIT_S
    pause = threading.Event()
    while not _is_traced(pid):
        if tracer.poll() is not None or time.monotonic() > deadline:
            said = tracer.stderr.read() if tracer.stderr and tracer.poll() is not None else ""
            raise CannotInject(f"strace could not attach: {said.strip() or 'no answer'}")
        pause.wait(0.02)


def _is_traced(pid: int) -> bool:
    try:
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    except OSError:
        return True  # it ended meanwhile
    return all("TracerPid:\t0\n" not in text for text in texts)
