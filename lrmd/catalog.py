"""Which agents this installation has: where each lies, and what it says of itself.

Responsible for names, files and their safety: an agent's file must belong to root (or to us), and
nobody else may write to it or to its folder. Not responsible for running operations. The tools use
this module without a daemon.

Our own address agents come before installed files of the same name; an administrator who wants a
file of his own puts it under a provider of his own.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crm.api.lrm import ResourceAgent
from crm.plumbing import errors
from crm.plumbing.errors import Problem
from crm.plumbing.settings import Paths
from lrmd import spawn
from lrmd.agentkit import agent as agentkit
from lrmd.agentkit.metadata import Action, document
from lrmd.agents_built_in import BUILT_IN, STAND_INS
from lrmd.surroundings import Surroundings

CLASSES = ("ocf", "lsb", "systemd", "heartbeat", "service", "stonith")

METADATA_TIMEOUT_S = 10.0
MAX_METADATA_BYTES = 1024 * 1024

_SCRIPT_ACTIONS = (
    Action("start", 15),
    Action("stop", 15),
    Action("monitor", 15, interval_s=15),
    Action("meta-data", 5),
)
"""What is advised for scripts and units, which advise nothing themselves."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*\Z")
_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]*>\s*")
"""Agents name a DTD nobody has; our parser refuses any document type."""

_SYSTEMCTL = (Path("/usr/bin/systemctl"), Path("/bin/systemctl"))
_UNIT_FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")


@dataclass(frozen=True, slots=True)
class Location:
    """Where an agent is: `program` to execute, or None for one of our own."""

    standard: str
    program: Path | None


def locate(root: Path, agent: ResourceAgent) -> Location | Problem:
    """Find the agent of a resource, or say why it cannot be used."""
    name = describe(agent)
    for word in (agent.type, agent.provider or "none"):
        if _NAME.match(word) is None:
            return errors.error("agent-name-invalid", name, f"'{word}' is not the name of an agent")
    match agent.agent_class:
        case "ocf":
            return _locate_ocf(root, agent)
        case "lsb":
            return _first_usable("lsb", name, [root / "etc/init.d" / agent.type])
        case "heartbeat":
            folders = (Paths(root).resource_d, root / "etc/init.d")
            return _first_usable("heartbeat", name, [folder / agent.type for folder in folders])
        case "systemd":
            return _first_usable("systemd", name, _SYSTEMCTL)
        case "service":
            script = _first_usable("lsb", name, [root / "etc/init.d" / agent.type])
            return (
                script
                if isinstance(script, Location)
                else _first_usable("systemd", name, _SYSTEMCTL)
            )
        case "stonith":
            return Location("stonith", None)
        case other:
            return errors.error(
                "agent-class-unknown",
                name,
                f"there is no class of agents '{other}'",
                f"known classes: {', '.join(CLASSES)}",
            )


def describe(agent: ResourceAgent) -> str:
    """Write an agent's name as the shell does: `ocf:heartbeat:IPaddr2`."""
    return ":".join(part for part in (agent.agent_class, agent.provider, agent.type) if part)


def providers(root: Path, of_type: str = "") -> list[str]:
    """List the providers of OCF agents, or of the agents of one type."""
    found = {provider for provider, name in BUILT_IN if of_type in ("", name)}
    for folder in _folders(Paths(root).ocf_root / "resource.d"):
        if not of_type or (folder / of_type).is_file():
            found.add(folder.name)
    return sorted(found)


def types(root: Path, standard: str, provider: str = "") -> list[str]:
    """List the agents of a class (of a provider, for ocf)."""
    match standard:
        case "ocf":
            found = {name for maker, name in BUILT_IN if provider in ("", maker)}
            for folder in _folders(Paths(root).ocf_root / "resource.d"):
                if provider in ("", folder.name):
                    found |= _programs(folder)
        case "lsb":
            found = _programs(root / "etc/init.d")
        case "heartbeat":
            found = _programs(Paths(root).resource_d)
        case "systemd":
            found = {
                unit.name.removesuffix(".service")
                for folder in _UNIT_FOLDERS
                for unit in _files(root / folder)
                if unit.name.endswith(".service")
            }
        case "stonith":
            # They are listed, but cannot be run yet.
            found = {name for name in _programs(root / "usr/sbin") if name.startswith("fence_")}
        case "service":
            found = {*types(root, "lsb"), *types(root, "systemd")}
        case _:
            found = set()
    return sorted(found)


def metadata(root: Path, agent: ResourceAgent) -> bytes:
    """Return what an agent says of itself, as OCF metadata.

    Raises: UsageError if there is no such agent, or it says nothing.
    """
    location = locate(root, agent)
    if isinstance(location, Problem):
        raise errors.UsageError(str(location))
    match location.standard:
        case "ocf" if location.program is None:
            return agentkit.describe(BUILT_IN[agent.provider, agent.type])
        case "ocf":
            assert location.program is not None, "an installed agent has a file"
            return _ask_program(root, agent, location.program)
        case "lsb" | "heartbeat":
            assert location.program is not None, "a script has a file"
            return script_metadata(agent.type, location.program.read_bytes()[:MAX_METADATA_BYTES])
        case standard:
            return _bare_metadata(agent.type, f"{standard} {agent.type}", "")


def script_metadata(name: str, script: bytes) -> bytes:
    """Make metadata from the comment block an init script may have (LSB "INIT INFO")."""
    text = script.decode(errors="replace")
    fields: dict[str, str] = {}
    is_inside = False
    for line in text.splitlines():
        if line.startswith("### BEGIN INIT INFO"):
            is_inside = True
        elif line.startswith("### END INIT INFO"):
            break
        elif is_inside:
            key, colon, value = line.lstrip("# \t").partition(":")
            if colon:
                fields[key.strip().lower()] = value.strip()
    return _bare_metadata(
        name, fields.get("short-description", name), fields.get("description", "")
    )


def _bare_metadata(name: str, short: str, long: str) -> bytes:
    return document(
        name=name,
        version="1.0",
        short=short,
        long=long or short,
        parameters=(),
        actions=_SCRIPT_ACTIONS,
    )


def _locate_ocf(root: Path, agent: ResourceAgent) -> Location | Problem:
    name = describe(agent)
    key = (agent.provider, agent.type)
    path = Paths(root).ocf_root / "resource.d" / agent.provider / agent.type
    if key in BUILT_IN and not (key in STAND_INS and path.is_file()):
        return Location("ocf", None)
    if not agent.provider:
        return errors.error(
            "agent-provider-missing",
            name,
            f"'{name}' names no provider",
            f"write ocf:PROVIDER:{agent.type}",
        )
    return _first_usable("ocf", name, [path])


def _first_usable(standard: str, name: str, candidates: Iterable[Path]) -> Location | Problem:
    looked = []
    for path in candidates:
        if not path.is_file():
            looked.append(str(path))
            continue
        complaint = _safety_complaint(path)
        if complaint:
            return errors.error("agent-unsafe", name, complaint, "correct its owner and mode")
        return Location(standard, path)
    return errors.error(
        "agent-missing", name, f"there is no agent '{name}' here", f"looked for {', '.join(looked)}"
    )


def _safety_complaint(path: Path) -> str:
    """Say why a file may not be run as root; "" if it may."""
    real = path.resolve()
    for checked in (real, real.parent):
        status = checked.stat()
        if status.st_uid not in (0, os.geteuid()):
            return f"'{checked}' belongs to uid {status.st_uid}, expected root"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX:
            return f"'{checked}' can be written by others than its owner"
    if not os.access(real, os.X_OK):
        return f"'{real}' is not executable"
    return ""


def _ask_program(root: Path, agent: ResourceAgent, program: Path) -> bytes:
    environment = Surroundings(root, os.uname().nodename.lower()).environment()
    environment |= {
        "OCF_RESOURCE_INSTANCE": agent.type,
        "OCF_RESOURCE_TYPE": agent.type,
        "OCF_RESOURCE_PROVIDER": agent.provider,
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
    }
    text = spawn.output_of(
        (str(program), "meta-data"),
        environment,
        timeout_s=METADATA_TIMEOUT_S,
        limit_bytes=MAX_METADATA_BYTES,
    )
    if b"<resource-agent" not in text:
        raise errors.UsageError(f"'{describe(agent)}' prints no metadata")
    return _DOCTYPE.sub(b"", text, count=1)


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(entry for entry in parent.iterdir() if entry.is_dir())
    except OSError:
        return []


def _files(parent: Path) -> list[Path]:
    try:
        return sorted(entry for entry in parent.iterdir() if entry.is_file())
    except OSError:
        return []


def _programs(folder: Path) -> set[str]:
    return {
        file.name
        for file in _files(folder)
        if os.access(file, os.X_OK) and _NAME.match(file.name) is not None
    }
