"""What heartbeat reads before it runs: its files, checked as a whole, and its own identity.

Responsible for files and their problems. Nothing is started here, and nothing but the identity
(`hb_uuid`, `hb_generation`) is written.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import socket
import stat
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from crm.plumbing import atomicfile
from crm.plumbing.errors import ConfigurationError, Problem, error, has_errors, warning
from crm.plumbing.log import LogTargets
from crm.plumbing.settings import CLUSTER_USER, Paths
from messaging import apiauth, authkeys, home_nodes, hostcache, programs, watchdog
from messaging.apiauth import Rights
from messaging.authkeys import KeyFile
from messaging.cluster_settings import DEFAULT_PORT, ClusterSettings, MediumKind
from messaging.ha_cf import meaning
from messaging.ha_cf import reading as ha_cf
from messaging.media import icmp
from messaging.media.serial import is_character_device
from messaging.nodelist import NodeList
from messaging.programs import Program

EXIT_UNREADABLE = 4
EXIT_NOT_CONFIGURED = 6
SERVICE = "ha-cluster"
ONE_USER = "PACEKEEPER_ONE_USER"
"""Set in the environment where everything shall run as the starting user (the lab)."""


@dataclass(frozen=True)
class Readings:
    """Everything read and accepted."""

    settings: ClusterSettings
    keys: KeyFile
    programs: tuple[Program, ...]
    ping_places: dict[icmp.Host, icmp.Place]
    ha_cf_text: str
    rights: Rights
    known_nodes: NodeList


def read_all(paths: Paths, node: str) -> tuple[Readings | None, list[Problem], int]:
    """Read ha.cf and authkeys; None with problems and an exit code when anything is refused."""
    text, problems, code = _read_text(paths.ha_cf, "Cannot open config file [%s]")
    if text is None:
        return None, problems, code
    settings, problems = ha_cf.read(
        text,
        node=node,
        path=str(paths.ha_cf),
        has_haresources=paths.haresources.exists(),
        default_port=service_port(),
    )
    keys, found, key_code = read_keys(paths.authkeys)
    problems += found
    if settings is None or keys is None:
        return None, problems, key_code or EXIT_NOT_CONFIGURED
    known_nodes, found = _read_nodes(settings, paths)
    settings = replace(settings, nodes=known_nodes.names)
    problems += found
    place = ("--root", str(paths.root), "--node", node)
    problems += _check_home_nodes(settings, paths)
    extra, found = programs.from_respawn_lines(
        settings,
        place,
        path=str(paths.ha_cf),
        is_executable=programs.is_executable_file,
        is_user=is_user,
    )
    problems += found
    problems += _check_serial_lines(settings, paths)
    problems += _check_ports(settings, paths)
    problems += _check_watchdog(settings, paths)
    own = [] if settings.only_membership else programs.own_daemons(place)
    rights, found = _read_rights(settings, own, str(paths.ha_cf))
    problems += found
    places, found = _look_up_ping_hosts(settings, paths)
    problems += found
    if has_errors(problems):
        return None, problems, EXIT_NOT_CONFIGURED
    made = Readings(settings, keys, (*own, *extra), places, text, rights, known_nodes)
    return made, problems, 0


def service_port() -> int:
    """The port heartbeats go to where ha.cf names none: that of the service of old."""
    try:
        return socket.getservbyname(SERVICE, "udp")
    except OSError:
        return DEFAULT_PORT


def _check_ports(settings: ClusterSettings, paths: Paths) -> list[Problem]:
    """Warn of a port that another service is known for: a guess only, so no more than that."""
    found: list[Problem] = []
    for port in dict.fromkeys(medium.port for medium in settings.media if medium.port):
        try:
            name = socket.getservbyport(port, "udp")
        except OSError:
            continue
        if name != SERVICE:
            text = f"{paths.ha_cf}: port {port} is that of the service '{name}'"
            hint = "take another one with 'udpport', if that runs here"
            found.append(warning("port-of-another", str(paths.ha_cf), text, hint))
    return found


def _check_home_nodes(settings: ClusterSettings, paths: Paths) -> list[Problem]:
    if settings.crm:
        return []
    text, problems, _ = _read_text(paths.haresources, "Cannot open resources file [%s]")
    return (
        problems
        if text is None
        else home_nodes.check(text, settings.nodes, path=str(paths.haresources))
    )


def _check_serial_lines(settings: ClusterSettings, paths: Paths) -> list[Problem]:
    return [
        error(
            "no-device",
            str(paths.ha_cf),
            f"{paths.ha_cf}: serial line: '{medium.device}' is not a character device",
            "name the device file of the line, such as /dev/ttyS0",
        )
        for medium in settings.media
        if medium.kind is MediumKind.SERIAL and not is_character_device(medium.device)
    ]


def _look_up_ping_hosts(
    settings: ClusterSettings, paths: Paths
) -> tuple[dict[icmp.Host, icmp.Place], list[Problem]]:
    places, unknown = icmp.resolve(icmp.hosts_of(settings.pings))
    return places, [
        error(
            "unknown-host",
            str(paths.ha_cf),
            f"{paths.ha_cf}: unknown host '{host.name}' in a {_ping_word(host)} line",
            "add it to /etc/hosts, or write its address",
        )
        for host in unknown
    ]


def _ping_word(host: icmp.Host) -> str:
    return "ping6" if host.is_ipv6 else "ping"


def check(paths: Paths, node: str) -> tuple[list[str], list[Problem], int]:
    """Read all files as a start would; tell what they mean, what is wrong, and the exit code.

    Also looks whether the interfaces are there, which a start does not wait for.
    """
    readings, problems, code = read_all(paths, node)
    if readings is None:
        return [], problems, code
    settings = readings.settings
    statements, _ = ha_cf.read_statements(readings.ha_cf_text)
    there = {name for _, name in socket.if_nameindex()}
    problems += [
        warning(
            "no-interface",
            str(paths.ha_cf),
            f"{paths.ha_cf}: there is no interface '{device}' on this host now",
            f"it has {', '.join(sorted(there))}",
        )
        for device in settings.links
        if device not in there and device not in settings.slow_links
    ]
    idle = meaning.of_idle_lines(statements)
    lines = [
        *meaning.of_settings(settings, node),
        *(["", "without effect:"] if idle else []),
        *(f"  {line}" for line in idle),
        "",
        _of_keys(readings.keys),
    ]
    return lines, problems, 0


def _of_keys(keys: KeyFile) -> str:
    others = [str(key.number) for key in keys.keys if key.number != keys.signing]
    also = f", and those sealed with {', '.join(others)} are accepted" if others else ""
    return f"packets are sealed with key {keys.signing} of authkeys{also}"


def write_keys(path: Path, before: KeyFile, keys: KeyFile) -> str:
    """Replace the keys of authkeys by others; why that cannot be, or "" when they are on the disk.

    A file that no longer says what is in use was changed by hand, and is left alone.
    """
    found, _, _ = read_keys(path)
    if found != before:
        return f"{path} was changed and not read since: run heartbeat -r first"
    try:
        status = path.stat()
        text = authkeys.render(keys, path.read_text(encoding="utf-8", errors="replace"))
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        atomicfile.write_durably(path, text.encode(), 0o600, owner)
    except OSError as problem:
        return f"{path} cannot be written: {problem.strerror or problem}"
    return ""


def read_keys(path: Path) -> tuple[KeyFile | None, list[Problem], int]:
    """Read authkeys, unless others may read it too."""
    text, problems, code = _read_text(path, "Cannot open keyfile [%s]")
    if text is None:
        return None, problems, code
    problems = authkeys.check_mode(stat.S_IMODE(path.stat().st_mode), str(path))
    keys, found = authkeys.read(text, path=str(path))
    problems += found
    return (None if has_errors(problems) else keys), problems, 0


def _read_text(path: Path, message: str) -> tuple[str | None, list[Problem], int]:
    try:
        return path.read_text(encoding="utf-8", errors="replace"), [], 0
    except FileNotFoundError:
        hint = "an annotated sample lies in docs/examples"
        problem = error("no-file", str(path), message % path, hint)
        return None, [problem], EXIT_NOT_CONFIGURED
    except OSError as trouble:
        what = f"{message % path}: {trouble.strerror}"
        return None, [error("unreadable", str(path), what)], EXIT_UNREADABLE


def is_user(name: str) -> bool:
    """Tell whether this computer has a user of that name."""
    return _uid_of(name) is not None


def user_for(program: Program) -> str | None:
    """Who a program runs as; None means: as ourselves."""
    if os.geteuid() != 0 or os.environ.get(ONE_USER) or not program.user:
        return None
    return program.user if is_user(program.user) else None


def _read_nodes(settings: ClusterSettings, paths: Paths) -> tuple[NodeList, list[Problem]]:
    """Join the nodes of ha.cf with what hb_addnode and hb_delnode have left on disk."""
    kept, problems = hostcache.read(hostcache_folder(paths))
    known = kept.read_with(settings.nodes) if kept.version else NodeList(settings.nodes)
    problems += [
        warning(
            "node-deleted",
            str(paths.ha_cf),
            f"{paths.ha_cf}: node '{name}' was deleted from the running cluster and does not count",
            f"remove it here, or add it again: hb_addnode {name}",
        )
        for name in settings.nodes
        if name not in known.names
    ]
    return known, problems


def hostcache_folder(paths: Paths) -> Path:
    """Where the list of nodes is kept."""
    return paths.hb_uuid.parent


def _check_watchdog(settings: ClusterSettings, paths: Paths) -> list[Problem]:
    if not settings.watchdog or is_character_device(str(watchdog_path(settings, paths))):
        return []
    text = f"'{watchdog_path(settings, paths)}' is not a device"
    return [
        error(
            "no-device",
            str(paths.ha_cf),
            f"{paths.ha_cf}: directive 'watchdog': {text}",
            watchdog.remedy_of_missing(),
        )
    ]


def watchdog_path(settings: ClusterSettings, paths: Paths) -> Path:
    """Where the device is looked for: below the root, so that no lab arms its host's."""
    return paths.below(settings.watchdog)


def _read_rights(
    settings: ClusterSettings, own: list[Program], path: str
) -> tuple[Rights, list[Problem]]:
    """Turn the apiauth lines into numbers of this host's users and groups."""
    mine = os.geteuid(), os.getegid()
    accounts = apiauth.Accounts(
        _uid_of,
        _gid_of,
        own=mine,
        has_one_user=os.geteuid() != 0 or bool(os.environ.get(ONE_USER)),
    )
    users = {program.plan.name: user_for(program) for program in own}
    daemons = {name: _ids_of(user) if user else mine for name, user in users.items()}
    bus_users = frozenset({0, mine[0]} | {uid for uid, _ in daemons.values()})
    return apiauth.resolve(
        settings.api_rights, accounts, path=path, daemons=daemons, bus_users=bus_users
    )


def _ids_of(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _gid_of(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def node_name(option: str) -> str:
    """The name of this node, in lower case."""
    return (option or socket.gethostname()).strip().lower()


def stated_name(paths: Paths) -> str:
    """The name that etc/ha.d/nodeinfo gives this node in the place of its host name, or ""."""
    try:
        text = (paths.ha_cf.with_name("nodeinfo")).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return next(iter(text.split()), "").lower()


def read_uuid(path: Path) -> str:
    """The identity of this node, made at the first start."""
    if path.exists():
        text = path.read_text(encoding="ascii", errors="replace").strip()
        try:
            return str(uuid.UUID(text))
        except ValueError:
            path.replace(path.with_name(f"{path.name}.unreadable"))
    made = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomicfile.write_durably(path, f"{made}\n".encode(), mode=0o644)
    return made


def next_generation(path: Path) -> int:
    """Count this start; the first one is taken from the clock."""
    text = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
    number = int(text) + 1 if text.isascii() and text.isdigit() else int(time.time())
    path.parent.mkdir(parents=True, exist_ok=True)
    atomicfile.write_durably(path, f"{number}\n".encode(), mode=0o644)
    return number


def prepare_directories(paths: Paths) -> None:
    """Make the folders our children write to, owned by the user they run as.

    One that is theirs already is left alone: it may be on a disk that cannot be written.

    Raises: ConfigurationError with the folder that cannot be made.
    """
    owner = _cluster_owner()
    try:
        for directory in (paths.run_dir, paths.agent_state_dir, paths.log_dir):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (paths.cib_dir, paths.pengine_dir, paths.blackbox_dir):
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            status = directory.stat()
            if owner is not None and (status.st_uid, status.st_gid) != owner:
                os.chown(directory, *owner)
    except OSError as problem:
        reason = "it is no folder" if isinstance(problem, FileExistsError) else problem.strerror
        raise ConfigurationError(f"'{problem.filename}' cannot be used: {reason}") from problem


def prepare_logs(targets: LogTargets) -> None:
    """Make the log files, writable for the children that do not run as root."""
    owner = _cluster_owner()
    for name in filter(None, (targets.logfile, targets.debugfile)):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(name, flags, 0o644)
        try:
            if owner is not None:
                os.fchown(handle, *owner)
        finally:
            os.close(handle)


def _cluster_owner() -> tuple[int, int] | None:
    """Who owns what the children write to; None: they run as ourselves."""
    if os.geteuid() != 0 or os.environ.get(ONE_USER) or not is_user(CLUSTER_USER):
        return None
    return _ids_of(CLUSTER_USER)


def log_targets(settings: ClusterSettings, paths: Paths, node: str) -> LogTargets:
    """Where the lines of all daemons go, by ha.cf."""
    named = settings.log
    logfile = str(paths.below(named.logfile)) if named.logfile else ""
    debugfile = str(paths.below(named.debugfile)) if named.debugfile else ""
    if not logfile and (named.use_logd or not (debugfile or named.facility)):
        logfile = str(paths.ha_log)
    return LogTargets(logfile, debugfile, named.facility, named.debug, node)


def own_log_targets(targets: LogTargets) -> LogTargets:
    """Heartbeat's own lines: the few debug lines of membership are always worth a line."""
    return replace(targets, debugfile=targets.debugfile or targets.logfile)
