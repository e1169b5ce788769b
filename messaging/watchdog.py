"""The watchdog device: hardware, or a driver of the kernel, that resets a computer that hangs.

Responsible for the device and its three uses: arm it at the start, show signs of life, disarm it at
an orderly end. When that is due is decided by `core`. Not responsible for loading drivers.

A device that is open resets the computer when `timer_s` pass without a sign of life; closing it
alone changes nothing of that. Only the letter `V`, written just before (the magic close), tells it
that the end is meant. So a node whose heartbeat is killed, stopped or stuck is reset, and so is one
that was paused as a whole for longer than the timer, when it goes on.

Source: the kernel's watchdog API; Heartbeat's directive `watchdog`; docs/protocol/links.md.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crm.plumbing.errors import ConfigurationError

MAGIC_CLOSE = b"V"
SIGN_OF_LIFE = b"\0"
_SET_TIMEOUT = 0xC0045706
"""WDIOC_SETTIMEOUT: takes seconds, gives back what the device made of them."""

_REMEDIES = {
    errno.ENOENT: "load its driver ('modprobe softdog' where there is no hardware), or remove"
    " the line",
    errno.ENODEV: "load its driver ('modprobe softdog' where there is no hardware), or remove"
    " the line",
    errno.EBUSY: "another program holds it: systemd (RuntimeWatchdogSec), sbd, the watchdog daemon",
    errno.EACCES: "heartbeat has to run as root for it",
    errno.EPERM: "heartbeat has to run as root for it",
}


# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShowLife:
    """This node works: the watchdog may begin its time again."""


@dataclass(frozen=True, slots=True)
class Disarm:
    """This node ends in order: the watchdog shall not reset it."""


class Device(Protocol):
    """What a watchdog device can do. Each may raise OSError."""

    def set_timeout(self, seconds: int) -> int:
        """Arm it with a timer; gives the timer it really has."""
        ...

    def write(self, data: bytes) -> None:
        """Write bytes: any is a sign of life, and a `V` prepares the magic close."""
        ...

    def close(self) -> None:
        """Close it; without a `V` just before, it stays armed."""
        ...


class LinuxDevice:
    """A watchdog device of the kernel."""

    def __init__(self, path: Path) -> None:
        """Open the device, which arms it.

        Raises: OSError.
        """
        self._handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)

    def set_timeout(self, seconds: int) -> int:
        """Set the timer; gives the one the device has made of it."""
        packed = fcntl.ioctl(self._handle, _SET_TIMEOUT, struct.pack("i", seconds))
        return int(struct.unpack("i", packed)[0])

    def write(self, data: bytes) -> None:
        """Write bytes to the device."""
        os.write(self._handle, data)

    def close(self) -> None:
        """Close the device."""
        os.close(self._handle)


class Watchdog:
    """An armed watchdog."""

    def __init__(self, device: Device, path: Path, timer_s: int) -> None:
        """Set the timer and show the first sign of life.

        Raises: ConfigurationError if this is no watchdog, or one that cannot wait that long; it
        is disarmed then.
        """
        self._device: Device | None = device
        try:
            self.timer_s = device.set_timeout(timer_s)
            device.write(SIGN_OF_LIFE)
        except OSError as problem:
            self.disarm()
            raise ConfigurationError(f"watchdog '{path}': {_reason(problem)}") from problem
        if self.timer_s < timer_s:
            self.disarm()
            text = f"watchdog '{path}' waits {self.timer_s} s at most, {timer_s} s were asked for"
            raise ConfigurationError(f"{text}: state a smaller watchdog_timer")

    def show_life(self) -> str:
        """Begin the time again; gives what is wrong with the device, or ""."""
        return self._write(SIGN_OF_LIFE)

    def disarm(self) -> None:
        """End the watch, in order."""
        self._write(MAGIC_CLOSE)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the device and leave it armed: it will reset the computer."""
        if self._device is not None:
            self._device.close()
            self._device = None

    def _write(self, data: bytes) -> str:
        if self._device is None:
            return ""
        try:
            self._device.write(data)
        except OSError as problem:
            return _reason(problem)
        return ""


def open_watchdog(path: Path, timer_s: int) -> Watchdog:
    """Open and arm a device.

    Raises: ConfigurationError with the remedy.
    """
    try:
        device = LinuxDevice(path)
    except OSError as problem:
        raise ConfigurationError(f"watchdog '{path}': {_reason(problem)}") from problem
    return Watchdog(device, path, timer_s)


def default_timer_s(deadtime_s: float) -> int:
    """The classic timer: the deadtime and 10 ms, in whole seconds.

    Units: seconds.
    """
    return math.ceil(deadtime_s + 0.01)


def remedy_of_missing() -> str:
    """What to do when there is no device."""
    return _REMEDIES[errno.ENOENT]


def _reason(problem: OSError) -> str:
    if problem.errno in (errno.ENOTTY, errno.EINVAL):
        return "this is no watchdog device; /dev/watchdog usually is one"
    remedy = _REMEDIES.get(problem.errno or 0, "")
    return f"{problem.strerror} ({remedy})" if remedy else str(problem.strerror)
